"""The one place that deserializes what could run code.

No other module of `pack` calls a pickle's, joblib's, cloudpickle's or dill's load, `torch.load`, or `np.load`
(`tests/trust/test_choke_point.py`). Whatever a flavor says of itself, a pickle is opened only inside an admission that
lets its model run code.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import sys
import types
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pack.errors import InvalidValue, MissingPackage, Untrusted
from pack.mlmodel.bundles import Bundle
from pack.trust.admission import WAYS_FORWARD, Admission, active, read_bytes, verified_path

Serializer = Literal["cloudpickle", "pickle"]

# Names in MLflow's pickles → ours. What is on both sides is written under MLflow's name, so that it loads there too.
RENAMED: dict[tuple[str, str], str] = {
    ("mlflow.pyfunc.model", "PythonModel"): "pack.pyfunc.model:PythonModel",
    ("mlflow.pyfunc.model", "_FunctionPythonModel"): "pack.pyfunc.model:FunctionModel",
    ("mlflow.pyfunc.model", "PythonModelContext"): "pack.pyfunc.model:PythonModelContext",
    ("mlflow.models.signature", "_TypeHints"): "pack.pyfunc.model:TypeHints",
    ("mlflow.pyfunc.utils.data_validation", "FuncInfo"): "pack.pyfunc.foreign:FuncInfo",
    ("mlflow.pyfunc.utils.data_validation", "_validate_model_input"): "pack.pyfunc.foreign:validate_model_input",
    ("mlflow.pyfunc.utils.data_validation", "pyfunc"): "pack.pyfunc.foreign:check_hints",
    ("mlflow.exceptions", "MlflowException"): "pack.errors:PackError",
    ("mlflow.pyfunc.model", "ChatModel"): "pack.pyfunc.chat:ChatModel",
}
_CHAT = "pack.pyfunc.chat"
_PARTS = (
    "ChatChoice ChatChoiceDelta ChatChoiceLogProbs ChatChunkChoice ChatCompletionChunk ChatCompletionRequest "
    "ChatCompletionResponse ChatMessage ChatParams FunctionToolCallArguments FunctionToolDefinition ParamProperty "
    "ParamType TokenLogProb TokenUsageStats ToolCall ToolDefinition ToolParamsSchema TopTokenLogProb"
)
RENAMED |= {("mlflow.types.llm", name): f"{_CHAT}:{name}" for name in _PARTS.split()}
_WRITTEN = {
    "PythonModel",
    "_FunctionPythonModel",
    "PythonModelContext",
    "_TypeHints",
    "pyfunc",
    "ChatModel",
    *_PARTS.split(),
}
# Why a SavedModel is opened only where its model may run code.
SAVED_MODEL = "a SavedModel is a program, whose operations may read and write files"
_MAX_STRINGS = 100_000


def load_pickle(path: Path) -> Any:
    """Open a pickle of the model being loaded; raises `Untrusted` before its first instruction if that is not allowed.

    Modules that the model brings along are found in its bundle.
    """
    admission = _require_code(path, "it is a pickle, which runs code when it is opened")
    try:
        return _Unpickler(io.BytesIO(read_bytes(path)), admission.bundle()).load()
    except (pickle.UnpicklingError, EOFError, ImportError, AttributeError, IndexError, KeyError) as error:
        raise InvalidValue(
            f"{path.name!a} cannot be opened: {type(error).__name__}: {error}",
            hint="install what the model needs (its requirements.txt), or bring its code along with code_paths",
        ) from error


def load_joblib(path: Path) -> Any:
    """Open a joblib file of the model being loaded, under the same rule as a pickle."""
    _require_code(path, "it is a joblib file, which runs code when it is opened")
    import joblib

    return joblib.load(io.BytesIO(read_bytes(path)))


def dump_pickle(
    model: Any, path: Path, *, serializer: Serializer = "cloudpickle", hinted: types.FunctionType | None = None
) -> None:
    """Write a pickle; our base classes are named as MLflow names them. Raises `InvalidValue` for what cannot be.

    `hinted` is a function of the model on which MLflow is to put its check of type hints when it loads the model.
    """
    import cloudpickle

    with path.open("wb") as file:
        try:
            if serializer == "pickle":
                pickle.dump(model, file, protocol=pickle.HIGHEST_PROTOCOL)
            else:
                _pickler(cloudpickle, hinted)(file).dump(model)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as error:
            raise InvalidValue(
                f"{type(model).__name__} cannot be pickled: {error}",
                hint="write it as a models-from-code script, or leave out what cannot be pickled (locks, connections)",
            ) from error


def load_skops(path: Path) -> Any:
    """Open a skops file: types of our own list, whatever the model says; raises `Untrusted` naming the others.

    Where the policy lets the model run code, its other types load too.
    """
    from pack.trust.skops_files import load

    return load(read_bytes(path), path.name, active())


def why_skops_runs_code(path: Path) -> str | None:
    """Why a skops file loads only where the policy lets its model run code; None where it always does."""
    from pack.trust.skops_files import why_code

    return why_code(read_bytes(path), path.name)


def dump_skops(model: Any, path: Path) -> list[str]:
    """Write a skops file; answers the types that skops itself would not load, as MLflow's reader needs them."""
    from pack.trust.skops_files import dump

    return dump(model, path)


def load_pt2(path: Path) -> Any:
    """Open a `torch.export` archive: plain tensors and operators on them, whatever the policy.

    An archive that holds a pickle, or whose graph says more than that, loads where the policy lets the model run code.
    """
    from pack.trust import torch_files

    with torch_files.opened(path) as source:
        reason = torch_files.why_program_runs_code(source, path)
        if reason is not None:
            _require_code(path, f"{reason}, which could run code when it is opened")
        return torch_files.load_program(source, path, judged=reason is None)


def why_pt2_runs_code(path: Path) -> str | None:
    """Why a `torch.export` archive loads only where the policy lets its model run code; None where it always does."""
    from pack.trust import torch_files

    with torch_files.opened(path) as source:
        return torch_files.why_program_runs_code(source, path)


def load_torch(path: Path) -> Any:
    """Open a pickled or scripted module of PyTorch, under the same rule as a pickle."""
    from pack.trust import torch_files

    admission = _require_code(path, "it is a pickled module, which runs code when it is opened")
    return torch_files.load_module(path, admission, _Unpickler)


def dump_torch(model: Any, path: Path) -> None:
    """Write a module of PyTorch as a pickle; raises `InvalidValue` for what cannot be one."""
    from pack.trust import torch_files

    torch_files.dump_module(model, path)


def torch_modules(path: Path) -> set[str]:
    """The top-level modules that a pickled module of PyTorch names; nothing runs."""
    from pack.trust import torch_files

    return torch_files.names_of(path)


def dump_weights(weights: dict[str, Any], path: Path) -> None:
    """Write tensors by their names, as `load_weights` reads them."""
    from pack.trust import torch_files

    torch_files.dump_weights(weights, path)


def load_weights(path: Path) -> dict[str, Any]:
    """Open a file of PyTorch's with tensors by their names; raises `InvalidValue` where it holds anything else."""
    from pack.trust import torch_files

    return torch_files.load_weights(path)


def load_class(module: str, name: str) -> Any:
    """A class that the model names: its own or an installed one, where the policy lets the model run code."""
    admission = _require_code(Path(module), f"it is the code of {module}.{name}")
    try:
        return admission.bundle().find(module, name)
    except (ImportError, AttributeError) as error:
        raise InvalidValue(
            f"{module}.{name} cannot be imported: {error}",
            hint="install what the model needs (its requirements.txt), or save it with code_paths=[...]",
        ) from error


def load_keras(path: Path, *, custom_objects: Mapping[str, Any], compiled: bool = False) -> Any:
    """Open a `.keras` or `.h5` file; one that holds code only where the policy lets the model run it."""
    from pack.trust.keras_files import load

    return load(path, custom_objects=custom_objects, compiled=compiled)


def load_saved_model(path: Path, **options: Any) -> Any:
    """Open a folder of TensorFlow's SavedModel, a program whose operations may read and write files.

    Raises `Untrusted` where the policy does not let the model run code.
    """
    _require_code(path, SAVED_MODEL)
    import tensorflow as tf

    try:
        return tf.saved_model.load(str(verified_path(path)), **options)
    except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
        raise InvalidValue(
            f"TensorFlow {tf.__version__} does not load {path.name!a}: {error!s:.300}",
            hint="install the version that the model was saved with, or save it again",
        ) from error


def handed_over(path: Path, reason: str) -> Path:
    """The path of a file for a library that runs code when it reads it, under the same rule as a pickle.

    `reason` says why; raises `Untrusted` where the policy does not let the model run code.
    """
    _require_code(path, reason)
    return verified_path(path)


def load_array(path: Path) -> Any:
    """Open a `.npy` file of plain numbers; raises `InvalidValue` for one that holds objects."""
    import numpy as np

    try:
        return np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise InvalidValue(f"{path.name!a} is not an array of plain numbers") from error


def pickle_modules(data: bytes) -> set[str]:
    """The top-level modules that a pickle names, found by reading its instructions; nothing runs."""
    return {module.partition(".")[0] for module, _ in pickle_names(data)}


def pickle_names(data: bytes) -> set[tuple[str, str]]:
    """The `(module, name)` pairs that a pickle would import; for a damaged one, those before the damage."""
    try:
        return set(_names(data))
    except (ValueError, IndexError, KeyError, EOFError, UnicodeDecodeError, OverflowError):
        return set()


def _names(data: bytes) -> Iterator[tuple[str, str]]:
    """Follow the texts on the pickle's stack closely enough to see what each global refers to."""
    texts: list[str] = []
    memo: dict[int, str] = {}
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name in {"GLOBAL", "INST"}:
            module, _, name = str(argument).partition(" ")
            yield module, name
        elif opcode.name == "STACK_GLOBAL" and len(texts) >= 2:
            yield texts[-2], texts[-1]
        elif "UNICODE" in opcode.name or opcode.name in {"STRING", "BINSTRING", "SHORT_BINSTRING"}:
            texts.append(str(argument))
        elif opcode.name == "MEMOIZE" and texts:
            memo[len(memo)] = texts[-1]
        elif opcode.name in {"BINPUT", "LONG_BINPUT", "PUT"} and texts:
            memo[int(argument or 0)] = texts[-1]
        elif opcode.name in {"BINGET", "LONG_BINGET", "GET"} and int(argument or 0) in memo:
            texts.append(memo[int(argument or 0)])
        if len(texts) > _MAX_STRINGS:
            del texts[:-1000]


class _Unpickler(pickle.Unpickler):
    """Finds MLflow's names as ours and the model's own modules in its bundle."""

    def __init__(self, file: io.BytesIO, bundle: Bundle) -> None:
        super().__init__(file)
        self._bundle = bundle

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in RENAMED:
            return _named(RENAMED[module, name])
        if module == "cloudpickle.cloudpickle" or (module, name) == ("pkgutil", "resolve_name"):
            return self._stand_in(name) or super().find_class(module, name)
        if module == "mlflow" or module.startswith("mlflow."):
            raise MissingPackage(
                f"this pickle needs {module}.{name}, which pack does not provide",
                hint="save the model again, as a models-from-code script where it can be one",
            )
        return self._bundle.find(module, name) if self._bundle.has(module) else super().find_class(module, name)

    def _stand_in(self, name: str) -> Any:
        """What finds modules for a pickle, made to look into the bundle first."""
        makers = {
            "resolve_name": self._resolve,
            "subimport": self._bundle.import_module,
            "_make_function": self._make_function,
        }
        return makers.get(name)

    def _resolve(self, text: str) -> Any:
        """What `pkgutil.resolve_name` would answer."""
        import pkgutil

        module, colon, name = text.partition(":")
        return self.find_class(module, name) if colon else pkgutil.resolve_name(text)

    def _make_function(
        self, code: types.CodeType, scope: dict[str, Any], name: str | None, defaults: Any, closure: Any
    ) -> types.FunctionType:
        """A function pickled by value, whose own `import` statements ask the bundle first."""
        scope["__builtins__"] = self._bundle.builtins
        return types.FunctionType(code, scope, name, defaults, closure)


def _named(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


def _pickler(cloudpickle: Any, hinted: types.FunctionType | None) -> Any:
    """A cloudpickle that writes our base classes by the names that MLflow has for them."""
    import pkgutil

    ours = {
        _named(target): f"{module}:{name}"
        for (module, name), target in RENAMED.items()
        # What was never imported is in no pickle.
        if name in _WRITTEN and (not target.startswith(f"{_CHAT}:") or _CHAT in sys.modules)
    }
    check = next(made for made, name in ours.items() if name.endswith(":pyfunc"))

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if isinstance(obj, (type, types.FunctionType)) and obj in ours:
                return pkgutil.resolve_name, (ours[obj],)
            if hinted is not None and obj is hinted:
                return check, (_ByName(hinted) if _is_importable(hinted) else _twin(hinted),)
            return super().reducer_override(obj)

    return Pickler


class _ByName:
    """A function that is pickled as its name."""

    def __init__(self, function: types.FunctionType) -> None:
        self.name = f"{function.__module__}:{function.__qualname__}"

    def __reduce__(self) -> tuple[Any, ...]:
        import pkgutil

        return pkgutil.resolve_name, (self.name,)


def _is_importable(function: types.FunctionType) -> bool:
    module = sys.modules.get(function.__module__ or "")
    return function.__module__ != "__main__" and getattr(module, function.__qualname__, None) is function


def _twin(function: types.FunctionType) -> types.FunctionType:
    """The same function as another object."""
    made = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__dict__.update(function.__dict__)
    for name in ("__annotations__", "__doc__", "__module__", "__qualname__"):
        setattr(made, name, getattr(function, name))
    return made


def _require_code(path: Path, reason: str) -> Admission:
    admission = active()
    if admission is None:
        raise Untrusted(f"{path.name!a} was not opened: {reason}", hint=WAYS_FORWARD)
    admission.require_code(repr(path.name), reason)
    return admission
