"""JSON values as the declared types: the same law as in process, for data that has only text and numbers.

JSON has no dates, bytes or whole-number widths: ISO 8601 text is read for a datetime, base64 for binary, a number with
a point as the nearest float for a float or double. Everything else that would guess or lose is refused by name and row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from pack.errors import BadRequest, SchemaMismatch, TooLarge
from pack.mlmodel.columns import refused
from pack.mlmodel.frames import need_pandas
from pack.mlmodel.nested import all_fit, decode, kind_of, listed, scalar_fits, single
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.tables import column_of, frame_of_columns, text_of
from pack.mlmodel.tensors import array_of, fit_tensor, flat, kinds_in, name_of, whole_array
from pack.mlmodel.tensors import refused as refused_tensor
from pack.mlmodel.texts import check_texts, check_width, keeps_each, together
from pack.mlmodel.types import DataType

# Records may leave names out, but not so that a small body becomes a huge table.
MAX_SPARSE_CELLS = 1_000_000
MIN_FILLED = 0.1
_JSON_KINDS: dict[str, set[type]] = {"b": {bool}, "U": {str}, "S": {str}, "M": {str}}
_NUMBERS: dict[DataType, str] = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
}
_NULLABLE: dict[DataType, Any] = {DataType.boolean: "object", DataType.integer: "Int32", DataType.long: "Int64"}


class Absent:
    """The one value that stands in a record's row for a name that the record lacks."""


ABSENT = Absent()


def label(name: Any) -> str | int:
    """A column's name from JSON: text or a whole number."""
    if isinstance(name, (str, int)) and not isinstance(name, bool):
        return name
    raise BadRequest(f"a column is named by {kind_of(name)}", hint="name columns by text or whole numbers")


def frame_of(specs: Mapping[str | int, ColSpec], labels: Sequence[str | int], rows: list[Any]) -> Any:
    """A frame of the declared columns from rows of JSON values, each of the length of `labels`."""
    pd = need_pandas()
    _check_rows(rows, len(labels))
    kinds = [specs[name] for name in labels]
    block = _block(kinds, rows)
    if block is not None:
        return pd.DataFrame(block, columns=list(labels))
    cells = zip(*rows, strict=True) if rows else ([] for _ in labels)
    columns = [_column(spec, list(values)) for spec, values in zip(kinds, cells, strict=True)]
    return frame_of_columns(labels, columns)


def rows_of(value: Any, *, named: bool, nested: bool, width: int) -> tuple[list[Any] | None, list[list[Any]]]:
    """Names and rows of an `inputs` or `instances` value for a model that takes columns."""
    if isinstance(value, dict):
        return _rows_of_columns(value, nested=nested)
    if not isinstance(value, list):
        return None, [[value]]
    if value and named and all(isinstance(item, dict) for item in value):
        return records(value)
    if width == 1 or not all(isinstance(item, list) for item in value):
        return None, [[item] for item in value]
    return None, value


def records(items: list[Any]) -> tuple[list[Any], list[list[Any]]]:
    """Names and rows of a list of objects; `ABSENT` stands where a record lacks a name that another has."""
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadRequest(f"record {place} is {kind_of(item)}, an object is needed")
    names = list(dict.fromkeys(name for item in items for name in item))
    cells = len(names) * len(items)
    if cells > MAX_SPARSE_CELLS and sum(map(len, items)) < cells * MIN_FILLED:
        raise TooLarge(f"the records name {len(names):,} columns, and each has few of them", hint="send fewer at once")
    return names, [[item.get(name, ABSENT) for name in names] for item in items]


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
        value = _transposed(value)
    if not isinstance(value, dict):
        if len(specs) == 1:
            return {specs[0].name: tensor_of(specs[0], value)}
        raise BadRequest(f"the model takes {len(specs)} tensors by name", hint='give {"inputs": {"name": [...]}}')
    by_text = {str(spec.name): spec.name for spec in specs}
    value = {by_text.get(name, name): item for name, item in value.items()}
    _check_names(value, [spec.name for spec in specs])
    return together((spec.name, tensor_of(spec, value[spec.name])) for spec in specs)


def tensor_of(spec: TensorSpec, value: Any) -> Any:
    """One declared tensor from nested lists of JSON values; null is NaN where floats are declared."""
    import numpy as np

    if spec.type.kind == "O":
        return fit_tensor(spec, value if isinstance(value, list) else np.array(value, dtype=object))
    kinds = kinds_in(value)
    allowed = _JSON_KINDS.get(spec.type.kind, {int, float})
    gaps = {type(None)} if spec.type.kind in "fc" else set()
    odd = kinds - allowed - gaps
    if odd:
        raise refused_tensor(spec, f"{min(map(_kind_name, odd))} came in it")
    if spec.type.kind in "fc":
        return fit_tensor(spec, _nearest(spec, array_of(spec, _with_nan(value) if type(None) in kinds else value)))
    return fit_tensor(spec, _typed(spec, value))


def tensor_frame(schema: Schema, names: list[Any] | None, rows: list[Any]) -> Any:
    """A frame for a model that takes tensors; null is NaN where floats are declared, as in `tensor_of`."""
    specs: tuple[TensorSpec, ...] = schema.inputs  # type: ignore[assignment]
    kinds = kinds_in(rows)
    if Absent in kinds and names is not None:
        _check_complete(names, rows)
    if type(None) not in kinds:
        return plain_frame(names, rows)
    if specs[0].name is None or names is None:
        floats = all(spec.type.kind in "fc" for spec in specs)
        return plain_frame(names, _with_nan(rows) if floats else rows)
    of_floats = {str(spec.name) for spec in specs if spec.type.kind in "fc"}
    are_floats = [str(name) in of_floats for name in names]
    _check_rows(rows, len(names))
    filled = [[_with_nan(cell) if fills else cell for cell, fills in zip(row, are_floats, strict=True)] for row in rows]
    return plain_frame(names, filled)


def tensors_of_table(schema: Schema, names: list[Any] | None, rows: list[Any]) -> Any:
    """The declared tensors from a table, without making a frame: its rows, or its columns by name."""
    width = len(rows[0]) if rows and isinstance(rows[0], list) else 0
    labels = [label(name) for name in (range(width) if names is None else names)]
    check_unique(labels)
    if Absent in kinds_in(rows):
        _check_complete(labels, rows)
    _check_rows(rows, len(labels))
    specs: tuple[TensorSpec, ...] = schema.inputs  # type: ignore[assignment]
    if specs[0].name is None:
        single = len(labels) == 1 and specs[0].shape != (-1, 1)
        return tensor_of(specs[0], [row[0] for row in rows] if single else rows)
    columns = {str(name): [row[place] for row in rows] for place, name in enumerate(labels)}
    return tensors_of(schema, {name: columns[name] for name in map(str, schema.input_names()) if name in columns})


def plain_frame(names: list[Any] | None, rows: list[Any]) -> Any:
    """A frame for a model without columns declared: values as JSON gives them."""
    labels = list(range(len(rows[0]) if rows and isinstance(rows[0], list) else 0)) if names is None else names
    check_unique([label(name) for name in labels])
    _check_rows(rows, len(labels))
    cells = ([None if cell is ABSENT else cell for cell in column] for column in zip(*rows, strict=True))
    columns = [column_of(column) for column in cells] if rows else [column_of([]) for _ in labels]
    return frame_of_columns(labels, columns)


def plain_inputs(value: Any) -> Any:
    """Arrays for a model without signature: lists become arrays, an object a dict of arrays, objects stay.

    Values of several kinds become an array of objects: NumPy alone would turn numbers beside text into text.
    """
    if isinstance(value, dict):
        return together((name, _plain_input(item, f"input {name!r:.100}")) for name, item in value.items())
    return _plain_input(value, "the input")


def _plain_input(value: Any, what: str) -> Any:
    import numpy as np

    if not isinstance(value, list):
        return np.array(value)
    if value and all(isinstance(item, dict) for item in value):
        return value
    kinds = kinds_in(value)
    keeps = _keeps_each(value, kinds)
    if kinds == {str} and keeps:
        check_width(what, list(flat(value)))
    try:
        array = np.array(value, dtype=None if keeps else object)
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequest("the lists are not of one length") from error
    return whole_array(value) if kinds == {int} and array.dtype.kind == "f" and array.size else array


def _keeps_each(value: Any, kinds: set[type]) -> bool:
    """Whether NumPy makes an array of these values in which each is what it was."""
    if kinds == {str}:
        return keeps_each(flat(value))
    return len(kinds) <= 1 or (kinds == {int, float} and all_fit(DataType.double, list(flat(value))))


def check_unique(labels: list[str | int]) -> None:
    """Raise `BadRequest` naming the columns that came more than once."""
    if len(set(labels)) == len(labels):
        return
    seen: set[str | int] = set()
    twice = [name for name in labels if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    raise BadRequest(f"columns came twice: {listed(dict.fromkeys(twice))}")


def _check_rows(rows: list[Any], width: int) -> None:
    for place, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != width:
            came = f"{len(row)} values" if isinstance(row, list) else kind_of(row)
            raise BadRequest(f"row {place} holds {came}, {width} columns are named")


def _block(specs: list[ColSpec], rows: list[list[Any]]) -> Any:
    """All rows as one array of doubles, where that is what is declared and each number is one exactly; else None."""
    import numpy as np

    if not rows or not specs or any(spec.type is not DataType.double for spec in specs):
        return None
    kinds = set(map(type, chain.from_iterable(rows)))
    if not kinds <= {float, int, type(None)}:
        return None
    try:
        block = np.array(rows, dtype=np.float64)
    except OverflowError:
        return None
    # At 2**53 a double may be the neighbour of the number that came: each is then looked at by itself.
    return None if int in kinds and (np.abs(block) >= 2.0**53).any() else block


def _column(spec: ColSpec, cells: list[Any]) -> Any:
    """One column of JSON values as its declared type."""
    cells = _without_absent(spec, cells)
    if spec.type in _NUMBERS:
        return _numbers(spec, spec.type, cells)
    return _decoded(spec, cells)


def _without_absent(spec: ColSpec, cells: list[Any]) -> list[Any]:
    if ABSENT not in cells:
        return cells
    if spec.required:
        raise refused(spec, f"record {cells.index(ABSENT)} lacks it", "send null for a value that is missing")
    return [None if cell is ABSENT else cell for cell in cells]


def _numbers(spec: ColSpec, declared: DataType, cells: list[Any]) -> Any:
    """Numbers or booleans as an array of the declared dtype; a gap is NaN, or makes whole numbers nullable ones."""
    import numpy as np
    import pandas as pd

    cells = [None if cell != cell else cell for cell in cells] if declared in _NULLABLE else cells
    gaps = None in cells
    present = [cell for cell in cells if cell is not None] if gaps else cells
    present = _single_floats(present) if declared is DataType.float else present
    if not all_fit(declared, present):
        _refuse_cell(spec, declared, cells)
    if not gaps:
        return np.array(present, dtype=_NUMBERS[declared])
    if declared in _NULLABLE:
        return pd.Series(cells, dtype=_NULLABLE[declared])
    return np.array([np.nan if cell is None else cell for cell in cells], dtype=_NUMBERS[declared])


def _single_floats(cells: list[Any]) -> list[Any]:
    """Numbers with a point at the nearest float of 32 bits; whole ones stay, since they must be held exactly."""
    return [_single(cell) if type(cell) is float else cell for cell in cells]


def _single(cell: float) -> float:
    nearest = single(cell)
    return cell if nearest is None else nearest


def _refuse_cell(spec: ColSpec, declared: DataType, cells: list[Any]) -> None:
    for row, cell in enumerate(cells):
        value = _single(cell) if declared is DataType.float and type(cell) is float else cell
        if cell is None or scalar_fits(declared, value):
            continue
        number = isinstance(cell, (int, float)) and not isinstance(cell, bool) and declared is not DataType.boolean
        raise refused(spec, f"row {row} holds {kind_of(cell)}{' that it cannot hold exactly' if number else ''}")


def _decoded(spec: ColSpec, cells: list[Any]) -> Any:
    """Text, bytes, dates and nested values; text and dates as pandas holds them, the rest as objects."""
    import pandas as pd

    values = []
    for row, cell in enumerate(cells):
        try:
            values.append(decode(spec.type, cell))
        except ValueError as error:
            raise refused(spec, f"row {row} {error}") from error
    if spec.type is DataType.datetime:
        return _dates(spec, values)
    text = spec.type is DataType.string and set(map(type, values)) in ({str}, {str, type(None)})
    return text_of(values) if text else pd.Series(values, dtype=object)


def _dates(spec: ColSpec, values: list[Any]) -> Any:
    import pandas as pd

    fine = any(isinstance(value, pd.Timestamp) for value in values)
    try:
        return pd.Series(values, dtype="datetime64[ns]" if fine else "datetime64[us]")
    except (ValueError, OverflowError) as error:
        raise refused(spec, "a date is beyond the range of pandas") from error


def _rows_of_columns(value: dict[Any, Any], *, nested: bool) -> tuple[list[Any], list[list[Any]]]:
    """Names and rows of an object of columns; one plain value stands in every row."""
    lists = {name: cells for name, cells in value.items() if isinstance(cells, list) and not nested}
    lengths = sorted({len(cells) for cells in lists.values()})
    if len(lengths) > 1:
        raise BadRequest(f"the columns are of different lengths: {lengths[:5]}")
    longest = lengths[0] if lengths else 1
    columns = [lists[name] if name in lists else [cells] * longest for name, cells in value.items()]
    return list(value), [list(row) for row in zip(*columns, strict=True)]


def _transposed(items: list[dict[str, Any]]) -> dict[str, Any]:
    names, rows = records(items)
    _check_complete(names, rows)
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _check_complete(names: list[Any], rows: list[list[Any]]) -> None:
    for place, row in enumerate(rows):
        if ABSENT in row:
            raise BadRequest(f"record {place} lacks {listed([names[row.index(ABSENT)]])}")


def _check_names(value: Mapping[str, Any], names: list[Any]) -> None:
    missing = [name for name in names if name not in value]
    extra = [name for name in value if name not in names]
    if missing or extra:
        parts = [f"missing: {listed(missing)}"] if missing else []
        parts += [f"not declared: {listed(extra)}"] if extra else []
        raise SchemaMismatch(f"tensors are {'; '.join(parts)}", hint=f"the model takes: {listed(names, most=20)}")


def _kind_name(kind: type) -> str:
    names = {type(None): "null", float: "a number", int: "a number"}
    return names.get(kind) or kind_of(kind())


def _with_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_nan(item) for item in value]
    return float("nan") if value is None else value


def _nearest(spec: TensorSpec, array: Any) -> Any:
    """Decimal numbers at the nearest value of the declared dtype; `array_of` has looked at the whole ones."""
    import numpy as np

    if array.dtype == spec.type or array.dtype.kind != "f" or spec.type.kind != "f":
        return array
    with np.errstate(over="ignore"):
        narrow = array.astype(spec.type)
    if (np.isinf(narrow) & np.isfinite(array)).any():
        raise refused_tensor(spec, "a number came that is beyond its range")
    return narrow


def _typed(spec: TensorSpec, value: Any) -> Any:
    import numpy as np

    if spec.type.kind in "iu":
        return array_of(spec, value)
    if spec.type.kind in "US":
        check_texts(name_of(spec), list(flat(value)))
    try:
        array = np.array(value, dtype="U" if spec.type.kind == "S" else spec.type)
    except (ValueError, TypeError, OverflowError) as error:
        raise refused_tensor(spec, "the lists are not of one length, or hold a value that does not fit") from error
    return np.char.encode(array, "utf-8") if spec.type.kind == "S" else array
