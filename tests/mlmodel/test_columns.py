"""Every pair of a declared type and what came: kept as it is, converted exactly, or refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pack.errors import SchemaMismatch
from pack.mlmodel import ColSpec, DataType, ModelSignature, Schema, compile_plan

SAME, REFUSED = "same", "refused"


def enforce(kind: str, series: Any, *, required: bool = True) -> Any:
    plan = compile_plan(ModelSignature(inputs=Schema([ColSpec(DataType[kind], "x", required)])))
    return plan.data(pd.DataFrame({"x": series}))["x"]


def series_of(values: list[Any], dtype: Any) -> Any:
    return pd.Series(values, dtype=dtype)


MATRIX: list[tuple[list[Any], Any, str, str]] = [
    ([True], "bool", "boolean", SAME),
    ([True], "boolean", "boolean", SAME),
    ([1], "int64", "boolean", REFUSED),
    (["true"], "str", "boolean", REFUSED),
    ([1], "int8", "integer", SAME),
    ([1], "int32", "integer", SAME),
    ([1], "int64", "integer", "int32"),
    ([2**31], "int64", "integer", REFUSED),
    ([1], "uint32", "integer", "int32"),
    ([1.0], "float64", "integer", "int32"),
    ([1.5], "float64", "integer", REFUSED),
    ([True], "bool", "integer", REFUSED),
    ([1], "int32", "long", SAME),
    ([1], "int64", "long", SAME),
    ([1], "Int64", "long", SAME),
    ([1], "uint32", "long", SAME),
    ([2**63], "uint64", "long", REFUSED),
    ([3.0], "float64", "long", "int64"),
    ([1.5], "float64", "long", REFUSED),
    ([np.inf], "float64", "long", REFUSED),
    ([np.nan], "float64", "long", REFUSED),
    ([2.0**63], "float64", "long", REFUSED),
    (["001"], "str", "long", REFUSED),
    (["1"], object, "long", REFUSED),
    ([1], object, "long", SAME),
    ([2**63], object, "long", REFUSED),
    ([True], object, "long", REFUSED),
    ([None], object, "long", REFUSED),
    ([1.5], "float32", "float", SAME),
    ([1.5], "float64", "float", "float32"),
    ([1.1], "float64", "float", REFUSED),
    ([1e300], "float64", "float", REFUSED),
    ([3], "int64", "float", "float32"),
    ([2**24 + 1], "int64", "float", REFUSED),
    ([1.5], "float64", "double", SAME),
    ([1.5], "float32", "double", "float64"),
    ([2**53], "int64", "double", "float64"),
    ([2**53 + 1], "int64", "double", REFUSED),
    ([1], "Int64", "double", "float64"),
    ([True], "bool", "double", REFUSED),
    (["1.5"], "str", "double", REFUSED),
    ([1.5, 2], object, "double", SAME),
    (["a"], "str", "string", SAME),
    (["a"], object, "string", SAME),
    (["a"], "string", "string", SAME),
    (["a"], "category", "string", SAME),
    ([1], "category", "string", REFUSED),
    ([1], "int64", "string", REFUSED),
    ([1], object, "string", REFUSED),
    ([b"a"], object, "string", REFUSED),
    ([b"a"], object, "binary", SAME),
    (["a"], object, "binary", REFUSED),
    ([pd.Timestamp("2020-01-01")], "datetime64[ns]", "datetime", SAME),
    ([pd.Timestamp("2020-01-01", tz="Asia/Seoul")], None, "datetime", SAME),
    ([pd.Timestamp("2020-01-01").date()], object, "datetime", SAME),
    (["2020-01-01"], "str", "datetime", REFUSED),
    ([1], "int64", "datetime", REFUSED),
    ([pd.Timedelta(1)], None, "double", REFUSED),
    ([1 + 0j], "complex128", "double", REFUSED),
]


@pytest.mark.parametrize(("values", "dtype", "kind", "verdict"), MATRIX)
def test_each_pair_has_its_verdict(values: list[Any], dtype: Any, kind: str, verdict: str) -> None:
    given = series_of(values, dtype)
    if verdict == REFUSED:
        with pytest.raises(SchemaMismatch, match=f"'x' is declared {kind}"):
            enforce(kind, given)
        return
    passed = enforce(kind, given)
    assert passed.dtype == (given.dtype if verdict == SAME else verdict)
    assert passed.tolist() == given.tolist()


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_a_double_takes_exactly_the_whole_numbers_that_it_holds(values: list[int]) -> None:
    exact = all(int(float(value)) == value for value in values)
    if exact:
        assert [int(value) for value in enforce("double", series_of(values, "int64"))] == values
    else:
        with pytest.raises(SchemaMismatch):
            enforce("double", series_of(values, "int64"))


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_a_float_takes_exactly_the_numbers_that_it_holds(values: list[float]) -> None:
    with np.errstate(over="ignore"):
        exact = all(float(np.float32(value)) == value for value in values)
    if exact:
        assert enforce("float", series_of(values, "float64")).tolist() == values
    else:
        with pytest.raises(SchemaMismatch):
            enforce("float", series_of(values, "float64"))


@pytest.mark.parametrize("kind", ["double", "float", "string", "binary", "datetime"])
def test_a_gap_passes_where_the_type_has_a_value_for_it(kind: str) -> None:
    assert enforce(kind, series_of([None], object)).isna().all()


@pytest.mark.parametrize("kind", ["boolean", "integer", "long"])
def test_a_gap_in_whole_numbers_or_booleans_passes_only_where_it_is_declared(kind: str) -> None:
    gaps = series_of([None, None], object)
    assert enforce(kind, gaps, required=False) is not None
    with pytest.raises(SchemaMismatch, match="row 0 holds a missing value"):
        enforce(kind, gaps)


def test_the_error_names_column_declaration_and_row_but_never_the_value() -> None:
    with pytest.raises(SchemaMismatch) as error:
        enforce("long", series_of([1, "my secret"], object))
    assert error.value.message == "column 'x' is declared long: row 1 holds text"


def test_columns_are_put_in_order_and_extra_ones_dropped_with_a_warning() -> None:
    schema = Schema([ColSpec(DataType.long, "a"), ColSpec(DataType.long, "b", required=False)])
    plan = compile_plan(ModelSignature(inputs=schema))
    frame = pd.DataFrame({"c": [3], "a": [1]})
    with pytest.warns(UserWarning, match="dropped: \\['c'\\]"):
        assert plan.data(frame).columns.tolist() == ["a"]
    assert plan.data(frame[["a"]].assign(b=2)[["b", "a"]]).columns.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (pd.DataFrame({"b": [1]}), "missing: \\['a'\\]; not declared: \\['b'\\]"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "twice: \\['a'\\]"),
        ([[1]], "missing: \\['a'\\]"),
    ],
)
def test_missing_and_double_columns_are_named(frame: Any, word: str) -> None:
    plan = compile_plan(ModelSignature(inputs=Schema([ColSpec(DataType.long, "a")])))
    with pytest.raises(SchemaMismatch, match=word):
        plan.data(frame)


def test_a_whole_number_label_is_not_text() -> None:
    plan = compile_plan(ModelSignature(inputs=Schema([ColSpec(DataType.long, "0")])))
    with pytest.raises(SchemaMismatch):
        plan.data(pd.DataFrame({0: [1]}))
