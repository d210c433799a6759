"""Arrays against their declared dtype and shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from pack.errors import BadRequest, PackError, SchemaMismatch
from pack.mlmodel import ModelSignature, Plan, Schema, TensorSpec, compile_plan

NUMBERS = ["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "float16", "float32", "float64"]


def plan_of(*specs: TensorSpec) -> Plan:
    return compile_plan(ModelSignature(inputs=Schema(list(specs))))


def tensor(dtype: Any, *shape: int) -> Plan:
    return plan_of(TensorSpec(np.dtype(dtype), shape))


@pytest.mark.parametrize(
    ("dtype", "shape", "array"),
    [
        ("float64", (-1, 2), np.zeros((3, 2))),
        ("float64", (-1, 2), np.zeros((0, 2))),
        ("float64", (-1, -1), np.zeros((3, 7))),
        ("float64", (), np.array(1.5)),
        ("float64", (-1,), np.zeros(3, ">f8")),
        ("<U3", (-1,), np.array(["longer text"])),
        ("S3", (-1,), np.array([b"longer bytes"])),
        ("object", (-1,), np.array([[1], [2, 3]], dtype=object)),
        ("object", (-1,), np.zeros((2, 2))),
        ("datetime64[ns]", (-1,), np.zeros(2, "datetime64[ns]")),
    ],
)
def test_an_array_that_matches_passes_as_the_same_object(dtype: str, shape: tuple[int, ...], array: Any) -> None:
    assert tensor(dtype, *shape).data(array) is array


@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.data())
def test_numbers_pass_exactly_where_each_stays_the_same(came: str, declared: str, data: st.DataObject) -> None:
    array = data.draw(npst.arrays(came, 3))
    with np.errstate(all="ignore"):
        wanted = array.astype(declared)
    exact = all(
        one == other or (one != one and other != other)
        for one, other in zip(array.tolist(), wanted.tolist(), strict=True)
    )
    if exact:
        passed = tensor(declared, -1).data(array)
        assert passed.dtype == declared
        np.testing.assert_array_equal(passed, wanted)
    else:
        with pytest.raises(SchemaMismatch, match=f"is declared {declared} .* cannot be held exactly"):
            tensor(declared, -1).data(array)


@pytest.mark.parametrize(
    ("dtype", "shape", "data", "why"),
    [
        ("float64", (-1, 2), np.zeros((3, 3)), "the shape (3, 3) came, (any, 2) is declared"),
        ("float64", (-1, 2), np.zeros(2), "the shape (2,) came"),
        ("float64", (-1,), np.array([True]), "an array of bool came"),
        ("bool", (-1,), np.array([1]), "an array of int64 came"),
        ("float64", (-1,), np.array(["1"]), "an array of <U1 came"),
        ("<U3", (-1,), np.array([1]), "an array of int64 came"),
        ("float64", (-1,), np.array([1j]), "an array of complex128 came"),
        ("int64", (-1,), np.array([np.nan]), "cannot be held exactly"),
        ("float64", (-1,), np.array([None]), "an array of objects came"),
        ("float64", (-1,), np.array([1, "a"], dtype=object), "values of several kinds came"),
        ("float64", (-1,), np.array([[1], [2, 3]], dtype=object), "not of one length"),
        ("float64", (-1, 2), [[1.0, 2.0], [3.0]], "not of one length"),
        ("float64", (-1,), [2**53 + 1, 0.5], "a whole number came that it cannot hold exactly"),
        ("int64", (-1,), [2**53 + 1, 2.0], "a whole number came that it cannot hold exactly"),
        ("float64", (-1,), [True, 1.5], "values of several kinds came"),
        ("float64", (-1,), {"a": [1.0]}, "a dict with 1 names came"),
        ("datetime64[ns]", (-1,), np.array(["9999-01-01"], "datetime64[s]"), "cannot be held exactly"),
        ("complex128", (-1,), np.array([2**53 + 1]), "cannot be held exactly"),
    ],
)
def test_what_does_not_fit_is_refused(dtype: str, shape: tuple[int, ...], data: Any, why: str) -> None:
    with pytest.raises(SchemaMismatch) as error:
        tensor(dtype, *shape).data(data)
    shown = "str" if dtype == "<U3" else dtype
    assert error.value.message.startswith(f"the input is declared {shown} of shape {list(shape)}: ")
    assert why in error.value.message


def test_a_frame_becomes_an_array_column_by_column() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})
    assert tensor("float64", -1, 2).data(frame).tolist() == [[1.0, 0.5], [2.0, 1.5]]
    with pytest.raises(SchemaMismatch, match="cannot be held exactly"):
        tensor("float64", -1, 2).data(pd.DataFrame({"a": [2**53 + 1], "b": [0.5]}))
    with pytest.raises(SchemaMismatch, match="an array of bool came"):
        tensor("float64", -1, 2).data(pd.DataFrame({"a": [True], "b": [0.5]}))


def test_a_frame_of_one_dtype_is_not_copied() -> None:
    frame = pd.DataFrame(np.zeros((3, 2)))
    assert np.shares_memory(tensor("float64", -1, 2).data(frame), frame.to_numpy())


def test_one_column_becomes_a_vector_a_column_or_stacked_rows() -> None:
    frame = pd.DataFrame({"a": [1.5, 2.5]})
    assert tensor("float64", -1).data(frame).tolist() == [1.5, 2.5]
    assert tensor("float64", -1, 1).data(frame).tolist() == [[1.5], [2.5]]
    for cells in ([[1.5, 2.5]], [np.array([1.5, 2.5])]):
        assert tensor("float64", -1, 2).data(pd.DataFrame({"a": cells})).tolist() == [[1.5, 2.5]]


def test_polars_and_arrow_tables_become_arrays() -> None:
    import polars as pl
    import pyarrow as pa

    for table in (pl.DataFrame({"a": [1.0, 2.0], "b": [3, 4]}), pa.table({"a": [1.0, 2.0], "b": [3, 4]})):
        assert tensor("float64", -1, 2).data(table).tolist() == [[1.0, 3.0], [2.0, 4.0]]
        named = plan_of(TensorSpec("float64", (-1,), "a"), TensorSpec("int64", (-1,), "b"))
        assert {name: array.tolist() for name, array in named.data(table).items()} == {"a": [1.0, 2.0], "b": [3, 4]}


def test_named_tensors_come_by_name() -> None:
    plan = plan_of(TensorSpec("float64", (-1,), "x"), TensorSpec("int64", (-1,), "y"))
    arrays = {"x": np.zeros(2), "y": np.zeros(2, "int64"), "more": np.zeros(1)}
    passed = plan.data(arrays)
    assert passed.keys() == {"x", "y"}
    assert passed["x"] is arrays["x"]
    with pytest.raises(SchemaMismatch, match="tensors are missing: \\['y'\\]"):
        plan.data({"x": np.zeros(2)})
    with pytest.raises(SchemaMismatch, match="takes tensors by name: \\['x', 'y'\\]"):
        plan.data(np.zeros(2))
    alone = np.zeros(2)
    assert plan_of(TensorSpec("float64", (-1,), "x")).data(alone)["x"] is alone


def test_sparse_matrices_match_exactly_or_not_at_all() -> None:
    import scipy.sparse

    matrix = scipy.sparse.csr_matrix(np.eye(3))
    assert tensor("float64", -1, 3).data(matrix) is matrix
    with pytest.raises(SchemaMismatch, match="a sparse matrix of float64 came"):
        tensor("float32", -1, 3).data(matrix)
    with pytest.raises(SchemaMismatch, match="the shape"):
        tensor("float64", -1, 2).data(matrix)


@pytest.mark.parametrize(
    ("dtype", "shape", "value", "wanted"),
    [
        ("float64", (-1, 2), [[1, 2.5]], [[1.0, 2.5]]),
        ("float64", (-1,), [None, 1], [np.nan, 1.0]),
        ("float32", (-1,), [0.1], [float(np.float32(0.1))]),
        ("float32", (-1,), [2**60], [2.0**60]),
        ("int64", (-1,), [2**63 - 1], [2**63 - 1]),
        ("int8", (-1,), [1.0, -128], [1, -128]),
        ("uint64", (-1,), [2**64 - 1], [2**64 - 1]),
        ("bool", (-1,), [True], [True]),
        ("<U1", (-1,), ["text"], ["text"]),
        ("S1", (-1,), ["text"], [b"text"]),
        ("object", (-1,), [1, "a", None], [1, "a", None]),
        ("object", (-1,), [[1], [2, 3]], [[1], [2, 3]]),
        ("float64", (-1, 2), [], None),
    ],
)
def test_json_becomes_the_declared_tensor(dtype: str, shape: tuple[int, ...], value: Any, wanted: Any) -> None:
    if wanted is None:
        with pytest.raises(SchemaMismatch, match="the shape"):
            tensor(dtype, *shape).wire_inputs(value)
        return
    np.testing.assert_equal(tensor(dtype, *shape).wire_inputs(value).tolist(), wanted)


@pytest.mark.parametrize(
    ("dtype", "value", "why"),
    [
        ("float64", ["1"], "text came in it"),
        ("float64", [True], "a boolean came in it"),
        ("float64", [{}], "an object came in it"),
        ("float64", [[1], [1, 2]], "not of one length"),
        ("float64", [2**53 + 1], "a whole number came that it cannot hold exactly"),
        ("float64", [10**400], "beyond its range"),
        ("float32", [2**24 + 1], "a whole number came that it cannot hold exactly"),
        ("float32", [1e39], "beyond its range"),
        ("float16", [1e5], "beyond its range"),
        ("int64", [1.5], "cannot be held exactly"),
        ("int64", [None], "null came in it"),
        ("int64", [2**63], "cannot be held exactly"),
        ("int64", [10**400], "a whole number came that it cannot hold exactly"),
        ("int8", [128], "cannot be held exactly"),
        ("uint8", [-1], "cannot be held exactly"),
        ("bool", [1], "a number came in it"),
        ("<U1", [1], "a number came in it"),
        ("<U1", [None], "null came in it"),
        ("datetime64[s]", ["junk"], "hold a value that does not fit"),
    ],
)
def test_json_that_does_not_fit_is_refused(dtype: str, value: Any, why: str) -> None:
    with pytest.raises(SchemaMismatch) as error:
        tensor(dtype, -1).wire_inputs(value)
    assert why in error.value.message


def test_named_tensors_come_as_an_object_or_as_records() -> None:
    plan = plan_of(TensorSpec("float64", (-1,), "x"), TensorSpec("int64", (-1, 2), "y"))
    for value in ({"x": [1, 2], "y": [[1, 2], [3, 4]]}, [{"x": 1, "y": [1, 2]}, {"x": 2, "y": [3, 4]}]):
        assert {name: array.tolist() for name, array in plan.wire_inputs(value).items()} == {
            "x": [1.0, 2.0],
            "y": [[1, 2], [3, 4]],
        }


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"x": [1]}, "tensors are missing: ['y']"),
        ({"x": [1], "y": [1], "z": [1]}, "tensors are not declared: ['z']"),
        ({"x": [1], "z": [1]}, "tensors are missing: ['y']; not declared: ['z']"),
        ([{"x": 1, "y": 1}, {"x": 1}], "record 1 lacks ['y']"),
        ([1], "takes 2 tensors by name"),
        ("x", "takes 2 tensors by name"),
    ],
)
def test_names_that_do_not_match_are_named(value: Any, why: str) -> None:
    with pytest.raises(PackError) as error:
        plan_of(TensorSpec("int64", (-1,), "x"), TensorSpec("int64", (-1,), "y")).wire_inputs(value)
    assert why in error.value.message
    assert error.value.http_status == 400


def test_a_table_over_the_wire_becomes_the_declared_array() -> None:
    plan = tensor("float64", -1, 2)
    assert plan.wire_split(["a", "b"], [[1, 2.5]]).tolist() == [[1.0, 2.5]]
    assert plan.wire_csv("a,b\n1,2.5\n").tolist() == [[1.0, 2.5]]
    with pytest.raises(SchemaMismatch, match="an array of"):
        plan.wire_csv("a,b\n001,2.5\n")
    with pytest.raises(BadRequest, match="an object came"):
        plan.wire_inputs({"a": [1], "b": [2]})


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan, 65504])
def test_what_is_infinite_in_a_small_float_is_no_whole_number(value: float) -> None:
    array = np.array([value], dtype="float16")
    if np.isfinite(value):
        assert tensor("int32", -1).data(array).tolist() == [65504]
        return
    with pytest.raises(SchemaMismatch, match="cannot be held exactly"):
        tensor("int32", -1).data(array)
