"""Hypothesis strategies for the data that people give models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

_INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_FINITE = st.floats(allow_nan=True, allow_infinity=True, width=32)
_LONG = st.integers(-(2**63), 2**63 - 1)
_DATES = st.datetimes(min_value=pd.Timestamp("1900-01-01"), max_value=pd.Timestamp("2200-01-01"))


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
        npst.arrays(dtype, rows).map(lambda array: pd.Series(array)) for dtype in [*_INTS, "float32", "float64", "bool"]
    ]
    missing = st.none()
    return st.one_of(
        *fixed,
        series(_LONG | missing, "Int64"),
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
        series(_DATES, "datetime64[us]"),
        series(_DATES, "datetime64[ns]"),
        series(_DATES, "datetime64[us]").map(lambda dates: dates.dt.tz_localize("UTC")),
        series(st.sampled_from(["a", "b", "c"]), "category"),
        series(st.sampled_from([1, 2, 3]), "category"),
        series(st.lists(_LONG, max_size=3), object),
        series(st.lists(st.lists(_FINITE, max_size=2), max_size=2), object),
        series(st.fixed_dictionaries({"a": _LONG}, optional={"b": _TEXT, "c": st.lists(_LONG, max_size=2)}), object),
        series(st.dictionaries(_TEXT, _LONG | _TEXT, max_size=2), object),
        series(missing, object),
        series(_LONG | _TEXT | st.booleans(), object),
    )


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """A frame of columns of any kinds, perhaps without rows."""
    rows = draw(st.integers(0, 5))
    columns = {name: draw(column(rows)) for name in draw(names())}
    return pd.DataFrame(columns, index=range(rows))


def arrays() -> st.SearchStrategy[np.ndarray[Any, Any]]:
    """An array of one to three dimensions."""
    shapes = npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3)
    dtypes = st.sampled_from([*_INTS, "uint64", "float16", "float32", "float64", "bool", "U5", "S5", "complex64"])
    return dtypes.flatmap(lambda dtype: npst.arrays(dtype, shapes))


def records() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows as dicts, as JSON gives them; keys may be missing."""
    cells: dict[str, st.SearchStrategy[Any]] = {"a": _LONG, "b": _TEXT, "c": st.lists(_LONG, max_size=2)}
    return st.lists(st.fixed_dictionaries({"id": _LONG}, optional=cells), min_size=1, max_size=4)
