"""Params as a plan takes them: their types, their defaults, and every wrong one named."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import numpy as np
import pytest

from pack.errors import InvalidValue
from pack.mlmodel import ModelSignature, Object, ParamSchema, ParamSpec, Plan, Property, compile_plan

NOON = datetime(2024, 1, 2, 12)  # noqa: DTZ001 - params hold dates without zones
POINT = Object([Property("x", "long"), Property("y", "long", required=False)])


def plan_of(*params: ParamSpec) -> Plan:
    return compile_plan(ModelSignature(params=ParamSchema(list(params))))


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("boolean", True, True),
        ("boolean", np.False_, False),
        ("integer", 7, 7),
        ("integer", np.int32(7), 7),
        ("long", 2**63 - 1, 2**63 - 1),
        ("float", 1, 1.0),
        ("double", 1.5, 1.5),
        ("double", np.float32(1.5), 1.5),
        ("string", "a", "a"),
        ("string", np.str_("a"), "a"),
        ("datetime", NOON, NOON),
        ("datetime", date(2024, 1, 2), date(2024, 1, 2)),
        ("datetime", "2024-01-02T12:00:00", NOON),
        ("datetime", "2024-01-02T12:00:00Z", NOON),
        ("datetime", "2024-01-02", date(2024, 1, 2)),
        ("long", None, None),
    ],
)
def test_a_param_becomes_its_declared_type(kind: Any, given: Any, wanted: Any) -> None:
    found = plan_of(ParamSpec("p", kind, None)).params({"p": given})["p"]
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("boolean", 1),
        ("boolean", "true"),
        ("integer", 2**31),
        ("integer", 1.5),
        ("integer", True),
        ("integer", "1"),
        ("long", 2**63),
        ("long", "001"),
        ("double", 2**53 + 1),
        ("double", True),
        ("double", "1.5"),
        ("string", 1),
        ("string", b"a"),
        ("datetime", 5),
        ("datetime", "tomorrow"),
        ("long", [1]),
        ("long", {"a": 1}),
    ],
)
def test_a_param_that_would_change_is_refused_by_name_without_its_value(kind: Any, given: Any) -> None:
    with pytest.raises(InvalidValue, match=f"^param 'p' is declared {kind}") as error:
        plan_of(ParamSpec("p", kind, None)).params({"p": given})
    assert isinstance(given, (int, bool)) or str(given) not in error.value.message


def test_defaults_fill_what_is_not_given() -> None:
    plan = plan_of(ParamSpec("a", "long", 1), ParamSpec("b", "string", "x"), ParamSpec("c", "double", [0.5], (-1,)))
    assert plan.params({"b": "y"}) == {"a": 1, "b": "y", "c": [0.5]}
    assert plan.params(None) == plan.params({}) == {"a": 1, "b": "x", "c": [0.5]}


def test_a_default_that_a_model_changes_is_not_the_next_calls_default() -> None:
    plan = plan_of(ParamSpec("c", "long", [1], (-1,)), ParamSpec("o", POINT, {"x": 1}))
    first = plan.params(None)
    first["c"].append(2)
    first["o"]["x"] = 9
    assert plan.params(None) == {"c": [1], "o": {"x": 1}}


def test_lists_and_objects_are_checked_inside() -> None:
    plan = plan_of(ParamSpec("c", "long", [1], (-1,)), ParamSpec("o", POINT, {"x": 1}))
    assert plan.params({"c": np.array([1, 2]), "o": {"x": 2, "y": 3}}) == {"c": [1, 2], "o": {"x": 2, "y": 3}}
    for wrong in ({"c": 1}, {"c": ["a"]}, {"c": np.zeros((1, 1), "int64")}, {"o": {"y": 1}}, {"o": {"x": 1, "z": 1}}):
        with pytest.raises(InvalidValue, match=f"param '{next(iter(wrong))}'"):
            plan.params(wrong)


@pytest.mark.parametrize("name", ["c", "__class__", "__proto__", ""])
def test_unknown_params_are_named_with_the_known_ones(name: str) -> None:
    plan = plan_of(ParamSpec("a", "long", 1), ParamSpec("b", "long", 2))
    with pytest.raises(InvalidValue) as error:
        plan.params({name: 1, "a": 5})
    assert repr(name) in error.value.message
    assert error.value.hint == "it takes: ['a', 'b']"
    assert plan.params({name: 1, "a": 5}, drop_unknown=True) == {"a": 5, "b": 2}


def test_every_wrong_param_is_named_at_once() -> None:
    plan = plan_of(ParamSpec("a", "long", 1), ParamSpec("b", "long", 2), ParamSpec("c", "long", 3))
    with pytest.raises(InvalidValue) as error:
        plan.params({"a": "x", "b": 1.5, "c": 3})
    assert "'a'" in error.value.message
    assert "'b'" in error.value.message
    assert "'c'" not in error.value.message


def test_params_are_a_dict() -> None:
    given: Any = [1]
    with pytest.raises(InvalidValue, match="params must be a dict, not list"):
        plan_of(ParamSpec("a", "long", 1)).params(given)


def test_a_model_without_params_takes_none() -> None:
    assert compile_plan(None).params(None) == {}
    with pytest.raises(InvalidValue) as error:
        compile_plan(None).params({"a": 1})
    assert error.value.hint == "it takes: none"
