"""What the diff of two signatures calls harmless is harmless: data that fitted the old one fits the new one."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pack.errors import CannotInfer, InvalidValue, SchemaMismatch
from pack.mlmodel import ModelSignature, ParamSchema, ParamSpec, Schema, compile_plan, infer_signature
from pack.mlmodel.compare import Verdict, compare
from pack.mlmodel.schema import ColSpec, TensorSpec
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Property, Type
from tests import strategies

SCALARS = list(DataType)
EXAMPLES = 3000 if os.environ.get("PACK_TEST_FULL_SIZE") else 80
TRIES = 20  # changes of one signature
slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


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
    return diff.verdict is not Verdict.breaking and not (exact and large(data))


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
    after = ModelSignature(
        inputs=Schema([TensorSpec(data.draw(st.sampled_from([spec.type, np.dtype("f8"), np.dtype("i8")])), shape)])
    )
    if compare(before, after).verdict is not Verdict.breaking:
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
    if diff.verdict is not Verdict.breaking and not any(
        "2**53" in one.why and large(list(values.values())) for one in diff.changes
    ):
        assert set(compile_plan(after).params(values)) == set(values)
