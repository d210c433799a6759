"""A python model that is ready to be called, each time with the arguments that it wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from inspect import getattr_static, iscoroutine
from types import FunctionType
from typing import Any

from pack.errors import InvalidState, ModelFailed, PackError
from pack.pyfunc import hints
from pack.pyfunc.loop import PrivateLoop
from pack.pyfunc.model import (
    FunctionModel,
    PythonModelContext,
    TypeHints,
    is_async,
    is_async_stream,
    is_chat_model,
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

    `hint` is the type hint by which inputs are made what the model expects; None where it has none. `is_async` and
    `streams_async` say that a server can await `predict` and `predict_stream` on its own event loop.
    """

    def __init__(self, model: Any, context: PythonModelContext) -> None:
        self.model = model
        self.context = context
        self.is_chat = is_chat_model(model)
        hinted = is_python_model(model) and not self.is_chat
        self.hint = hints.list_hint(type_hints(model)) if hinted else None
        self.is_async = is_async(predict_function(model))
        self.streams = streams(model)
        self.streams_async = self.streams and is_async_stream(model.predict_stream)
        self._predict = self._call("predict")
        self._stream = self._call("predict_stream") if self.streams else None
        self._loop = PrivateLoop()
        self._answer, self._item = _chat_answers() if self.is_chat else (_as_it_is, _as_it_is)

    def predict(self, rows: Any, params: dict[str, Any]) -> Any:
        """What the model's own `predict` answers; one that is `async` runs to its end here."""
        found = self._predict(self._converted(rows), params)
        return self._answer(self._loop.run(found) if iscoroutine(found) else found)

    async def predict_async(self, rows: Any, params: dict[str, Any]) -> Any:
        """What the model's own `async def predict` answers, awaited on the running loop."""
        return self._answer(await self._predict(self._converted(rows), params))

    def predict_stream(self, rows: Any, params: dict[str, Any]) -> Iterator[Any]:
        """What the model's own `predict_stream` yields; raises `InvalidState` where it has none."""
        found = self._streamed(rows, params)
        found = self._loop.run(found) if iscoroutine(found) else found
        items = self._loop.iterate(found) if hasattr(found, "__aiter__") else iter(found)
        return _each(items, self._item) if self.is_chat else items

    async def stream_async(self, rows: Any, params: dict[str, Any]) -> AsyncIterator[Any]:
        """What the model's own async generator yields, on the running loop; closed when this one is."""
        found = self._streamed(rows, params)
        items = await found if iscoroutine(found) else found
        try:
            async for item in items:
                yield self._item(item)
        finally:
            if hasattr(items, "aclose"):
                await items.aclose()

    def _streamed(self, rows: Any, params: dict[str, Any]) -> Any:
        if self._stream is None:
            raise InvalidState("this model does not stream", hint="define predict_stream, or call predict")
        return self._stream(self._converted(rows), params)

    def _converted(self, rows: Any) -> Any:
        return rows if self.hint is None else hints.convert_input(self.hint, rows)

    def _call(self, name: str) -> Call:
        """A method as a function of rows and params; without declared params, `params` is None as MLflow gives it."""
        method = getattr(self.model, name)
        with_context = is_python_model(self.model) and takes_context(method)
        context = (self.context,) if with_context else ()
        if self.is_chat:
            return _chat_call(lambda messages, params: method(*context, messages, params))
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
    found = TypeHints() if is_chat_model(model) else hints.hints_of(predict_function(model))
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


def _as_it_is(value: Any) -> Any:
    return value


def _each(items: Iterator[Any], make: Callable[[Any], Any]) -> Iterator[Any]:
    """Something made of each item; closing this closes the items."""
    try:
        for item in items:
            yield make(item)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def _chat_call(method: Callable[[Any, Any], Any]) -> Call:
    """A chat model's method, which wants messages and params instead of rows."""
    from pack.pyfunc.chat_models import params_of, request_of

    def call(rows: Any, params: dict[str, Any]) -> Any:
        request = request_of(rows)
        return method(request.messages, params_of(request))

    return call


def _chat_answers() -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    from pack.pyfunc.chat_models import answer_of, chunk_of

    return answer_of, chunk_of
