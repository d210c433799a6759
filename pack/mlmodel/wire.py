"""JSON and CSV values as the declared types: the same law as in process, for data that has only text and numbers.

JSON has no dates, bytes or whole-number widths: ISO 8601 text is read for a datetime, base64 for binary, a decimal
number as the nearest float for a float or double. Everything else that would guess or lose is refused by name and row.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from typing import Any

from pack.errors import BadRequest, SchemaMismatch
from pack.mlmodel.columns import refused
from pack.mlmodel.nested import decode, kind_of, scalar_fits
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.tensors import fit_tensor
from pack.mlmodel.types import DataType

_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_SPECIAL = {"nan": "nan", "inf": "inf", "infinity": "inf", "-inf": "-inf", "-infinity": "-inf"}
_JSON_KINDS: dict[str, set[type]] = {"b": {bool}, "U": {str}, "S": {str}, "M": {str}}
_MAX_FLOAT32 = 3.4028235677973366e38


def label(name: Any) -> str | int:
    """A column's name from JSON: text or a whole number."""
    if isinstance(name, (str, int)) and not isinstance(name, bool):
        return name
    raise BadRequest(f"a column is named by {kind_of(name)}", hint="name columns by text or whole numbers")


def frame_of(specs: Mapping[str | int, ColSpec], labels: list[str | int], rows: list[list[Any]]) -> Any:
    """A frame of the declared columns from rows of JSON values, each of the length of `labels`."""
    import pandas as pd

    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(labels):
            came = f"{len(row)} values" if isinstance(row, list) else kind_of(row)
            raise BadRequest(f"row {place} holds {came}, {len(labels)} columns are named")
    cells = zip(*rows, strict=True) if rows else ([] for _ in labels)
    columns = {name: _column(specs[name], list(values)) for name, values in zip(labels, cells, strict=True)}
    return pd.DataFrame(columns, columns=list(labels)) if columns else pd.DataFrame(index=range(len(rows)))


def rows_of(value: Any, *, named: bool, nested: bool, width: int) -> tuple[list[Any] | None, list[list[Any]]]:
    """Names and rows of an `inputs` or `instances` value for a model that takes columns."""
    if isinstance(value, dict):
        return _rows_of_columns(value, nested=nested)
    if not isinstance(value, list):
        return None, [[value]]
    if value and all(isinstance(item, dict) for item in value) and named:
        return records(value)
    if width == 1 or not all(isinstance(item, list) for item in value):
        return None, [[item] for item in value]
    return None, value


def records(items: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """Names and rows of a list of objects; a name that a row lacks is null there."""
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadRequest(f"record {place} is {kind_of(item)}, an object is needed")
    names = list(dict.fromkeys(name for item in items for name in item))
    return names, [[item.get(name) for name in names] for item in items]


def tensors_of(schema: Schema, value: Any) -> Any:
    """The declared tensors from nested lists, or from an object of them."""
    specs: tuple[TensorSpec, ...] = schema.inputs  # type: ignore[assignment]
    if specs[0].name is None:
        if isinstance(value, dict):
            raise BadRequest(
                "the model takes one tensor without a name, an object came", hint='give {"inputs": [[...]]}'
            )
        return tensor_of(specs[0], value)
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        names, rows = records(value)
        value = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    if not isinstance(value, dict):
        if len(specs) == 1:
            return {specs[0].name: tensor_of(specs[0], value)}
        raise BadRequest(f"the model takes {len(specs)} tensors by name", hint='give {"inputs": {"name": [...]}}')
    known = {spec.name for spec in specs}
    by_text = {str(name): name for name in known}
    value = {by_text.get(name, name): item for name, item in value.items()}
    wrong = sorted(ascii(name) for name in value.keys() ^ known)
    if wrong:
        raise SchemaMismatch(f"tensors are missing or not declared: {', '.join(wrong[:10])}")
    return {spec.name: tensor_of(spec, value[spec.name]) for spec in specs}


def tensor_of(spec: TensorSpec, value: Any) -> Any:
    """One declared tensor from nested lists of JSON values."""
    import numpy as np

    if spec.type.kind == "O":
        return fit_tensor(spec, np.array(value, dtype=object))
    kinds = _kinds(value)
    allowed = _JSON_KINDS.get(spec.type.kind, {int, float})
    if spec.type.kind == "f" and kinds <= {int, float, type(None)}:
        return fit_tensor(spec, _floats(spec, value))
    if not kinds <= allowed:
        odd = next(kind for kind in kinds if kind not in allowed)
        raise _misfit(spec, f"{kind_of(odd()) if odd is not type(None) else 'null'} came in it")
    return fit_tensor(spec, _typed(spec, value))


def plain_frame(names: list[Any] | None, rows: list[list[Any]]) -> Any:
    """A frame for a model without columns declared: values as JSON gives them."""
    import pandas as pd

    if names is not None and len(set(map(label, names))) < len(names):
        raise BadRequest("columns came twice")
    try:
        return pd.DataFrame(rows, columns=names)
    except (ValueError, TypeError) as error:
        raise BadRequest("the rows are not of one length, or not as many as the columns") from error


def plain_inputs(value: Any) -> Any:
    """Arrays for a model without signature: lists become arrays, an object a dict of arrays, objects stay."""
    import numpy as np

    if isinstance(value, dict):
        return {name: plain_inputs(item) if isinstance(item, list) else np.array(item) for name, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return value
    try:
        return np.array(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest("the lists are not of one length") from error


def plain_csv(text: str) -> Any:
    """A frame for a model without columns declared: pandas guesses the types."""
    import pandas as pd

    names, rows = csv_rows(text)
    if len(set(names)) < len(names):
        raise BadRequest("the CSV names a column twice")
    out = io.StringIO(newline="")
    csv.writer(out).writerows([names, *rows])
    out.seek(0)
    return pd.read_csv(out)


def csv_rows(text: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of CSV text; raises `BadRequest` for text that is none."""
    if "\x00" in text:
        raise BadRequest("the CSV holds a NUL character")
    try:
        lines = [line for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True) if line]
    except csv.Error as error:
        raise BadRequest(f"the CSV cannot be read: {error}") from error
    if not lines:
        raise BadRequest("the CSV is empty", hint="its first line names the columns")
    header, rows = lines[0], lines[1:]
    for place, row in enumerate(rows):
        if len(row) != len(header):
            raise BadRequest(f"row {place} of the CSV holds {len(row)} values, {len(header)} columns are named")
    return header, rows


def csv_cells(specs: Mapping[str | int, ColSpec], labels: list[str | int], rows: list[list[str]]) -> list[list[Any]]:
    """The cells as the JSON values that they stand for, by the declared type of their column; empty is missing."""
    kinds = [specs[name] for name in labels]
    return [
        [_csv_cell(spec, cell, place) for spec, cell in zip(kinds, row, strict=True)] for place, row in enumerate(rows)
    ]


def _csv_cell(spec: ColSpec, cell: str, row: int) -> Any:
    declared = spec.type
    if not isinstance(declared, DataType):
        raise refused(spec, "CSV cannot hold it", "send JSON")
    if cell == "":
        return None
    if declared in {DataType.string, DataType.binary, DataType.datetime}:
        return cell
    if declared is DataType.boolean and cell.lower() in {"true", "false"}:
        return cell.lower() == "true"
    if declared in {DataType.integer, DataType.long} and _WHOLE.fullmatch(cell):
        return int(cell)
    if declared in {DataType.float, DataType.double}:
        special = _SPECIAL.get(cell.strip().lower())
        if special or _DECIMAL.fullmatch(cell.strip()):
            return float(special or cell)
    raise refused(spec, f"row {row} holds text that is not one")


def _column(spec: ColSpec, cells: list[Any]) -> Any:
    """One column of JSON values as its declared type."""
    if not isinstance(spec.type, DataType):
        return _objects(spec, cells)
    build = {
        DataType.boolean: _booleans,
        DataType.integer: _whole,
        DataType.long: _whole,
        DataType.float: _decimals,
        DataType.double: _decimals,
        DataType.datetime: _datetimes,
    }.get(spec.type, _objects)
    return build(spec, cells)


def _objects(spec: ColSpec, cells: list[Any]) -> Any:
    import pandas as pd

    values = []
    for row, cell in enumerate(cells):
        try:
            values.append(decode(spec.type, cell))
        except ValueError as error:
            raise refused(spec, f"row {row}: {error}") from error
    return pd.Series(values, dtype=object)


def _booleans(spec: ColSpec, cells: list[Any]) -> Any:
    import pandas as pd

    _check(spec, cells)
    return pd.Series(cells, dtype=object if None in cells else bool)


def _whole(spec: ColSpec, cells: list[Any]) -> Any:
    import pandas as pd

    _check(spec, cells)
    width = 32 if spec.type is DataType.integer else 64
    return pd.Series(cells, dtype=f"Int{width}" if None in cells else f"int{width}")


def _decimals(spec: ColSpec, cells: list[Any]) -> Any:
    import numpy as np

    _check(spec, cells)
    values = np.array([np.nan if cell is None else cell for cell in cells], dtype=np.float64)
    if spec.type is DataType.double:
        return values
    large = np.isfinite(values) & (np.abs(values) >= _MAX_FLOAT32)
    if large.any():
        raise refused(spec, f"row {int(large.argmax())} holds a number beyond its range")
    return values.astype(np.float32)


def _datetimes(spec: ColSpec, cells: list[Any]) -> Any:
    import pandas as pd

    values = _objects(spec, cells)
    try:
        return pd.to_datetime(values) if values.notna().any() else pd.Series(values, dtype="datetime64[ns]")
    except (ValueError, OverflowError) as error:
        raise refused(spec, "a date is beyond the range of pandas") from error


def _check(spec: ColSpec, cells: list[Any]) -> None:
    for row, cell in enumerate(cells):
        if cell is not None and not scalar_fits(spec.type, cell):  # type: ignore[arg-type]
            raise refused(spec, f"row {row} holds {kind_of(cell)}")


def _rows_of_columns(value: dict[Any, Any], *, nested: bool) -> tuple[list[Any], list[list[Any]]]:
    names = list(value)
    columns = [cells if isinstance(cells, list) and not nested else [cells] for cells in value.values()]
    lengths = sorted({len(cells) for cells in columns})
    if len(lengths) > 1 and lengths != [1, lengths[-1]]:
        raise BadRequest(f"the columns are of different lengths: {lengths}")
    longest = lengths[-1] if lengths else 0
    filled = [
        cells * longest if len(cells) == 1 and not isinstance(value[name], list) else cells
        for name, cells in zip(names, columns, strict=True)
    ]
    if any(len(cells) != longest for cells in filled):
        raise BadRequest(f"the columns are of different lengths: {lengths}")
    return names, [list(row) for row in zip(*filled, strict=True)]


def _kinds(value: Any) -> set[type]:
    """The Python types of the values inside nested lists."""
    found: set[type] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            kinds = set(map(type, item))
            waiting += [inner for inner in item if isinstance(inner, list)] if list in kinds else []
            found |= kinds - {list}
        else:
            found.add(type(item))
    return found


def _floats(spec: TensorSpec, value: Any) -> Any:
    import numpy as np

    array = _built(spec, value, np.float64)
    with np.errstate(over="ignore"):
        narrow = array.astype(spec.type)
    if (np.isinf(narrow) & np.isfinite(array)).any():
        raise _misfit(spec, "a number came that is beyond its range")
    return narrow


def _typed(spec: TensorSpec, value: Any) -> Any:
    import numpy as np

    if spec.type.kind in "iu":
        return _built(spec, value, None)
    array = _built(spec, value, np.dtype("U") if spec.type.kind == "S" else spec.type)
    return np.char.encode(array, "utf-8") if spec.type.kind == "S" else array


def _built(spec: TensorSpec, value: Any, dtype: Any) -> Any:
    import numpy as np

    try:
        return np.array(value, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise _misfit(spec, "the lists are not of one length, or hold a value that does not fit") from error


def _misfit(spec: TensorSpec, why: str) -> SchemaMismatch:
    name = "the input" if spec.name is None else f"input {spec.name!r}"
    return SchemaMismatch(f"{name} is declared {spec.type} of shape {list(spec.shape)}: {why}")
