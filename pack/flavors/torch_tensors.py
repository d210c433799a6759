"""Frames, arrays and dicts as the tensors that a module takes, and its tensors as what was asked with."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import torch

from pack.errors import InvalidValue, SchemaMismatch

# What an exported program takes by name alone, as an attribute of its module.
KEYWORDS = "pack_keywords"
Call: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]


def fed(model: Any, rows: Any) -> Call:
    """The arguments of a module's forward; raises `SchemaMismatch` for what makes no tensors."""
    device, names = device_of(model), input_names(model)
    if hasattr(rows, "columns"):
        if len(names) > 1 and set(names) <= set(rows.columns):
            return tuple(tensor(_column(rows[name]), device) for name in names), {}
        return (matrix(model, rows),), {}
    if isinstance(rows, Mapping):
        return by_name(model, {name: tensor(value, device) for name, value in rows.items()})
    if isinstance(rows, tuple):
        return tuple(tensor(value, device) for value in rows), {}
    return (tensor(rows, device),), {}


def by_name(model: Any, tensors: Mapping[Any, Any]) -> Call:
    """Tensors as arguments: by position as far as forward's parameters go, then by name; unknown names in order."""
    takes = [one.name for one in _parameters(model)]
    if len(tensors) == 1 or not set(tensors) <= set(takes):
        return tuple(tensors.values()), {}
    missing = [name for name in input_names(model) if name not in tensors]
    if missing:
        raise SchemaMismatch(f"tensors are missing: {missing}", hint=f"the model takes: {takes}")
    placed = set(tensors) - set(getattr(model, KEYWORDS, ()))
    first = len([name for at, name in enumerate(takes) if set(takes[: at + 1]) <= placed])
    args = tuple(tensors[name] for name in takes[:first])
    return args, {name: tensors[name] for name in takes[first:] if name in tensors}


def input_names(model: Any) -> list[str]:
    """The names of the parameters that forward must have."""
    return [one.name for one in _parameters(model) if one.default is one.empty]


def tensor(value: Any, device: Any) -> Any:
    """A tensor of the same dtype, on a device; an array is not copied where it lies as PyTorch needs it."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    array = np.asarray(value)
    if array.dtype.kind not in "fiubc":
        raise SchemaMismatch(
            f"PyTorch has no tensors of {array.dtype}, which came as {type(value).__name__}",
            hint="give a frame of numbers, an array, or a dict of arrays by the names of forward's parameters",
        )
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)
    return torch.from_numpy(array if array.flags.writeable else array.copy()).to(device)


def matrix(model: Any, frame: Any) -> Any:
    """A frame as one matrix of float32, or of the precision that the module has."""
    kinds = (one.dtype for one in chain(model.parameters(), model.buffers()) if one.is_floating_point())
    kind = next(kinds, torch.float32)
    try:
        array = frame.to_numpy(dtype="float64" if kind == torch.float64 else "float32")
    except (TypeError, ValueError) as error:
        raise SchemaMismatch(
            f"the frame makes no matrix of numbers: {error}", hint="encode its columns first"
        ) from error
    return tensor(array, device_of(model)).to(kind)


def answered(found: Any, rows: Any) -> Any:
    """Tensors for tensors, a frame for a frame, else arrays: one, or a dict of them by the names of the outputs."""
    named = _named(found)
    if isinstance(rows, torch.Tensor):
        return named
    if not isinstance(named, dict):
        array = _array(named)
        return _frame(array, rows) if hasattr(rows, "columns") and array.ndim else array
    arrays = {name: _array(one) for name, one in named.items()}
    return _frame(arrays, rows) if hasattr(rows, "columns") else arrays


def leaves(found: Any) -> list[Any]:
    """The tensors of an answer."""
    named = _named(found)
    return list(named.values()) if isinstance(named, dict) else [named]


def device_of(model: Any) -> Any:
    """The device of a module's first tensor."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def forward_of(model: Any) -> Any:
    """What a call of the module runs."""
    return getattr(model, "forward", model)


def _parameters(model: Any) -> list[inspect.Parameter]:
    try:
        found = inspect.signature(forward_of(model)).parameters.values()
    except (TypeError, ValueError):
        return []
    return [one for one in found if one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}]


def _column(series: Any) -> Any:
    """A column of numbers, or of lists of one length."""
    if series.dtype != object:
        return series.to_numpy()
    try:
        return np.stack([np.asarray(one) for one in series])
    except ValueError as error:
        raise SchemaMismatch(f"column {series.name!r} makes no tensor: {error}") from error


def _named(found: Any) -> Any:
    """One tensor, or a dict of them; what has no names is named by its place."""
    if isinstance(found, torch.Tensor):
        return found
    if isinstance(found, Mapping):
        named = {str(name): one for name, one in found.items() if one is not None}
    elif isinstance(found, (tuple, list)):
        names = getattr(found, "_fields", None) or [f"output_{at}" for at in range(len(found))]
        named = {name: one for name, one in zip(names, found, strict=True) if one is not None}
    else:
        named = {}
    if not named or not all(isinstance(one, torch.Tensor) for one in named.values()):
        raise InvalidValue(
            f"the model answered {type(found).__name__}, which holds more than tensors",
            hint="answer one tensor, or a tuple or dict of tensors",
        )
    return named


def _array(found: Any) -> Any:
    found = found.detach().cpu()
    # NumPy knows neither bfloat16 nor the still shorter kinds.
    short = found.is_floating_point() and found.dtype not in {torch.float16, torch.float32, torch.float64}
    return (found.float() if short else found).numpy()


def _frame(found: Any, rows: Any) -> Any:
    """Answers as columns; what has several dimensions for a row is a column of lists."""
    if isinstance(found, dict):
        columns: Any = {name: _flat(array) for name, array in found.items()}
        count = len(next(iter(columns.values())))
    else:
        columns = found if found.ndim <= 2 else {0: list(found)}
        count = len(found)
    return type(rows)(columns, index=rows.index if count == len(rows) else None)


def _flat(array: Any) -> Any:
    if array.ndim < 2:
        return np.atleast_1d(array)
    return array.reshape(-1) if array.shape[1:] == (1,) else list(array)
