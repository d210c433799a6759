"""A python model that is ready to be called, each time with the arguments that it wants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import getattr_static
from types import FunctionType
from typing import Any

from pack.errors import InvalidState, ModelFailed, PackError
from pack.pyfunc import hints
from pack.pyfunc.model import (
    FunctionModel,
    PythonModelContext,
    TypeHints,
    is_python_model,
    predict_function,
    streams,
    takes_context,
    takes_params,
)

HINTS = "_predict_type_hints"
Call = Callable[[Any, dict[str, Any]], Any]


class Loaded:
    """A python model with its context; `model` may also be whatever a loader module made, with a `predict`.

    `hint` is the type hint by which inputs are made what the model expects; None where it has none.
    """

    def __init__(self, model: Any, context: PythonModelContext) -> None:
        self.model = model
        self.context = context
        self.hint = hints.list_hint(type_hints(model)) if is_python_model(model) else None
        self._predict = self._call("predict")
        self._stream = self._call("predict_stream") if streams(model) else None

    def predict(self, rows: Any, params: dict[str, Any]) -> Any:
        """What the model's own `predict` answers."""
        return self._predict(rows if self.hint is None else hints.convert_input(self.hint, rows), params)

    def predict_stream(self, rows: Any, params: dict[str, Any]) -> Iterator[Any]:
        """What the model's own `predict_stream` yields; raises `InvalidState` where it has none."""
        if self._stream is None:
            raise InvalidState("this model does not stream", hint="define predict_stream, or call predict")
        return iter(self._stream(rows if self.hint is None else hints.convert_input(self.hint, rows), params))

    def _call(self, name: str) -> Call:
        """A method as a function of rows and params; without declared params, `params` is None as MLflow gives it."""
        method = getattr(self.model, name)
        with_context = is_python_model(self.model) and takes_context(method)
        context = (self.context,) if with_context else ()
        if takes_params(method):
            return lambda rows, params: method(*context, rows, params=params or None)
        return lambda rows, params: method(*context, rows)


def type_hints(model: Any) -> TypeHints:
    """The hints that a python model was pickled with, else those on its predict function."""
    kept = vars(model).get(HINTS) if hasattr(model, "__dict__") else None
    return kept if isinstance(kept, TypeHints) else hints.hints_of(predict_function(model))


@contextmanager
def carrying_hints(model: Any) -> Iterator[FunctionType | None]:
    """While it is pickled, a python model carries its hints where MLflow looks for them too.

    Answers the hinted function, where it is a plain one; None for a model without such hints.
    """
    found = hints.hints_of(predict_function(model))
    if hints.list_hint(found) is None or not hasattr(model, "__dict__") or HINTS in vars(model):
        yield None
        return
    vars(model)[HINTS] = found
    try:
        function = model.func if isinstance(model, FunctionModel) else getattr_static(type(model), "predict")
        yield function if isinstance(function, FunctionType) else None
    finally:
        del vars(model)[HINTS]


def loaded(model: Any, context: PythonModelContext) -> Loaded:
    """A python model after its `load_context`; raises `ModelFailed` where that raises."""
    load_context = getattr(model, "load_context", None)
    if callable(load_context):
        try:
            load_context(context)
        except PackError:
            raise
        except Exception as error:
            raise ModelFailed(f"the model's load_context failed: {type(error).__name__}: {error}") from error
    return Loaded(model, context)
