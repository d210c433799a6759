"""The `python_function` flavor: python models, functions, scripts, and a loader module of one's own.

Keys and files are MLflow's (interoperability facts, flavors, section 14).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pack.errors import InvalidState, InvalidValue, NotFound
from pack.flavors.base import Config, Flavor
from pack.mlmodel.code import copy
from pack.mlmodel.signature import ModelSignature
from pack.pyfunc import hints
from pack.pyfunc.code_model import read_config, run_script
from pack.pyfunc.model import FunctionModel, PythonModel, PythonModelContext, predict_function
from pack.trust import payloads
from pack.trust.admission import active

PICKLED, FROM_CODE = "mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model"
_PICKLE = "python_model.pkl"


@dataclass
class Loaded:
    """A python model with its context, and how its predict function wants to be called."""

    model: Any
    context: PythonModelContext
    hint: Any = None

    def __post_init__(self) -> None:
        self._calls: dict[str, tuple[bool, bool]] = {}

    def call(self, name: str, rows: Any, params: Config) -> Any:
        """Call `predict` or `predict_stream` with the arguments that it has."""
        if self.hint is not None:
            rows = hints.convert_input(self.hint, rows)
        if name not in self._calls:
            self._calls[name] = _wants(self.model, name)
        with_context, with_params = self._calls[name]
        given = [self.context, rows] if with_context else [rows]
        keywords = {"params": params} if with_params else {}
        return getattr(self.model, name)(*given, **keywords)


class PythonFunction(Flavor):
    """Python models; `artifacts` are files that travel with the model, `model_config` what it can be steered by."""

    name: ClassVar[str] = "python_function"

    def __init__(
        self,
        *,
        artifacts: Mapping[str, str] | None = None,
        model_config: Mapping[str, Any] | str | Path | None = None,
        loader_module: str | None = None,
        data_path: str | Path | None = None,
        streamable: bool | None = None,
    ) -> None:
        self.artifacts = dict(artifacts or {})
        self.model_config = read_config(model_config)  # type: ignore[arg-type]
        self.loader_module = loader_module
        self.data_path = data_path
        self.streamable = streamable

    def write(self, model: Any, home: Path) -> Config:
        """Write a script as it is, anything else as a pickle; artifacts are copied."""
        config = self._loader(home) if self.loader_module else self._model(model, home)
        if self.artifacts:
            config["artifacts"] = {name: _artifact(name, uri, home) for name, uri in self.artifacts.items()}
        if self.model_config:
            config["config"] = self.model_config
        return config

    def read(self, home: Path, config: Config) -> Loaded:
        """The python model, its context loaded; only where the load policy lets it run."""
        context = PythonModelContext(_artifact_paths(home, config), dict(config.get("config") or {}))
        if config.get("loader_module") == FROM_CODE:
            model = _from_code(config)
        elif config.get("loader_module") == PICKLED:
            model = payloads.load_pickle(_inside(home, config.get("python_model", _PICKLE)))
        else:
            return Loaded(_from_loader(home, config), context)
        return _loaded(model, context)

    def predict(self, model: Loaded, rows: Any, params: Config) -> Any:
        """What the model's own predict answers."""
        return model.call("predict", rows, params)

    def predict_stream(self, model: Loaded, rows: Any, params: Config) -> Iterator[Any]:
        """What the model's own predict_stream yields; raises `InvalidState` where it has none."""
        if not _streams(model.model):
            raise InvalidState("this model does not stream", hint="define predict_stream, or call predict")
        found: Iterator[Any] = iter(model.call("predict_stream", rows, params))
        return found

    def runs_code(self, config: Config) -> str | None:
        """A python model is code."""
        if config.get("loader_module") == FROM_CODE:
            return f"{Path(str(config.get('model_code_path'))).name} is a script that defines the model"
        if config.get("loader_module") == PICKLED:
            return f"{config.get('python_model', _PICKLE)} is a pickle, which runs code when it is opened"
        return f"its loader {str(config.get('loader_module'))!a} is code"

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """What the pickle or the script names."""
        from pack.envs import modules_of_code

        if self.loader_module:
            return {self.loader_module.partition(".")[0]}
        if config["loader_module"] == FROM_CODE:
            script = home / config["model_code_path"]
            return modules_of_code([script]) if script.suffix == ".py" else set()
        names = payloads.pickle_modules((home / config["python_model"]).read_bytes())
        return names | {"cloudpickle"} | _globals_of(model)

    def signature(self, model: Any) -> ModelSignature | None:
        """What the type hints on predict mean."""
        if model is None or self.loader_module:
            return None
        if isinstance(model, (str, Path)):
            model = _as_model(_run(Path(model), self.model_config))
        return hints.signature_of(predict_function(_as_model(model)))

    def ready(self, model: Any, home: Path, config: Config) -> Loaded:
        """The model with its context, for a prediction before it is saved."""
        if self.loader_module:
            raise InvalidValue("a loader module's signature cannot be inferred", hint="give a signature")
        if isinstance(model, (str, Path)):
            model = _run(Path(model), self.model_config)
        return _loaded(_as_model(model), PythonModelContext(_artifact_paths(home, config), dict(self.model_config)))

    def _model(self, model: Any, home: Path) -> Config:
        import cloudpickle

        common = {"cloudpickle_version": cloudpickle.__version__}
        if isinstance(model, (str, Path)):
            script = _script(Path(model))
            copy(script, home / script.name)
            streams = self.streamable if self.streamable is not None else _streams(_run(script, self.model_config))
            return {"loader_module": FROM_CODE, "model_code_path": script.name, "streamable": streams, **common}
        model = _as_model(model)
        payloads.dump_pickle(model, home / _PICKLE)
        streams = self.streamable if self.streamable is not None else _streams(model)
        return {"loader_module": PICKLED, "python_model": _PICKLE, "streamable": streams, **common}

    def _loader(self, home: Path) -> Config:
        config: Config = {"loader_module": self.loader_module}
        if self.data_path is not None:
            source = Path(self.data_path).absolute()
            if not source.exists():
                raise NotFound(f"there is no {source}", hint="data_path is the file or folder that the loader reads")
            copy(source, home / "data" / source.name if source.is_file() else home / "data")
            config["data"] = f"data/{source.name}" if source.is_file() else "data"
        return config


def _as_model(model: Any) -> Any:
    """A python model from itself, a function, or any object with a predict."""
    if isinstance(model, PythonModel):
        return model
    predict = getattr(model, "predict", None)
    if callable(predict) and not inspect.isfunction(model):
        wanted = [name for name in inspect.signature(predict).parameters if name not in {"context", "params"}]
        return model if _is_python_model(model) else FunctionModel(predict if wanted else model)
    if callable(model) and _arguments(model) <= 2:
        return FunctionModel(model)
    raise InvalidValue(
        f"{type(model).__name__} is no python model",
        hint="give a PythonModel, a function of one argument (and perhaps params), or the path of a script",
    )


def _is_python_model(model: Any) -> bool:
    """A model of MLflow's own base class, where that is installed, works as it is."""
    return any(kind.__name__ == "PythonModel" for kind in type(model).__mro__)


def _arguments(function: Any) -> int:
    return len(inspect.signature(function).parameters)


def _loaded(model: Any, context: PythonModelContext) -> Loaded:
    model = _as_model(model)
    if hasattr(model, "load_context"):
        model.load_context(context)
    hint = hints.input_hint(predict_function(model))
    listed = hints.is_list(hint)
    return Loaded(model, context, hint if listed else None)


def _wants(model: Any, name: str) -> tuple[bool, bool]:
    """Whether a method takes a context and params."""
    parameters = [one for one in inspect.signature(getattr(model, name)).parameters if one != "params"]
    with_params = "params" in inspect.signature(getattr(model, name)).parameters
    return len(parameters) > 1 or "context" in parameters, with_params


def _streams(model: Any) -> bool:
    method = getattr(type(model), "predict_stream", None)
    return method is not None and method is not PythonModel.predict_stream and not isinstance(model, FunctionModel)


def _script(path: Path) -> Path:
    if path.suffix not in {".py", ".ipynb"} or not path.is_file():
        raise InvalidValue(
            f"{str(path)!a} is not a Python script", hint="give the path of a .py or .ipynb file that calls set_model"
        )
    return path.absolute()


def _run(path: Path, config: Config) -> Any:
    """Run the user's own script, which is on its way into a model directory."""
    script = _script(path)
    model, _ = run_script(script.read_bytes(), script.name, config=config or None)
    return model


def _from_code(config: Config) -> Any:
    # Others write an absolute path of their own machine here; the file lies in the model's root.
    name = str(config.get("model_code_path", "")).replace("\\", "/").rpartition("/")[2]
    admission = active()
    if admission is None:
        raise InvalidState("a model from code is loaded by pack.pyfunc.load_model")
    admission.require_code(repr(name), "it is a script that defines the model")
    source = admission.read(name)
    model, _ = run_script(source, name, config=dict(config.get("config") or {}), bundle=admission.bundle())
    return model


def _from_loader(home: Path, config: Config) -> Any:
    admission = active()
    name = str(config.get("loader_module"))
    if admission is None:
        raise InvalidState("a model with a loader module is loaded by pack.pyfunc.load_model")
    admission.require_code(f"the loader {name!a}", "a loader module is code")
    if not all(part.isidentifier() for part in name.split(".")):
        raise InvalidValue(f"{name[:100]!a} is not the name of a loader module")
    try:
        module = admission.bundle().import_module(name)
        load = module._load_pyfunc  # noqa: SLF001 - the name that the format gives this hook
    except (ImportError, AttributeError) as error:
        raise InvalidValue(f"{name!a} is not a loader module: {error}", hint="it defines _load_pyfunc(path)") from error
    path = _inside(home, config["data"]) if config.get("data") else home
    takes_config = len(inspect.signature(load).parameters) > 1
    return load(str(path), config.get("config")) if takes_config else load(str(path))


def _artifact(name: str, uri: str, home: Path) -> dict[str, str]:
    from pack.artifacts import local_path

    source = local_path(uri).absolute()
    target = home / "artifacts" / source.name
    if target.exists():
        target = home / "artifacts" / name / source.name
    copy(source, target)
    return {"path": target.relative_to(home).as_posix(), "uri": str(uri)}


def _artifact_paths(home: Path, config: Config) -> dict[str, str]:
    found = config.get("artifacts") or {}
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise InvalidValue("`artifacts` in the MLmodel file must map names to paths")
    return {str(name): str(_inside(home.absolute(), entry.get("path", ""))) for name, entry in found.items()}


def _inside(home: Path, name: Any) -> Path:
    """A path that the MLmodel file names, which must lie in the model."""
    from pack.uris import relative_path

    path = home / relative_path(str(name))
    if not path.exists() or any(place.is_symlink() for place in (path, *path.parents) if place.is_relative_to(home)):
        raise NotFound(f"the model has no file {str(name)!a}")
    return path


def _globals_of(model: Any) -> set[str]:
    """The modules that the functions of a model pickled by value import when they run."""
    import ast
    import textwrap

    target = model if inspect.isfunction(model) else type(model)
    try:
        source = textwrap.dedent(inspect.getsource(target))
        tree = ast.parse(source)
    except (OSError, TypeError, SyntaxError):
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
