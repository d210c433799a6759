"""Two signatures side by side: each rule, and that what is called harmless is harmless."""

from __future__ import annotations

import os
import warnings
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pack.errors import CannotInfer, InvalidValue, SchemaMismatch
from pack.mlmodel import ModelSignature, ParamSchema, ParamSpec, Schema, compile_plan, infer_signature
from pack.mlmodel.compare import SignatureDiff, Verdict, compare
from pack.mlmodel.schema import ColSpec, Spec, TensorSpec
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector, Type
from tests import strategies

COMPATIBLE, WIDENING, BREAKING = Verdict
SCALARS = list(DataType)
EXAMPLES = 3000 if os.environ.get("PACK_TEST_FULL_SIZE") else 80
TRIES = 20  # changes of one signature
HOLDS = {("integer", "long"), ("integer", "double"), ("long", "double"), ("float", "double")}
slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


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


# -- what is called harmless is harmless


def near(kind: Type) -> st.SearchStrategy[Type]:
    """A type beside another: the same, a wider or narrower one, or one that is changed inside."""
    numbers = [DataType.integer, DataType.long, DataType.float, DataType.double]
    beside = st.sampled_from(numbers if kind in numbers else SCALARS)
    found: list[st.SearchStrategy[Type]] = [st.just(kind), st.just(AnyType()), beside]
    if isinstance(kind, Array):
        found.append(near(kind.dtype).map(Array))
    if isinstance(kind, Map):
        found.append(near(kind.value_type).map(Map))
    if isinstance(kind, Object):
        found.append(near_object(kind))
    return st.one_of(found)


@st.composite
def near_object(draw: st.DrawFn, kind: Object) -> Object:
    kept = [
        Property(one.name, draw(near(one.dtype)), required=one.required and draw(st.booleans()))
        for one in kind.properties
        if draw(st.integers(0, 5))
    ]
    new = [Property("new", draw(st.sampled_from(SCALARS)), required=False)] if draw(st.booleans()) else []
    return Object(
        [*kept, *(one for one in new if one.name not in {member.name for member in kept})]
        or new
        or [Property("new", "long", required=False)]
    )


@st.composite
def near_schema(draw: st.DrawFn, schema: Schema) -> Schema:
    """Columns beside others: with other types, in another order, some optional, some gone, one new."""
    specs = [
        ColSpec(draw(near(spec.type)), spec.name, required=spec.name is None or draw(st.booleans()))
        for spec in schema.inputs
        if draw(st.integers(0, 9)) and isinstance(spec, ColSpec)
    ]
    if schema.has_input_names() and draw(st.booleans()):
        kind: Type = Array("long") if draw(st.booleans()) else DataType.long
        specs.append(ColSpec(kind, "a new one", required=draw(st.integers(0, 4)) == 0))
    return Schema(draw(st.permutations(specs)) or schema.inputs)


def dicts_of_lists() -> st.SearchStrategy[dict[str, list[Any]]]:
    """Columns by name, as plain lists."""
    cells = st.lists(st.integers(0, 9), min_size=2, max_size=2) | st.lists(st.text(max_size=2), min_size=2, max_size=2)
    return st.dictionaries(st.sampled_from("abc"), cells, min_size=1)


def passes(signature: ModelSignature, data: Any) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            compile_plan(signature).data(data)
        except SchemaMismatch:
            return False
    return True


def large(value: Any) -> bool:
    """Whether there is a whole number beyond 2**53 somewhere inside."""
    if isinstance(value, dict):
        return any(map(large, value.values()))
    if isinstance(value, (list, tuple, np.ndarray, pd.Series)):
        return any(map(large, value))
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return bool(whole and abs(int(value)) > 2**53)


def harmless(before: ModelSignature, after: ModelSignature, data: Any) -> bool:
    """Whether a change is called harmless for this data: all but whole numbers that no double holds."""
    diff = compare(before, after)
    exact = any(change.part == "inputs" and "2**53" in change.why for change in diff.changes)
    return diff.verdict is not BREAKING and not (exact and large(data))


@given(strategies.frames(), st.data())
@settings(slow, max_examples=EXAMPLES)
def test_a_frame_that_fitted_the_old_inputs_fits_the_new_where_nothing_breaks(
    frame: pd.DataFrame, data: st.DataObject
) -> None:
    before = infer_signature(frame)
    assert before.inputs is not None
    cells = [frame[name].tolist() for name in frame.columns]
    for _ in range(TRIES):
        after = ModelSignature(inputs=data.draw(near_schema(before.inputs)))
        if harmless(before, after, cells):
            assert passes(after, frame), f"{before} -> {after}: {compare(before, after)}"


@given(strategies.documents() | strategies.records() | dicts_of_lists(), st.data())
@settings(slow, max_examples=EXAMPLES)
def test_a_dict_or_list_that_fitted_the_old_inputs_fits_the_new_where_nothing_breaks(
    given_: Any, data: st.DataObject
) -> None:
    try:
        before = infer_signature(given_)
    except CannotInfer:
        return
    if before.inputs is None or before.inputs.is_tensor_spec():
        return
    for _ in range(TRIES):
        after = ModelSignature(inputs=data.draw(near_schema(before.inputs)))
        if harmless(before, after, given_):
            assert passes(after, given_), f"{before} -> {after}: {compare(before, after)}"


@given(strategies.arrays(), st.data())
@settings(slow)
def test_an_array_that_fitted_the_old_inputs_fits_the_new_where_nothing_breaks(
    array: np.ndarray[Any, Any], data: st.DataObject
) -> None:
    before = infer_signature(array)
    assert before.inputs is not None
    (spec,) = before.inputs.inputs
    assert isinstance(spec, TensorSpec)
    shape = [data.draw(st.sampled_from([size, -1, 2])) for size in spec.shape]
    after = columns(TensorSpec(data.draw(st.sampled_from([spec.type, np.dtype("f8"), np.dtype("i8")])), shape))
    if compare(before, after).verdict is not BREAKING:
        assert passes(after, array)


PARAMS: list[st.SearchStrategy[Any]] = [
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(-5, 5), min_size=1, max_size=3),
    st.lists(st.floats(), min_size=1, max_size=2),
]


@given(st.dictionaries(st.sampled_from("abc"), st.one_of(PARAMS), min_size=1), st.data())
@settings(slow)
def test_params_that_fitted_the_old_signature_fit_the_new_where_nothing_breaks(
    values: dict[str, Any], data: st.DataObject
) -> None:
    before = infer_signature([1], params=values)
    kinds = st.sampled_from([kind for kind in SCALARS if kind is not DataType.binary])
    specs = []
    for spec in before.params or ():
        kind = data.draw(st.just(spec.dtype) | kinds | st.just(DataType.double))
        try:
            specs.append(ParamSpec(spec.name, kind, spec.default, spec.shape))
        except InvalidValue:
            specs.append(spec)
    after = ModelSignature(inputs=before.inputs, params=ParamSchema(specs))
    diff = compare(before, after)
    if diff.verdict is not BREAKING and not any(
        "2**53" in one.why and large(list(values.values())) for one in diff.changes
    ):
        assert set(compile_plan(after).params(values)) == set(values)
