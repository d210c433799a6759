"""Tables from elsewhere, Polars and Arrow, as the frame that models know; and values that are missing."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

from pack.plugins import missing


def need_pandas() -> Any:
    """The pandas module; raises `MissingPackage` with the install command where it is not installed."""
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise missing("pandas", "pandas") from error
    return pd


@cache
def has_pandas() -> bool:
    """Whether pandas is installed; asks without importing it."""
    return find_spec("pandas") is not None


def is_frame(data: Any) -> bool:
    """Whether this is a pandas DataFrame; asks without importing pandas."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def dtypes_of(frame: Any) -> list[Any]:
    """The dtypes of a frame's columns, in order."""
    return _dtype_reader()(frame)


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, NaN, NaT or pandas' NA, of Python, NumPy or pandas."""
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


def as_frame(data: Any) -> Any:
    """A Polars or Arrow table as a pandas DataFrame with the same columns; everything else as it is.

    No value changes: a column of whole numbers or booleans with gaps becomes one of pandas' nullable dtypes.
    """
    columns = foreign_columns(data)
    if columns is None:
        return data
    pd = need_pandas()
    names, parts = columns
    frame = pd.DataFrame(dict(enumerate(_series(part) for part in parts)))
    frame.columns = pd.Index(names, dtype=object if not names else None)
    return frame


def foreign_columns(data: Any) -> tuple[list[str], list[Any]] | None:
    """Names and columns (Polars Series or Arrow arrays) of a Polars or Arrow table; None for anything else."""
    library, kind = type(data).__module__.partition(".")[0], type(data).__name__
    if library == "polars" and kind in {"DataFrame", "LazyFrame", "Series"}:
        data = data.collect() if kind == "LazyFrame" else data
        data = data.to_frame() if kind == "Series" else data
        return list(data.columns), list(data.get_columns())
    if library == "pyarrow" and kind in {"Table", "RecordBatch"}:
        return list(data.schema.names), list(data.columns)
    return None


def column_array(column: Any) -> Any:
    """A Polars Series or an Arrow array as a NumPy array of shape (rows,), without a copy where it lies so already."""
    return column.to_numpy(zero_copy_only=False) if hasattr(column, "to_pylist") else column.to_numpy()


@cache
def _dtype_reader() -> Callable[[Any], list[Any]]:
    """`DataFrame.dtypes` builds a Series, which costs more than all else in a plan.

    pandas' own list of dtypes costs a fortieth, but is private: it is used only where a trial gives the same.
    """
    import pandas as pd

    trial = pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": ["x", "y"], "d": [3, 4]})
    try:
        trusted = _managed_dtypes(trial) == _public_dtypes(trial)
    except (AttributeError, TypeError):
        trusted = False
    return _managed_dtypes if trusted else _public_dtypes


def _managed_dtypes(frame: Any) -> list[Any]:
    found: list[Any] = frame._mgr.get_dtypes().tolist()  # noqa: SLF001 - see _dtype_reader
    return found


def _public_dtypes(frame: Any) -> list[Any]:
    found: list[Any] = frame.dtypes.tolist()
    return found


def _series(column: Any) -> Any:
    return _arrow(column) if hasattr(column, "to_pylist") else _polars(column)


def _polars(column: Any) -> Any:
    import pandas as pd

    kind, name = column.dtype, str(column.dtype)
    gaps = column.null_count() > 0
    if name == "Boolean" or (kind.is_integer() and not name.endswith("128")):
        nullable = "boolean" if name == "Boolean" else name
        return pd.Series(column.to_list(), dtype=nullable) if gaps else pd.Series(column.to_numpy())
    if kind.is_float():
        return pd.Series(column.to_numpy())
    if name.startswith("Datetime"):
        return _polars_dates(column)
    if name in {"String", "Categorical"} or name.startswith("Enum"):
        return pd.Series(column.to_list(), dtype=object if column.null_count() == len(column) else None)
    return pd.Series(column.to_list(), dtype=object)


def _polars_dates(column: Any) -> Any:
    import pandas as pd

    zone = column.dtype.time_zone
    if zone is None:
        return pd.Series(column.to_numpy())
    utc = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return pd.Series(utc.to_numpy()).dt.tz_localize("UTC").dt.tz_convert(zone)


def _arrow(column: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    kind = column.type
    if pa.types.is_integer(kind) and column.null_count:
        unsigned = "U" if pa.types.is_unsigned_integer(kind) else ""
        return pd.Series(column.to_pylist(), dtype=f"{unsigned}Int{kind.bit_width}")
    if pa.types.is_boolean(kind) and column.null_count:
        return pd.Series(column.to_pylist(), dtype="boolean")
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pd.Series(column.to_pylist(), dtype=object)
    return column.to_pandas()
