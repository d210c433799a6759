"""Tables of any kind as the frame that models know, and values that are missing."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def as_frame(data: Any) -> Any:
    """A Polars or Arrow table as a pandas DataFrame with the same columns; everything else as it is."""
    library = type(data).__module__.partition(".")[0]
    if library == "polars":
        data = data.to_frame() if type(data).__name__ == "Series" else data
        data = data.collect() if type(data).__name__ == "LazyFrame" else data
        return _columns(data.columns, [column.to_list() for column in data.get_columns()], data.to_arrow())
    if library == "pyarrow" and type(data).__name__ in {"Table", "RecordBatch"}:
        return _columns(data.schema.names, [column.to_pylist() for column in data.columns], data)
    return data


def _columns(names: list[str], values: list[list[Any]], arrow: Any) -> Any:
    """Columns by name; a whole-number column with gaps stays one of whole numbers."""
    import pandas as pd
    import pyarrow as pa

    columns = {}
    for name, cells, column in zip(names, values, arrow.columns, strict=True):
        if pa.types.is_integer(column.type) and column.null_count:
            width = column.type.bit_width
            unsigned = "U" if pa.types.is_unsigned_integer(column.type) else ""
            columns[name] = pd.Series(cells, dtype=f"{unsigned}Int{width}")
        elif pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            columns[name] = pd.Series(cells, dtype=object)
        else:
            columns[name] = column.to_pandas()
    return pd.DataFrame(columns)


def from_records(rows: Sequence[Mapping[Any, Any]]) -> Any:
    """A frame of rows given as dicts; a key that a row lacks is missing there, and whole numbers stay whole."""
    import pandas as pd

    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: _cells([row.get(name) for row in rows]) for name in names}, index=range(len(rows)))


def from_values(values: Sequence[Any]) -> Any:
    """A frame of one column, named 0, whose cells are these values, whatever they are."""
    import pandas as pd

    return pd.DataFrame({0: _cells(list(values))}, index=range(len(values)))


def _cells(values: list[Any]) -> Any:
    """A column of plain values; pandas alone would turn whole numbers beside a gap into floats."""
    import pandas as pd

    return pd.Series(values) if values and _pandas_keeps(values) else pd.Series(values, dtype=object)


def _pandas_keeps(values: list[Any]) -> bool:
    """Whether pandas makes a column of these that holds the very same values."""
    kinds = {_family(kind) for kind in {type(value) for value in values}} - {"NoneType", "NaTType"}
    if kinds == {"int", "float"}:
        return all(isinstance(value, float) or is_missing(value) or abs(value) <= 2**53 for value in values)
    gaps = "int" in kinds and any(value is None for value in values)
    return len(kinds) <= 1 and not gaps and not kinds & {"list", "tuple", "dict"}


def _family(kind: type) -> str:
    """One name for the numbers that Python and NumPy have of a kind; else the type's own name."""
    if kind is bool:
        return "bool"
    if issubclass(kind, numbers.Integral):
        return "int"
    return "float" if issubclass(kind, numbers.Real) else kind.__name__


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, (str, int, list, dict)):
        return False
    pandas = sys.modules.get("pandas")
    if pandas is not None and (value is pandas.NA or value is pandas.NaT):
        return True
    return getattr(value, "shape", None) == () and hasattr(value, "dtype") and bool(value != value)
