"""CSV text: its rows, and its cells as the JSON values that they stand for.

CSV holds nothing but text, so the declared type of a column says how its cells are read, and text that could mean
something else (`001` where a whole number is declared) is refused. An empty cell is a missing value.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pack.errors import BadRequest
from pack.mlmodel.columns import refused
from pack.mlmodel.schema import ColSpec
from pack.mlmodel.types import DataType

_WHOLE = re.compile(r"(0|-?[1-9][0-9]{0,18})(\.0+)?")
_DECIMAL = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_SPECIAL = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}


def csv_rows(text: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of CSV text; raises `BadRequest` for text that is none."""
    if "\x00" in text:
        raise BadRequest("the CSV holds a NUL character")
    try:
        lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))
    except csv.Error as error:
        raise BadRequest(f"the CSV cannot be read: {error}") from error
    while lines and not lines[-1]:
        lines.pop()
    if not lines or not lines[0]:
        raise BadRequest("the CSV is empty", hint="its first line names the columns")
    header, rows = lines[0], lines[1:]
    for place, row in enumerate(rows):
        if len(row) != len(header):
            raise BadRequest(f"row {place} of the CSV holds {len(row)} values, {len(header)} columns are named")
    return header, rows


def typed_rows(
    specs: Mapping[str | int, ColSpec], labels: Sequence[str | int], rows: list[list[str]]
) -> list[list[Any]]:
    """The cells of declared columns as JSON values; raises `SchemaMismatch` naming column and row."""
    columns = zip(*rows, strict=True)
    typed = [_typed(specs[name], column) for name, column in zip(labels, columns, strict=True)] if rows else []
    return [list(row) for row in zip(*typed, strict=True)]


def guessed_rows(rows: list[list[str]]) -> list[list[Any]]:
    """The cells of columns of which nothing is declared: numbers or booleans where all of a column's cells are."""
    return [list(row) for row in zip(*(_guessed(column) for column in zip(*rows, strict=True)), strict=True)]


def _typed(spec: ColSpec, cells: Sequence[str]) -> list[Any]:
    reader = _READERS.get(spec.type) if isinstance(spec.type, DataType) else None
    if reader is None:
        raise refused(spec, "CSV cannot hold it", "send JSON")
    values = [reader(cell) if cell else None for cell in cells]
    for row, (value, cell) in enumerate(zip(values, cells, strict=True)):
        if value is None and cell:
            raise refused(spec, f"row {row} holds text that is not one")
    return values


def _guessed(cells: Sequence[str]) -> list[Any]:
    for reader in (_integer, _decimal, _truth):
        values = [reader(cell) if cell else None for cell in cells]
        if any(cells) and all(value is not None or not cell for value, cell in zip(values, cells, strict=True)):
            return values
    return [cell or None for cell in cells]


def _whole(cell: str) -> int | None:
    found = _WHOLE.fullmatch(cell)
    return int(found[1]) if found else None


def _integer(cell: str) -> int | None:
    return None if "." in cell else _whole(cell)


def _decimal(cell: str) -> float | None:
    text = cell.strip()
    if _DECIMAL.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else None
    return _SPECIAL.get(text.lower())


def _truth(cell: str) -> bool | None:
    return {"true": True, "false": False}.get(cell.lower())


def _text(cell: str) -> str:
    return cell


_READERS: dict[DataType, Callable[[str], Any]] = {
    DataType.boolean: _truth,
    DataType.integer: _whole,
    DataType.long: _whole,
    DataType.float: _decimal,
    DataType.double: _decimal,
    DataType.string: _text,
    DataType.binary: _text,
    DataType.datetime: _text,
}
