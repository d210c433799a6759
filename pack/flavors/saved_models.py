"""TensorFlow's SavedModels: what they take, and calling them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from pack.errors import InvalidValue, SchemaMismatch
from pack.flavors.base import Config
from pack.flavors.named_arrays import Wanted, arrays_of, as_frame
from pack.mlmodel.schema import Schema
from pack.mlmodel.signature import ModelSignature


@dataclass(frozen=True)
class Signature:
    """One named signature of a SavedModel; the model is held, as its variables are gone with it."""

    model: Any
    function: Any


def signature_of(model: Any, key: str) -> Signature:
    """The signature of this name; raises `InvalidValue` listing those that there are."""
    found = getattr(model, "signatures", {})
    if key not in found:
        raise InvalidValue(f"the SavedModel has no signature {key!a:.100}", hint=f"it has: {', '.join(sorted(found))}")
    return Signature(model, found[key])


def predict(model: Any, rows: Any, params: Config) -> Any:
    """A frame for a frame, else arrays in the form that the program answers; params become its keyword arguments."""
    function = _function(model)
    positional, named = _taken(function)
    if named:
        values = _tensors(list(named.values()), list(named), rows)
        found = function(**dict(zip(named, values, strict=True)), **params)
    else:
        found = function(*_arguments(positional, rows), **params)
    found = _as_arrays(found)
    is_frame = hasattr(rows, "columns") and hasattr(rows, "to_numpy")
    return as_frame(found, rows) if is_frame else found


def signature(model: Any) -> ModelSignature | None:
    """The tensors that a module's `__call__` declares; None where it declares none."""
    positional, _ = _taken(_function(model))
    if not positional or not all(isinstance(one, tf.TensorSpec) for one in positional):
        return None
    names = _names(positional)
    specs = [_wanted(one, name).spec(named=len(positional) > 1) for one, name in zip(positional, names, strict=True)]
    return None if None in specs else ModelSignature(inputs=Schema([spec for spec in specs if spec is not None]))


def _function(model: Any) -> Any:
    """What is called: a signature that was chosen, the endpoint of an exported model, or the model itself."""
    if isinstance(model, Signature):
        return model.function
    if hasattr(model, "serve"):
        return model.serve
    if callable(model):
        return model.__call__
    return signature_of(model, "serving_default").function


def _taken(function: Any) -> tuple[list[Any], dict[str, Any]]:
    """The tensors that a function takes by place and by name; none where it does not say, or takes several forms."""
    concrete = getattr(function, "concrete_functions", None)
    if concrete:
        function = concrete[0] if len(concrete) == 1 else None
    found = getattr(function, "structured_input_signature", None)
    if found is None:
        found = (getattr(function, "input_signature", None) or (), {})
    named = {name: one for name, one in found[1].items() if isinstance(one, tf.TensorSpec)}
    return [one for one in found[0] if isinstance(one, (tf.TensorSpec, list, tuple, Mapping))], named


def _arguments(taken: Sequence[Any], rows: Any) -> list[Any]:
    """The rows as positional arguments: one for each tensor, or one that holds them all."""
    if not taken:
        return [_plain(rows)]
    first = taken[0]
    if isinstance(first, Mapping):
        return [dict(zip(first, _tensors(list(first.values()), list(first), rows), strict=True))]
    if isinstance(first, (list, tuple)):
        return [_tensors(first, _names(first), rows)]
    alone = len(taken) == 1 or not isinstance(rows, Mapping)
    taken = taken[:1] if alone else taken
    return _tensors(taken, _names(taken), rows)


def _tensors(specs: Sequence[Any], names: Sequence[str], rows: Any) -> list[Any]:
    wanted = [_wanted(spec, name) for spec, name in zip(specs, names, strict=True)]
    return [
        tf.constant(array.tolist() if one.is_text else array, dtype=spec.dtype, shape=array.shape)
        for one, spec, array in zip(wanted, specs, arrays_of(wanted, rows), strict=True)
    ]


def _names(specs: Sequence[Any]) -> list[str]:
    return [str(spec.name or f"input_{place}") for place, spec in enumerate(specs)]


def _wanted(spec: Any, name: str) -> Wanted:
    shape = None if spec.shape.rank is None else tuple(spec.shape.as_list())
    return Wanted(name, spec.dtype.name, shape)


def _plain(rows: Any) -> Any:
    """Rows for a function that says nothing of what it takes."""
    if isinstance(rows, Mapping):
        return {name: tf.convert_to_tensor(value) for name, value in rows.items()}
    try:
        return tf.convert_to_tensor(rows.to_numpy() if hasattr(rows, "to_numpy") else rows)
    except (ValueError, TypeError) as error:
        raise SchemaMismatch(f"{type(rows).__name__} is no tensor: {error!s:.200}", hint="give an array") from error


def _as_arrays(found: Any) -> Any:
    """Tensors as arrays, texts too, in the structure that they came in."""
    return tf.nest.map_structure(_as_array, found)


def _as_array(tensor: Any) -> Any:
    value = np.asarray(tensor)
    if value.dtype.kind not in "OS":
        return value
    texts = [tf.compat.as_str_any(one) for one in value.ravel().tolist()]
    return np.array(texts, dtype=object).reshape(value.shape)
