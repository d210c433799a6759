"""The Open Inference Protocol without HTTP: in one call with other requests, and from predictions of every kind."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import BadRequest, PackError
from pack.mlmodel import ColSpec, Schema, TensorSpec
from pack.serving import oip
from pack.serving.batching import Batcher
from pack.serving.predicted import tensors_of
from tests.serving.test_batching import Recorder, body, run, scorer_of

NAMES = {"model_name": "m", "model_version": "1"}


def one(**changes: Any) -> dict[str, Any]:
    """A request of one tensor of two floats."""
    return {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2], **changes}]}


def test_requests_of_both_protocols_are_scored_in_one_call_and_fail_alone(tmp_path: Path) -> None:
    scorer, model = scorer_of(tmp_path, Recorder(seconds=0.05))

    def read(value: float, output: str) -> Any:
        request = one(shape=[1, 1], datatype="INT64", data=[value]) | {"outputs": [{"name": output}]}
        return oip.read(json.dumps(request).encode(), None, scorer.model, NAMES)[0]

    async def work(batcher: Batcher) -> Any:
        first = batcher.submit(scorer.read(body(0)), 10)
        await asyncio.sleep(0.01)
        rest = [read(1, "output-0"), scorer.read(body(2, 3)), read(4, "nothing"), read(5, "output-0")]
        found = await asyncio.gather(first, *(batcher.submit(one, 10) for one in rest), return_exceptions=True)
        return [one if isinstance(one, BaseException) else json.loads(one.body) for one in found]

    found = run(scorer, work)
    assert model.calls == [1, 5]
    assert found[0] == {"predictions": [1]}
    assert found[2] == {"predictions": [3, 4]}
    assert [found[place]["outputs"][0]["data"] for place in (1, 4)] == [[2], [6]]
    assert isinstance(found[3], BadRequest)


@pytest.mark.parametrize(
    ("predictions", "datatype", "shape", "values"),
    [
        (np.float32(1.5), "FP32", (1,), [1.5]),
        ([1, 2], "INT64", (2,), [1, 2]),
        ([1, 2.5], "FP64", (2,), [1.0, 2.5]),
        ([True, False], "BOOL", (2,), [True, False]),
        ([[1, 2], [3, 4]], "INT64", (2, 2), [1, 2, 3, 4]),
        (["a", None], "BYTES", (2,), ["a", None]),
        ([["a"], ["b\0"]], "BYTES", (2, 1), ["a", "b\0"]),
        ("text", "BYTES", (1,), ["text"]),
        ([b"\xff"], "BYTES", (1,), [b"\xff"]),
        ([1, "a"], "BYTES", (2,), ["1", '"a"']),
        ([True, 1], "BYTES", (2,), ["true", "1"]),
        ([2**70], "BYTES", (1,), [str(2**70)]),
        ([2**53 + 1, 0.5], "BYTES", (2,), [str(2**53 + 1), "0.5"]),
        ([[1], [2, 3]], "BYTES", (2,), ["[1]", "[2, 3]"]),
        ([{"a": 1}], "BYTES", (1,), ['{"a": 1}']),
        ([], "FP64", (0,), []),
        (np.array(["2020-01-01", "NaT"], "datetime64[D]"), "BYTES", (2,), ["2020-01-01", None]),
        (np.array([b"a"]), "BYTES", (1,), [b"a"]),
        (pd.Series([1, None], dtype="Int64"), "INT64", (2, 1), [1, None]),
        (pd.Series([1, 2], dtype="Int32"), "INT32", (2, 1), [1, 2]),
        (pd.Series([1.5, 2], dtype="Float32"), "FP32", (2, 1), [1.5, 2.0]),
        (pd.Series(["a", "b"], dtype="category"), "BYTES", (2, 1), ["a", "b"]),
        (pd.Series([pd.Timestamp("2020-01-01")]), "BYTES", (1, 1), ["2020-01-01T00:00:00"]),
    ],
)
def test_predictions_of_every_kind_become_a_tensor(predictions: Any, datatype: str, shape: Any, values: Any) -> None:
    (found,) = tensors_of(predictions, None)
    assert (found.name, found.datatype, found.values.shape) == ("output-0", datatype, shape)
    assert found.values.ravel().tolist() == values


def test_outputs_have_the_names_of_the_frame_the_dict_or_the_signature() -> None:
    frame = pd.DataFrame({"a": [1], "b": ["x"]})
    columns = Schema([ColSpec("long", "p"), ColSpec("long", "q")])
    cases: list[tuple[Any, Schema | None, list[tuple[str, Any]]]] = [
        (frame, None, [("a", (1, 1)), ("b", (1, 1))]),
        ({"a": np.zeros((2, 3)), "b": 1}, None, [("a", (2, 3)), ("b", (1,))]),
        (pd.Series([1], name="s"), None, [("s", (1, 1))]),
        (np.zeros((3, 2)), columns, [("p", (3, 1)), ("q", (3, 1))]),
        (np.zeros(3), Schema([ColSpec("double", "p")]), [("p", (3, 1))]),
        (np.zeros(3), Schema([TensorSpec(np.dtype("float64"), (-1,), "t")]), [("t", (3,))]),
    ]
    for predictions, schema, expected in cases:
        assert [(found.name, found.values.shape) for found in tensors_of(predictions, schema)] == expected


def test_columns_of_bytes_dates_and_nested_values_are_described_and_taken(tmp_path: Path) -> None:
    def predict(model_input: Any) -> Any:
        return [repr(value) for value in model_input.iloc[0]]

    frame = pd.DataFrame({"raw": [b"\xff"], "day": [pd.Timestamp("2020-01-01")], "tags": [["a", "b"]]})
    pack.save_model(predict, tmp_path / "m", input_example=frame)
    model = pack.pyfunc.load_model(tmp_path / "m", trust=True)
    described = oip.described(model, "m", "1")["inputs"]
    assert [tensor["parameters"]["content_type"] for tensor in described] == ["base64", "datetime", "pd_json"]
    data = {"raw": "/w==", "day": "2020-01-01", "tags": '["a", "b"]'}
    inputs = [{"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [text]} for name, text in data.items()]
    parcel, reply = oip.read(json.dumps({"inputs": inputs}).encode(), None, model, NAMES)
    found = json.loads(reply(model.score(parcel.data, parcel.params)))["outputs"][0]["data"]
    assert found == ["b'\\xff'", "Timestamp('2020-01-01 00:00:00')", "['a', 'b']"]


def test_a_model_with_type_hints_takes_the_values_of_a_tensor(tmp_path: Path) -> None:
    def predict(model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]

    pack.save_model(predict, tmp_path / "m")
    model = pack.pyfunc.load_model(tmp_path / "m", trust=True)
    request = one(datatype="BYTES", data=["a", "b"])
    parcel, reply = oip.read(json.dumps(request).encode(), None, model, NAMES)
    found = json.loads(reply(model.score(parcel.data, parcel.params)))
    assert found["outputs"][0]["data"] == ["A", "B"]
    with pytest.raises(PackError):
        wrong, _ = oip.read(json.dumps(one()).encode(), None, model, NAMES)
        model.score(wrong.data, wrong.params)
