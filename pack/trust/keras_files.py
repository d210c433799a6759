"""Keras archives (`.keras`) and HDF5 files (`.h5`): looked at before Keras makes anything of them.

A file is data: a JSON config that names Keras' own classes, and arrays. What else a config can ask for is judged here,
whatever Keras' own safe mode thinks of it: Lambda layers and their like run code, a class that is not Keras' own comes
from code of the user's or of the model's bundle, and is never imported because a config names its module.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue, PackError, Untrusted
from pack.trust.admission import WAYS_FORWARD, Admission, active, read_bytes, verified_path
from pack.trust.keras_archives import FREE, described

# Layers whose config holds code, or names a file that holds it.
_RUNS_CODE = {"Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer", "__lambda__"}
_PLAIN = {
    "__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__", "__tuple__", "TensorShape",
}  # fmt: skip
# Where Keras looks for a function that a config names, and where old files, which name no module, have their classes.
_FUNCTIONS = ("activations", "constraints", "initializers", "losses", "metrics", "ops", "optimizers", "regularizers")
_CLASSES = (
    "layers", "models", "initializers", "regularizers", "constraints", "losses", "metrics", "optimizers",
    "optimizers.schedules", "dtype_policies", "quantizers", "src.models.functional",
)  # fmt: skip
_KINDS = (
    "KerasSaveable", "Operation", "Initializer", "Regularizer", "Constraint", "DTypePolicy", "DTypePolicyMap",
    "LearningRateSchedule", "Quantizer", "QuantizationConfig", "Variable",
)  # fmt: skip


@dataclass(frozen=True)
class Foreign:
    """A class or function that a config names and that is not Keras' own."""

    module: str
    name: str
    registered: str


@dataclass
class Findings:
    """What a config asks for besides Keras' own classes: reasons why it runs code, and names to be found elsewhere."""

    code: list[str] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)


def load(path: Path, *, custom_objects: Mapping[str, Any], compiled: bool) -> Any:
    """The model in a `.keras` or `.h5` file of the model being loaded.

    Raises `Untrusted` where it runs code that the policy does not allow, `InvalidValue` for a file that declares more
    than it holds, that refers to other files, or that needs a class which is nowhere to be found.
    """
    import keras

    admission = active()
    config, declared = described(verified_path(path))
    found = findings(config, custom_objects)
    if found.code:
        _require_code(path, admission, found.code[0])
    with _registry_as_it_is():
        known = {**_of_bundle(path, admission, found), **custom_objects}
        if not found.code:
            _check_built_size(path, config, declared, known)
        with _as_judged(path, found) as judged:
            try:
                return keras.saving.load_model(
                    str(judged), custom_objects=known, compile=compiled, safe_mode=not found.code
                )
            except PackError:
                raise
            except Exception as error:
                raise InvalidValue(
                    f"Keras {keras.__version__} does not load {path.name!a}: {error!s:.300}",
                    hint="install the version that the model was saved with, or save it again",
                ) from error


def why_code(path: Path, custom_objects: Mapping[str, Any]) -> str | None:
    """Why reading this file runs code, its own or what the model brings along; None where it holds data only."""
    found = findings(described(path)[0], custom_objects)
    brought = [_brings(one) for one in found.foreign if _is_brought(active(), one.module)]
    return next(iter([*found.code, *brought]), None)


def findings(config: Any, custom_objects: Mapping[str, Any]) -> Findings:
    """What a config asks for; `custom_objects` and what this process has registered with Keras are known."""
    import keras

    known = {*keras.saving.get_custom_objects(), *custom_objects}
    found = Findings()
    for item in _dicts(config):
        if isinstance(item.get("vocabulary"), str):
            found.code.append("a layer of it reads its vocabulary from another file")
        if "class_name" in item:
            _judge(item, known, found)
    return found


def _judge(item: dict[str, Any], known: set[str], found: Findings) -> None:
    name, module = item["class_name"], item.get("module")
    if not isinstance(name, str) or not isinstance(module, (str, type(None))):
        raise InvalidValue("its config names a class by something that is not text", hint="save the model again")
    if name in _PLAIN:
        return
    is_function = name == "function"
    wanted = str(item.get("config")) if is_function else name
    registered = str(item.get("registered_name") or wanted)
    if name in _RUNS_CODE:
        found.code.append(f"it holds a {name.strip('_')}, whose code runs when it is opened")
    elif {registered, wanted} & known or (is_function and any(one.endswith(f">{wanted}") for one in known)):
        return
    elif is_function:
        if not _is_function(wanted):
            found.foreign.append(Foreign(module or "", wanted, registered))
    else:
        kind = _class_of(module, name)
        if kind is None:
            found.foreign.append(Foreign(module or "", name, registered))
        elif {one.__name__ for one in kind.__mro__} & _RUNS_CODE:
            found.code.append(f"it holds a {name}, whose code runs when it is opened")


def _class_of(module: str | None, name: str) -> Any:
    """Keras' own class of this name, among the modules that are imported already; None for any other."""
    places = [f"keras.{place}" for place in _CLASSES] if module is None else [module]
    for place in places:
        if place.split(".")[0] != "keras":
            return None
        kind = getattr(_module(place), name, None)
        if isinstance(kind, type) and {one.__name__ for one in kind.__mro__} & set(_KINDS):
            return kind if kind.__module__.split(".")[0] == "keras" else None
    return None


def _is_function(name: str) -> bool:
    found = [getattr(_module(f"keras.{place}"), name, None) for place in _FUNCTIONS]
    return any(callable(one) and not isinstance(one, type) for one in found)


def _module(name: str) -> Any:
    """A module of Keras' that is imported already, or that Keras shows as one; None for any other."""
    if name in sys.modules:
        return sys.modules[name]
    first, *parts = name.split(".")
    found = sys.modules.get(first)
    for part in parts:
        found = getattr(found, part, None)
    return found


def _dicts(config: Any) -> Iterator[dict[str, Any]]:
    waiting = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


# --- what is not Keras' own -------------------------------------------------------------------------------------------


def _of_bundle(path: Path, admission: Admission | None, found: Findings) -> dict[str, Any]:
    """The model's own classes, from the code it brings along; raises `InvalidValue` naming one that is nowhere."""
    objects: dict[str, Any] = {}
    for one in found.foreign:
        if not _is_brought(admission, one.module):
            raise InvalidValue(
                f"{path.name!a} needs {one.registered!a:.100}, which is none of Keras' own",
                hint="import the code that registers it, give custom_objects, or save it with code_paths",
            )
        admission = _require_code(path, admission, _brings(one))
        objects[one.registered] = objects[one.name] = _brought(admission, one)
    return objects


def _brings(one: Foreign) -> str:
    return f"it needs {one.registered!a:.100} from the code it brings along"


def _is_brought(admission: Admission | None, module: str) -> bool:
    if admission is None or not module:
        return False
    place = f"code/{module.replace('.', '/')}"
    return f"{place}.py" in admission.files or f"{place}/__init__.py" in admission.files


def _brought(admission: Admission, one: Foreign) -> Any:
    bundle = admission.bundle()
    try:
        return bundle.find(one.module, one.name) if bundle.has(one.module) else None
    except (ImportError, AttributeError) as error:
        raise InvalidValue(f"the model's own code has no {one.module}.{one.name}: {error}") from error


@contextmanager
def _registry_as_it_is() -> Iterator[None]:
    """What a model's own code registers with Keras is there for this model only."""
    import keras

    registry = keras.saving.get_custom_objects()
    before = dict(registry)
    try:
        yield
    finally:
        for name in registry.keys() - before.keys():
            del registry[name]
        registry.update(before)


@contextmanager
def _as_judged(path: Path, found: Findings) -> Iterator[Path]:
    """The file itself where it is only data; where it runs code, a copy of it as verified, which nobody else reaches.

    A file of data that is swapped while it is read meets Keras' safe mode, and is `Damaged` at the end.
    """
    if not found.code:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="pack-") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(read_bytes(path))
        yield copy


def _require_code(path: Path, admission: Admission | None, reason: str) -> Admission:
    if admission is None:
        raise Untrusted(f"{path.name!a} was not opened: {reason}", hint=WAYS_FORWARD)
    admission.require_code(repr(path.name), reason)
    return admission


# --- what a config describes, and what the file holds -----------------------------------------------------------------


def _check_built_size(path: Path, config: Any, declared: int, known: Mapping[str, Any]) -> None:
    """Build the model without its values, and raise `InvalidValue` where they would need more than the file holds."""
    with _without_values() as works:
        if not works:
            return
        try:
            model = _built(config, dict(known))
            wanted = sum(_size_of(one) for one in model.variables)
        except Exception:  # noqa: BLE001 - what does not build so is left to the loading itself, which says why
            return
    if wanted > FREE + 2 * declared:
        raise InvalidValue(f"{path.name!a} describes a model of {wanted:,} bytes and holds {declared:,}")


def _built(config: Any, known: dict[str, Any]) -> Any:
    import keras

    if isinstance(config, dict):
        return keras.saving.deserialize_keras_object(
            {**config, "compile_config": None}, custom_objects=known, safe_mode=True
        )
    from keras.src.legacy.saving import saving_options, saving_utils

    with saving_options.keras_option_scope(use_legacy_config=True):
        return saving_utils.model_from_config(config[0], custom_objects=known)


def _size_of(variable: Any) -> int:
    size = 4
    for length in variable.shape:
        size *= int(length or 1)
    return size


@contextmanager
def _without_values() -> Iterator[bool]:
    """While it lasts, variables get no values, nor do they later; False where this Keras cannot do so."""
    import keras

    try:
        from keras.src.backend.common import global_state

        scope = keras.StatelessScope(initialize_variables=False)
    except (ImportError, TypeError, AttributeError):
        yield False
        return
    waiting = list(global_state.get_global_attribute("uninitialized_variables") or [])
    try:
        with scope:
            yield True
    finally:
        global_state.set_global_attribute("uninitialized_variables", waiting)
