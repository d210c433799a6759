"""Params: their JSON, their defaults, what is inferred, and what they accept."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pack.errors import CannotInfer, InvalidValue
from pack.mlmodel import DataType, Object, ParamSchema, ParamSpec, Property, infer_signature
from pack.mlmodel.params import convert

MOMENT = datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001 - params have no zone
ZONED = datetime(2020, 1, 2, 5, 4, 5, tzinfo=timezone(timedelta(hours=2)))
POINT = Object([Property("x", DataType.long), Property("y", DataType.double, required=False)])


def test_the_json_is_mlflows_with_its_keys_in_its_order() -> None:
    params = ParamSchema([ParamSpec("top", "long", 3), ParamSpec("stop", "string", ["a"], (-1,))])
    assert params.to_json() == (
        '[{"name": "top", "default": 3, "shape": null, "type": "long"}, '
        '{"name": "stop", "default": ["a"], "shape": [-1], "type": "string"}]'
    )
    assert ParamSchema.from_json(params.to_json()) == params
    assert repr(params) == "['top': long (default: 3), 'stop': string[] (default: ['a'])]"


def test_an_object_param_carries_its_properties() -> None:
    params = ParamSchema([ParamSpec("at", POINT, {"x": 1})])
    assert '"type": "object", "properties": {"x": {"type": "long", "required": true}' in params.to_json()
    assert ParamSchema.from_json(params.to_json()) == params


def test_the_older_key_for_the_type_is_read() -> None:
    old = ParamSchema.from_json('[{"name": "a", "default": 1, "dtype": "long", "shape": null}]')
    assert old == ParamSchema([ParamSpec("a", "long", 1)])


@pytest.mark.parametrize(
    ("kind", "default", "kept", "written"),
    [
        ("datetime", "2020-01-02", date(2020, 1, 2), "2020-01-02"),
        ("datetime", "2020-01-02T03:04:05", MOMENT, "2020-01-02T03:04:05"),
        ("datetime", "2020-01-02T05:04:05+02:00", MOMENT, "2020-01-02T03:04:05"),
        ("datetime", ZONED, MOMENT, "2020-01-02T03:04:05"),
        ("datetime", np.datetime64(MOMENT), MOMENT, "2020-01-02T03:04:05"),
        ("datetime", pd.Timestamp(MOMENT), MOMENT, "2020-01-02T03:04:05"),
        ("float", 1, 1.0, 1.0),
        ("long", np.int32(5), 5, 5),
        ("string", None, None, None),
    ],
)
def test_a_default_is_kept_as_its_type_and_written_as_json(kind: Any, default: Any, kept: Any, written: Any) -> None:
    param = ParamSpec("a", kind, default)
    assert (param.default, type(param.default).__mro__[-2]) == (kept, type(kept).__mro__[-2])
    assert param.to_dict()["default"] == written
    assert ParamSchema.from_json(ParamSchema([param]).to_json()) == ParamSchema([param])


@pytest.mark.parametrize(
    ("value", "kind", "shape"),
    [
        (1, "long", None),
        (1.5, "double", None),
        (float("nan"), "double", None),
        (True, "boolean", None),
        ("x", "string", None),
        (MOMENT, "datetime", None),
        (date(2020, 1, 1), "datetime", None),
        (np.int32(1), "integer", None),
        (np.int64(1), "long", None),
        (np.float32(1.5), "float", None),
        (np.bool_(True), "boolean", None),
        ([1, 2], "long", (-1,)),
        ((1, 2.5), "double", (-1,)),
        (np.array([1.5], "float32"), "float", (-1,)),
        (pd.Series(["x"]), "string", (-1,)),
    ],
)
def test_a_default_says_its_type(value: Any, kind: str, shape: Any) -> None:
    params = infer_signature(params={"a": value}).params
    assert params is not None
    assert (params.params[0].dtype, params.params[0].shape) == (DataType[kind], shape)


def test_a_dict_as_default_is_an_object() -> None:
    params = infer_signature(params={"at": {"x": 1, "far": {"y": [1.5]}}}).params
    assert params is not None
    assert repr(params.params[0].dtype) == "{far: {y: Array(double) (required)} (required), x: long (required)}"


@pytest.mark.parametrize("value", [None, b"x", [], [1, "x"], [[1]], [{"k": 1}], {}, {1: 2}, object(), 2**70, 1 + 2j])
def test_a_default_that_no_param_can_hold_is_named(value: Any) -> None:
    with pytest.raises(CannotInfer, match="'odd'"):
        infer_signature(params={"fine": 1, "odd": value})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        (("a", "binary", b""), "binary"),
        (("a", "any", 1), "not a data type"),
        (("a", "long", 1, (2,)), "shape"),
        (("a", "long", [[1]], (-1, -1)), "shape"),
        (("a", "long", 1, "x"), "shape"),
        (("a", "long", 1, [[1]]), "shape"),
        (("a", POINT, [{"x": 1}], (-1,)), "shape"),
        (("a", "long", None, (-1,)), "a list is its default"),
        (("a", "long", "1"), "does not fit"),
        (("a", POINT, {"z": 1}), "not declared"),
        ((5, "long", 1), "must be text"),
    ],
)
def test_a_param_outside_the_rules_is_an_error(fields: Any, word: str) -> None:
    with pytest.raises(InvalidValue, match=word):
        ParamSpec(*fields)


def test_params_need_different_names() -> None:
    with pytest.raises(InvalidValue, match="more than once: \\['a'\\]"):
        ParamSchema([ParamSpec("a", "long", 1), ParamSpec("a", "long", 2)])


@pytest.mark.parametrize(
    "text", ["", "{}", "[5]", "[{}]", '[{"name": "a", "type": "long"}]', '[{"name": "a", "default": 1}]',
             '[{"name": 5, "default": 1, "type": "long"}]', '[{"name": "a", "default": 1, "type": "long", "shape": 5}]']
)  # fmt: skip
def test_text_that_holds_no_params_is_an_error(text: str) -> None:
    with pytest.raises(InvalidValue):
        ParamSchema.from_json(text)


ACCEPTED: list[tuple[str, Any, Any]] = [
    ("boolean", True, True),
    ("boolean", np.bool_(False), False),
    ("integer", 2**31 - 1, 2**31 - 1),
    ("long", np.int8(5), 5),
    ("long", np.uint64(5), 5),
    ("float", 3, 3.0),
    ("double", np.float32(0.5), 0.5),
    ("double", 2**53, 2.0**53),
    ("string", np.str_("x"), "x"),
    ("datetime", "2020-01-02", date(2020, 1, 2)),
    ("long", None, None),
]
REFUSED: list[tuple[str, Any]] = [
    ("boolean", 1), ("boolean", "true"), ("integer", 2**31), ("integer", 1.0), ("long", 2**63), ("long", True),
    ("long", "1"), ("double", True), ("double", "1.5"), ("double", 2**53 + 1), ("double", 10**400), ("string", 1),
    ("string", b"x"), ("datetime", 5), ("datetime", "soon"), ("datetime", np.datetime64(1, "ns")), ("long", [1]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value", "expected"), ACCEPTED)
def test_a_value_that_fits_becomes_its_type(kind: Any, value: Any, expected: Any) -> None:
    found = convert(ParamSpec("a", kind, None), value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_a_value_that_would_change_is_refused_and_not_repeated(kind: Any, value: Any) -> None:
    with pytest.raises(InvalidValue, match=f"param 'a' is declared {kind}: [a-z0-9_ ]+ came, which does not fit"):
        convert(ParamSpec("a", kind, None), value)


def test_a_list_is_converted_item_by_item() -> None:
    param = ParamSpec("a", "double", [], (-1,))
    assert convert(param, np.array([1, 2])) == [1.0, 2.0]
    assert convert(param, (1, None)) == [1.0, None]
    for wrong in (1.5, [[1.5]], ["x"], "x", None):
        with pytest.raises(InvalidValue, match="a list of double"):
            convert(param, wrong)
