"""Payload capture: a sample of requests and their answers as Parquet files, in the columns of the signature.

Off unless asked for. Columns can be redacted: they are written as null. Files appear whole, under names that do not
repeat; what comes faster than it can be written is left out, and counted.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from random import random
from typing import Any, NamedTuple

from pack import folders
from pack.errors import InvalidValue
from pack.plugins import missing
from pack.serving.parcels import Parcel

logger = logging.getLogger("pack.serving")
WAITING = 1000
# Bytes of bodies and answers that may wait to be written.
WAITING_BYTES = 128 * 2**20


@dataclass(frozen=True)
class CapturePlan:
    """What is captured: into which folder, which share of requests (0 to 1), which columns without their values.

    A file is written when so many rows have gathered, or after so many seconds.
    """

    folder: Path
    share: float = 1.0
    redact: frozenset[str] = frozenset()
    rows: int = 10_000
    seconds: float = 60.0


class Captured(NamedTuple):
    """One request: its data, the body of its answer, and where both belong."""

    parcel: Parcel
    answer: bytes
    request_id: str
    version: str
    at: float
    size: int


class Capture:
    """Writes a sample of the requests to one model, in a thread of its own. Open until `close`."""

    def __init__(self, name: str, plan: CapturePlan, columns: Iterable[str] | None) -> None:
        """`columns` are those that can be redacted; None where the model is not there yet to say."""
        unknown = [] if columns is None else sorted(plan.redact - {*columns, "_answer"})
        if unknown:
            raise InvalidValue(f"{name!r} has no column {unknown[0]!r} to redact", hint="its columns: pack inspect")
        _pyarrow()
        self.dropped = 0
        self.written = 0
        self._waiting = 0
        self._counting = threading.Lock()
        self._name = name
        self._plan = plan
        self._queue: queue.Queue[Captured | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="pack-capture", daemon=True)
        self._thread.start()

    def offer(self, parcel: Parcel, answer: bytes, request_id: str, version: str, *, size: int) -> None:
        """Take a request, whose body had so many bytes, into the sample, or not; never waits."""
        if random() >= self._plan.share:  # noqa: S311 - no secret
            return
        one = Captured(parcel, answer, request_id, version, time.time(), size + len(answer))
        try:
            if self._waiting + one.size > WAITING_BYTES:
                raise queue.Full
            self._queue.put_nowait(one)
        except queue.Full:
            self.dropped += 1
        else:
            with self._counting:
                self._waiting += one.size

    def close(self) -> None:
        """Write what has gathered."""
        self._queue.put(None)
        self._thread.join(30)

    def _run(self) -> None:
        gathered: list[Captured] = []
        rows, due, open_ = 0, time.monotonic() + self._plan.seconds, True
        while open_:
            try:
                one = self._queue.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                pass
            else:
                open_ = one is not None
                gathered += [] if one is None else [one]
                rows += 0 if one is None else one.parcel.rows or 1
            if not open_ or rows >= self._plan.rows or time.monotonic() >= due:
                self._write(gathered)
                with self._counting:
                    self._waiting -= sum(each.size for each in gathered)
                gathered, rows, due = [], 0, time.monotonic() + self._plan.seconds

    def _write(self, gathered: list[Captured]) -> None:
        if not gathered:
            return
        try:
            table = table_of(gathered, self._plan.redact)
            _save(table, self._plan.folder / self._name)
            self.written += table.num_rows
        except Exception:  # a worker loop: a sample that cannot be written must not stop the next
            logger.exception("a sample of requests to %s was not written", self._name)


def table_of(gathered: Iterable[Captured], redact: frozenset[str]) -> Any:
    """The rows of these requests as an Arrow table: the data's columns, and four that tell where each row belongs."""
    pa = _pyarrow()
    return pa.concat_tables([_table(pa, one, redact) for one in gathered], promote_options="permissive")


def _table(pa: Any, one: Captured, redact: frozenset[str]) -> Any:
    table = _columns(pa, one.parcel.join([one.parcel.data]))
    rows = table.num_rows
    for name in redact & set(table.column_names):
        place = table.column_names.index(name)
        field = table.field(place)
        table = table.set_column(place, field, pa.nulls(rows, field.type))
    answer = None if "_answer" in redact else one.answer.decode("utf-8", "replace")
    facts = {"_request_id": one.request_id, "_version": one.version, "_time": one.at, "_answer": answer}
    for name, value in facts.items():
        kind = pa.float64() if name == "_time" else pa.string()
        table = table.append_column(name, pa.array([value] * rows, kind))
    return table


def _columns(pa: Any, data: Any) -> Any:
    if hasattr(data, "dtypes"):
        return pa.Table.from_pandas(data, preserve_index=False)
    if isinstance(data, dict):
        return pa.table({str(name): list(value) for name, value in data.items()})
    if hasattr(data, "tolist") and bool(getattr(data, "shape", ())):
        return pa.table({"input": data.tolist()})
    return pa.table({"input": [str(data)]})


def _save(table: Any, folder: Path) -> None:
    from pyarrow import parquet

    folders.make(folder, 0o700)
    name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(8)}"
    beside = folder / f".new-{name}"
    parquet.write_table(table, beside)
    os.replace(beside, folder / f"{name}.parquet")  # noqa: PTH105


def _pyarrow() -> Any:
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        raise missing("pyarrow", "'packml[parquet]'") from error
    return pa
