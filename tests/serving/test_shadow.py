"""A shadow sees every kind of request that the champion answers whole, and its answers are compared by value."""

from __future__ import annotations

import asyncio
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from starlette.testclient import TestClient

import pack
from pack.pyfunc.load import load_model
from pack.serving import app, shadow
from pack.serving.alike import Said, alike, values_of
from pack.serving.batching import Limits
from pack.serving.columnar import ARROW, NPY, encode_arrow, encode_npy
from pack.serving.options import Options
from pack.serving.parcels import parcel_of
from pack.serving.rehearsal import Rehearsal
from pack.serving.scoring import CSV, JSON, PARQUET
from pack.serving.shadow import Shadow
from pack.serving.slots import Slot
from pack.serving.versions import Source

FRAME = pd.DataFrame({"x": [1.0, 2.0], "y": [3.0, 5.0]})
NONE = {"agreed": 0, "differed": 0, "failed": 0, "late": 0, "dropped": 0}


class Plus(pack.pyfunc.PythonModel):
    """The sum of the columns and a bit more; in the second row there is none."""

    def __init__(self, more: float) -> None:
        self.more = more

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        found = model_input.sum(axis=1).to_numpy() + self.more
        found[1:] = float("nan")
        return found

    def predict_stream(self, context: Any, model_input: Any, params: Any = None) -> Iterator[Any]:
        yield self.predict(context, model_input, params)


class Slow(pack.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        time.sleep(1.0)
        return model_input


Save = Callable[..., str]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def one(name: str, model: Any, frame: pd.DataFrame = FRAME) -> str:
        signature = pack.infer_signature(frame, np.array([1.0]))
        pack.pyfunc.save_model(tmp_path / name, python_model=model, signature=signature)
        return str(tmp_path / name)

    return one


@contextmanager
def mirrored(champion: str, challenger: str) -> Iterator[tuple[TestClient, Callable[[int], dict[str, int]]]]:
    """A client, and what waits until so many requests were compared and tells the counts."""
    made = app(champion, trust=True, options=Options(shadows={"model": challenger}))
    found = made.state.endpoints.default.shadow

    def counts(of: int) -> dict[str, int]:
        end = time.monotonic() + 20
        while sum(found.counts.values()) < of:
            assert time.monotonic() < end, "it was not mirrored"
            time.sleep(0.01)
        time.sleep(0.05)
        return dict(found.counts)

    with TestClient(made) as client:
        yield client, counts


def parquet(frame: pd.DataFrame) -> bytes:
    return bytes(frame.to_parquet(index=False))


BODIES = {
    JSON: json.dumps({"dataframe_split": FRAME.to_dict(orient="split", index=False)}).encode(),
    CSV: FRAME.to_csv(index=False).encode(),
    PARQUET: parquet(FRAME),
    ARROW: encode_arrow(FRAME),
    NPY: encode_npy(FRAME.to_numpy()),
}


def tensor(name: str, values: list[float], *, size: int | None = None) -> dict[str, Any]:
    said = {"data": values} if size is None else {"parameters": {"binary_data_size": size}}
    return {"name": name, "shape": [len(values), 1], "datatype": "FP64", **said}


def infer(client: TestClient, *, binary: bool, path: str = "/v2/models/model/infer") -> Any:
    columns = {name: FRAME[name].to_numpy() for name in FRAME}
    size = 16 if binary else None
    inputs = [tensor(str(name), list(values), size=size) for name, values in columns.items()]
    header = json.dumps({"id": "é", "inputs": inputs, "parameters": {"binary_data_output": binary}}).encode()
    rest = b"".join(values.tobytes() for values in columns.values()) if binary else b""
    return client.post(path, content=header + rest, headers={"Inference-Header-Content-Length": str(len(header))})


@pytest.mark.parametrize(("more", "outcome"), [(0.0, "agreed"), (1e-9, "agreed"), (1e-3, "differed")])
def test_every_body_is_mirrored_and_compared_in_the_form_that_was_asked_for(
    save: Save, more: float, outcome: str
) -> None:
    with mirrored(save("one", Plus(0)), save("other", Plus(more))) as (client, counts):
        done = 0
        for content_type, body in BODIES.items():
            for accept in (JSON, ARROW, NPY):
                answer = client.post(
                    "/invocations", content=body, headers={"Content-Type": content_type, "Accept": accept}
                )
                assert (answer.status_code, answer.headers["content-type"]) == (200, accept)
                done += 1
                assert counts(done) == {**NONE, outcome: done}, (content_type, accept)


@pytest.mark.parametrize(("more", "outcome"), [(0.0, "agreed"), (1e-9, "agreed"), (1e-3, "differed")])
def test_tensors_are_mirrored_whether_in_json_or_as_bytes(save: Save, more: float, outcome: str) -> None:
    with mirrored(save("one", Plus(0)), save("other", Plus(more))) as (client, counts):
        for done, binary in enumerate([False, True], 1):
            assert infer(client, binary=binary).status_code == 200
            assert counts(done) == {**NONE, outcome: done}
        assert infer(client, binary=True, path="/v2/models/model/versions/1/infer").status_code == 200
        assert counts(3)[outcome] == 3


def test_what_the_shadow_cannot_read_has_failed_and_what_is_refused_is_not_mirrored(save: Save) -> None:
    other = pd.DataFrame({"z": [1.0]})
    with mirrored(save("one", Plus(0)), save("other", Plus(0), other)) as (client, counts):
        for content_type in (JSON, ARROW, PARQUET):
            client.post("/invocations", content=BODIES[content_type], headers={"Content-Type": content_type})
        infer(client, binary=True)
        assert client.post("/invocations", content=b"x", headers={"Content-Type": NPY}).status_code == 400
        assert counts(4) == {**NONE, "failed": 4}


def test_streams_are_counted_nowhere(save: Save) -> None:
    with mirrored(save("one", Plus(0)), save("other", Plus(1))) as (client, counts):
        for path, accept in (("/stream", "*/*"), ("/invocations", "text/event-stream")):
            answer = client.post(path, content=BODIES[JSON], headers={"Content-Type": JSON, "Accept": accept})
            assert answer.status_code == 200
        assert counts(0) == NONE


def test_copies_are_bounded_by_their_bytes(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MOST_BYTES", len(BODIES[ARROW]) - 1)
    with mirrored(save("one", Plus(0)), save("other", Plus(0))) as (client, counts):
        for content_type in (ARROW, CSV):
            client.post("/invocations", content=BODIES[content_type], headers={"Content-Type": content_type})
        assert counts(2) == {**NONE, "dropped": 1, "agreed": 1}


def test_a_late_copy_counts_until_the_model_has_let_go_of_it(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MOST_BYTES", 150)
    slot = Slot(Source.of(load_model(save("slow", Slow()), trust=True), True), Limits(), Rehearsal())
    slot.load_now()

    async def story() -> Any:
        seen = Shadow(slot, deadline=0.05)

        def mirror() -> None:
            said = Said(b"x" * 50, values_of(NPY))
            seen.mirror(said, lambda version: (parcel_of(FRAME, {}, wrapped=True), said.values), size=50)

        mirror()
        await asyncio.sleep(0.3)
        mirror()
        before = dict(seen.counts)
        for _ in range(200):
            await asyncio.sleep(0.05 if slot.in_flight else 0)
        mirror()
        await asyncio.sleep(0.3)
        return before, dict(seen.counts)

    before, after = asyncio.run(story())
    slot.unload()
    assert before == {**NONE, "late": 1, "dropped": 1}
    assert after == {**NONE, "late": 2, "dropped": 1}


def said(kind: str, value: Any) -> Said:
    body = {
        JSON: lambda: json.dumps(value).encode(),
        ARROW: lambda: encode_arrow(value),
        NPY: lambda: encode_npy(value),
    }
    return Said(body[kind](), values_of(kind))


@pytest.mark.parametrize("kind", [JSON, ARROW, NPY])
@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ([1.0, 2.0], [1.0, 2.0000001], True),
        ([1.0, 2.0], [1, 2], True),
        ([1.0, float("nan")], [1.0000001, float("nan")], True),
        ([1.0, float("inf")], [1.0000001, float("inf")], True),
        ([1.0, float("inf")], [1.0, float("-inf")], False),
        ([1.0, 2.0], [1.0, float("nan")], False),
        ([1.0, 2.0], [1.0], False),
        (["a", "b"], ["a", "c"], False),
        ([2**62], [2**62 + 1], True),
        ([True], ["true"], False),
    ],
)
def test_answers_are_alike_by_their_values(kind: str, one: Any, other: Any, same: bool) -> None:
    assert alike(said(kind, one), said(kind, other)) is same


def test_names_and_shapes_count_and_what_cannot_be_read_is_compared_by_its_bytes() -> None:
    assert not alike(said(ARROW, {"a": [1.0]}), said(ARROW, {"b": [1.0]}))
    assert not alike(said(NPY, np.zeros((2, 1))), said(NPY, np.zeros((1, 2))))
    far = pa.table({"when": pa.array([2**62], pa.timestamp("us"))})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, far.schema) as writer:
        writer.write_table(far)
    odd = Said(sink.getvalue(), values_of(ARROW))
    assert alike(odd, odd)
    assert not alike(odd, said(ARROW, {"when": [1]}))
    assert not alike(Said(b"{", values_of(JSON)), Said(b"[", values_of(JSON)))
