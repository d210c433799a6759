"""The folder that an export writes: where each thing lies in it, and the texts of its files.

    pack-export.json                                     the format's number
    experiments/KEY/experiment.json
    experiments/KEY/runs/RUN_ID/run.json                 written last: without it, the folder is unfinished
                               /metrics.csv              key,step,timestamp,value
                               /artifacts/...
                               /SHA256SUMS               of metrics.csv and artifacts/..., as `sha256sum -c` reads it
    experiments/KEY/logged_models/MODEL_ID/model.json
                                          /artifacts/... /SHA256SUMS
    registered_models/KEY/model.json
    registered_models/KEY/versions/NUMBER/version.json
                                         /artifacts/... /SHA256SUMS    where the files lie with no run or logged model

Format 1. A KEY is the name's letters and digits, and a digest of the name, the number and the time it was made at, so
that things of two stores which are called the same lie side by side. JSON has its names in order; the same thing gives
the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pack.errors import Damaged, InvalidState, InvalidValue
from pack.exchange.tree import Parts
from pack.exchange.values import mapping, real, shown, whole
from pack.tracking import Experiment, Metric

FORMAT = 1
MARK = "pack-export.json"
EXPERIMENTS, RUNS, LOGGED, REGISTERED, VERSIONS = (
    "experiments",
    "runs",
    "logged_models",
    "registered_models",
    "versions",
)
EXPERIMENT_FILE, RUN_FILE, MODEL_FILE, VERSION_FILE = "experiment.json", "run.json", "model.json", "version.json"
METRICS, ARTIFACTS, SUMS = "metrics.csv", "artifacts", "SHA256SUMS"
JSON_LIMIT = 64 << 20
_HEADER = "key,step,timestamp,value"
_SUM = re.compile(r"([0-9a-f]{64})  (.+)")


def experiment_key(given: Experiment) -> str:
    """The folder of an experiment."""
    return _key(given.name, given.experiment_id, given.creation_time)


def registered_key(name: str, made: int) -> str:
    """The folder of a registered model."""
    return _key(name, "", made)


def to_json(value: Mapping[str, Any]) -> bytes:
    """The text of a thing: its fields and the format's number, in the order of the names."""
    body = json.dumps({**value, "format": FORMAT}, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{body}\n".encode()


def from_json(data: bytes, what: str) -> dict[str, Any]:
    """The fields of a thing; raises `Damaged` for a text that is none, `InvalidState` for a format of the future."""
    try:
        found = mapping(json.loads(data.decode("utf-8")), what)
        number = whole(found.pop("format", None), f"the format of {what}")
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{what} cannot be read: it is not JSON") from error
    except InvalidValue as error:
        raise Damaged(f"{what} cannot be read: {error.message}") from error
    if number > FORMAT or number < 1:
        raise InvalidState(
            f"{what} is of format {number}, this pack reads {FORMAT}", hint="upgrade: pip install -U packml"
        )
    return found


def metrics_text(points: Iterable[Metric]) -> Iterator[bytes]:
    """The lines of metrics.csv; keys hold no comma, and numbers are as Python writes them."""
    yield f"{_HEADER}\n".encode()
    for point in points:
        yield f"{point.key},{point.step},{point.timestamp},{point.value!r}\n".encode()


def metric_of(line: bytes, what: str) -> Metric:
    """One line of metrics.csv."""
    try:
        key, step, moment, value = line.decode("utf-8").rstrip("\n").rsplit(",", 3)
    except ValueError as error:
        raise InvalidValue(f"{what} is not a key, a step, a time and a value") from error
    return Metric(key, real(value, what), whole(moment, what), whole(step, what))


def is_header(line: bytes) -> bool:
    """Whether a line is the first of metrics.csv."""
    return line.rstrip(b"\n") == _HEADER.encode()


def sums_text(digests: Mapping[str, str]) -> bytes:
    """The text of SHA256SUMS."""
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()


def sums_of(data: bytes, what: str) -> dict[str, str]:
    """The digests in SHA256SUMS, by path; raises `Damaged` for a text that is none."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise Damaged(f"{what} is not UTF-8") from error
    found = [_SUM.fullmatch(line) for line in lines]
    if not all(found):
        raise Damaged(f"{what} is not a list of digests")
    return {match.group(2): match.group(1) for match in found if match}


def number_text(value: float) -> float | str:
    """A number as JSON can hold it: NaN and the infinities are words."""
    return value if value - value == 0 else repr(value)


def run_parts(experiment: str, run_id: str) -> Parts:
    """The folder of a run."""
    return (EXPERIMENTS, experiment, RUNS, run_id)


def logged_parts(experiment: str, model_id: str) -> Parts:
    """The folder of a logged model."""
    return (EXPERIMENTS, experiment, LOGGED, model_id)


def version_parts(key: str, number: int) -> Parts:
    """The folder of a version."""
    return (REGISTERED, key, VERSIONS, str(number))


def _key(name: str, number: str, made: int | None) -> str:
    letters = re.sub(r"[^A-Za-z0-9_]+", "-", name)[:40].strip("-") or "unnamed"
    digest = hashlib.sha256(json.dumps([name, number, made]).encode()).hexdigest()
    return f"{letters}-{digest[:12]}"


def check_key(key: str) -> str:
    """A key as a folder is called; raises `InvalidValue` for another name."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key):
        raise InvalidValue(f"{shown(key)} is not the name of an exported thing")
    return key
