"""What a person writes: a `PythonModel`, or a plain function or object that is treated as one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from pack.errors import InvalidValue


class PythonModelContext:
    """What a python model is given beside its input: its artifacts as paths, and its config."""

    def __init__(self, artifacts: dict[str, str], model_config: dict[str, Any] | None) -> None:
        self._artifacts = artifacts
        self._model_config = model_config

    @property
    def artifacts(self) -> dict[str, str]:
        """Name → absolute path of each artifact on this disk."""
        return self._artifacts

    @property
    def model_config(self) -> dict[str, Any]:
        """The model's config, with what the loader laid over it."""
        return self._model_config or {}


class PythonModel:
    """A model in plain Python: subclass it and write `predict`.

    `predict` may leave out `context` and `params`. Type hints on `model_input` give the signature.

    >>> class Double(PythonModel):
    ...     def predict(self, context, model_input):
    ...         return model_input * 2
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Prepare the model, once, before its first prediction."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """The predictions for `model_input`, as the signature lets it through."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict")

    def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        """The predictions one after another."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict_stream")


class FunctionModel(PythonModel):
    """A function of one argument (and perhaps `params`) as a python model."""

    def __init__(self, func: Callable[..., Any], signature: Any = None) -> None:
        self.func = func
        self.signature = signature

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """What the function answers."""
        func = inspect.unwrap(self.func)
        return func(model_input, params=params) if _takes_params(func) else func(model_input)


def as_python_model(model: Any) -> Any:
    """A python model from itself, a function, or any object with a `predict`; raises `InvalidValue` for others."""
    if is_python_model(model):
        return model
    if isinstance(model, type):
        raise InvalidValue(f"{model.__qualname__} is a class, not a model", hint=f"make one: {model.__qualname__}(...)")
    function = model if inspect.isroutine(model) else getattr(model, "predict", model)
    if not callable(function) or _required(function) > 1:
        raise InvalidValue(
            f"{type(model).__name__} is no python model",
            hint="give a PythonModel, a function of one argument (and perhaps params), or the path of a script",
        )
    return FunctionModel(function)


def is_python_model(model: Any) -> bool:
    """Whether it is an instance of `PythonModel`, ours or (where that is installed) MLflow's."""
    return any(kind.__name__ == "PythonModel" for kind in type(model).__mro__)


def native(model: Any) -> Any:
    """What a person gave to be saved: the function or the object behind a `FunctionModel`, else the model itself."""
    if not isinstance(model, FunctionModel):
        return model
    owner = getattr(model.func, "__self__", None)
    return model.func if owner is None or inspect.ismodule(owner) else owner


def predict_function(model: Any, name: str = "predict") -> Callable[..., Any]:
    """The user's own function behind a python model: for `FunctionModel` the function, without MLflow's wrappers."""
    if isinstance(model, FunctionModel) and name == "predict":
        return inspect.unwrap(model.func)
    return inspect.unwrap(getattr(type(model), name, None) or getattr(model, name))


def streams(model: Any) -> bool:
    """Whether the model has a `predict_stream` of its own."""
    method = getattr(type(model), "predict_stream", None)
    return method is not None and method is not PythonModel.predict_stream and not isinstance(model, FunctionModel)


def _takes_params(function: Callable[..., Any]) -> bool:
    return "params" in inspect.signature(function).parameters


def _required(function: Callable[..., Any]) -> int:
    """How many arguments besides `params` a function must be given; 1 for a built-in that does not say."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return 1
    return len([one for one in parameters if one.default is one.empty and one.name != "params" and not _any_number(one)])


def _any_number(parameter: inspect.Parameter) -> bool:
    return parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
