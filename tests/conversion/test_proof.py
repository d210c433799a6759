"""When two models answer alike, and on which rows that is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.conversion.proof import Tolerances, prove
from pack.conversion.rows import Batch, batches
from pack.errors import InvalidValue
from pack.mlmodel import Model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def proof(expected: Any, found: Any, scores: Any = None, **tolerances: float) -> Any:
    rows = [Batch("example", np.zeros((len(expected), 1)))]
    return prove(
        lambda _: np.asarray(expected),
        lambda _: np.asarray(found),
        rows,
        scores=lambda _: scores,
        tolerances=Tolerances(**tolerances),
    )


@pytest.mark.parametrize(
    ("expected", "found", "differing"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0),
        ([1.0, np.nan], [1.0, np.nan], 0),
        ([1.0, np.nan], [1.0, 2.0], 1),
        ([1.0, 2.0], [1.00001, 2.0], 0),
        ([1.0, 2.0], [1.001, 2.0], 1),
        ([[1.0], [2.0]], [[1.5], [2.5]], 2),
        ([1.0, 2.0], [[1.0], [2.0]], 2),
        (["a", "b"], ["a", "c"], 1),
        ([0, 1], [0, 1], 0),
        ([1.0, np.inf], [1.0, np.inf], 0),
        ([1.0, np.inf], [1.0, -np.inf], 1),
    ],
)
def test_numbers_agree_within_tolerances_and_labels_exactly(expected: Any, found: Any, differing: int) -> None:
    assert proof(expected, found).differing == differing


def test_labels_may_differ_only_where_the_scores_tie() -> None:
    scores = [[0.5, 0.5, 0.0], [0.2, 0.5, 0.3]]
    found = proof(["a", "b"], ["b", "a"], scores)
    assert (found.differing, found.ties, found.holds) == (1, 1, False)
    assert proof([0, 1], [1, 1], [0.000001, 3.0]).ties == 1
    assert proof([0, 1], [1, 1]).differing == 1


def test_wider_tolerances_are_what_they_say() -> None:
    assert proof([100.0], [101.0], rtol=0.02).holds
    assert not proof([100.0], [101.0], rtol=0.005).holds


def test_rows_that_the_source_refuses_are_told() -> None:
    def source(rows: Any) -> Any:
        if len(rows) > 1:
            raise ValueError("no more than one\nat a time")
        return np.ones(1)

    rows = [Batch("example", np.ones(1)), Batch("beyond", np.ones(2))]
    found = prove(source, np.asarray, rows, scores=lambda _: None, tolerances=Tolerances())
    assert (found.rows, found.holds, found.compared[1].refused) == (1, True, "ValueError: no more than one")


def test_random_rows_stay_within_the_signature() -> None:
    frame = pd.DataFrame(
        {
            "city": ["Lima", "Rome"],
            "n": [3, 9],
            "x": [0.5, None],
            "ok": [True, False],
            "small": np.array([1, 2], "float32"),
        }
    )
    signature = pack.infer_signature(frame)
    assert signature.inputs is not None
    made = {one.kind: one.rows for one in batches(frame, signature.inputs, count=50)}
    assert list(made) == ["example", "within", "beyond", "missing"]
    for kind, rows in made.items():
        assert list(rows.columns) == list(frame.columns)
        assert set(rows["city"]) == {"Lima", "Rome"}
        assert rows["n"].min() >= 0, "what is never negative stays so"
        assert dict(rows.dtypes) == dict(frame.dtypes), kind
    assert set(made["within"]["n"]) == {3, 9}
    assert made["beyond"]["n"].max() > 9
    assert made["missing"]["x"].isna().any()
    again = {one.kind: one.rows for one in batches(frame, signature.inputs, count=50)}
    assert again["beyond"].equals(made["beyond"])


def test_random_arrays_keep_their_dtype_and_shape() -> None:
    example = {"ids": np.array([[1, 2], [3, 4]]), "image": np.zeros((2, 3, 3), "uint8")}
    schema = pack.infer_signature(example).inputs
    assert schema is not None
    for batch in list(batches(example, schema, count=10))[1:]:
        assert {name: (one.dtype, one.shape) for name, one in batch.rows.items()} == {
            "ids": (np.dtype("int64"), (10, 2)),
            "image": (np.dtype("uint8"), (10, 3, 3)),
        }


def identity() -> Any:
    helper, kind = onnx.helper, onnx.TensorProto.STRING
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "same",
        [helper.make_tensor_value_info("x", kind, ["n"])],
        [helper.make_tensor_value_info("y", kind, ["n"])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def test_an_answer_alone_is_an_array(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": ["a", "bc"]})
    pack.save_model(identity(), tmp_path / "m", input_example=frame, answer="y", answer_dtype="str")
    found = pack.pyfunc.load_model(tmp_path / "m").predict(frame)
    assert (found.tolist(), found.dtype.kind) == (["a", "bc"], "U")


@pytest.mark.parametrize(
    ("key", "value", "match"), [("answer", "z", "no output 'z'"), ("answer_dtype", "V99999999999", "answer_dtype")]
)
def test_an_answer_that_the_graph_lacks_is_a_clear_error(tmp_path: Path, key: str, value: str, match: str) -> None:
    frame = pd.DataFrame({"x": ["a", "bc"]})
    pack.save_model(identity(), tmp_path / "m", input_example=frame, answer="y")
    described = Model.load(tmp_path / "m")
    described.flavors["onnx"][key] = value
    (tmp_path / "m" / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")
    with pytest.raises(InvalidValue, match=match):
        pack.pyfunc.load_model(tmp_path / "m", trust=True).predict(frame)
