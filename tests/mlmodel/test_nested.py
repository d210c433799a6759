"""Arrays, objects, maps and anything in one cell."""

from __future__ import annotations

import struct
from datetime import date, datetime, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pack.errors import SchemaMismatch
from pack.mlmodel import AnyType, Array, ColSpec, DataType, Map, ModelSignature, Object, Property, Schema, compile_plan
from pack.mlmodel.nested import all_fit, check, decode, kind_of, listed, scalar_fits, to_datetime
from pack.mlmodel.types import SparkMLVector

LONGS = Array("long")
POINT = Object([Property("x", "double"), Property("tag", "string", required=False)])


@pytest.mark.parametrize(
    ("declared", "value", "problem"),
    [
        (LONGS, [1, 2], None),
        (LONGS, (1, 2), None),
        (LONGS, np.array([1, 2], "int32"), None),
        (LONGS, [1.0], None),
        (LONGS, [], None),
        (LONGS, [1, None], None),
        (LONGS, [1, 2.5], ": item 1: holds a number with a fraction, declared long"),
        (LONGS, [True], ": item 0: holds a boolean, declared long"),
        (LONGS, [2**63], ": item 0: holds a whole number, declared long"),
        (LONGS, "12", ": holds text, declared array"),
        (LONGS, {"a": 1}, ": holds an object, declared array"),
        (LONGS, 1, ": holds a whole number, declared array"),
        (Array("double"), [1, 2], None),
        (Array("double"), [1, 2.5], None),
        (Array("double"), np.array([1.5]), None),
        (Array("double"), [2**53 + 1], ": item 0: holds a whole number, declared double"),
        (Array("double"), ["1"], ": item 0: holds text, declared double"),
        (Array("float"), [0.1], ": item 0: holds a number with a fraction, declared float"),
        (Array("float"), np.array([0.1], "float32"), None),
        (Array("string"), ["a", None], None),
        (Array("string"), [1], ": item 0: holds a whole number, declared string"),
        (Array("datetime"), [datetime(2024, 1, 1), date(2024, 1, 1)], None),  # noqa: DTZ001
        (Array("datetime"), np.array(["2024-01-01"], "datetime64[ns]"), None),
        (Array("binary"), [b"a", bytearray(b"b")], None),
        (Array("boolean"), [True, np.True_], None),
        (Array(LONGS), [[1], [], [1, 2]], None),
        (Array(LONGS), [[1], ["x"]], ": item 1: item 0: holds text, declared long"),
        (Array(AnyType()), [1, "a", object()], None),
        (SparkMLVector(), [1.5, 2], None),
        (SparkMLVector(), ["x"], ": item 0: holds text, declared double"),
        (POINT, {"x": 1.5}, None),
        (POINT, {"x": float("nan")}, None),
        (POINT, {"x": 1.5, "tag": None}, None),
        (POINT, {}, ": 'x': is missing"),
        (POINT, {"x": None}, ": 'x': holds a missing value"),
        (POINT, {"x": "1"}, ": 'x': holds text, declared double"),
        (POINT, {"x": 1.5, "y": 1}, ": has members that are not declared: ['y']"),
        (POINT, [1.5], ": holds a list, declared object"),
        (Map("long"), {"a": 1, "b": None}, None),
        (Map("long"), {"a": "x"}, ": a value: holds text, declared long"),
        (Map("long"), {1: 1}, ": has a key that is not text"),
        (Map(AnyType()), {"a": object()}, None),
        (Map("long"), [1], ": holds a list, declared map"),
        (AnyType(), object(), None),
    ],
)
def test_each_value_has_its_verdict(declared: Any, value: Any, problem: str | None) -> None:
    assert check(declared, value, "") == problem


def test_a_column_of_nested_values_passes_as_it_is() -> None:
    plan = compile_plan(ModelSignature(inputs=Schema([ColSpec(POINT, "p"), ColSpec(LONGS, "v", required=False)])))
    frame = pd.DataFrame({"p": [{"x": 1.5}], "v": [None]})
    assert plan.data(frame) is frame
    with pytest.raises(SchemaMismatch) as error:
        plan.data(pd.DataFrame({"p": [{"x": 1.5}, None], "v": [[1], [2]]}))
    assert error.value.message == f"column 'p' is declared {POINT!r}: row 1 holds a missing value"


def test_a_pydantic_object_is_checked_as_a_dict() -> None:
    pydantic = pytest.importorskip("pydantic")
    point = pydantic.create_model("Point", x=(float, ...))
    assert check(POINT, point(x=1.5), "") is None


@given(st.lists(st.integers() | st.floats() | st.booleans() | st.text(max_size=2) | st.none(), max_size=4))
def test_the_quick_look_at_a_list_agrees_with_the_look_at_each(values: list[Any]) -> None:
    for declared in DataType:
        each = all(value is None or value != value or scalar_fits(declared, value) for value in values)
        assert all_fit(declared, values) == each


@given(st.integers() | st.floats())
def test_a_number_fits_exactly_where_the_type_holds_it(value: Any) -> None:
    def holds(kind: str) -> bool:
        try:
            found = struct.unpack(kind, struct.pack(kind, value))[0]
        except (OverflowError, struct.error):
            return False
        return bool(found == value or value != value)

    whole = isinstance(value, int) or value.is_integer()
    assert scalar_fits(DataType.long, value) == (whole and -(2**63) <= value < 2**63)
    assert scalar_fits(DataType.integer, value) == (whole and -(2**31) <= value < 2**31)
    assert scalar_fits(DataType.double, value) == holds("<d")
    assert scalar_fits(DataType.float, value) == holds("<f")


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_a_date_with_a_zone_is_read_as_the_same_instant(when: datetime) -> None:
    assert to_datetime(when.isoformat()).replace(tzinfo=timezone.utc) == when
    assert to_datetime(when.isoformat().replace("+00:00", "Z")).replace(tzinfo=timezone.utc) == when


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2024-01-02", "2024-01-02T00:00:00"),
        ("2024-01-02T03:04", "2024-01-02T03:04:00"),
        ("2024-01-02T03:04:05,25", "2024-01-02T03:04:05.250000"),
        ("2024-01-02T03:04:05.123456+0530", "2024-01-01T21:34:05.123456"),
        ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456789"),
    ],
)
def test_iso_8601_is_read_to_the_nanosecond(text: str, wanted: str) -> None:
    assert to_datetime(text).isoformat() == wanted


@pytest.mark.parametrize(
    "text",
    ["", "2024", "2024-1-2", "20240102", "2024-01-02T3", "now", "2024-W01-1", "2024-01-02T03:04.5", "١٩٩٩-01-01"],
)
def test_other_text_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match="not an ISO 8601 date"):
        to_datetime(text)


def test_json_is_decoded_by_the_declared_type_and_left_alone_where_it_does_not_fit() -> None:
    assert decode(Map(LONGS), {"a": [1.0, 2]}) == {"a": [1, 2]}
    assert decode(SparkMLVector(), [1]) == [1.0]
    assert decode(DataType.float, 0.1) == np.float32(0.1)
    assert decode(LONGS, {"not": "a list"}) == {"not": "a list"}
    assert decode(DataType.long, "7") == "7"


def test_kinds_are_told_in_words() -> None:
    values: list[Any] = [None, True, 1, 1.0, 1.5, float("inf"), "s", b"b", [], {}, np.int64(1), pd.NaT]
    words = [kind_of(value) for value in values]
    assert words == [
        "a missing value",
        "a boolean",
        "a whole number",
        "a whole number written as a float",
        "a number with a fraction",
        "an infinite number",
        "text",
        "bytes",
        "a list",
        "an object",
        "a whole number",
        "a missing value",
    ]


def test_names_in_errors_are_few_short_and_plain() -> None:
    assert listed(["a", 0]) == "['a', 0]"
    assert listed(["é\n"]) == "['\\xe9\\n']"
    assert listed(range(8)) == "[0, 1, 2, 3, 4] and 3 more"
    assert len(listed(["x" * 10_000])) < 100
