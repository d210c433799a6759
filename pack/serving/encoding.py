"""Predictions as JSON, as MLflow's clients expect them (interoperability facts, scoring protocol, section 2.5).

NaN and infinities are the bare words `NaN`, `Infinity` and `-Infinity`; bytes are base64 in lines of 76 characters.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import accumulate
from typing import Any

import numpy as np

from pack.errors import ModelFailed

_EXACT = {int, bool}
try:
    from msgspec.json import encode as _quickly
except ModuleNotFoundError:  # `pack predict` works without the packages of a server

    def _quickly(value: Any, /) -> bytes:  # type: ignore[misc]
        return json.dumps(value).encode()


def encode(predictions: Any, *, wrapped: bool = True) -> bytes:
    """The body of an answer; raises `ModelFailed` for what JSON cannot hold."""
    values = _listed(predictions) if wrapped else None
    if values is not None:
        return b'{"predictions":%b}' % _quickly(values)
    value = plain(predictions)
    return json.dumps({"predictions": value} if wrapped else value).encode()


def encode_parts(predictions: Any, sizes: Sequence[int]) -> list[bytes] | None:
    """The bodies of answers to requests of so many rows each; None where the predictions are not one for each row."""
    if not _is_row_by_row(predictions, sizes):
        return None
    values = _listed(predictions)
    if values is not None:
        return [b'{"predictions":%b}' % _quickly(part) for part in _cut(values, sizes)]
    return [encode(part) for part in _cut(predictions, sizes)]


def split(predictions: Any, sizes: Sequence[int]) -> list[Any] | None:
    """The predictions for requests of so many rows each; None where they are not one for each row."""
    return list(_cut(predictions, sizes)) if _is_row_by_row(predictions, sizes) else None


def json_of(values: list[Any], *, quick: bool) -> bytes:
    """A list of plain values as JSON; `quick` where none of them is NaN or infinite, or text."""
    return _quickly(values) if quick else json.dumps(values).encode()


def _is_row_by_row(predictions: Any, sizes: Sequence[int]) -> bool:
    if isinstance(predictions, Mapping):
        # Arrays by the names of outputs: each of them must have its rows.
        return bool(predictions) and all(_is_row_by_row(one, sizes) for one in predictions.values())
    if not hasattr(predictions, "__len__") or isinstance(predictions, str):
        return False
    return len(predictions) == sum(sizes)


def _cut(predictions: Any, sizes: Sequence[int]) -> Iterator[Any]:
    if isinstance(predictions, Mapping):
        parts = [_cut(one, sizes) for one in predictions.values()]
        return (dict(zip(predictions, part, strict=True)) for part in zip(*parts, strict=True))
    rows = predictions.iloc if hasattr(predictions, "iloc") else predictions
    return (rows[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True))


def _listed(predictions: Any) -> list[Any] | None:
    """The values of an array, where the quick encoder writes each as it should stand; it has no word for NaN."""
    if type(predictions) is list and set(map(type, predictions)) <= _EXACT:
        return predictions
    kind = getattr(getattr(predictions, "dtype", None), "kind", "O")
    if kind not in "biuf" or not hasattr(predictions, "tolist") or not getattr(predictions, "ndim", 0):
        return None
    if hasattr(predictions, "iloc") or (kind == "f" and not bool(np.isfinite(predictions).all())):
        return None
    found: list[Any] = predictions.tolist()
    return found


def plain(value: Any) -> Any:
    """A value as JSON holds it; raises `ModelFailed` for what it cannot hold."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return _records(value)
        if isinstance(value, pandas.Series):
            return _records(value.to_frame(name="0" if value.name is None else value.name))
        if value is pandas.NaT or value is pandas.NA:
            return None
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return _array(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return _scalar(value)


def _records(frame: Any) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    columns = [_cells(frame.iloc[:, place]) for place in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _cells(series: Any) -> list[Any]:
    """The cells of a column; what is missing among anything but numbers is null."""
    cells = [plain(cell) for cell in series.tolist()]
    if getattr(series.dtype, "kind", "O") == "f":
        return cells
    return [None if gone else cell for cell, gone in zip(cells, series.isna(), strict=True)]


def _array(value: Any) -> Any:
    kind = value.dtype.kind
    if kind in "biufU":
        return value.tolist()
    if kind == "M":
        return value.astype("datetime64[ns]").astype("int64").tolist()
    return plain(value.tolist())


def _scalar(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray)):
        return base64.encodebytes(bytes(value)).decode("ascii")
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if hasattr(value, "item"):
        return plain(value.item())
    raise ModelFailed(
        f"the model answered with {type(value).__name__}, which JSON cannot hold",
        hint="let it answer with arrays, frames, numbers, text, lists or dicts",
    )
