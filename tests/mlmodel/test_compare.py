"""Two signatures side by side, rule by rule."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from pack.errors import SchemaMismatch
from pack.mlmodel import ModelSignature, ParamSchema, ParamSpec, Schema, compile_plan
from pack.mlmodel.compare import SignatureDiff, Verdict, compare
from pack.mlmodel.schema import ColSpec, Spec, TensorSpec
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector, Type

COMPATIBLE, WIDENING, BREAKING = Verdict
SCALARS = list(DataType)
HOLDS = {("integer", "long"), ("integer", "double"), ("long", "double"), ("float", "double")}


def columns(*specs: Spec) -> ModelSignature:
    return ModelSignature(inputs=Schema(specs))


def outputs(*specs: Spec) -> ModelSignature:
    return ModelSignature(outputs=Schema(specs))


def col(kind: Type | str, name: str | int | None = "a", *, required: bool = True) -> ColSpec:
    return ColSpec(kind, name, required=required)


def changed(before: Type | str, after: Type | str) -> tuple[Verdict, Verdict]:
    """What a change of a type means in an input, and in an output."""
    return tuple(compare(one(col(before)), one(col(after))).verdict for one in (columns, outputs))  # type: ignore[return-value]


def test_the_same_signature_is_compatible_and_all_alike() -> None:
    whole = ModelSignature(
        inputs=Schema([col("long"), col(Array("string"), "b")]),
        outputs=Schema([col("double", None)]),
        params=ParamSchema([ParamSpec("t", "double", 0.5)]),
    )
    assert compare(whole, whole) == SignatureDiff((), alike=4)
    assert compare(whole, whole).verdict is COMPATIBLE
    assert str(COMPATIBLE) == "compatible"


@pytest.mark.parametrize(("before", "after"), list(product(SCALARS, SCALARS)))
def test_of_two_scalars_one_holds_the_other_or_breaks(before: DataType, after: DataType) -> None:
    found = changed(before, after)
    if before is after:
        assert found == (COMPATIBLE, COMPATIBLE)
    elif (before.name, after.name) in HOLDS:
        assert found == (WIDENING, BREAKING)
    elif (after.name, before.name) in HOLDS:
        assert found == (BREAKING, COMPATIBLE)
    else:
        assert found == (BREAKING, BREAKING)


@pytest.mark.parametrize("before", [*SCALARS, Array("long"), Map("long"), Object([Property("x", "long")])])
def test_anything_takes_all_and_promises_nothing(before: Type) -> None:
    found = compare(columns(col(before)), columns(col(AnyType()))).changes[-1]
    assert (found.name, found.verdict) == ("a", WIDENING)
    assert changed(AnyType(), before)[0] is BREAKING
    assert compare(outputs(col(before)), outputs(col(AnyType()))).verdict is BREAKING
    assert compare(outputs(col(AnyType())), outputs(col(before))).verdict is COMPATIBLE


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Array("integer"), Array("long"), (WIDENING, BREAKING)),
        (Array("long"), Array("integer"), (BREAKING, COMPATIBLE)),
        (Array("long"), Array("string"), (BREAKING, BREAKING)),
        (Array("long"), Array(Array("long")), (BREAKING, BREAKING)),
        (Array(Array("float")), Array(Array("double")), (WIDENING, BREAKING)),
        (Array("long"), Array(AnyType()), (WIDENING, BREAKING)),
        (Map("float"), Map("double"), (WIDENING, BREAKING)),
        (Map("long"), Map("boolean"), (BREAKING, BREAKING)),
        (Map("long"), Object([Property("x", "long")]), (BREAKING, BREAKING)),
        ("long", Array("long"), (BREAKING, BREAKING)),
        (SparkMLVector(), SparkMLVector(), (COMPATIBLE, COMPATIBLE)),
        (SparkMLVector(), Array("double"), (BREAKING, BREAKING)),
    ],
)
def test_nested_types_change_as_what_is_inside_does(
    before: Type | str, after: Type | str, expected: tuple[Verdict, Verdict]
) -> None:
    assert changed(before, after) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected", "why"),
    [
        ([Property("x", "long")], [Property("x", "double")], (WIDENING, BREAKING), "2**53"),
        ([Property("x", "long")], [Property("x", "string")], (BREAKING, BREAKING), "not every value"),
        (
            [Property("x", "long")],
            [Property("x", "long"), Property("y", "long", required=False)],
            (WIDENING, BREAKING),
            "",
        ),
        ([Property("x", "long")], [Property("x", "long"), Property("y", "long")], (BREAKING, BREAKING), "'y' is new"),
        ([Property("x", "long"), Property("y", "long")], [Property("x", "long")], (BREAKING, BREAKING), "no longer"),
        ([Property("x", "long", required=False)], [Property("x", "long")], (BREAKING, COMPATIBLE), "left out"),
        ([Property("x", "long")], [Property("x", "long", required=False)], (WIDENING, BREAKING), ""),
    ],
)
def test_objects_change_by_their_members(
    before: list[Property], after: list[Property], expected: tuple[Verdict, Verdict], why: str
) -> None:
    assert changed(Object(before), Object(after)) == expected
    assert why in compare(columns(col(Object(before))), columns(col(Object(after)))).changes[0].why


@pytest.mark.parametrize(
    ("before", "after", "inputs", "answers"),
    [
        ([col("long")], [col("long"), col("long", "b")], BREAKING, WIDENING),
        ([col("long")], [col("long"), col("long", "b", required=False)], WIDENING, WIDENING),
        ([col("long"), col("long", "b")], [col("long")], BREAKING, BREAKING),
        ([col("long"), col("long", "b", required=False)], [col("long")], BREAKING, BREAKING),
        ([col("long")], [col("long", required=False)], WIDENING, BREAKING),
        ([col("long", required=False)], [col("long")], BREAKING, COMPATIBLE),
        ([col("long")], [col("long", "A")], BREAKING, BREAKING),
        ([col("long", 0)], [col("long", "0")], BREAKING, BREAKING),
        ([col("long"), col("string", "b")], [col("string", "b"), col("long")], COMPATIBLE, COMPATIBLE),
        ([col("long", None), col("string", None)], [col("string", None), col("long", None)], BREAKING, BREAKING),
        ([col("long", None)], [col("long", None), col("long", None)], BREAKING, WIDENING),
        ([col("long", None)], [col("long")], BREAKING, BREAKING),
        ([col("long")], [col("long", None)], BREAKING, BREAKING),
        ([col("long")], [TensorSpec("int64", (-1,), "a")], BREAKING, BREAKING),
    ],
)
def test_columns_come_and_go(before: list[Spec], after: list[Spec], inputs: Verdict, answers: Verdict) -> None:
    assert compare(columns(*before), columns(*after)).verdict is inputs
    assert compare(outputs(*before), outputs(*after)).verdict is answers


def test_the_first_nested_column_changes_how_dicts_of_lists_are_read() -> None:
    before, after = columns(col("long")), columns(col("long"), col(Array("long"), "b", required=False))
    rows = {"a": [1, 2, 3]}
    assert len(compile_plan(before).data(rows)) == 3
    with pytest.raises(SchemaMismatch):
        compile_plan(after).data(rows)
    assert [change.why for change in compare(before, after).breaking] == [
        "a dict of lists is columns here, and one row there"
    ]
    assert compare(after, columns(col("long"), col(AnyType(), "b"))).verdict is BREAKING


def test_columns_that_are_counted_may_come_without_names_and_others_not() -> None:
    before = columns(col("long", 0), col("long", 1))
    more = columns(col("long", 0), col("long", 1), col("long", 2, required=False))
    named = columns(col("long", 0), col("long", 1), col("long", "x", required=False))
    swapped = columns(col("long", 1), col("long", 0))
    for signature, verdict in ((more, WIDENING), (named, BREAKING), (swapped, BREAKING)):
        assert compare(before, signature).verdict is verdict
        if verdict is WIDENING:
            assert len(compile_plan(signature).wire_split(None, [[1, 2]])) == 1
        else:
            with pytest.raises(SchemaMismatch, match="without names"):
                compile_plan(signature).wire_split(None, [[1, 2]])


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (("float64", (-1, 4)), ("float64", (-1, 4)), COMPATIBLE),
        (("float64", (-1, 4)), ("float64", (-1, -1)), WIDENING),
        (("float64", (2, 4)), ("float64", (-1, 4)), WIDENING),
        (("float64", (-1, -1)), ("float64", (-1, 4)), BREAKING),
        (("float64", (-1, 4)), ("float64", (-1, 5)), BREAKING),
        (("float64", (-1, 4)), ("float64", (-1, 4, 1)), BREAKING),
        (("float32", (-1, 4)), ("float64", (-1, 4)), BREAKING),
        (("float64", (-1, 4)), ("float32", (-1, 4)), BREAKING),
        (("str", (-1,)), ("<U5", (-1,)), COMPATIBLE),
        (("int64", (-1,)), ("object", (-1,)), BREAKING),
    ],
)
def test_tensors_change_by_dtype_and_shape(before: Any, after: Any, expected: Verdict) -> None:
    for name in (None, "image"):
        pair = [TensorSpec(dtype, shape, name) for dtype, shape in (before, after)]
        assert compare(columns(pair[0]), columns(pair[1])).verdict is expected
        back = compare(outputs(pair[1]), outputs(pair[0])).verdict
        assert back is (COMPATIBLE if expected is WIDENING else expected)


def test_a_signature_that_is_missing_promised_nothing() -> None:
    declared = columns(col("long"))
    assert compare(None, None) == SignatureDiff(())
    (gained,) = compare(None, declared).changes
    assert (gained.part, gained.verdict, gained.before, gained.after) == ("signature", COMPATIBLE, "none", "declared")
    (lost,) = compare(declared, None).changes
    assert (lost.part, lost.verdict) == ("signature", BREAKING)


@pytest.mark.parametrize(
    ("part", "before", "after", "expected"),
    [
        ("inputs", True, False, WIDENING),
        ("inputs", False, True, BREAKING),
        ("outputs", True, False, BREAKING),
        ("outputs", False, True, WIDENING),
    ],
)
def test_a_part_that_is_missing_takes_all_or_promises_nothing(
    part: str, before: bool, after: bool, expected: Verdict
) -> None:
    params = ParamSchema([ParamSpec("t", "long", 1)])
    given_ = [
        ModelSignature(params=params, **({part: Schema([col("long")])} if one else {})) for one in (before, after)
    ]
    (change,) = compare(*given_).changes
    assert (change.part, change.verdict) == (part, expected)


@pytest.mark.parametrize(
    ("before", "after", "expected", "why"),
    [
        (ParamSpec("t", "long", 1), ParamSpec("t", "long", 1), COMPATIBLE, ""),
        (ParamSpec("t", "long", 1), ParamSpec("t", "long", 2), WIDENING, "new default"),
        (ParamSpec("t", "integer", 1), ParamSpec("t", "long", 1), WIDENING, ""),
        (ParamSpec("t", "long", 1), ParamSpec("t", "double", 1.0), WIDENING, "2**53"),
        (ParamSpec("t", "double", 1.0), ParamSpec("t", "long", 1), BREAKING, "not every value"),
        (ParamSpec("t", "string", "a"), ParamSpec("t", "boolean", True), BREAKING, "not every value"),
        (ParamSpec("t", "long", 1), ParamSpec("t", "long", [1], (-1,)), BREAKING, "a list"),
        (ParamSpec("t", "long", [1], (-1,)), ParamSpec("t", "double", [1.0], (-1,)), WIDENING, "2**53"),
        (ParamSpec("t", "long", 1), None, BREAKING, "not known"),
        (None, ParamSpec("t", "long", 1), WIDENING, ""),
    ],
)
def test_params_come_go_and_change(
    before: ParamSpec | None, after: ParamSpec | None, expected: Verdict, why: str
) -> None:
    always = ParamSpec("always", "long", 1)
    pair = [ModelSignature(params=ParamSchema([always, *([one] if one else [])])) for one in (before, after)]
    diff = compare(*pair)
    assert diff.verdict is expected
    assert [why in change.why for change in diff.changes] == [True] * len(diff.changes)
    assert all(change.name == "t" for change in diff.changes)


def test_a_difference_says_what_was_and_what_is() -> None:
    diff = compare(columns(col("long"), col("string", "b")), columns(col("double"), col("long", "b")))
    shown = [(change.part, change.name, str(change.verdict), change.before, change.after) for change in diff.changes]
    assert shown == [("inputs", "a", "widening", "long", "double"), ("inputs", "b", "breaking", "string", "long")]
    assert diff.verdict is BREAKING
    assert [change.name for change in diff.breaking] == ["b"]
    assert diff.alike == 0
