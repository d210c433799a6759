"""The types of a signature: their names, their JSON, and what is none."""

from __future__ import annotations

import pickle
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pack.errors import InvalidValue
from pack.mlmodel import AnyType, Array, DataType, Map, Object, Property, SparkMLVector
from pack.mlmodel.types import MAX_DEPTH, as_type, type_from_dict

SCALARS = {
    "boolean": (1, "bool", "bool", bool),
    "integer": (2, "int32", "int32", int),
    "long": (3, "int64", "int64", int),
    "float": (4, "float32", "float32", float),
    "double": (5, "float64", "float64", float),
    "string": (6, "str", "object", str),
    "binary": (7, "bytes", "object", bytes),
    "datetime": (8, "datetime64[ns]", "datetime64[ns]", datetime),
}


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_has_mlflows_id_and_dtypes(name: str) -> None:
    number, numpy, pandas, python = SCALARS[name]
    kind = DataType[name]
    assert (kind.value, kind.to_python(), str(kind), kind.to_dict()) == (number, python, name, {"type": name})
    assert (kind.to_numpy(), kind.to_pandas()) == (np.dtype(numpy), np.dtype(pandas))
    assert DataType.from_numpy_type(kind.to_numpy()) is kind


def test_a_dtype_of_no_scalar_is_nobodys() -> None:
    assert DataType.from_numpy_type("uint8") is None
    assert DataType.from_numpy_type("complex64") is None
    assert DataType.from_numpy_type("U7") is DataType.string
    assert len(DataType.all_types()) == 8


def types() -> st.SearchStrategy[Any]:
    """A type of any kind, nested a little."""
    leaves = st.sampled_from([*DataType, AnyType(), SparkMLVector()])
    names = st.text(max_size=5)

    def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        members = st.lists(st.builds(Property, names, inner, st.booleans()), min_size=1, max_size=3, unique_by=repr)
        unique = members.filter(lambda given: len({one.name for one in given}) == len(given))
        return inner.map(Array) | inner.map(Map) | unique.map(Object)

    return st.recursive(leaves, nested, max_leaves=8)


@given(types())
def test_a_type_survives_its_json_pickling_and_hashing(kind: Any) -> None:
    read = type_from_dict(kind.to_dict())
    assert read == kind
    assert hash(read) == hash(kind)
    assert pickle.loads(pickle.dumps(kind)) == kind
    assert type(kind).from_json_dict(**kind.to_dict()) == kind if not isinstance(kind, DataType) else True


def test_the_json_of_each_kind_is_mlflows() -> None:
    assert Array("long").to_dict() == {"type": "array", "items": {"type": "long"}}
    assert Map(Array("string")).to_dict() == {"type": "map", "values": {"type": "array", "items": {"type": "string"}}}
    assert AnyType().to_dict() == {"type": "any"}
    assert SparkMLVector().to_dict() == {"type": "sparkml_vector"}
    person = Object([Property("name", DataType.string), Property("age", DataType.long, required=False)])
    assert list(person.to_dict()["properties"].items()) == [
        ("age", {"type": "long", "required": False}),
        ("name", {"type": "string", "required": True}),
    ]


def test_a_member_may_have_any_name_and_is_required_unless_it_says_otherwise() -> None:
    read = type_from_dict({"type": "object", "properties": {"cls": {"type": "long"}, "self": {"type": "long"}}})
    assert read == Object([Property("self", DataType.long), Property("cls", DataType.long)])


def test_the_repr_can_be_read() -> None:
    kind = Object([Property("b", Array(Map(AnyType()))), Property("a", DataType.long, required=False)])
    assert repr(kind) == "{a: long (optional), b: Array(Map(str -> any)) (required)}"


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "decimal"},
        {"type": None},
        {"type": ["long"]},
        {},
        [],
        "long",
        {"type": "array"},
        {"type": "array", "items": "long"},
        {"type": "map"},
        {"type": "object"},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": 5}},
    ],
)
def test_json_that_is_no_type_is_an_error(fields: Any) -> None:
    with pytest.raises(InvalidValue):
        type_from_dict(fields)


@pytest.mark.parametrize("given", ["any", "array", "text", 5, None, Array])
def test_what_is_no_type_is_named(given: Any) -> None:
    with pytest.raises(InvalidValue, match="is not a data type"):
        as_type(given)


def test_an_object_needs_members_of_different_names() -> None:
    with pytest.raises(InvalidValue, match="at least one"):
        Object([])
    with pytest.raises(InvalidValue, match="different names"):
        Object([Property("a", DataType.long), Property("a", DataType.string)])


def test_json_nested_too_deep_is_an_error() -> None:
    fields: dict[str, Any] = {"type": "long"}
    for _ in range(MAX_DEPTH):
        fields = {"type": "array", "items": fields}
    type_from_dict(fields)
    with pytest.raises(InvalidValue, match="levels deep"):
        type_from_dict({"type": "array", "items": fields})
