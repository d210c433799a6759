"""Plain Python data as the frame that columns are enforced on: dicts, lists, a Series, one value.

What becomes one row and what becomes many follows MLflow (interoperability facts, signature schema, section 6.1).
Unlike pandas' own constructor, no number changes on the way: whole numbers beyond 2**53 beside a gap stay objects.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pack.errors import SchemaMismatch
from pack.mlmodel.frames import need_pandas
from pack.mlmodel.schema import ColSpec
from pack.mlmodel.types import DataType

_EXACT = 2**53
_ARRAYS = {float: "float64", int: "int64", bool: "bool"}
_GAPS = {int, type(None)}
_TEXT = {str, type(None)}


def frame_of(data: Any, *, nested: bool, single: ColSpec | None) -> Any:
    """A frame of this data; `nested`: columns of lists or objects are declared; `single`: the column without a name.

    Raises `SchemaMismatch` for data that makes no table.
    """
    pd = need_pandas()
    if isinstance(data, (pd.Index, pd.api.extensions.ExtensionArray)):
        data = pd.Series(data)
    if isinstance(data, pd.Series):
        return data.to_frame() if data.name is not None else data.to_frame(name=0)
    if isinstance(data, Mapping):
        return _mapping(data, nested=nested)
    if type(data).__module__.startswith("scipy.sparse"):
        raise SchemaMismatch("a sparse matrix came where columns are declared", hint="give a frame")
    if isinstance(data, (list, tuple)):
        return _sequence(list(data), single)
    if getattr(data, "shape", ()) != ():
        return _array(data)
    return frame_of_columns([0], [[data]])


def frame_of_columns(names: Sequence[Any], columns: Sequence[Any]) -> Any:
    """A frame of columns, each an array, a Series or a list of values; raises `SchemaMismatch` for uneven lengths."""
    pd = need_pandas()
    built = [column_of(values) if isinstance(values, list) else values for values in columns]
    lengths = sorted({len(column) for column in built})
    if len(lengths) > 1:
        raise SchemaMismatch(f"columns of different lengths came: {lengths[:5]}", hint="give columns of one length")
    frame = pd.DataFrame(dict(enumerate(built)))
    frame.columns = pd.Index(names, tupleize_cols=False) if len(names) else frame.columns
    return frame


def column_of(values: list[Any]) -> Any:
    """Plain values as a column, with the dtype that pandas gives them, or as objects where that would change one."""
    import numpy as np

    pd = need_pandas()
    kinds = set(map(type, values))
    if len(kinds) == 1 and kinds <= _ARRAYS.keys():
        try:
            return np.array(values, dtype=_ARRAYS[kinds.pop()])
        except OverflowError:
            return pd.Series(values, dtype=object)
    if str in kinds and kinds <= _TEXT:
        return text_of(values)
    if kinds == _GAPS and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return pd.array(values, dtype="Int64")
    whole = [value for value in values if isinstance(value, numbers.Integral)]
    changes = any(abs(int(value)) > _EXACT for value in whole) or (bool in kinds and kinds & {int, float})
    return pd.Series(values, dtype=object if changes or not values else None)


def text_of(values: list[str | None]) -> Any:
    """Text as a column of the dtype that pandas gives text; None is missing."""
    import pandas as pd

    dtype = _text_dtype()
    return pd.Series(values, dtype=object) if str(dtype) == "object" else pd.array(values, dtype=dtype)


@cache
def _text_dtype() -> Any:
    import pandas as pd

    return pd.Series(["text"]).dtype


def _mapping(data: Mapping[Any, Any], *, nested: bool) -> Any:
    import pandas as pd

    cells = list(data.values())
    if cells and all(isinstance(value, pd.Series) for value in cells):
        return pd.DataFrame(dict(data))
    if nested or all(_is_cell(value) for value in cells):
        return frame_of_columns(list(data), [[_cell(value)] for value in cells])
    longest = max((len(value) for value in cells if _is_column(value)), default=1)
    return frame_of_columns(list(data), [_column(value, longest) for value in cells])


def _is_cell(value: Any) -> bool:
    """Whether a dict's value is one cell: a plain value, or a list of nothing but text."""
    if isinstance(value, (list, tuple)):
        return all(isinstance(item, str) for item in value)
    return not _is_column(value)


def _cell(value: Any) -> Any:
    """One cell; what an array without dimensions holds."""
    return value[()] if getattr(value, "ndim", None) == 0 else value


def _is_column(value: Any) -> bool:
    if isinstance(value, (str, bytes, bytearray, Mapping)):
        return False
    return isinstance(value, (list, tuple)) or getattr(value, "shape", ()) != ()


def _column(value: Any, longest: int) -> Any:
    """A dict's value as a column; one plain value stands in every row, an array of rows is a list per row."""
    if not _is_column(value):
        return [value] * longest
    if getattr(value, "ndim", 0) == 1:
        return value if not hasattr(value, "reset_index") else value.reset_index(drop=True)
    return list(value)


def _sequence(data: list[Any], single: ColSpec | None) -> Any:
    if single is not None and (not isinstance(single.type, DataType) or not any(map(_is_row, data))):
        return frame_of_columns([0], [data])
    if data and all(isinstance(item, Mapping) for item in data):
        names = list(dict.fromkeys(name for item in data for name in item))
        return frame_of_columns(names, [[row.get(name) for row in data] for name in names])
    if not data or not all(isinstance(item, (list, tuple)) or getattr(item, "ndim", 0) == 1 for item in data):
        return frame_of_columns([0], [data])
    widths = sorted({len(row) for row in data})
    if len(widths) > 1:
        raise SchemaMismatch(f"rows of different lengths came: {widths[:5]}", hint="give rows of one length")
    return frame_of_columns(range(widths[0]), [list(column) for column in zip(*data, strict=True)])


def _is_row(item: Any) -> bool:
    return isinstance(item, Mapping) or _is_column(item)


def _array(data: Any) -> Any:
    import pandas as pd

    try:
        return pd.DataFrame(data)
    except (ValueError, TypeError) as error:
        shape = list(getattr(data, "shape", []))
        raise SchemaMismatch(
            f"{type(data).__name__} of shape {shape} came, which makes no table", hint="give a frame"
        ) from error
