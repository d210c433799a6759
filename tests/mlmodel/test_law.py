"""The law of signatures: data that a signature was inferred from always passes it, unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pack.errors import CannotInfer, SchemaMismatch
from pack.mlmodel import ModelSignature, Plan, compile_plan, infer_signature
from pack.mlmodel.frames import is_missing
from tests import strategies

settings.register_profile("pack", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pack")


def plan_of(data: Any) -> Plan:
    """The plan of an inferred signature, after a trip through the MLmodel file's JSON."""
    signature = infer_signature(data)
    read = ModelSignature.from_dict(signature.to_dict())
    assert read == signature
    return compile_plan(read)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same; what is missing is missing on both sides, and a tuple is no list."""
    if is_missing(one) or is_missing(other):
        return is_missing(one) and is_missing(other)
    if isinstance(one, np.ndarray):
        return one is other
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    return bool(one == other) and isinstance(one, bool) == isinstance(other, (bool, np.bool_))


@given(strategies.frames())
@settings(max_examples=400)
def test_a_frame_passes_its_own_signature_as_the_same_object(frame: pd.DataFrame) -> None:
    before = frame.copy(deep=True)
    assert plan_of(frame).data(frame) is frame
    pd.testing.assert_frame_equal(frame, before)


@given(strategies.arrays())
def test_an_array_passes_its_own_signature_as_the_same_object(array: np.ndarray[Any, Any]) -> None:
    assert plan_of(array).data(array) is array


@given(st.dictionaries(st.text(min_size=1, max_size=4), strategies.arrays(), min_size=1, max_size=3))
def test_named_arrays_pass_their_own_signature(arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    passed = plan_of(arrays).data(arrays)
    assert all(passed[name] is array for name, array in arrays.items())


@given(strategies.records())
def test_rows_pass_their_own_signature_with_every_value(rows: list[dict[str, Any]]) -> None:
    passed = plan_of(rows).data(rows)
    for row, cells in zip(rows, passed.to_dict(orient="records"), strict=True):
        for name, value in row.items():
            assert cells[name] == value


@given(strategies.documents())
def test_a_dict_passes_its_own_signature_with_every_value(document: dict[str | int, Any]) -> None:
    passed = plan_of(document).data(document)
    for name, value in document.items():
        cell = passed[name] if isinstance(passed, dict) else passed[name].tolist()[0]
        assert same(value, cell)


@given(strategies.values())
@settings(max_examples=400)
def test_plain_values_and_lists_of_them_pass_their_own_signature(data: Any) -> None:
    rows = data if isinstance(data, list) else [data]
    if rows and all(isinstance(row, dict) for row in rows):
        return
    passed = plan_of(data).data(data).iloc[:, 0].tolist()
    assert same(rows, passed)


@given(st.data(), st.none() | st.text(min_size=1) | st.integers(0, 9))
def test_a_series_passes_its_own_signature_with_every_value(data: st.DataObject, name: str | int | None) -> None:
    series = data.draw(strategies.column(3)).rename(name)
    passed = plan_of(series).data(series)
    assert passed.columns.tolist() == [0 if name is None else name]
    pd.testing.assert_series_equal(passed.iloc[:, 0], series, check_names=False)


def test_a_sparse_matrix_passes_its_own_signature_as_the_same_object() -> None:
    import scipy.sparse

    for matrix in (scipy.sparse.csr_matrix(np.eye(3)), scipy.sparse.csc_array(np.eye(3))):
        assert plan_of(matrix).data(matrix) is matrix


def test_a_polars_frame_passes_its_own_signature_with_every_value() -> None:
    import polars as pl

    frame = pl.DataFrame({"a": [1, None], "b": ["x", None], "c": [[1, 2], [3]], "d": [1.5, 2.5]})
    passed = plan_of(frame).data(frame)
    assert passed["a"].tolist() == [1, pd.NA]
    assert passed["c"].tolist() == [[1, 2], [3]]
    assert passed["d"].tolist() == [1.5, 2.5]


def test_an_arrow_table_passes_its_own_signature_with_every_value() -> None:
    import pyarrow as pa

    table = pa.table({"a": pa.array([1, None], pa.int64()), "s": ["x", "y"], "b": pa.array([b"1", b"2"])})
    passed = plan_of(table).data(table)
    assert passed["a"].tolist() == [1, pd.NA]
    assert passed["b"].tolist() == [b"1", b"2"]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (pd.DataFrame({"a": [1 + 2j]}), "'a'"),
        (pd.DataFrame({"t": pd.to_timedelta([1])}), "'t'"),
        (pd.DataFrame({"u": np.array([2**63], "uint64")}), "'u'"),
        (pd.DataFrame({"o": [object()]}), "'o'"),
        (pd.DataFrame({"o": [{"k": [object()]}]}), "'k'"),
        (pd.DataFrame({"big": pd.Series([2**70], dtype=object)}), "'big'"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than once"),
        (pd.DataFrame({1.5: [1]}), "named by float"),
        (pd.DataFrame(), "no columns"),
        ({}, "empty"),
        ({"a": np.zeros(2, "complex64"), "b": 1}, "'a'"),
        ({1, 2}, "set"),
    ],
)
def test_what_no_signature_can_describe_is_an_error_that_says_why(data: Any, word: str) -> None:
    with pytest.raises(CannotInfer, match=word):
        infer_signature(data)


def test_deep_nesting_is_an_error_and_not_a_crash() -> None:
    value: Any = 1
    for _ in range(10_000):
        value = [value]
    with pytest.raises(CannotInfer, match="deep"):
        infer_signature({"a": value})


def test_the_second_frame_is_judged_as_strictly_as_the_first() -> None:
    plan = plan_of(pd.DataFrame({"a": [1.5], "b": [2.5]}))
    plan.data(pd.DataFrame({"a": [1.0], "b": [2.0]}))
    with pytest.raises(SchemaMismatch, match="'a'"):
        plan.data(pd.DataFrame({"a": ["x"], "b": [2.0]}))
    with pytest.raises(SchemaMismatch, match="'b'"):
        plan.data(pd.DataFrame({"a": [1.0]}))
