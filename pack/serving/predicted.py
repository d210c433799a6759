"""Predictions as tensors with names: arrays as they are, frames by column, dicts by key.

What is neither numbers nor text goes as BYTES: dates as ISO 8601 text, bytes as they are, everything nested as JSON
text. The names are those of the output signature, or `output-0` and so on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import numpy as np

from pack.errors import ModelFailed
from pack.mlmodel.frames import as_frame, is_frame, is_missing
from pack.mlmodel.nested import all_fit
from pack.mlmodel.schema import Schema
from pack.mlmodel.tensors import flat, kinds_in
from pack.mlmodel.types import DataType
from pack.serving.encoding import plain
from pack.serving.feeding import label_of
from pack.serving.tensors import BYTES, NAMES, Tensor, objects_of


def tensors_of(predictions: Any, schema: Schema | None) -> list[Tensor]:
    """The predictions by name; `schema` is the declared output. Raises `ModelFailed` for what no tensor can hold."""
    columns = schema is not None and not schema.is_tensor_spec()
    found = [_tensor(name, value, column=columns) for name, value in _by_name(predictions, schema)]
    names = [tensor.name for tensor in found]
    if len(set(names)) < len(names):
        raise ModelFailed("the model answered with several columns of one name", hint="give each a name of its own")
    return found


def _by_name(predictions: Any, schema: Schema | None) -> Iterator[tuple[str, Any]]:
    value = as_frame(predictions)
    if is_frame(value):
        yield from ((str(name), value.iloc[:, place]) for place, name in enumerate(value.columns))
        return
    if isinstance(value, Mapping):
        yield from ((str(name), item) for name, item in value.items())
        return
    names = ["output-0"] if schema is None else [label_of(spec, place, "output") for place, spec in enumerate(schema)]
    if len(names) > 1 and not _is_series(value) and getattr(value, "shape", ())[1:] == (len(names),):
        yield from ((name, value[:, place]) for place, name in enumerate(names))
        return
    given = getattr(value, "name", None) if _is_series(value) else None
    yield (names[0] if len(names) == 1 else "output-0") if given is None else str(given), value


def _is_series(value: Any) -> bool:
    return hasattr(value, "iloc")


def _tensor(name: str, value: Any, *, column: bool) -> Tensor:
    """One tensor; a column, of a frame or of the signature, has the shape [rows, 1] that the description says."""
    array, content_type = _values(value)
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim == 1 and (column or _is_series(value)):
        array = array.reshape(-1, 1)
    return Tensor(name, _datatype(array), array, content_type)


def _datatype(array: Any) -> str:
    if array.dtype.kind != "O":
        return NAMES[array.dtype.kind, array.dtype.itemsize]
    kinds = set(map(type, array.ravel().tolist())) - {type(None)}
    return {frozenset({bool}): "BOOL", frozenset({int}): "INT64"}.get(frozenset(kinds), BYTES)


def _values(value: Any) -> tuple[Any, str | None]:
    """An array of numbers, or of objects that are text, bytes or None; and what the BYTES in it are."""
    if _is_series(value):
        return _series(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return _array(np.asarray(value))
    return _listed(list(value)) if isinstance(value, (list, tuple)) else _objects([value], (1,))


def _series(series: Any) -> tuple[Any, str | None]:
    dtype = getattr(series.dtype, "numpy_dtype", series.dtype)
    if getattr(dtype, "kind", "O") in "biuf" and not (series.dtype is not dtype and series.hasnans):
        return _array(series.to_numpy(dtype=dtype))
    if getattr(dtype, "kind", "O") == "f":
        return _array(series.to_numpy(dtype=dtype, na_value=np.nan))
    return _objects(series.tolist(), (len(series),))


def _array(array: Any) -> tuple[Any, str | None]:
    kind = array.dtype.kind
    if (kind, array.dtype.itemsize) in NAMES and kind in "biuf":
        return array, None
    if kind == "M":
        texts = np.datetime_as_string(array).ravel().tolist()
        return objects_of([None if text == "NaT" else text for text in texts], array.shape), "datetime"
    if kind in "USO":
        return _objects(array.ravel().tolist(), array.shape)
    raise ModelFailed(f"the model answered with an array of {array.dtype}, for which there is no tensor")


def _listed(values: list[Any]) -> tuple[Any, str | None]:
    """A list: numbers of one kind as an array, regular lists of text as one, everything else item by item."""
    kinds = kinds_in(values)
    try:
        array = np.array(values, dtype=object if kinds & {str, bytes, dict, type(None)} else None)
    except (ValueError, TypeError, OverflowError):
        return _objects(values, (len(values),))
    if kinds & {dict, type(None)} or not _keeps_each(values, array, kinds):
        return _objects(values, (len(values),))
    return _array(array)


def _keeps_each(values: list[Any], array: Any, kinds: set[type]) -> bool:
    """Whether each value in an array is the one that stood in the lists."""
    if len(kinds) > 1 and not kinds <= {int, float}:
        return array.dtype.kind == "O" and kinds <= {str, bytes}
    return int not in kinds or array.dtype.kind != "f" or all_fit(DataType.double, list(flat(values)))


def _objects(values: list[Any], shape: tuple[int, ...]) -> tuple[Any, str | None]:
    """Objects of one kind as they are; dates as text; of several kinds, or nested, each as the text of its JSON."""
    cells = [
        None if is_missing(value) else value.item() if isinstance(value, np.generic) else value for value in values
    ]
    kinds = set(map(type, cells)) - {type(None)}
    if kinds <= {str} or kinds in ({bool}, {bytes}) or (kinds == {int} and all_fit(DataType.long, _present(cells))):
        return objects_of(cells, shape), "base64" if kinds == {bytes} else None
    if kinds == {float}:
        return np.array([np.nan if cell is None else cell for cell in cells]).reshape(shape), None
    if all(issubclass(kind, date) for kind in kinds):
        return objects_of([None if cell is None else cell.isoformat() for cell in cells], shape), "datetime"
    return objects_of([None if cell is None else json.dumps(plain(cell)) for cell in cells], shape), "pd_json"


def _present(cells: list[Any]) -> list[Any]:
    return [cell for cell in cells if cell is not None]
