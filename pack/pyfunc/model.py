"""What a person writes: a `PythonModel`, or a plain function or object that is treated as one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pack.errors import InvalidValue

_BASES = {"PythonModel", "ChatModel"}


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

    `predict` may leave out `context` and `params`. Type hints on `model_input` give the signature. It may be
    `async def`: a server awaits it on its event loop, beside the others; called in process it runs to its end. The same
    holds for `predict_stream` as an async generator.

    `rows_are_independent = True` says that the prediction for a row depends on that row alone; a server may then score
    the rows of several requests in one call.

    >>> class Double(PythonModel):
    ...     def predict(self, context, model_input):
    ...         return model_input * 2
    """

    rows_are_independent: bool = False

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
        return self.func(model_input, params=params) if takes_params(self.func) else self.func(model_input)


class TypeHints:
    """The hints on what a predict function takes and returns; None where there is none, or it means nothing here.

    They travel in the pickle of a python model, under MLflow's name for them: a function that is pickled by value
    leaves behind the names that its hints are written in.
    """

    def __init__(self, input_: Any = None, output: Any = None) -> None:
        self.input = input_
        self.output = output


def as_python_model(model: Any) -> Any:
    """A python model from itself, a function, or any object with a `predict`; raises `InvalidValue` for others."""
    if is_python_model(model):
        return model
    if isinstance(model, type):
        raise InvalidValue(f"{model.__qualname__} is a class, not a model", hint=f"make one: {model.__qualname__}(...)")
    function = model if inspect.isroutine(model) else getattr(model, "predict", model)
    if not callable(function) or not _takes_one_input(function):
        raise InvalidValue(
            f"{type(model).__name__} is no python model",
            hint="give a PythonModel, a function of one argument (and perhaps params), or the path of a script",
        )
    return FunctionModel(function)


def is_python_model(model: Any) -> bool:
    """Whether it is an instance of `PythonModel`, ours or (where that is installed) MLflow's."""
    return _is_a(model, "PythonModel")


def is_chat_model(model: Any) -> bool:
    """Whether it is an instance of `ChatModel`, ours or (where that is installed) MLflow's."""
    return _is_a(model, "ChatModel")


def native(model: Any) -> Any:
    """What a person gave to be saved: the function or the object behind a `FunctionModel`, else the model itself."""
    if not isinstance(model, FunctionModel):
        return model
    owner = getattr(model.func, "__self__", None)
    return owner if hasattr(owner, "predict") else model.func


def predict_function(model: Any) -> Callable[..., Any]:
    """The function whose type hints are the model's."""
    return model.func if isinstance(model, FunctionModel) else model.predict


def streams(model: Any) -> bool:
    """Whether the model has a `predict_stream` of its own."""
    owner = next((kind for kind in type(model).__mro__ if "predict_stream" in vars(kind)), None)
    return owner is not None and not _is_base(owner)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a predict function is `async def`, and what it answers has to be awaited."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def is_async_stream(function: Callable[..., Any]) -> bool:
    """Whether a predict_stream is an async generator, or answers one when it is awaited."""
    return inspect.isasyncgenfunction(function) or is_async(function)


def takes_params(function: Callable[..., Any]) -> bool:
    """Whether a predict function has an argument named `params`."""
    return "params" in _parameters(function)


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether a python model's predict function wants a context before its input.

    The context may have any name; a first argument named `model_input` says that there is none.
    """
    rest = [one for name, one in _parameters(function).items() if name != "params" and one.kind is not one.VAR_KEYWORD]
    if not rest or rest[0].name == "model_input":
        return False
    return len(rest) > 1 or rest[0].name == "context" or rest[0].kind is rest[0].VAR_POSITIONAL


def _is_a(model: Any, name: str) -> bool:
    return any(_is_base(kind) and kind.__name__ == name for kind in type(model).__mro__)


def _is_base(kind: type) -> bool:
    """Whether a class is a base class for models, ours or MLflow's, and no model itself."""
    return kind.__name__ in _BASES and kind.__module__.partition(".")[0] in {"pack", "mlflow"}


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function; one input for a built-in that does not say."""
    try:
        return inspect.signature(function).parameters
    except (ValueError, TypeError):
        return {"model_input": inspect.Parameter("model_input", inspect.Parameter.POSITIONAL_ONLY)}


def _takes_one_input(function: Callable[..., Any]) -> bool:
    """Whether a function can be called with an input, and with `params` where it has that."""
    try:
        found = inspect.signature(function)
        found.bind(None, **({"params": None} if "params" in found.parameters else {}))
    except TypeError:
        return False
    except ValueError:
        return True  # a built-in that does not say
    return True
