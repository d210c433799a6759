"""PyTorch modules: exported programs, which run no code when they are read; else weights; pickles on request.

Keys and files are MLflow's (interoperability facts, flavors, section 6). What MLflow does not have is the form
`state_dict`: the weights, and the name of the class with the arguments that make it.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

from pack import settings
from pack.errors import InvalidValue
from pack.flavors import torch_export, torch_tensors
from pack.flavors.base import Config, Flavor
from pack.mlmodel.frames import is_frame
from pack.mlmodel.schema import TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.trust import payloads

_FILES = {"pt2": "model.pt2", "state_dict": "state_dict.pth", "pickle": "model.pth"}
_PICKLE_MODULE = "mlflow.pytorch.pickle_module"
_PICKLE_MODULES = {_PICKLE_MODULE, "cloudpickle", "cloudpickle.cloudpickle", "pickle"}


class PyTorch(Flavor):
    """Modules, Lightning's too, and programs of `torch.export`.

    `serialization_format` is pt2, state_dict or pickle; left out, a module with an example or a signature of tensors
    is exported, and one that cannot be is kept as its weights. `init` are the arguments that make its class again.
    """

    name: ClassVar[str] = "pytorch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)

    def __init__(
        self,
        serialization_format: str | None = None,
        init: Mapping[str, Any] | None = None,
        export_model: bool = False,
        pickle_module: Any = None,
    ) -> None:
        self.format = _chosen(serialization_format, init, export_model=export_model)
        self.init = None if init is None else dict(init)
        named = getattr(pickle_module, "__name__", pickle_module)
        if named is not None and named not in _PICKLE_MODULES:
            raise InvalidValue(f"pickle_module={named!r} is not used here", hint="leave it out: cloudpickle is used")
        self._example: Any = None
        self._given: ModelSignature | None = None
        self._asked: Any = None
        self._independent = False

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """A module is exported with the example, or with tensors like those of the signature."""
        self._example, self._given = example, signature

    def write(self, model: Any, home: Path) -> Config:
        """Write the module in the chosen form, else in the first that can hold it."""
        folder = home / "data"
        folder.mkdir()
        self._asked = _Evaluated(model) if isinstance(model, torch.nn.Module) else None
        written = self._written(model, folder)
        # A fact for those who serve the model: whether requests may be scored together.
        call = self._call(model) if isinstance(model, torch.nn.Module) else None
        alike = call is not None and torch_export.rows_are_independent(self._asked, call)
        known = {} if call is None else {"rows_are_independent": alike}
        self._independent = alike
        return {
            "model_data": folder.name,
            "pytorch_version": str(torch.__version__),
            **written,
            **known,
            "config": {"device": None},
        }

    def read(self, home: Path, config: Config) -> Any:
        """The module, in evaluation mode, on the device that was asked for."""
        device = _device(config)
        folder = home / str(config["model_data"])
        form = _form(folder, config)
        if form == "pt2":
            program = payloads.load_pt2(folder / _FILES[form])
            free = torch_export.rows_are_free(program)
            self._independent = free and config.get("rows_are_independent", True) is True
            return torch_export.module_of(program, device)
        self._independent = config.get("rows_are_independent") is True
        if form == "state_dict":
            return _made(folder / _FILES[form], config).to(device).eval()
        path = folder / _FILES[form] if folder.is_dir() else folder
        model = payloads.load_torch(path)
        if not isinstance(model, torch.nn.Module):
            raise InvalidValue(f"{path.name!a} holds a {type(model).__name__}, not a module")
        return model.to(device).eval()

    def ready(self, model: Any, home: Path, config: Config) -> Any:
        """The exported program, or the module in evaluation mode."""
        return self._asked

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """A frame for a frame, arrays for arrays; params become keyword arguments of forward."""
        if "device" in params:
            raise InvalidValue(
                "device is no param of a prediction", hint="load the model with model_config={'device': ...}"
            )
        if params and torch_export.is_exported(getattr(model, "module", model)):
            raise InvalidValue(
                f"an exported program takes no params, {', '.join(params)} came",
                hint="save the model with serialization_format='state_dict' or 'pickle'",
            )
        args, named = torch_tensors.fed(model, rows)
        with torch.no_grad():
            return torch_tensors.answered(model(*args, **named, **params), rows)

    def rows_are_independent(self, model: Any) -> bool:
        """Where the example showed it, and the number of rows is free."""
        return self._independent

    def runs_code(self, config: Config) -> str | None:
        """Pickles and classes run code; exported programs of plain tensors do not."""
        form = config.get("serialization_format")
        if form == "pickle":
            return "data/model.pth is a pickle, which runs code when it is opened"
        if form == "state_dict":
            return f"its class {config.get('model_class')} is code"
        reason = config.get("runs_code")
        return None if reason is None else f"data/model.pt2 is not plain: {reason}"

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """A pickle that the MLmodel file does not call one, and programs that are not plain."""
        folder = home / str(config["model_data"])
        if _form(folder, config) == "pickle":
            return "it is a pickle, which runs code when it is opened"
        return payloads.why_pt2_runs_code(folder / _FILES["pt2"])

    def python_function(self, config: Config) -> Config | None:
        """As MLflow has it, the name of a pickle module even where there is no pickle."""
        return {
            "loader_module": "mlflow.pytorch",
            "data": config["model_data"],
            "pickle_module_name": _PICKLE_MODULE,
            "config": {"device": None},
        }

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """What the class or the pickle is made of; arrays become tensors by NumPy."""
        if config["serialization_format"] == "state_dict":
            return {"numpy", str(config["model_class"]).partition(":")[0]}
        if config["serialization_format"] == "pickle":
            return {"numpy", "cloudpickle"} | payloads.torch_modules(home / "data" / _FILES["pickle"])
        return {"numpy"}

    def signature(self, model: Any) -> ModelSignature | None:
        """What an exported program says of itself; a module's is found by trying it."""
        if not isinstance(model, torch.export.ExportedProgram) or is_frame(self._example):
            return None
        return torch_export.signature_of(model)

    def _written(self, model: Any, folder: Path) -> Config:
        """Write the model in the chosen form and answer what tells how to read it."""
        if isinstance(model, torch.jit.ScriptModule) and self.format != "pickle":
            raise InvalidValue(
                "a TorchScript module does not export", hint="pass serialization_format='pickle', or the module itself"
            )
        if isinstance(model, torch.export.ExportedProgram):
            return self._program(model, folder)
        if self.format == "pickle":
            return _pickled(model, folder)
        if self.format == "state_dict":
            return self._weights(model, folder)
        if self.format == "pt2":
            return self._program(self._exported(model), folder)
        return self._first(model, folder)

    def _first(self, model: Any, folder: Path) -> Config:
        """The program, else the weights; raises `InvalidValue` saying what keeps it from being either."""
        try:
            return self._program(self._exported(model), folder)
        except InvalidValue as error:
            reason = error.message
        try:
            written = self._weights(model, folder)
        except InvalidValue as error:
            raise InvalidValue(
                f"{reason}; and its weights alone do not make it again: {error.message}",
                hint="give an input_example, or pass init={...}, or serialization_format='pickle'",
            ) from error
        if self._example is not None:
            warnings.warn(f"the weights are saved, and the class is needed to load them: {reason}", stacklevel=7)
        return written

    def _exported(self, model: Any) -> Any:
        if self._given is not None and self._given.params:
            raise InvalidValue("an exported program takes no params", hint="pass serialization_format='state_dict'")
        call = self._call(model)
        if call is None:
            raise InvalidValue(
                "an export needs an input_example: a frame of numbers, an array, or a dict of arrays by the names of "
                "forward's parameters",
                hint="give one, or a signature of tensors",
            )
        return torch_export.export(model, call, self._free(call))

    def _program(self, program: Any, folder: Path) -> Config:
        if self.format not in {None, "pt2"}:
            raise InvalidValue(f"an exported program is not kept as {self.format}", hint="use 'pt2'")
        path = folder / _FILES["pt2"]
        torch_export.save(program, path)
        reason = payloads.why_pt2_runs_code(path)
        self._asked = torch_export.module_of(program, None)
        return {"serialization_format": "pt2", **({} if reason is None else {"runs_code": reason})}

    def _weights(self, model: Any, folder: Path) -> Config:
        init = _init(model, self.init)
        name = _class_name(type(model))
        _check_again(model, init)
        payloads.dump_weights(model.state_dict(), folder / _FILES["state_dict"])
        return {"serialization_format": "state_dict", "model_class": name, "init": init}

    def _call(self, model: Any) -> Any:
        """The arguments of forward in the example, or in tensors of the signature; None where they are no tensors."""
        example, specs = self._example, _specs(self._given)
        if example is None and specs:
            found = {at if spec.name is None else spec.name: _zeros(spec) for at, spec in enumerate(specs)}
            example = found if specs[0].name is not None else next(iter(found.values()))
        if isinstance(example, Mapping) and all(hasattr(one, "dtype") for one in example.values()):
            return torch_tensors.fed(model, example)
        if is_frame(example) or (hasattr(example, "dtype") and hasattr(example, "shape")):
            return torch_tensors.fed(model, example)
        return None

    def _free(self, call: Any) -> list[list[int]]:
        """The free dimensions of each input: those that a signature says are, else the first."""
        given = [*call[0], *call[1].values()]
        specs = _specs(self._given)
        if len(specs) != len(given):
            return [[0] if one.ndim else [] for one in given]
        return [[dim for dim, size in enumerate(spec.shape) if size == -1] for spec in specs]


class _Evaluated:
    """A module that is asked in evaluation mode and left as it was."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.forward = module.forward
        self.parameters, self.buffers = module.parameters, module.buffers

    def __call__(self, *args: Any, **named: Any) -> Any:
        with torch_export.evaluated(self.module):
            return self.module(*args, **named)


def _chosen(form: str | None, init: Any, *, export_model: bool) -> str | None:
    if export_model and form not in {None, "pt2"}:
        raise InvalidValue(f"export_model and serialization_format={form!r} contradict each other", hint="give one")
    form = "pt2" if export_model else form
    if form is not None and form not in _FILES:
        raise InvalidValue(f"serialization_format={form!r} is not known", hint=f"use one of {', '.join(_FILES)}")
    if init is None:
        return form
    if form not in {None, "state_dict"}:
        raise InvalidValue(f"init means nothing to {form}", hint="leave it out, or use 'state_dict'")
    if not isinstance(init, Mapping):
        raise InvalidValue(f"init must be a dict of the arguments of the class, not {type(init).__name__}")
    return "state_dict"


def _form(folder: Path, config: Config) -> str:
    """The form of a saved model; MLflow does not write it down."""
    form = config.get("serialization_format")
    if form is None:
        return "pickle" if folder.is_file() or (folder / _FILES["pickle"]).is_file() else "pt2"
    if str(form) not in _FILES:
        raise InvalidValue(f"serialization_format {form!a:.40} is not known", hint="install a newer pack")
    return str(form)


def _device(config: Config) -> Any:
    """The device of this load: as the caller says, else as the environment says, else a GPU where there is one."""
    asked = config.get("map_location") or config.get("device") or dict(config.get("config") or {}).get("device")
    asked = asked or settings.prediction_device() or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(asked)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        raise InvalidValue(
            f"there is no device {str(asked)!a:.60} here: {str(error).splitlines()[0]:.200}",
            hint="load the model with model_config={'device': 'cpu'}",
        ) from error
    return device


def _made(path: Path, config: Config) -> Any:
    """A module of its class, with the weights of the file."""
    module, _, name = str(config["model_class"]).partition(":")
    kind = payloads.load_class(module, name)
    if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise InvalidValue(f"{module}:{name} is no class of modules")
    init = config.get("init") or {}
    try:
        model = kind(**init)
    except Exception as error:
        raise InvalidValue(f"{name}(**{init!r:.200}) fails: {error}", hint="save the model again") from error
    try:
        model.load_state_dict(payloads.load_weights(path))
    except RuntimeError as error:
        raise InvalidValue(f"the weights are not those of {name}: {error!s:.300}", hint="save it again") from error
    return model


def _init(model: Any, given: dict[str, Any] | None) -> dict[str, Any]:
    """The arguments that make the class again: as given, else Lightning's, else none; plain values only."""
    if given is None and any(kind.__name__ == "LightningModule" for kind in type(model).__mro__):
        given = dict(model.hparams)
    given = given or {}
    try:
        plain: dict[str, Any] = json.loads(json.dumps(given, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"init holds more than plain values: {error}", hint="use numbers, text, lists") from error
    return plain


def _class_name(kind: type) -> str:
    """`module:QualName` of a class that can be imported by it."""
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not kind or kind.__module__ == "__main__" or kind.__module__.startswith("_pack_bundle_"):
        raise InvalidValue(
            f"{kind.__qualname__} is defined in {kind.__module__}, from where it cannot be imported later",
            hint="define it in a module of its own, and pass code_paths=[...]",
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def _check_again(model: Any, init: dict[str, Any]) -> None:
    """Make the class once without memory for its tensors; raises `InvalidValue` where it is another module."""
    kind = type(model)
    try:
        with torch.device("meta"):
            again = kind(**init)
    except Exception as error:
        raise InvalidValue(
            f"{kind.__name__}(**{init!r:.200}) fails: {error}", hint="pass init={...}, the arguments of its class"
        ) from error
    one, other = (_shapes(module.state_dict()) for module in (model, again))
    differs = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    if differs:
        raise InvalidValue(
            f"{kind.__name__}(**{init!r:.200}) makes another module: {', '.join(differs[:5])} differ",
            hint="pass init={...}, the arguments of its class",
        )


def _shapes(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(getattr(value, "shape", ())) for name, value in state.items()}


def _pickled(model: Any, folder: Path) -> Config:
    payloads.dump_torch(model, folder / _FILES["pickle"])
    (folder / "pickle_module_info.txt").write_text(_PICKLE_MODULE, encoding="utf-8")
    return {"serialization_format": "pickle"}


def _specs(signature: ModelSignature | None) -> tuple[TensorSpec, ...]:
    schema = signature.inputs if signature else None
    return () if schema is None else tuple(spec for spec in schema if isinstance(spec, TensorSpec))


def _zeros(spec: TensorSpec) -> Any:
    import numpy as np

    return np.zeros([2 if size == -1 else size for size in spec.shape], spec.type)
