"""The digest of a Polars table, column by column, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pack.data.digests import Column, table_digest
from pack.data.pieces import BYTES, ROWS

# A column in parts, from its first row again at each call.
Parts: TypeAlias = Callable[[], Iterator[Any]]


def polars_digest(frame: Any) -> str:
    """The digest of a Polars DataFrame: names, dtypes, values, the order of rows and columns; chunks do not count."""
    columns = [_digest(series.name, series.dtype, _source(series)) for series in frame.iter_columns()]
    return table_digest("polars", columns)


def _source(series: Any) -> Parts:
    return lambda: _parts(series)


def _digest(name: str, dtype: Any, parts: Parts) -> bytes:
    """The digest of one column; of a nested one from those of its lengths, items and members."""
    kind = _kind(dtype)
    if kind == "Array":
        import polars as pl

        return _digest(name, pl.List(dtype.inner), lambda: (part.arr.to_list() for part in parts()))
    column = Column(name, kind)
    if kind == "List":
        lengths = _digest("lengths", None, lambda: (part.list.len() for part in parts()))
        column.objects([lengths, _digest("items", dtype.inner, lambda: _items(parts))])
    elif kind == "Struct":
        gaps = _digest("gaps", None, lambda: (part.is_null() for part in parts()))
        column.objects([gaps, *(_member(field, parts) for field in dtype.fields)])
    else:
        for part in parts():
            _append(column, part)
    return column.digest()


def _member(field: Any, parts: Parts) -> bytes:
    return _digest(field.name, field.dtype, lambda: (part.struct.field(field.name) for part in parts()))


def _items(parts: Parts) -> Iterator[Any]:
    for part in parts():
        yield from _parts(part.filter(part.list.len() > 0).explode())


def _kind(dtype: Any) -> str:
    """What a dtype counts as; those of texts and containers count by their name alone."""
    base = "" if dtype is None else dtype.base_type().__name__
    return base if base in {"Array", "Categorical", "Enum", "List", "Struct"} else str(dtype)


def _parts(series: Any) -> Iterator[Any]:
    for start in range(0, len(series), ROWS):
        yield from _small(series.slice(start, ROWS))


def _small(part: Any) -> Iterator[Any]:
    """The part, in halves where its cells are large."""
    if len(part) < 2 or part.estimated_size() <= BYTES:
        yield part
        return
    middle = len(part) // 2
    yield from _small(part.slice(0, middle))
    yield from _small(part.slice(middle))


def _append(column: Column, part: Any) -> None:
    """Append one part in the way that fits its dtype and copies least."""
    dtype = part.dtype
    name = dtype.base_type().__name__
    if dtype.is_temporal():
        part = part.to_physical()
    if name in {"Categorical", "Enum"}:
        part = part.cast(str)
    if name == "Boolean" or (part.dtype.is_numeric() and name not in {"Decimal", "Int128", "UInt128"}):
        gaps = part.is_null().to_numpy() if part.null_count() else None
        column.numbers((part if gaps is None else part.fill_null(False if name == "Boolean" else 0)).to_numpy(), gaps)
    else:
        column.objects(part.to_list())
