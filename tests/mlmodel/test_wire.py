"""JSON and CSV as the declared types: exact, or refused by column and row, and never with the caller's values."""

from __future__ import annotations

import base64
import json
import math
import time
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pack.errors import BadRequest, PackError, SchemaMismatch, TooLarge
from pack.mlmodel import (
    AnyType,
    Array,
    ColSpec,
    Map,
    ModelSignature,
    Object,
    Plan,
    Property,
    Schema,
    TensorSpec,
    compile_plan,
    infer_signature,
    wire,
)
from tests import strategies

KINDS = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def plan_of(*specs: ColSpec | TensorSpec) -> Plan:
    return compile_plan(ModelSignature(inputs=Schema(list(specs))))


def column(kind: Any, cells: list[Any], *, required: bool = True) -> pd.Series:
    plan = plan_of(ColSpec(kind, "x", required=required))
    found: pd.Series = plan.wire_split(["x"], [[cell] for cell in cells])["x"]
    return found


@pytest.mark.parametrize(
    ("kind", "cells", "dtype", "wanted"),
    [
        ("boolean", [True, False], "bool", [True, False]),
        ("integer", [1, -(2**31)], "int32", [1, -(2**31)]),
        ("integer", [3.0], "int32", [3]),
        ("long", [2**63 - 1], "int64", [2**63 - 1]),
        ("float", [1.5, 2], "float32", [1.5, 2.0]),
        ("double", [0.1, 2**53, 2**60], "float64", [0.1, 2.0**53, 2.0**60]),
        ("double", [math.inf, -math.inf], "float64", [math.inf, -math.inf]),
        ("string", ["a", ""], "str", ["a", ""]),
        ("binary", ["AAE=", "AA\nE="], "object", [b"\x00\x01", b"\x00\x01"]),
        ("datetime", ["2024-01-02"], "datetime64[us]", [pd.Timestamp("2024-01-02")]),
        ("datetime", ["2024-01-02T03:04:05.5Z"], "datetime64[us]", [pd.Timestamp("2024-01-02T03:04:05.5")]),
        ("datetime", ["2024-01-02 03:04+09:00"], "datetime64[us]", [pd.Timestamp("2024-01-01T18:04")]),
        ("datetime", ["2024-01-02T00:00:00.000000001"], "datetime64[ns]", [pd.Timestamp(1704153600000000001)]),
    ],
)
def test_values_become_their_declared_type(kind: str, cells: list[Any], dtype: str, wanted: list[Any]) -> None:
    found = column(kind, cells)
    assert str(found.dtype) in {dtype, "object" if dtype == "str" else dtype}
    assert found.tolist() == wanted


@pytest.mark.parametrize(
    ("kind", "cell", "why"),
    [
        ("boolean", 1, "row 1 holds a whole number"),
        ("boolean", "true", "row 1 holds text"),
        ("integer", 2**31, "row 1 holds a whole number that it cannot hold exactly"),
        ("integer", 2**40, "row 1 holds a whole number that it cannot hold exactly"),
        ("long", 2**63, "row 1 holds a whole number that it cannot hold exactly"),
        ("long", 10**500, "row 1 holds a whole number that it cannot hold exactly"),
        ("long", 1.5, "row 1 holds a number with a fraction"),
        ("long", "001", "row 1 holds text"),
        ("long", True, "row 1 holds a boolean"),
        ("long", math.nan, "row 1 holds a missing value"),
        ("long", None, "row 1 holds a missing value"),
        ("float", 2**24 + 1, "row 1 holds a whole number that it cannot hold exactly"),
        ("float", 1e39, "that it cannot hold exactly"),
        ("double", 2**53 + 1, "row 1 holds a whole number that it cannot hold exactly"),
        ("double", 10**500, "row 1 holds a whole number that it cannot hold exactly"),
        ("double", "1.5", "row 1 holds text"),
        ("double", False, "row 1 holds a boolean"),
        ("double", [1.0], "row 1 holds a list"),
        ("string", 5, "row 1 holds a whole number"),
        ("string", {}, "row 1 holds an object"),
        ("binary", "####", "row 1 holds text that is not base64"),
        ("binary", "AAF=", "row 1 holds text that is base64 with bits left over"),
        ("binary", 7, "row 1 holds a whole number, base64 text is needed"),
        ("datetime", "yesterday", "row 1 holds text that is not an ISO 8601 date"),
        ("datetime", "20240102", "row 1 holds text that is not an ISO 8601 date"),
        ("datetime", "2024-02-30", "row 1 holds text that is not an ISO 8601 date"),
        ("datetime", "2024-01-02T25:00", "row 1 holds text that is not an ISO 8601 date"),
        ("datetime", "0001-01-01T00:00+14:00", "row 1 holds text that is not an ISO 8601 date"),
        ("datetime", 0, "row 1 holds a whole number, ISO 8601 text is needed"),
    ],
)
def test_what_would_be_lost_or_guessed_is_refused_by_column_and_row(kind: str, cell: Any, why: str) -> None:
    fine = {"boolean": True, "string": "a", "binary": "AA==", "datetime": "2024-01-02"}.get(kind, 1)
    with pytest.raises(SchemaMismatch) as error:
        column(kind, [fine, cell])
    assert error.value.message.startswith(f"column 'x' is declared {kind}: ")
    assert why in error.value.message


@pytest.mark.parametrize("kind", KINDS)
def test_null_passes_where_gaps_may_be(kind: str) -> None:
    assert column(kind, [None, None], required=False).isna().all()
    if kind not in {"boolean", "integer", "long"}:
        assert column(kind, [None]).isna().all()


def test_whole_numbers_beside_null_stay_whole() -> None:
    assert column("long", [2**53 + 1, None], required=False)[0] == 2**53 + 1
    assert str(column("integer", [1, None], required=False).dtype) == "Int32"


@given(st.lists(st.floats(allow_nan=False) | st.integers(-(2**70), 2**70), min_size=1, max_size=4))
def test_a_double_takes_exactly_the_numbers_that_it_holds(cells: list[Any]) -> None:
    if all(float(cell) == cell for cell in cells):
        assert column("double", cells).tolist() == cells
    else:
        with pytest.raises(SchemaMismatch, match="cannot hold exactly"):
            column("double", cells)


@given(st.sampled_from(KINDS), st.lists(JSON, min_size=1, max_size=3), st.booleans())
def test_any_json_becomes_the_declared_type_with_every_value_or_a_typed_error(
    kind: str, cells: list[Any], required: bool
) -> None:
    try:
        found = column(kind, cells, required=required).tolist()
    except PackError:
        return
    for cell, value in zip(cells, found, strict=True):
        assert pd.isna(value) if cell is None or cell != cell else keeps(kind, cell, value)


def keeps(kind: str, cell: Any, value: Any) -> bool:
    if kind == "binary":
        return base64.b64encode(value).decode() == "".join(cell.split())
    if kind == "datetime":
        return isinstance(value, datetime)
    if kind == "float" and isinstance(cell, float):
        return bool(np.float32(cell) == value)
    return bool(value == cell) and isinstance(cell, bool) == isinstance(value, bool)


@given(strategies.frames())
def test_a_frame_sent_as_json_passes_its_own_signature(frame: pd.DataFrame) -> None:
    plan = compile_plan(infer_signature(frame))
    found = plan.wire_split(frame.columns.tolist(), sent_as(frame))
    assert found.columns.tolist() == frame.columns.tolist()
    assert sent_as(found) == sent_as(frame)


def sent_as(frame: pd.DataFrame) -> Any:
    """The rows of a frame as JSON brings them."""
    cells = [[to_json(cell) for cell in frame[name].tolist()] for name in frame.columns]
    return [list(row) for row in zip(*json.loads(json.dumps(cells)), strict=True)]


def to_json(value: Any) -> Any:
    """A value as a client sends it."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {name: to_json(item) for name, item in value.items()}
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return None
    if isinstance(value, (date, np.datetime64)):
        stamp = pd.Timestamp(value)
        return (stamp.tz_convert(None) if stamp.tzinfo else stamp).isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


NESTED = Object([Property("a", "long"), Property("b", Array("datetime"), required=False), Property("c", Map("binary"))])


def test_nested_values_are_decoded_inside_out() -> None:
    cell = {"a": 1.0, "b": ["2024-01-02T00:00Z"], "c": {"k": "AA=="}}
    assert column(NESTED, [cell])[0] == {"a": 1, "b": [datetime(2024, 1, 2)], "c": {"k": b"\x00"}}  # noqa: DTZ001


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ({"c": {}}, "row 0: 'a': is missing"),
        ({"a": 1.5, "c": {}}, "row 0: 'a': holds a number with a fraction, declared long"),
        ({"a": 1, "c": {}, "d": 1}, "row 0: has members that are not declared: ['d']"),
        ({"a": 1, "b": ["x"], "c": {}}, "row 0 holds text that is not an ISO 8601 date"),
        ({"a": 1, "b": "x", "c": {}}, "row 0: 'b': holds text, declared array"),
        ({"a": 1, "c": {"k": "#"}}, "row 0 holds text that is not base64"),
        ([], "row 0: holds a list, declared object"),
        (None, "row 0 holds a missing value"),
    ],
)
def test_a_nested_misfit_is_named_by_its_path(cell: Any, why: str) -> None:
    with pytest.raises(SchemaMismatch) as error:
        column(NESTED, [cell])
    assert why in error.value.message


def test_any_takes_every_json_value_as_it_is() -> None:
    cells = [1, "x", None, [1, {"a": None}], {"k": 1.5}]
    assert column(AnyType(), cells).tolist() == cells


TWO = [ColSpec("long", "a"), ColSpec("string", "b", required=False)]


@pytest.mark.parametrize(
    ("names", "rows", "why"),
    [
        (["a", "b", "c"], [[1, "x", 2]], "columns are not declared: ['c']"),
        (["b"], [["x"]], "columns are missing: ['a']"),
        (["b", "z"], [["x", 1]], "columns are missing: ['a']; not declared: ['z']"),
        (["a", "a"], [[1, 1]], "columns came twice: ['a']"),
        (["a"], [[1, 2]], "row 0 holds 2 values, 1 columns are named"),
        (["a"], [[1], []], "row 1 holds 0 values, 1 columns are named"),
        (["a"], [1], "row 0 holds a whole number, 1 columns are named"),
        (["a"], [{"a": 1}], "row 0 holds an object, 1 columns are named"),
        ([1.5], [[1]], "a column is named by a number with a fraction"),
        ([None], [[1]], "a column is named by a missing value"),
        ([[1]], [[1]], "a column is named by a list"),
        (None, [[1, "x"]], "the columns came without names"),
        ([], [], "columns are missing: ['a']"),
    ],
)
def test_columns_and_rows_that_do_not_match_are_named(names: Any, rows: list[Any], why: str) -> None:
    with pytest.raises(PackError) as error:
        plan_of(*TWO).wire_split(names, rows)
    assert why in error.value.message
    assert error.value.http_status == 400


def test_columns_come_in_any_order_and_optional_ones_may_be_left_out() -> None:
    plan = plan_of(*TWO)
    assert plan.wire_split(["b", "a"], [["x", 1]]).to_dict("list") == {"a": [1], "b": ["x"]}
    assert plan.wire_split(["a"], [[1]]).to_dict("list") == {"a": [1]}
    assert plan.wire_split(["a"], []).shape == (0, 1)


def test_a_record_that_lacks_a_required_column_is_named() -> None:
    plan = plan_of(*TWO)
    assert plan.wire_inputs([{"a": 1, "b": "x"}, {"a": 2}])["b"].isna().tolist() == [False, True]
    with pytest.raises(SchemaMismatch, match="column 'a' is declared long: record 1 lacks it"):
        plan.wire_inputs([{"a": 1}, {"b": "x"}])


def test_text_names_a_column_of_a_whole_number_only_where_that_is_unambiguous() -> None:
    assert plan_of(ColSpec("long", 0)).wire_inputs([{"0": 7}]).columns.tolist() == [0]
    both = plan_of(ColSpec("long", 0), ColSpec("long", "0"))
    assert both.wire_split([0, "0"], [[1, 2]]).to_dict("list") == {0: [1], "0": [2]}
    with pytest.raises(SchemaMismatch, match="missing: \\[0\\]"):
        both.wire_inputs([{"0": 7}])
    with pytest.raises(SchemaMismatch, match="missing: \\['0'\\]; not declared: \\[0\\]"):
        plan_of(ColSpec("long", "0")).wire_split([0], [[1]])


def test_inputs_may_be_columns_records_or_values() -> None:
    plan = plan_of(ColSpec("double", "a"), ColSpec("string", "b"))
    wanted = {"a": [1.0, 2.0], "b": ["x", "x"]}
    assert plan.wire_inputs({"a": [1, 2], "b": "x"}).to_dict("list") == wanted
    assert plan.wire_inputs([{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]).to_dict("list") == wanted
    assert plan_of(ColSpec("double")).wire_inputs([1, 2])[0].tolist() == [1.0, 2.0]
    assert plan_of(ColSpec("double")).wire_inputs(1)[0].tolist() == [1.0]
    assert plan_of(ColSpec(Array("long"))).wire_inputs([[1, 2], [3]])[0].tolist() == [[1, 2], [3]]
    with pytest.raises(BadRequest, match=r"different lengths: \[1, 2\]"):
        plan.wire_inputs({"a": [1, 2], "b": ["x"]})


def test_errors_repeat_no_value_of_the_caller() -> None:
    secret = "s3cr3t" * 3
    plan = plan_of(*[ColSpec(kind, kind, required=False) for kind in KINDS])
    for kind in KINDS:
        for cell in (secret, [secret], {secret: secret}):
            row = [cell if name == kind else None for name in KINDS]
            if kind == "string" and cell is secret:
                continue
            with pytest.raises(PackError) as error:
                plan.wire_split(KINDS, [row])
            assert "s3cr3t" not in json.dumps(error.value.to_dict())


def test_long_names_are_cut_in_errors() -> None:
    with pytest.raises(SchemaMismatch) as error:
        plan_of(*TWO).wire_split(["a", *[f"{place}" + "n" * 10_000 for place in range(50)]], [[1] * 51])
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize("declared", [True, False])
def test_hostile_shapes_are_answered_within_two_seconds_of_work(declared: bool) -> None:
    plan = plan_of(*TWO) if declared else compile_plan(None)
    start = time.process_time()
    many = [str(place) for place in range(100_000)]
    with pytest.raises(PackError):
        plan.wire_split([*many, *many], [])
    with pytest.raises(TooLarge):
        plan_of(*TWO).wire_inputs([{name: 1} for name in many])
    with pytest.raises(PackError):
        plan_of(*TWO).wire_inputs(dict.fromkeys(many, 1))
    assert time.process_time() - start < 2


def test_csv_is_read_by_the_declared_types() -> None:
    plan = plan_of(*[ColSpec(kind, kind) for kind in KINDS])
    text = ",".join(KINDS) + '\nTrue,-3,12345678901,0.1,1e3,001,AAE=,2024-01-02\nfalse,0,7.0,nan,,"a,b",,\n'
    frame = plan.wire_csv(text)
    assert frame.iloc[0].tolist()[:3] == [True, -3, 12345678901]
    assert frame["double"][0] == 1000.0
    assert frame["double"].isna().tolist() == [False, True]
    assert frame["string"].tolist() == ["001", "a,b"]
    assert frame["binary"][0] == b"\x00\x01"


@pytest.mark.parametrize(
    ("kind", "cell"),
    [
        ("long", "001"),
        ("long", "-0"),
        ("long", "+1"),
        ("long", " 1"),
        ("long", "1.5"),
        ("long", "1_000"),
        ("long", "1e3"),
        ("long", "9223372036854775808"),
        ("integer", "2147483648"),
        ("double", "007.5"),
        ("double", "1_0.5"),
        ("double", "1e400"),
        ("double", "0x10"),
        ("double", "one"),
        ("boolean", "1"),
        ("boolean", "yes"),
        ("datetime", "1704153600"),
        ("binary", "%"),
        ("long", "\u0661"),
    ],
)
def test_csv_that_would_be_guessed_at_is_refused_by_column_and_row(kind: str, cell: str) -> None:
    with pytest.raises(SchemaMismatch, match=f"column 'x' is declared {kind}: row 0 holds"):
        plan_of(ColSpec(kind, "x")).wire_csv(f"x\n{cell}\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("a\x00,b\n1,2", "NUL"),
        ('a,b\n"1,2', "cannot be read"),
        ("a,b\n1", "row 0 of the CSV holds 1 values, 2 columns"),
        ("a\n1\n\n2", "row 1 of the CSV holds 0 values"),
        ("a,a\n1,2", "columns came twice: \\['a'\\]"),
        ("a,c\n1,2", "not declared: \\['c'\\]"),
    ],
)
def test_text_that_is_no_table_is_refused(text: str, why: str) -> None:
    with pytest.raises(PackError, match=why) as error:
        plan_of(*TWO).wire_csv(text)
    assert error.value.http_status == 400


def test_csv_cannot_hold_nested_columns() -> None:
    with pytest.raises(SchemaMismatch, match="CSV cannot hold it"):
        plan_of(ColSpec(Array("long"), "x")).wire_csv('x\n"[1]"\n')


def test_csv_without_a_signature_changes_no_value() -> None:
    frame = compile_plan(None).wire_csv("code,n,x,flag,mixed,empty\n001,1,1.5,true,1,\n002,2,2,false,a,\n")
    assert frame["code"].tolist() == ["001", "002"]
    assert str(frame["n"].dtype) == "int64"
    assert str(frame["x"].dtype) == "float64"
    assert str(frame["flag"].dtype) == "bool"
    assert frame["mixed"].tolist() == ["1", "a"]
    assert frame["empty"].isna().all()


@given(st.lists(st.lists(st.integers() | st.floats(allow_nan=False) | st.none(), min_size=2, max_size=2), max_size=4))
def test_json_without_a_signature_changes_no_number(rows: list[list[Any]]) -> None:
    frame = compile_plan(None).wire_split(["a", "b"], rows)
    for row, cells in zip(rows, frame.to_dict("records"), strict=True):
        for given_value, value in zip(row, cells.values(), strict=True):
            assert pd.isna(value) if given_value is None else value == given_value


def test_inputs_without_a_signature_become_arrays_that_hold_the_same_values() -> None:
    plan = compile_plan(None)
    assert plan.wire_inputs([[1, 2], [3, 4]]).dtype == np.int64
    assert plan.wire_inputs([1, "a", True]).tolist() == [1, "a", True]
    assert plan.wire_inputs([2**53 + 1, 0.5]).tolist() == [2**53 + 1, 0.5]
    assert plan.wire_inputs({"x": [1.5], "y": "a"})["x"].tolist() == [1.5]
    with pytest.raises(BadRequest, match="not of one length"):
        plan.wire_inputs([[1], [1, 2]])


def tensor(dtype: str, *shape: int, name: str | None = None) -> Plan:
    return plan_of(TensorSpec(np.dtype(dtype), shape, name))


@pytest.mark.parametrize("values", [[0, 2**64 - 1], [2**63, 2**63 + 1], [1, 2], [2**53 + 1, 2**64 - 1], [0]])
def test_whole_numbers_of_64_bits_without_a_sign_come_exactly(values: list[int]) -> None:
    rows = [[value] for value in values]
    column = tensor("uint64", -1, 1)
    for array in (
        tensor("uint64", -1).wire_inputs(values),
        column.wire_inputs(rows)[:, 0],
        column.wire_split(["a"], rows)[:, 0],
        tensor("uint64", -1).data(values),
        tensor("uint64", -1, name="a").wire_inputs({"a": values})["a"],
    ):
        assert (array.dtype, array.tolist()) == (np.dtype("uint64"), values)


@pytest.mark.parametrize("wrong", [2**64, -1, 1.5, 2**200, True, None, "1"])
def test_no_other_number_is_one_of_64_bits_without_a_sign(wrong: Any) -> None:
    for values in ([wrong], [0, wrong], [2**64 - 1, wrong]):
        with pytest.raises(SchemaMismatch, match="the input is declared uint64"):
            tensor("uint64", -1).wire_inputs(values)
        with pytest.raises(SchemaMismatch, match="the input is declared uint64"):
            tensor("uint64", -1, 1).wire_split(["a"], [[value] for value in values])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 2**64 - 1], "uint64"), ([-1, 2**63], "object"), ([2**64], "object"), ([2**63 - 1, -(2**63)], "int64")],
)
def test_without_a_signature_whole_numbers_stay_what_they_are(values: list[int], dtype: str) -> None:
    for array in (compile_plan(None).wire_inputs(values), compile_plan(None).wire_inputs({"a": values})["a"]):
        assert (array.dtype, array.tolist()) == (np.dtype(dtype), values)


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize("rows", [[[1.5, None]], [[1, None]], [[None, None]], [[None, 2], [3, 4]], [[2**53, None]]])
def test_null_is_nan_in_a_tensor_of_floats_however_it_is_sent(dtype: str, rows: list[Any]) -> None:
    plan = tensor(dtype, -1, 2)
    wanted = np.array([[math.nan if cell is None else cell for cell in row] for row in rows], dtype)
    by_name = plan_of(*(TensorSpec(np.dtype(dtype), (-1,), name) for name in "ab"))
    columns = {name: [row[place] for row in rows] for place, name in enumerate("ab")}
    records = [dict(zip("ab", row, strict=True)) for row in rows]
    for array in (
        plan.wire_inputs(rows),
        plan.wire_split(["a", "b"], rows),
        plan.wire_split(None, rows),
        tensor(dtype, -1, len(rows), 2).wire_split(["a"], [[rows]]),
        np.stack(list(by_name.wire_inputs(columns).values()), axis=1),
        np.stack(list(by_name.wire_inputs(records).values()), axis=1),
        np.stack(list(by_name.wire_split(["b", "a"], [row[::-1] for row in rows]).values()), axis=1),
    ):
        assert array.dtype == dtype
        np.testing.assert_array_equal(array.reshape(wanted.shape), wanted)


@pytest.mark.parametrize(("dtype", "cell"), [("int64", 1), ("bool", True), ("U5", "a"), ("uint64", 2**64 - 1)])
def test_null_is_refused_in_any_other_tensor_however_it_is_sent(dtype: str, cell: Any) -> None:
    plan, named = tensor(dtype, -1, 1), tensor(dtype, -1, name="a")
    for rows in ([[cell], [None]], [[None]]):
        with pytest.raises(PackError, match="input"):
            plan.wire_inputs(rows)
        with pytest.raises(PackError, match="input"):
            plan.wire_split(["a"], rows)
        with pytest.raises(PackError, match="input 'a'"):
            named.wire_split(["a"], rows)


def test_a_gap_in_csv_is_nan_in_a_tensor_of_floats() -> None:
    array = tensor("float64", -1, 2).wire_csv("a,b\n1,\n,2.5\n")
    np.testing.assert_array_equal(array, [[1, math.nan], [math.nan, 2.5]])


def test_a_record_that_lacks_a_tensor_is_refused_however_it_is_sent() -> None:
    plan = plan_of(*(TensorSpec(np.dtype("float64"), (-1,), name) for name in "ab"))
    rows = [{"a": 1.5, "b": 2.5}, {"a": 3.5}]
    with pytest.raises(BadRequest, match=r"record 1 lacks \['b'\]"):
        plan.wire_split(*wire.records(rows))
    with pytest.raises(BadRequest, match=r"record 1 lacks \['b'\]"):
        plan.wire_inputs(rows)
