"""The `python_function` flavor: python models, functions, scripts, and a loader module of one's own.

Keys and files are MLflow's (interoperability facts, flavors, section 14).
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from pack.errors import InvalidState, InvalidValue, NotFound
from pack.flavors.base import Config, Conventions, Flavor
from pack.mlmodel.code import copy
from pack.mlmodel.signature import ModelSignature
from pack.pyfunc import hints
from pack.pyfunc.code_model import read_config, run_script, saved_bundle, script_source
from pack.pyfunc.loaded import Loaded, carrying_hints, loaded, type_hints
from pack.pyfunc.model import PythonModelContext, as_python_model, is_chat_model, streams
from pack.trust import payloads
from pack.trust.admission import Admission, active

PICKLED, FROM_CODE = "mlflow.pyfunc.model", "mlflow.pyfunc.loaders.code_model"
CHAT = "mlflow.pyfunc.loaders.chat_model"
_PICKLE = "python_model.pkl"


class PythonFunction(Flavor):
    """Python models; `artifacts` are files that travel with the model, `model_config` what it can be steered by.

    With `loader_module` a module of one's own reads the model: its `_load_pyfunc(path)`, or `(path, model_config)`,
    gets the place of `data_path` and answers an object with a `predict`.
    """

    name: ClassVar[str] = "python_function"

    def __init__(
        self,
        *,
        artifacts: Mapping[str, str | Path] | None = None,
        model_config: Mapping[str, Any] | str | Path | None = None,
        loader_module: str | None = None,
        data_path: str | Path | None = None,
        streamable: bool | None = None,
    ) -> None:
        self.artifacts = dict(artifacts or {})
        self.model_config = read_config(model_config)
        self.loader_module = loader_module
        self.data_path = data_path
        self.streamable = streamable
        self._model: Any = None

    def write(self, model: Any, home: Path) -> Config:
        """Write a script as it is, anything else as a pickle; artifacts are copied."""
        config = self._write_data(model, home) if self.loader_module else self._write_model(model, home)
        if self.artifacts:
            config["artifacts"] = _copy_artifacts(self.artifacts, home)
        if self.model_config:
            config["config"] = self.model_config
        return config

    def read(self, home: Path, config: Config) -> Loaded:
        """The python model, its context loaded; only where the load policy lets it run."""
        admission = active()
        if admission is None:
            raise InvalidState("a python model is read inside a load", hint="use pack.pyfunc.load_model")
        context = PythonModelContext(_artifact_paths(home, config), dict(config.get("config") or {}))
        loader = str(config.get("loader_module"))
        if loader in {PICKLED, CHAT}:
            model = payloads.load_pickle(_inside(home, config.get("python_model", _PICKLE)))
            return loaded(as_python_model(model), context)
        if loader == FROM_CODE:
            return loaded(as_python_model(_from_code(admission, config)), context)
        return Loaded(_from_loader(admission, home, config), context)

    def predict(self, model: Loaded, rows: Any, params: Config) -> Any:
        """What the model's own predict answers."""
        return model.predict(rows, params)

    def predict_stream(self, model: Loaded, rows: Any, params: Config) -> Iterator[Any]:
        """What the model's own predict_stream yields; raises `InvalidState` where it has none."""
        return model.predict_stream(rows, params)

    def rows_are_independent(self, model: Any) -> bool:
        """Only a python model itself can say so."""
        return getattr(getattr(model, "model", None), "rows_are_independent", False) is True

    def runs_code(self, config: Config) -> str | None:
        """A python model is code."""
        loader = str(config.get("loader_module"))
        if loader == FROM_CODE:
            return f"{_script_name(config)!a} is a script that defines the model"
        if loader in {PICKLED, CHAT}:
            return f"{str(config.get('python_model', _PICKLE))!a} is a pickle, which runs code when it is opened"
        return f"its loader {loader[:100]!a} is code"

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """What the pickle or the script names."""
        from pack.envs.infer import modules_of_source

        if self.loader_module:
            return {self.loader_module.partition(".")[0]}
        if config["loader_module"] == FROM_CODE:
            script = home / config["model_code_path"]
            return modules_of_source(script_source(script.read_bytes(), script.name), script.name)
        names = payloads.pickle_modules((home / config["python_model"]).read_bytes())
        return names | {"cloudpickle"} | _late_imports(model)

    def signature(self, model: Any) -> ModelSignature | None:
        """What the type hints on predict mean; a chat model has one signature, whatever its hints."""
        if self._model is None or is_chat_model(self._model):
            return None
        return hints.signature_of(type_hints(self._model))

    def conventions(self, model: Any) -> Conventions | None:
        """What MLflow writes beside every chat model."""
        if self._model is None or not is_chat_model(self._model):
            return None
        from pack.pyfunc import chat_models

        return Conventions(
            "a chat model",
            signature=chat_models.chat_signature(),
            example=chat_models.EXAMPLE,
            read_example=chat_models.example_of,
            metadata={chat_models.TASK: chat_models.CHAT},
        )

    def ready(self, model: Any, home: Path, config: Config) -> Loaded:
        """The model with its context, for a prediction before it is saved."""
        if self._model is None:
            raise InvalidValue("the signature of a loader module's model cannot be inferred", hint="give a signature")
        return loaded(self._model, PythonModelContext(_artifact_paths(home, config), dict(self.model_config)))

    def _write_model(self, model: Any, home: Path) -> Config:
        import cloudpickle

        if isinstance(model, (str, Path)):
            script = _script(Path(model))
            copy(script, home / script.name)
            # Run as a loader will run it: with the code that travels along, and the config.
            source = script.read_bytes()
            made = run_script(source, script.name, config=self.model_config, bundle=saved_bundle(home))
            config: Config = {"loader_module": FROM_CODE, "model_code_path": script.name}
            self._model = as_python_model(made)
        else:
            self._model = as_python_model(model)
            with carrying_hints(self._model) as hinted:
                payloads.dump_pickle(self._model, home / _PICKLE, hinted=hinted)
            loader = CHAT if is_chat_model(self._model) else PICKLED
            config = {"loader_module": loader, "python_model": _PICKLE}
        streamable = streams(self._model) if self.streamable is None else self.streamable
        return {**config, "streamable": streamable, "cloudpickle_version": cloudpickle.__version__}

    def _write_data(self, model: Any, home: Path) -> Config:
        if model is not None:
            raise InvalidValue("a python model and a loader_module were given together", hint="give one of them")
        config: Config = {"loader_module": self.loader_module}
        if self.data_path is not None:
            source = Path(self.data_path).absolute()
            if not source.exists():
                raise NotFound(f"there is no {source}", hint="data_path is the file or folder that the loader reads")
            copy(source, home / "data" / source.name if source.is_file() else home / "data")
            config["data"] = f"data/{source.name}" if source.is_file() else "data"
        return config


def _script(path: Path) -> Path:
    if path.suffix not in {".py", ".ipynb"} or not path.is_file():
        raise InvalidValue(
            f"{str(path)!a} is not a Python script", hint="give the path of a .py or .ipynb file that calls set_model"
        )
    return path.absolute()


def _script_name(config: Config) -> str:
    """Others write an absolute path of their own machine here; the file lies in the model's root."""
    return str(config.get("model_code_path", "")).replace("\\", "/").rpartition("/")[2]


def _from_code(admission: Admission, config: Config) -> Any:
    name = _script_name(config)
    admission.require_code(f"{name!a}", "it is a script that defines the model")
    source = admission.read(name)
    return run_script(source, name, config=dict(config.get("config") or {}), bundle=admission.bundle())


def _from_loader(admission: Admission, home: Path, config: Config) -> Any:
    name = str(config.get("loader_module"))
    admission.require_code(f"the loader {name[:100]!a}", "a loader module is code")
    if not all(part.isidentifier() for part in name.split(".")):
        raise InvalidValue(f"{name[:100]!a} is not the name of a loader module")
    try:
        load = admission.bundle().import_module(name)._load_pyfunc  # noqa: SLF001 - the format's name for this hook
    except (ImportError, AttributeError) as error:
        raise InvalidValue(f"{name!a} is not a loader module: {error}", hint="it defines _load_pyfunc(path)") from error
    path = _inside(home, config["data"]) if config.get("data") else home
    takes_config = len(inspect.signature(load).parameters) > 1
    return load(str(path), config.get("config")) if takes_config else load(str(path))


def _copy_artifacts(artifacts: Mapping[str, str | Path], home: Path) -> dict[str, dict[str, str]]:
    """Copy each artifact once, however many names it has; answers the `artifacts` of the block."""
    from pack.artifacts import local_path

    copied: dict[str, dict[str, str]] = {}
    places: dict[str, str] = {}
    for name, uri in artifacts.items():
        if str(uri) not in places:
            source = local_path(uri).absolute()
            target = _free(home / "artifacts", source.name)
            copy(source, target)
            places[str(uri)] = target.relative_to(home).as_posix()
        copied[str(name)] = {"path": places[str(uri)], "uri": str(uri)}
    return copied


def _free(folder: Path, name: str) -> Path:
    """A path of that name that is not taken; where it is, in a numbered folder below."""
    target, number = folder / name, 0
    while target.exists():
        number += 1
        target = folder / str(number) / name
    return target


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


def _late_imports(model: Any) -> set[str]:
    """The modules that the functions of a model pickled by value import when they run."""
    from pack.envs.infer import modules_of_source

    try:
        source = textwrap.dedent(inspect.getsource(model if inspect.isfunction(model) else type(model)))
        return modules_of_source(source.encode(), "the model")
    except (OSError, TypeError, InvalidValue):
        return set()
