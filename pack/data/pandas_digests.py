"""The digest of a pandas table, column by column, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pack.data.digests import Column, table_digest
from pack.data.pieces import BYTES, ROWS, is_plain

_TEXT = ("str", "string", "large_string")


def frame_digest(frame: Any) -> str:
    """The digest of a DataFrame: names, dtypes, values, the order of rows and columns, and the index.

    How blocks lie in memory does not count, nor do the names of the axes. Texts count alike in every dtype that holds
    texts, and so do None, NaN, NaT and NA.
    """
    levels = [_digest("index", _level_parts(frame.index, level)) for level in range(frame.index.nlevels)]
    columns = [_digest(name, _parts(series.array)) for name, series in frame.items()]
    return table_digest(f"frame {len(levels)}", [*levels, *columns])


def _digest(name: Any, parts: Iterable[Any]) -> bytes:
    """The digest of one column; its parts are extension arrays of one dtype, at least one, perhaps empty."""
    column = None
    for part in parts:
        column = column or Column(name, _kind(part))
        _append(column, part)
    return column.digest() if column else b""


def _level_parts(index: Any, level: int) -> Iterator[Any]:
    """One level of an index in parts, sliced first: an index that only counts holds no values."""
    for start in range(0, max(len(index), 1), ROWS):
        part = index[start : start + ROWS]
        yield (part.get_level_values(level) if index.nlevels > 1 else part).array


def _parts(array: Any) -> Iterator[Any]:
    if len(array) <= ROWS:
        yield from _small(array)
        return
    for start in range(0, max(len(array), 1), ROWS):
        yield from _small(array[start : start + ROWS])


def _small(part: Any) -> Iterator[Any]:
    """The part, in halves where its cells are large."""
    if len(part) < 2 or part.nbytes <= BYTES:
        yield part
        return
    middle = len(part) // 2
    yield from _small(part[:middle])
    yield from _small(part[middle:])


def _kind(part: Any) -> str:
    """What a column's dtype counts as; a category counts with the values that it stands for."""
    name = str(part.dtype)
    if name.partition("[")[0] in _TEXT:
        return "object"
    if name == "category":
        return f"category {part.ordered} {_digest('', _parts(part.categories.array)).hex()}"
    return name


def _append(column: Column, part: Any) -> None:
    """Append one part in the way that fits its dtype and copies least."""
    import numpy as np

    dtype = part.dtype
    name, plain = type(dtype).__name__, getattr(dtype, "numpy_dtype", dtype)
    if name == "CategoricalDtype":
        column.numbers(part.codes)
    elif name == "DatetimeTZDtype":
        column.numbers(np.asarray(part, dtype=f"datetime64[{dtype.unit}]"))
    elif isinstance(dtype, np.dtype) and is_plain(dtype):
        column.numbers(np.asarray(part))
    elif isinstance(plain, np.dtype) and plain.kind in "biuf":
        column.numbers(part.to_numpy(dtype=plain, na_value=plain.type(0)), part.isna())
    else:
        column.objects(np.asarray(part, dtype=object).tolist())
