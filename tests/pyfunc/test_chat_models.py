"""Chat models and `async` models in process: saved, loaded, asked, streamed."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pack
from pack.errors import InvalidState, InvalidValue, ModelFailed
from pack.pyfunc.chat import (
    ChatChoice,
    ChatChoiceDelta,
    ChatChunkChoice,
    ChatCompletionChunk,
    ChatCompletionRequest,
    ChatCompletionResponse,
    ChatMessage,
    ChatModel,
    ChatParams,
    FunctionToolCallArguments,
    ToolDefinition,
    ToolParamsSchema,
)

ASKED = {"messages": [{"role": "user", "content": "hello"}]}


class Echo(ChatModel):
    """Answers what it was asked, word by word where it streams."""

    def predict(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> ChatCompletionResponse:  # type: ignore[override]
        said = ChatMessage(role="assistant", content=f"{messages[-1].content} at {params.temperature}")
        return ChatCompletionResponse(choices=[ChatChoice(message=said)])

    def predict_stream(  # type: ignore[override]
        self, context: Any, messages: list[ChatMessage], params: ChatParams
    ) -> Iterator[ChatCompletionChunk]:
        for word in str(messages[-1].content).split():
            yield ChatCompletionChunk(choices=[ChatChunkChoice(delta=ChatChoiceDelta(content=word))])


def saved(tmp_path: Path, model: Any, **options: Any) -> Any:
    pack.pyfunc.save_model(tmp_path / "model", python_model=model, **options)
    return pack.pyfunc.load_model(tmp_path / "model", trust=True)


def said(answer: dict[str, Any]) -> Any:
    return answer["choices"][0]["message"]["content"]


def test_a_chat_model_is_saved_with_the_signature_the_task_and_an_example(tmp_path: Path) -> None:
    loaded = saved(tmp_path, Echo())
    assert loaded.metadata.metadata == {"task": "agent/v1/chat"}
    assert loaded.metadata.is_signature_from_type_hint is False
    assert loaded.loader_module == "mlflow.pyfunc.loaders.chat_model"
    assert loaded.signature.inputs.input_names()[:3] == ["messages", "temperature", "max_tokens"]
    assert loaded.signature.outputs.input_names()[:5] == ["id", "object", "created", "model", "choices"]
    assert said(loaded.predict(loaded.input_example)) == "Hello! at 1.0"


def test_a_chat_is_answered_without_what_is_none(tmp_path: Path) -> None:
    answer = saved(tmp_path, Echo()).predict({**ASKED, "temperature": 0, "max_tokens": None})
    assert answer.pop("created") > 0
    assert answer == {
        "choices": [{"message": {"role": "assistant", "content": "hello at 0.0"}, "index": 0, "finish_reason": "stop"}],
        "object": "chat.completion",
    }


def test_a_chat_comes_as_a_dict_a_list_of_one_or_a_frame_of_one_row(tmp_path: Path) -> None:
    loaded = saved(tmp_path, Echo())
    frame = pd.DataFrame({"messages": [ASKED["messages"]], "temperature": [0.5], "stream": [False]})
    assert [said(loaded.predict(data)) for data in ([ASKED], frame)] == ["hello at 1.0", "hello at 0.5"]
    with pytest.raises(InvalidValue, match="one request at a time, 2 came"):
        loaded.predict([ASKED, ASKED])


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ({"role": "user"}, r"messages\[0\]\.content is missing"),
        ({"role": "user", "content": "x", "refusal": "y"}, "content and refusal came together"),
    ],
)
def test_a_message_that_says_nothing_is_refused_by_its_place(tmp_path: Path, message: Any, word: str) -> None:
    with pytest.raises(InvalidValue, match=word):
        saved(tmp_path, Echo()).predict({"messages": [message]})


def test_chunks_come_one_by_one(tmp_path: Path) -> None:
    loaded = saved(tmp_path, Echo())
    chunks = list(loaded.predict_stream({"messages": [{"role": "user", "content": "one two"}]}))
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["one", "two"]
    assert chunks[0]["object"] == "chat.completion.chunk"


def test_tool_calls_and_tools_reach_the_model_as_they_were(tmp_path: Path) -> None:
    class Tools(ChatModel):
        def predict(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> ChatCompletionResponse:  # type: ignore[override]
            tools = params.tools or []
            call = FunctionToolCallArguments(name=tools[0].function.name, arguments="{}").to_tool_call(id="1")
            asked = ChatMessage(role="assistant", tool_calls=[call])
            return ChatCompletionResponse(choices=[ChatChoice(message=asked, finish_reason="tool_calls")])

    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    answer = saved(tmp_path, Tools()).predict({**ASKED, "tools": [tool]})
    (call,) = answer["choices"][0]["message"]["tool_calls"]
    assert call == {"function": {"name": "weather", "arguments": "{}"}, "id": "1", "type": "function"}


def test_what_is_not_known_of_a_message_travels_along() -> None:
    loose = {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "City"}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"city": loose}}}}
    assert ToolDefinition.from_dict(tool).to_dict()["function"]["parameters"]["properties"]["city"] == loose
    asked = {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}], "extra": 1}]}
    assert ChatCompletionRequest.from_dict(asked).to_dict()["messages"] == asked["messages"]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: ChatMessage(role=1, content="x"), "role must be text, a whole number came"),  # type: ignore[arg-type]
        (lambda: ChatMessage(role="user", content=1), "content must be text or a list"),  # type: ignore[arg-type]
        (lambda: ChatParams(stop="x"), "stop must be a list, text came"),  # type: ignore[arg-type]
        (lambda: ChatParams(n=True), "n must be a whole number, a boolean came"),
        (lambda: ToolParamsSchema(properties={"a": {"type": 1}}), r"properties\.a\.type"),  # type: ignore[dict-item]
        (lambda: ChatCompletionResponse(choices=[{"index": 0}]), r"choices\[0\]\.message is missing"),  # type: ignore[list-item]
    ],
)
def test_a_part_of_another_type_is_refused_when_it_is_made(make: Any, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        make()


def test_an_example_may_be_messages_and_a_signature_of_ones_own_is_refused(tmp_path: Path) -> None:
    loaded = saved(
        tmp_path, Echo(), input_example=([ChatMessage(role="user", content="example")], {"temperature": 0.5})
    )
    assert loaded.input_example == {"messages": [{"role": "user", "content": "example"}], "temperature": 0.5}
    assert said(loaded.predict(loaded.input_example)) == "example at 0.5"
    with pytest.raises(InvalidValue, match="a chat model has a signature of its own"):
        pack.pyfunc.save_model(tmp_path / "other", python_model=Echo(), signature=pack.infer_signature(["a"]))


def test_a_chat_model_may_be_a_script(tmp_path: Path) -> None:
    script = tmp_path / "echo.py"
    script.write_text(
        "import pack\nfrom pack.pyfunc.chat import *\n"
        "class Echo(ChatModel):\n"
        "    async def predict(self, messages, params):\n"
        "        said = ChatMessage(role='assistant', content=messages[0].content)\n"
        "        return ChatCompletionResponse(choices=[ChatChoice(message=said)])\n"
        "pack.models.set_model(Echo())\n",
        encoding="utf-8",
    )
    loaded = saved(tmp_path, str(script))
    assert loaded.metadata.metadata == {"task": "agent/v1/chat"}
    assert (said(loaded.predict(ASKED)), loaded.is_async, loaded.streams) == ("hello", True, False)
    with pytest.raises(InvalidState, match="does not stream"):
        loaded.predict_stream(ASKED)


def test_an_answer_that_is_no_completion_is_the_models_failure(tmp_path: Path) -> None:
    class Wrong(ChatModel):
        def predict(self, context: Any, messages: Any, params: Any) -> Any:  # type: ignore[override]
            return "hello"

    with pytest.raises(TypeError, match="answers a ChatCompletionResponse, not str"):
        saved(tmp_path, Wrong()).predict(ASKED)


class Slow(pack.pyfunc.PythonModel):
    """Doubles what it is given, after a moment; remembers the loops that it ran on."""

    def __init__(self) -> None:
        self.loops: list[int] = []
        self.closed = 0

    async def predict(self, model_input: list[int]) -> list[int]:  # type: ignore[override]
        self.loops.append(id(asyncio.get_running_loop()))
        await asyncio.sleep(0.01)
        return [2 * value for value in model_input]

    async def predict_stream(self, model_input: list[int]) -> AsyncIterator[int]:  # type: ignore[override]
        try:
            for value in model_input:
                await asyncio.sleep(0)
                yield value
        finally:
            self.closed += 1


def test_an_async_model_is_saved_with_its_signature_and_runs_to_its_end(tmp_path: Path) -> None:
    loaded = saved(tmp_path, Slow(), input_example=[1, 2])
    assert str(loaded.signature.inputs) == "[long (required)]"
    assert loaded.is_async
    assert loaded.predict([1, 2]) == [2, 4]
    assert loaded.predict([3]) == [6]
    assert len(set(loaded.unwrap_python_model().loops)) == 1


def test_the_example_of_an_async_function_gives_its_outputs(tmp_path: Path) -> None:
    async def double(model_input: Any) -> Any:
        await asyncio.sleep(0)
        return model_input * 2

    loaded = saved(tmp_path, double, input_example=pd.DataFrame({"x": [1.0, 2.0]}))
    assert loaded.signature.outputs.input_names() == ["x"]
    assert loaded.predict(pd.DataFrame({"x": [3.0]}))["x"].tolist() == [6.0]


def test_an_async_model_answers_inside_a_running_loop(tmp_path: Path) -> None:
    loaded = saved(tmp_path, Slow())

    async def inside() -> Any:
        return loaded.predict([1])

    assert asyncio.run(inside()) == [2]


def test_an_async_model_may_ask_itself(tmp_path: Path) -> None:
    class Countdown(pack.pyfunc.PythonModel):
        itself: Any = None

        async def predict(self, model_input: list[int]) -> list[int]:  # type: ignore[override]
            rest = self.itself.predict([model_input[0] - 1]) if model_input[0] else []
            return [model_input[0], *rest]

    loaded = saved(tmp_path, Countdown())
    loaded.unwrap_python_model().itself = loaded
    assert loaded.predict([3]) == [3, 2, 1, 0]


def test_an_async_stream_is_closed_where_its_reader_stops(tmp_path: Path) -> None:
    loaded = saved(tmp_path, Slow())
    model = loaded.unwrap_python_model()
    assert list(loaded.predict_stream([1, 2, 3])) == [1, 2, 3]
    stream = loaded.predict_stream([1, 2, 3])
    assert (next(stream), model.closed) == (1, 1)
    stream.close()
    assert model.closed == 2


def test_what_an_async_model_raises_is_raised(tmp_path: Path) -> None:
    async def fails(model_input: Any) -> Any:
        raise KeyError("x")

    with pytest.raises(KeyError):
        saved(tmp_path, fails).predict([1])
    with pytest.raises(ModelFailed, match="KeyError"):
        pack.pyfunc.save_model(tmp_path / "other", python_model=fails, input_example=[1])


def test_the_loop_of_a_model_goes_with_it(tmp_path: Path) -> None:
    loaded = saved(tmp_path, Slow())
    before = set(threading.enumerate())
    loaded.predict([1])
    (thread,) = set(threading.enumerate()) - before
    del loaded
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()
