"""Rows as the named arrays that a graph of tensors takes, and what it answers as a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pack.errors import SchemaMismatch
from pack.mlmodel.schema import TensorSpec


@dataclass(frozen=True)
class Wanted:
    """One array that goes in or comes out: its name, its dtype by name, and its shape, None where it is free."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.dtype == "string"

    def spec(self, *, named: bool) -> TensorSpec | None:
        """The member of a schema; None where NumPy has no such dtype, or the shape is not known."""
        try:
            dtype = np.dtype("str" if self.is_text else self.dtype)
        except TypeError:
            return None
        if self.shape is None:
            return None
        return TensorSpec(
            dtype, [-1 if length is None else length for length in self.shape], self.name if named else None
        )


def arrays_of(wanted: Sequence[Wanted], rows: Any) -> list[Any]:
    """An array for each that is wanted, of its dtype; raises `SchemaMismatch` naming what is missing."""
    if hasattr(rows, "columns") and hasattr(rows, "to_numpy"):
        return _of_frame(wanted, rows)
    if isinstance(rows, Mapping):
        missing = [one.name for one in wanted if one.name not in rows]
        if missing:
            raise SchemaMismatch(f"the model's inputs are missing: {missing}", hint=f"it takes: {_shown(wanted)}")
        return [typed(one, rows[one.name]) for one in wanted]
    if isinstance(rows, (list, tuple)) and len(wanted) > 1 and len(rows) == len(wanted):
        return [typed(one, value) for one, value in zip(wanted, rows, strict=True)]
    if len(wanted) > 1:
        raise SchemaMismatch(f"the model takes {len(wanted)} inputs, one came", hint=f"give a dict: {_shown(wanted)}")
    return [typed(wanted[0], rows)]


def typed(one: Wanted, value: Any) -> Any:
    """The value as an array of the wanted dtype; texts as an array of objects."""
    if not isinstance(value, np.ndarray) and not isinstance(value, (list, tuple)) and not hasattr(value, "__array__"):
        raise SchemaMismatch(
            f"{type(value).__name__} came for the input {one.name!r}", hint="give a frame, an array, a list or a dict"
        )
    value = np.stack(list(value)) if _is_nested(value) else np.asarray(value)
    if one.is_text:
        return value.astype(object)
    try:
        return value.astype(one.dtype, copy=False)
    except (ValueError, TypeError) as error:
        raise SchemaMismatch(
            f"an array of {value.dtype} came for the input {one.name!r}, which is {one.dtype}", hint="convert it"
        ) from error


def as_frame(found: Any, frame: Any, names: Sequence[str] = ()) -> Any:
    """What a model answered for a frame, as a frame of the same index."""
    make = type(frame)
    if isinstance(found, (list, tuple)):
        labels = names if len(names) == len(found) else range(len(found))
        found = dict(zip(labels, found, strict=True))
    if isinstance(found, Mapping):
        return make({name: _column(value) for name, value in found.items()}, index=frame.index)
    return make(found if found.ndim <= 2 else {0: list(found)}, index=frame.index)


def _of_frame(wanted: Sequence[Wanted], frame: Any) -> list[Any]:
    """A frame as the only input, or a column for each."""
    names = [one.name for one in wanted]
    if len(wanted) == 1 and not (names == list(frame.columns) and len(wanted[0].shape or ()) < 2):
        one = wanted[0]
        values = (
            frame.iloc[:, 0].to_numpy() if frame.shape[1] == 1 and _is_nested(frame.iloc[:, 0].to_numpy()) else frame
        )
        return [typed(one, values)]
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise SchemaMismatch(f"columns are missing: {missing}", hint=f"the model takes: {_shown(wanted)}")
    columns = [typed(one, frame[one.name].to_numpy()) for one in wanted]
    return [
        column.reshape(-1, 1) if column.ndim == 1 and len(one.shape or ()) == 2 else column
        for one, column in zip(wanted, columns, strict=True)
    ]


def _is_nested(value: Any) -> bool:
    """Whether this is a column of arrays or lists."""
    return (
        isinstance(value, np.ndarray)
        and value.dtype.kind == "O"
        and value.ndim == 1
        and value.size > 0
        and isinstance(value[0], (np.ndarray, list))
    )


def _column(value: Any) -> Any:
    value = np.asarray(value)
    if value.ndim == 2 and value.shape[1] == 1:
        return value[:, 0]
    return value if value.ndim == 1 else list(value)


def _shown(wanted: Sequence[Wanted]) -> str:
    return ", ".join(f"{one.name} ({one.dtype} {list(one.shape or ())})" for one in wanted)
