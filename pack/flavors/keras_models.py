"""What the flavors keras and tensorflow share: Keras models in files, their inputs, and calling them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from pack.errors import InvalidValue, NotFound
from pack.flavors.base import Config
from pack.flavors.named_arrays import Wanted, arrays_of, as_frame
from pack.mlmodel.schema import Schema
from pack.mlmodel.signature import ModelSignature
from pack.trust import keras_files, payloads

_CUSTOM = "custom_objects.cloudpickle"
_GLOBAL = "global_custom_objects.cloudpickle"
# A call of `predict` sets up what passes over many batches; one batch needs none of it.
_ONE_BATCH = 32


def write(model: Any, path: Path, *, custom_objects: Mapping[str, Any] | None, options: Config) -> str | None:
    """Write the model and its custom objects; answers why reading it back runs code, None where it does not.

    Raises `InvalidValue` for a model without weights yet, and for one whose layers Keras cannot describe.
    """
    if not model.built:
        raise InvalidValue(
            f"the model {model.name!r} has no weights yet", hint="call it on data once, or give it a keras.Input"
        )
    try:
        model.save(str(path), **options)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise InvalidValue(
            f"Keras {keras.__version__} does not save {type(model).__name__}: {error!s:.300}",
            hint="give its own layers a get_config, or save it with save_exported_model=True",
        ) from error
    if custom_objects:
        payloads.dump_pickle(dict(custom_objects), path.parent / _CUSTOM)
    return why_code(path)


def why_code(path: Path) -> str | None:
    """Why reading this file, and the custom objects beside it, runs code; None where it does not."""
    if any((path.parent / name).is_file() for name in (_GLOBAL, _CUSTOM)):
        return "it brings custom objects along, in a pickle"
    return keras_files.why_code(path, {})


def read(path: Path, *, custom_objects: Any = None, compiled: bool) -> Any:
    """The model; `custom_objects` are laid over those that it was saved with, which only a trusted model has."""
    if not path.is_file():
        raise NotFound(f"the model has no file {path.name!a}", hint="save the model again")
    given = custom_objects if isinstance(custom_objects, Mapping) else {}
    # An MLmodel file could name some, and has none to give.
    given = {name: one for name, one in given.items() if callable(one)}
    known = {**_saved_objects(path.parent / _GLOBAL), **_saved_objects(path.parent / _CUSTOM), **given}
    return payloads.load_keras(path, custom_objects=known, compiled=compiled)


def _saved_objects(path: Path) -> dict[str, Any]:
    found = payloads.load_pickle(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise InvalidValue(f"{path.name!a} holds no dict of custom objects", hint="save the model again")
    return found


def pickles_beside(path: Path) -> set[str]:
    """The modules that the written custom objects name."""
    file = path / _CUSTOM
    return {*payloads.pickle_modules(file.read_bytes()), "cloudpickle"} if file.is_file() else set()


def compiled(options: Any) -> bool:
    """Whether `load_model` is to compile the model; the load policy alone decides about safe mode."""
    options = {} if options is None else dict(options)
    options.pop("safe_mode", None)
    found = bool(options.pop("compile", True))
    if options:
        raise InvalidValue(f"Keras' load_model is not given {', '.join(map(str, options))}", hint="give compile alone")
    return found


def predict(model: Any, rows: Any, params: Config) -> Any:
    """A frame for a frame, else the arrays that the model answers; params are those of Keras' own `predict`."""
    fed = _fed(model, rows)
    if not params and _length(fed) <= _ONE_BATCH:
        found = model.predict_on_batch(fed)
    else:
        found = model.predict(fed, **{"verbose": 0, **params})
    is_frame = hasattr(rows, "columns") and hasattr(rows, "to_numpy")
    return as_frame(found, rows, getattr(model, "output_names", ())) if is_frame else found


def signature(model: Any) -> ModelSignature | None:
    """The tensors that go in and come out; None where the model does not know them."""
    inputs = _schema(_structure(model, "input"))
    if inputs is None:
        return None
    outputs = _structure(model, "output")
    names = getattr(model, "output_names", None)
    if isinstance(outputs, (list, tuple)) and names and len(names) == len(outputs):
        outputs = dict(zip(names, outputs, strict=True))
    return ModelSignature(inputs=inputs, outputs=_schema(outputs))


def rows_are_independent(model: Any) -> bool:
    """Where the batch is free, and the model is made of Keras' own layers only, which look at each row alone."""
    tensors = [*_tensors(_structure(model, "input")).values(), *_tensors(_structure(model, "output")).values()]
    free = bool(tensors) and all(len(one.shape) > 0 and one.shape[0] is None for one in tensors)
    return free and all(map(_looks_at_rows, _parts(model)))


def _looks_at_rows(part: Any) -> bool:
    if isinstance(part, keras.Model):
        return type(part).__module__.startswith("keras.")
    own = isinstance(part, keras.layers.Layer) and type(part).__module__.startswith("keras.src.layers.")
    if not own or isinstance(part, keras.layers.Lambda) or getattr(part, "stateful", False):
        return False
    axes = getattr(part, "axis", None)
    axes = axes if isinstance(axes, (list, tuple)) else [axes]
    return 0 not in [axis for axis in axes if isinstance(axis, int)]


def _parts(model: Any) -> list[Any]:
    """Everything that the model is made of, operations that are no layers too."""
    found: list[Any] = []
    waiting = [model]
    while waiting:
        part = waiting.pop()
        if any(part is one for one in found):
            continue
        found.append(part)
        waiting += [*getattr(part, "operations", ()), *getattr(part, "layers", ())]
        waiting += [part.layer] if isinstance(part, keras.layers.Wrapper) else []
    return found


def _structure(model: Any, which: str) -> Any:
    """The symbolic tensors as the model was built with them: one, a list or a dict; None where there are none."""
    try:
        if isinstance(model, keras.Sequential):
            return getattr(model, f"{which}s")[0]
        return getattr(model, which)
    except (AttributeError, ValueError):
        return None


def _tensors(structure: Any) -> dict[str, Any]:
    """Symbolic tensors by name; none where they are nested deeper."""
    if isinstance(structure, Mapping):
        found = {str(name): one for name, one in structure.items()}
    elif isinstance(structure, (list, tuple)):
        found = {str(getattr(one, "name", place)): one for place, one in enumerate(structure)}
    else:
        found = {} if structure is None else {str(getattr(structure, "name", "input")): structure}
    return found if all(isinstance(one, keras.KerasTensor) for one in found.values()) else {}


def _wanted(structure: Any) -> list[Wanted]:
    return [Wanted(name, str(one.dtype), tuple(one.shape)) for name, one in _tensors(structure).items()]


def _schema(structure: Any) -> Schema | None:
    wanted = _wanted(structure)
    named = len(wanted) > 1 or isinstance(structure, Mapping)
    specs = [spec for spec in (one.spec(named=named) for one in wanted) if spec is not None]
    return Schema(specs) if specs and len(specs) == len(wanted) else None


def _fed(model: Any, rows: Any) -> Any:
    """The rows in the form that the model was built with."""
    structure = _structure(model, "input")
    wanted = _wanted(structure)
    if not wanted:
        return _unknown(rows)
    arrays = [
        _texts(array) if one.is_text else array for one, array in zip(wanted, arrays_of(wanted, rows), strict=True)
    ]
    if isinstance(structure, Mapping):
        return dict(zip(structure, arrays, strict=True))
    return arrays if isinstance(structure, (list, tuple)) else arrays[0]


def _unknown(rows: Any) -> Any:
    """Rows for a model that says nothing of its inputs, such as a subclass of Keras' own."""
    if isinstance(rows, Mapping):
        return {name: _number(value) for name, value in rows.items()}
    if hasattr(rows, "to_numpy"):
        rows = rows.to_numpy()
    return _number(rows if isinstance(rows, np.ndarray) else arrays_of([Wanted("input", "O", None)], rows)[0])


def _number(value: Any) -> Any:
    """Plain values again, floats as Keras computes."""
    value = np.asarray(value)
    value = np.array(value.tolist()) if value.dtype.kind == "O" else value
    if value.dtype.kind in "US":
        return _texts(value)
    return value.astype(keras.config.floatx()) if value.dtype == np.float64 else value


def _texts(array: Any) -> Any:
    """Texts as a tensor, which only TensorFlow has."""
    import tensorflow as tf

    return tf.constant(array.tolist(), dtype=tf.string, shape=array.shape)


def _length(fed: Any) -> int:
    first = next(iter(fed.values())) if isinstance(fed, Mapping) else fed[0] if isinstance(fed, list) else fed
    return int(first.shape[0]) if len(first.shape) else 1
