"""Hypothesis strategies for the data that people give models."""

from __future__ import annotations

from datetime import timezone
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

_INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
_FLOATS = ["float16", "float32", "float64"]
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_FINITE = st.floats(allow_nan=True, allow_infinity=True, width=32)
_LONG = st.integers(-(2**63), 2**63 - 1)
_DATES = st.datetimes(min_value=pd.Timestamp("1900-01-01"), max_value=pd.Timestamp("2200-01-01"))
_ZONED = _DATES.map(lambda date: date.replace(tzinfo=timezone.utc))
_SCALARS = st.booleans() | _LONG | _FINITE | _TEXT | st.binary(max_size=4) | _DATES | st.dates() | _ZONED


def names() -> st.SearchStrategy[list[str | int]]:
    """Different column names: text, or whole numbers."""
    word = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=6)
    return st.lists(word | st.integers(0, 30), min_size=1, max_size=4, unique_by=str)


def column(rows: int) -> st.SearchStrategy[pd.Series]:
    """A column of any kind that a signature describes."""

    def listed(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(values, min_size=rows, max_size=rows)

    def series(values: st.SearchStrategy[Any], dtype: Any) -> st.SearchStrategy[pd.Series]:
        return listed(values).map(lambda cells: pd.Series(cells, dtype=dtype))

    fixed = [
        npst.arrays(dtype, rows).map(lambda array: pd.Series(array))
        for dtype in [*_INTS, *_FLOATS, "bool", ">i4", ">f8"]
    ]
    missing = st.none()
    small = st.integers(0, 100)
    vectors = st.sampled_from([*_INTS, *_FLOATS, "bool", "U3"]).flatmap(
        lambda dtype: listed(npst.arrays(dtype, st.integers(0, 3)))
    )
    return st.one_of(
        *fixed,
        series(st.integers(0, 2**63 - 1), "uint64"),
        series(_LONG, "Int64"),
        series(_LONG | missing, "Int64"),
        series(small | missing, "Int8"),
        series(small | missing, "UInt8"),
        series(small | missing, "UInt64"),
        series(_LONG | missing, "int64[pyarrow]"),
        series(small | missing, "uint16[pyarrow]"),
        series(_FINITE | missing, "double[pyarrow]"),
        series(st.booleans() | missing, "bool[pyarrow]"),
        series(_TEXT | missing, "string[pyarrow]"),
        series(_DATES | missing, "timestamp[us][pyarrow]"),
        series(st.sampled_from([0, 0, 0, 7]), "Sparse[int64]"),
        series(st.sampled_from([0.0, 1.5, float("nan")]), "Sparse[float64]"),
        series(st.integers(-(2**31), 2**31 - 1) | missing, "Int32"),
        series(st.booleans() | missing, "boolean"),
        series(_FINITE | missing, "Float64"),
        series(_TEXT | missing, "str"),
        series(_TEXT | missing, "string"),
        series(_TEXT | missing, object),
        series(_LONG | missing, object),
        series(st.integers(-(2**53), 2**53) | _FINITE, object),
        series(st.booleans() | missing, object),
        series(st.binary(max_size=8) | missing, object),
        series(_DATES | missing, object),
        series(_ZONED | missing, object),
        series(st.dates() | missing, object),
        series(st.sampled_from([np.int32(1), np.int64(2**40), np.uint8(3), None]), object),
        series(st.sampled_from([np.float32(1.5), np.float32("nan"), np.float64(2), 3]), object),
        series(st.sampled_from([np.datetime64("2020-01-01"), np.datetime64("NaT"), pd.NaT]), object),
        series(_DATES, "datetime64[us]"),
        series(_DATES, "datetime64[ns]"),
        series(_DATES, "datetime64[us]").map(lambda dates: dates.dt.tz_localize("UTC")),
        series(st.sampled_from(["a", "b", "c"]), "category"),
        series(st.sampled_from([1, 2, 3]), "category"),
        series(st.sampled_from([1, 2, None]), "category"),
        series(st.sampled_from(["a", None]), "category"),
        series(st.booleans(), "category"),
        series(_DATES | missing, "category"),
        series(st.lists(_LONG, max_size=3), object),
        series(st.lists(st.lists(_FINITE, max_size=2), max_size=2), object),
        series(st.fixed_dictionaries({"a": _LONG}, optional={"b": _TEXT, "c": st.lists(_LONG, max_size=2)}), object),
        series(st.dictionaries(_TEXT, _LONG | _TEXT, max_size=2), object),
        series(st.lists(_LONG | missing, max_size=2) | missing, object),
        series(st.tuples(_TEXT, _TEXT), object),
        vectors.map(lambda cells: pd.Series(cells, dtype=object)),
        series(st.dictionaries(_LONG, _TEXT, max_size=2), object),
        series(json_values(), object),
        series(missing, object),
        series(_LONG | _TEXT | st.booleans(), object),
    )


def json_values() -> st.SearchStrategy[Any]:
    """Nested lists and objects of anything that JSON holds, and of dates and bytes."""
    return st.recursive(
        st.none() | _SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
        max_leaves=6,
    )


def documents() -> st.SearchStrategy[dict[str | int, Any]]:
    """One input as a dict: plain values, lists, objects and arrays by name."""
    vector = npst.arrays(st.sampled_from(["int64", "float32"]), st.integers(0, 3))
    return st.dictionaries(st.text(min_size=1, max_size=4) | st.integers(0, 9), json_values() | vector, min_size=1)


def values() -> st.SearchStrategy[Any]:
    """A plain value, or a list of plain values, perhaps with gaps, perhaps empty."""
    kinds = [st.booleans(), _LONG, _FINITE, _TEXT, st.binary(max_size=4), _DATES, st.dates(), _LONG | _FINITE, _SCALARS]
    listed = [st.lists(kind | gap, max_size=4) for kind in kinds for gap in (st.nothing(), st.none())]
    return st.one_of(_SCALARS, *listed, st.lists(json_values(), max_size=3))


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """A frame of columns of any kinds, perhaps without rows."""
    rows = draw(st.integers(0, 5))
    columns = {name: draw(column(rows)) for name in draw(names())}
    return pd.DataFrame(columns, index=range(rows))


def arrays() -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """An array of one to three dimensions."""
    shapes = npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)
    dtypes = st.sampled_from([*_INTS, "uint64", *_FLOATS, "bool", "U5", "S5", "complex64", "M8[s]", "m8[ns]", ">i4"])
    return dtypes.flatmap(lambda dtype: npst.arrays(dtype, shapes))


def records() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows as dicts, as JSON gives them; keys may be missing."""
    cells: dict[str, st.SearchStrategy[Any]] = {"a": _LONG, "b": _TEXT, "c": st.lists(_LONG, max_size=2)}
    return st.lists(st.fixed_dictionaries({"id": _LONG}, optional=cells), min_size=1, max_size=4)
