"""Schemas and signatures: their JSON, their rules, and how much of it they read."""

from __future__ import annotations

import json
import pickle
import time
from typing import Any

import numpy as np
import pytest

from pack.errors import InvalidValue
from pack.mlmodel import Array, ColSpec, DataType, ModelSignature, ParamSchema, ParamSpec, Schema, TensorSpec
from pack.mlmodel.schema import MAX_COLUMNS

LONG = DataType.long
COLUMNS = Schema([ColSpec(LONG, "a"), ColSpec("double", 0, required=False), ColSpec(Array("string"), "c")])
TENSORS = Schema([TensorSpec("float32", (-1, 3), "x"), TensorSpec(np.dtype("U7"), (-1,), "y")])


def test_columns_have_mlflows_json_with_its_keys_in_its_order() -> None:
    assert COLUMNS.to_json() == (
        '[{"type": "long", "name": "a", "required": true}, {"type": "double", "name": 0, "required": false}, '
        '{"type": "array", "items": {"type": "string"}, "name": "c", "required": true}]'
    )


def test_tensors_have_mlflows_json_with_its_keys_in_its_order() -> None:
    assert TENSORS.to_json() == (
        '[{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}, '
        '{"name": "y", "type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]'
    )


@pytest.mark.parametrize("schema", [COLUMNS, TENSORS, Schema([ColSpec(LONG)]), Schema([TensorSpec("int8", ())])])
def test_a_schema_survives_its_json_and_pickling(schema: Schema) -> None:
    assert Schema.from_json(schema.to_json()) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema
    assert Schema.from_json(json.dumps(schema.to_dict())).to_json() == schema.to_json()


def test_what_is_not_said_is_required() -> None:
    assert Schema.from_json('[{"type": "long", "name": "a"}]').required_input_names() == ["a"]


def test_the_questions_that_mlflow_answers_are_answered() -> None:
    assert COLUMNS.input_names() == ["a", 0, "c"]
    assert COLUMNS.optional_input_names() == [0]
    assert COLUMNS.input_types_dict()["a"] is LONG
    assert COLUMNS.input_dict()[0].required is False
    assert (COLUMNS.is_tensor_spec(), COLUMNS.has_input_names(), len(COLUMNS)) == (False, True, 3)
    assert Schema([ColSpec(LONG), ColSpec(LONG)]).input_names() == [0, 1]
    assert TENSORS.numpy_types() == [np.dtype("float32"), np.dtype("str")]
    assert Schema([ColSpec("string", "s")]).pandas_types() == [np.dtype("object")]
    with pytest.raises(InvalidValue, match="no single dtype"):
        COLUMNS.numpy_types()


def test_a_tensors_dtype_is_what_json_can_hold() -> None:
    assert TensorSpec("U7", (-1,)) == TensorSpec("str", (-1,))
    assert TensorSpec(">i4", (-1,)) == TensorSpec("int32", (-1,))
    assert TensorSpec("datetime64[ns]", (-1,)).to_dict()["tensor-spec"]["dtype"] == "datetime64[ns]"


def test_the_repr_can_be_read() -> None:
    assert repr(COLUMNS) == "['a': long (required), 0: double (optional), 'c': Array(string) (required)]"
    assert repr(TENSORS) == "['x': Tensor('float32', (-1, 3)), 'y': Tensor('str', (-1,))]"


@pytest.mark.parametrize(
    ("specs", "word"),
    [
        ([], "at least one"),
        ([ColSpec(LONG), TensorSpec("int8", (1,))], "not both"),
        ([ColSpec(LONG, "a"), ColSpec(LONG)], "names or none"),
        ([ColSpec(LONG, required=False)], "cannot be optional"),
        ([TensorSpec("int8", (1,)), TensorSpec("int8", (1,))], "need names"),
        (["long"], "ColSpec or TensorSpec"),
    ],
)
def test_a_schema_outside_the_rules_is_an_error(specs: Any, word: str) -> None:
    with pytest.raises(InvalidValue, match=word):
        Schema(specs)


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "{}", "5", "null", "[5]", "[[]]", "[{}]", '[{"type": "nope"}]', '[{"type": "long", "name": ["a"]}]',
        '[{"type": "long", "name": {}}]', '[{"type": "tensor"}]', '[{"type": "tensor", "tensor-spec": []}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": null, "shape": [1]}}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "O,O", "shape": [1]}}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "V8", "shape": [1]}}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": 1}}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [-2]}}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [true]}}]',
        '[{"type": "tensor", "tensor-spec": {"dtype": "int8", "shape": [1.5]}}]',
    ],
)  # fmt: skip
def test_text_that_is_no_schema_is_an_error(text: str) -> None:
    with pytest.raises(InvalidValue):
        Schema.from_json(text)


def wide(columns: int) -> str:
    return "[" + ",".join(['{"type":"any"}'] * columns) + "]"


def deep(levels: int) -> str:
    return '[{"type":"array","items":' + '{"type":"array","items":' * levels + '{"type":"long"}' + "}" * levels + "}]"


@pytest.mark.parametrize(
    "text",
    [
        wide(1_000_000),
        wide(MAX_COLUMNS + 1),
        deep(70),
        deep(10_000),
        "[" * 1_000_000,
        '[{"type":"object","properties":{' + ",".join(f'"{n}":{{"type":"any"}}' for n in range(400_000)) + "}}]",
        '[{"type":"any","name":"' + "]" * 10_000 + '"},' + deep(500)[1:],
        '[{"type":"any","name":"' + "x" * 40_000_000 + '"}]',
    ],
    ids=["wide", "just too wide", "too deep", "very deep", "brackets", "wide object", "hidden depth", "long"],
)
def test_a_schema_beyond_the_limits_is_an_error_within_a_second_of_work(text: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidValue):
        Schema.from_json(text)
    assert time.process_time() - started < 1


def test_a_wide_schema_within_the_limits_is_read() -> None:
    assert len(Schema.from_json(wide(20_000))) == 20_000


def test_a_signature_is_three_texts_and_reads_itself_back() -> None:
    signature = ModelSignature(COLUMNS, TENSORS, ParamSchema([ParamSpec("top", "long", 3)]))
    written = signature.to_dict()
    assert {name: type(text) for name, text in written.items()} == {"inputs": str, "outputs": str, "params": str}
    assert ModelSignature.from_dict(written) == signature
    assert ModelSignature.from_dict({"inputs": written["inputs"]}) == ModelSignature(COLUMNS)
    assert ModelSignature(COLUMNS) != signature
    assert ModelSignature(COLUMNS).to_dict()["outputs"] is None
    assert "inputs: ['a': long (required)" in repr(signature)


@pytest.mark.parametrize("given", [{}, {"inputs": None}, {"inputs": 5}, {"inputs": [{"type": "long"}]}, [], "x"])
def test_what_is_no_signature_is_an_error(given: Any) -> None:
    with pytest.raises(InvalidValue):
        ModelSignature.from_dict(given)


def test_a_signature_of_other_things_is_an_error() -> None:
    with pytest.raises(InvalidValue, match="inputs, outputs or params"):
        ModelSignature()
    with pytest.raises(InvalidValue, match="inputs must be a schema"):
        ModelSignature(inputs=[ColSpec(LONG)])  # type: ignore[arg-type]
