"""What is inferred from each kind of data, written as JSON."""

from __future__ import annotations

from collections import OrderedDict
from datetime import date, datetime, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pack.errors import CannotInfer, InvalidValue
from pack.mlmodel import Array, DataType, infer_schema, infer_signature

DAY = date(2020, 1, 2)
MOMENT = datetime(2020, 1, 2, tzinfo=timezone.utc)


def column(values: Any, dtype: Any = None) -> tuple[str, bool]:
    """The type of one named column, as text, and whether it is required."""
    (spec,) = infer_schema(pd.DataFrame({"x": pd.Series(values, dtype=dtype)})).inputs
    assert spec.name == "x"
    return repr(spec.type), spec.required


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        ("bool", "boolean"), ("boolean", "boolean"), ("bool[pyarrow]", "boolean"),
        ("int8", "integer"), ("int16", "integer"), ("int32", "integer"), ("uint8", "integer"), ("uint16", "integer"),
        ("Int8", "integer"), ("UInt16", "integer"), ("int32[pyarrow]", "integer"), (">i4", "integer"),
        ("Sparse[int32]", "integer"),
        ("uint32", "long"), ("int64", "long"), ("UInt32", "long"), ("Int64", "long"), ("uint64", "long"),
        ("UInt64", "long"), ("int64[pyarrow]", "long"),
        ("float16", "float"), ("float32", "float"), ("Float32", "float"), ("float[pyarrow]", "float"),
        ("float64", "double"), ("Float64", "double"), ("double[pyarrow]", "double"), ("Sparse[float64]", "double"),
    ],
)  # fmt: skip
def test_a_dtype_says_the_type_even_of_an_empty_column(dtype: str, kind: str) -> None:
    assert column([1, 0], dtype) == (kind, True)
    assert column([], dtype) == (kind, True)


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "float64", "Float32", "string", "str", "int64[pyarrow]"])
def test_a_column_with_gaps_keeps_its_type_and_is_not_required(dtype: str) -> None:
    assert column([None, None], dtype) == (column([], dtype)[0], False)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "long"), ([1, None], "long"), ([1, 2.5], "double"), ([2**53 + 1, 2.5], "any"),
        ([True, False], "boolean"), ([True, None], "boolean"), ([MOMENT, None], "datetime"),
        ([True, 1], "any"), ([1, "x"], "any"), (["x", "y"], "string"), ([b"x"], "binary"),
        ([bytearray(b"x")], "binary"),
        ([DAY], "datetime"), ([MOMENT], "datetime"), ([np.datetime64("2020-01-02")], "datetime"), ([None], "any"),
        ([float("nan")], "double"), ([np.int32(1), np.int16(2)], "integer"), ([np.int32(1), 2], "long"),
        ([np.float32(1)], "float"), ([np.float32(1), 2.5], "double"), ([np.uint64(5)], "long"), ([], "any"),
        ([[1], [2, 3]], "Array(long)"), ([[1], []], "Array(long)"), ([[], []], "any"), ([[1.5, 2]], "Array(double)"),
        ([[1, None]], "Array(long)"), ([[1, "x"]], "Array(any)"), ([[1], "x"], "any"), ([(1, 2)], "Array(long)"),
        ([[[1]], [[2], []]], "Array(Array(long))"), ([np.array([1.5], "float32")], "Array(float)"),
        ([np.zeros((2, 3), "int16")], "Array(Array(integer))"), ([np.array([1]), [2.5]], "Array(double)"),
        ([np.array(["a"])], "Array(string)"), ([np.array([], "int64")], "Array(long)"),
        ([{"k": 1}, {"k": 2}], "{k: long (required)}"), ([{"k": 1}, {}], "{k: long (optional)}"),
        ([{"k": None}, {"k": 1}], "{k: long (optional)}"),
        ([{"b": 1, "a": [2]}], "{a: Array(long) (required), b: long (required)}"),
        ([{"k": {"l": "x"}}], "{k: {l: string (required)} (required)}"), ([{}], "any"), ([{1: 2}], "any"),
        ([[{"k": 1}, {"l": 2}]], "Array({k: long (optional), l: long (optional)})"),
        ([OrderedDict(k=1)], "{k: long (required)}"),
    ],
)  # fmt: skip
def test_objects_are_looked_at_one_by_one(values: Any, kind: str) -> None:
    assert column(values, object)[0] == kind


def test_an_empty_column_of_objects_may_hold_anything_and_be_left_out() -> None:
    assert column([], object) == ("any", False)
    assert column([None], object) == ("any", False)


@pytest.mark.parametrize(
    ("values", "kind"),
    [(["a"], "string"), ([1], "long"), ([1.5], "double"), ([True], "boolean"), ([MOMENT], "datetime")],
)
def test_a_category_has_the_type_of_its_categories_with_or_without_gaps(values: Any, kind: str) -> None:
    assert column(values, "category") == (kind, True)
    assert column([*values, None], "category") == (kind, False)


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Seoul"])
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_date_of_any_unit_and_zone_is_a_datetime(unit: Any, zone: str | None) -> None:
    dates = pd.Series(pd.to_datetime(["2020-01-02"]).as_unit(unit).tz_localize(zone))
    assert column(dates) == ("datetime", True)
    assert column(pd.Series([*dates, pd.NaT])) == ("datetime", False)


def names(data: Any) -> list[str | int]:
    return infer_schema(data).input_names()


def test_a_columns_name_stays_what_it_is() -> None:
    assert names(pd.DataFrame({0: [1], "0": [2], "": [3]})) == [0, "0", ""]
    assert names(pd.DataFrame({np.int64(7): [1]})) == [7]
    assert names([{"b": 1}, {"a": 2}]) == ["b", "a"]
    assert names({0: 1}) == [0]
    assert names({0: np.zeros(2), "x": np.zeros(2)}) == [0, "x"]


@pytest.mark.parametrize("name", [True, 1.5, None, ("a", "b"), pd.Timestamp(0)])
def test_a_name_that_json_has_no_key_for_is_refused(name: Any) -> None:
    for data in (
        pd.DataFrame([[1]], columns=pd.Index([name], dtype=object, tupleize_cols=False)),
        {name: 1},
        [{name: 1}],
    ):
        with pytest.raises(CannotInfer, match=f"named by {type(name).__name__}"):
            infer_schema(data)


@pytest.mark.parametrize(
    ("data", "schema"),
    [
        (np.zeros((5, 3, 2), "float32"), "[Tensor('float32', (-1, 3, 2))]"),
        (np.array(["a", "bcd"]), "[Tensor('str', (-1,))]"),
        (np.array(5), "[Tensor('int64', ())]"),
        (np.zeros((0, 4)), "[Tensor('float64', (-1, 4))]"),
        (np.array([1], "timedelta64[ns]"), "[Tensor('timedelta64[ns]', (-1,))]"),
        (np.array([[1], [2, 3]], dtype=object), "[Tensor('object', (-1,))]"),
        ({"a": np.zeros(2), "b": np.zeros((2, 2))}, "['a': Tensor('float64', (-1,)), 'b': Tensor('float64', (-1, 2))]"),
        ({"a": np.array([1, 2]), "b": "x"}, "['a': Array(long) (required), 'b': string (required)]"),
        ({"a": pd.Series([1]), "b": pd.Series(["x"])}, "['a': long (required), 'b': string (required)]"),
        ({"a": [1, 2], "b": None}, "['a': Array(long) (required), 'b': any (optional)]"),
        ({"c": {"k": 1}}, "['c': {k: long (required)} (required)]"),
        (pd.Series([1, 2], name="a"), "['a': long (required)]"),
        (pd.Series([1, 2]), "[long (required)]"),
        (pd.Index(["x"]), "[string (required)]"),
        (pd.array([1, None], dtype="Int64"), "[long (required)]"),
        ([{"a": 1}, {"a": 2, "b": "x"}], "['a': long (required), 'b': string (optional)]"),
        ([1, 2.5], "[double (required)]"),
        ([1, None], "[long (required)]"),
        ([[1], [2, 3]], "[Array(long) (required)]"),
        ([], "[string (required)]"),
        ([[]], "[any (required)]"),
        ([{"a": 1}, 2], "[any (required)]"),
        ("x", "[string (required)]"),
        (5, "[long (required)]"),
        (np.float32(5), "[float (required)]"),
        (np.uint8(5), "[integer (required)]"),
        (True, "[boolean (required)]"),
        (b"x", "[binary (required)]"),
        (MOMENT, "[datetime (required)]"),
    ],
)  # fmt: skip
def test_each_form_of_data_has_its_schema(data: Any, schema: str) -> None:
    assert repr(infer_schema(data)) == schema


def test_polars_and_arrow_tables_are_inferred_as_tables() -> None:
    import polars as pl
    import pyarrow as pa

    columns = {"a": [1, None], "b": ["x", "y"], "c": [[1.5], []]}
    expected = "['a': long (optional), 'b': string (required), 'c': Array(double) (required)]"
    for table in (pl.DataFrame(columns), pl.DataFrame(columns).lazy(), pa.table(columns)):
        assert repr(infer_schema(table)) == expected


def test_whole_numbers_that_no_type_holds_are_refused_wherever_they_stand() -> None:
    huge = np.array([2**63], "uint64")
    for data in (pd.DataFrame({"x": huge}), {"x": [2**63]}, {"x": -(2**63) - 1}, pd.DataFrame({"x": [huge]})):
        with pytest.raises(CannotInfer, match="'x'"):
            infer_schema(data)
    assert infer_schema(huge).input_types() == [np.dtype("uint64")]


@pytest.mark.parametrize("dtype", ["period[D]", "interval", "timedelta64[ns]", "complex64"])
def test_a_dtype_without_a_type_is_named_with_its_column(dtype: str) -> None:
    data = {
        "period[D]": pd.period_range("2020", periods=1, freq="D"),
        "interval": pd.interval_range(0, 1),
        "timedelta64[ns]": pd.to_timedelta([1], unit="ns"),
        "complex64": np.array([1j], "complex64"),
    }
    with pytest.raises(CannotInfer, match="column 'odd' has dtype"):
        infer_schema(pd.DataFrame({"fine": [1], "odd": data[dtype]}))


def test_an_array_of_records_has_no_tensor_type() -> None:
    with pytest.raises(CannotInfer, match="an array of dtype"):
        infer_schema(np.zeros(2, [("a", "i4")]))
    with pytest.raises(CannotInfer, match="the array 'x'"):
        infer_schema({"x": np.zeros(2, [("a", "i4")])})


def test_a_signature_holds_what_was_given() -> None:
    signature = infer_signature(pd.DataFrame({"a": [1]}), np.zeros(1), {"top": 3})
    assert signature.inputs is not None
    assert signature.outputs is not None
    assert signature.params is not None
    assert infer_signature(model_output=[1.5]).inputs is None
    with pytest.raises(InvalidValue, match="inputs, outputs or params"):
        infer_signature()


def test_arrays_in_cells_are_inferred_from_their_dtype_without_a_look_at_each_number() -> None:
    class Watched(np.ndarray[Any, Any]):
        def __iter__(self) -> Any:
            raise AssertionError("each number was looked at")

    cells = pd.Series([np.zeros(3).view(Watched), np.zeros(2).view(Watched)], dtype=object)
    assert infer_schema(pd.DataFrame({"x": cells})).input_types() == [Array(DataType.double)]
