"""What a person writes: a `PythonModel`, or a plain function that is treated as one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any


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
        return func(model_input, params) if "params" in inspect.signature(func).parameters else func(model_input)


def predict_function(model: Any, name: str = "predict") -> Callable[..., Any]:
    """The user's own function behind a python model: for `FunctionModel` the function, without MLflow's wrappers."""
    if (
        hasattr(model, "func")
        and name == "predict"
        and type(model).__name__ in {"FunctionModel", "_FunctionPythonModel"}
    ):
        found: Callable[..., Any] = inspect.unwrap(model.func)
    else:
        found = inspect.unwrap(getattr(type(model), name, None) or getattr(model, name))
    return found
