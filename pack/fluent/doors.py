"""Doors: the verbs of one flavor under its own name, such as `pack.xgboost.log_model`, with MLflow's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from pack import flavors
from pack.fluent import models
from pack.mlmodel.model import Model, ModelInfo
from pack.pyfunc import load_native

_EITHER = Parameter.POSITIONAL_OR_KEYWORD


class Door:
    """The verbs of one flavor; `model` is what MLflow calls the argument that holds the model.

    `names` maps options as MLflow spells them to those of the flavor; `loads` are what `load_model` takes beside the
    URI, and lays over what the model was saved with.
    """

    def __init__(
        self, flavor: str, model: str, *, names: Mapping[str, str] | None = None, loads: tuple[str, ...] = ()
    ) -> None:
        self.flavor = flavor
        self._model = model
        self._names = dict(names or {})
        self._loads = loads

    def verbs(self) -> tuple[Callable[..., Model], Callable[..., ModelInfo], Callable[..., Any]]:
        """`save_model`, `log_model` and `load_model`."""
        save = self._shown(self.save_model, Parameter("path", _EITHER))
        log = self._shown(self.log_model, Parameter("artifact_path", _EITHER, default=None))
        return save, log, self.load_model

    def save_model(self, *given: Any, **options: Any) -> Model:
        """Write a model as a directory at `path`; `options` are those of `pack.save_model`, and the flavor's own."""
        model, path, own = self._taken("path", given, options)
        return models.save_model(model, path, flavor=self.flavor, **own)

    def log_model(self, *given: Any, **options: Any) -> ModelInfo:
        """Log a model into the store; `options` are those of `pack.log_model`, and the flavor's own."""
        model, path, own = self._taken("artifact_path", given, options)
        return models.log_model(model, own.pop("name", None) or path, flavor=self.flavor, **own)

    def load_model(
        self,
        model_uri: str | Path,
        dst_path: str | Path | None = None,
        *,
        trust: bool | str | None = None,
        **options: Any,
    ) -> Any:
        """Load the model as its framework knows it."""
        unknown = sorted(options.keys() - set(self._loads))
        if unknown:
            raise TypeError(f"pack.{self.flavor}.load_model() takes no {', '.join(unknown)}")
        return load_native(model_uri, flavor=self.flavor, dst_path=dst_path, trust=trust, options=options)

    def requirements(self, *modules: str) -> list[str]:
        """The requirements of a model whose own could not be inferred."""
        from pack.envs import infer_requirements

        return infer_requirements({*flavors.FLAVORS.load(self.flavor).packages, *modules})

    def _taken(self, second: str, given: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
        default = {} if second == "path" else {"default": None}
        found = _signature(self._model, Parameter(second, _EITHER, **default)).bind(*given, **options)
        own = {self._names.get(name, name): value for name, value in found.arguments.get("options", {}).items()}
        return found.arguments[self._model], found.arguments.get(second), own

    def _shown(self, verb: Callable[..., Any], second: Parameter) -> Callable[..., Any]:
        """The verb as a function whose signature says what it takes."""

        def called(*given: Any, **options: Any) -> Any:
            return verb(*given, **options)

        called.__name__ = called.__qualname__ = verb.__name__
        called.__doc__ = verb.__doc__
        called.__signature__ = _signature(self._model, second)  # type: ignore[attr-defined]
        return called


def _signature(model: str, second: Parameter) -> Signature:
    return Signature([Parameter(model, _EITHER), second, Parameter("options", Parameter.VAR_KEYWORD)])


def save_python_model(
    path: str | Path,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    *,
    python_model: Any = None,
    **options: Any,
) -> Model:
    """Write a `PythonModel`, a function, or a models-from-code script (its path) as a model directory.

    `options`: `artifacts`, `model_config`, `code_paths`, `signature`, `input_example`, `pip_requirements`, ...
    With `loader_module` (and `data_path`) a module of your own loads the model: it defines `_load_pyfunc(path)`.

    >>> save_python_model("doubler", python_model=Doubler())  # doctest: +SKIP
    """
    given = _loader(loader_module, data_path)
    return models.save_model(python_model, path, flavor="python_function", **given, **options)


def log_python_model(
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    *,
    python_model: Any = None,
    name: str | None = None,
    **options: Any,
) -> ModelInfo:
    """Log a `PythonModel`, a function, or a models-from-code script; see `save_model` and `pack.log_model`.

    >>> log_python_model(name="doubler", python_model=Doubler(), input_example=frame)  # doctest: +SKIP
    """
    given = _loader(loader_module, data_path)
    return models.log_model(python_model, name or artifact_path, flavor="python_function", **given, **options)


def _loader(loader_module: str | None, data_path: str | Path | None) -> dict[str, Any]:
    given = {"loader_module": loader_module, "data_path": data_path}
    return {key: value for key, value in given.items() if value is not None}
