"""What makes a model a chat model: its example, and how requests and answers go in and out.

The example is MLflow's (interoperability facts, flavors, section 14.5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pack.errors import InvalidValue
from pack.mlmodel.conversations import chat_signature as chat_signature
from pack.mlmodel.frames import is_frame, is_missing
from pack.mlmodel.nested import plain
from pack.pyfunc.chat import ChatCompletionChunk, ChatCompletionRequest, ChatCompletionResponse, ChatParams
from pack.pyfunc.parts import Part, fields_of

# The key of a model's metadata that says what it does, and what it says of a chat model; MLflow's names.
TASK, CHAT = "task", "agent/v1/chat"
CHAT_TASKS = frozenset({CHAT, "llm/v1/chat"})
EXAMPLE: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Hello!"}],
    "temperature": 1.0,
    "max_tokens": 10,
    "stop": ["\n"],
    "n": 1,
    "stream": False,
}


def request_of(data: Any) -> ChatCompletionRequest:
    """What a chat model is asked, from a dict, a list of one, or a frame of one row; else raises `InvalidValue`."""
    if isinstance(data, ChatCompletionRequest):
        return data
    try:
        return ChatCompletionRequest.from_dict(_mapping(data))
    except ValueError as error:
        field = str(error).partition(" ")[0]
        raise InvalidValue(f"the chat request does not fit: {error}", field=field) from error


def params_of(request: ChatCompletionRequest) -> ChatParams:
    """The params beside the messages."""
    return ChatParams(**{name: getattr(request, name) for name in fields_of(ChatParams)})


def example_of(given: Any) -> Any:
    """An input example as a request: messages alone, or `(messages, params)`, are as good as a whole one."""
    data, params = given if isinstance(given, tuple) and len(given) == 2 else (given, {})
    listed = isinstance(data, (list, tuple)) and not any(isinstance(one, Mapping) and "messages" in one for one in data)
    request = {"messages": [_dict(one) for one in data]} if listed else _dict(data)
    if not isinstance(request, Mapping) or not isinstance(params, Mapping):
        return given
    request_of({**request, **params})
    return {**request, **params}


def answer_of(found: Any) -> dict[str, Any]:
    """The JSON value of what a chat model's predict answered."""
    return _answer(found, ChatCompletionResponse, "predict")


def chunk_of(found: Any) -> dict[str, Any]:
    """The JSON value of what a chat model's predict_stream yielded."""
    return _answer(found, ChatCompletionChunk, "predict_stream")


def _answer(found: Any, kind: type[Part], name: str) -> dict[str, Any]:
    """The caller sees none of these messages: they are the log's, where a model answers what it should not."""
    if isinstance(found, kind):
        return found.to_dict()
    given = found.to_dict() if hasattr(found, "to_dict") else found
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} of a chat model answers a {kind.__name__}, not {type(found).__name__}")
    return kind.from_dict(given).to_dict()


def _mapping(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return data
    if is_frame(data):
        columns: dict[str, Callable[[int], Any]] = {str(name): data[name].iloc.__getitem__ for name in data.columns}
        rows: list[Any] = [{name: plain(cell(row)) for name, cell in columns.items()} for row in range(len(data))]
    else:
        rows = list(data) if isinstance(data, (list, tuple)) else [None]
    if len(rows) != 1 or not isinstance(rows[0], Mapping):
        came = f"{len(rows)} came" if len(rows) != 1 else f"{type(data).__name__} came"
        raise InvalidValue(f"a chat model takes one request at a time, {came}", hint='give {"messages": [...]}')
    return {name: value for name, value in rows[0].items() if not is_missing(value)}


def _dict(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Part) else value
