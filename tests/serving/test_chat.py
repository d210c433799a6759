"""Chat models behind OpenAI's API, asked by OpenAI's own client; and behind our own routes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import pack
from pack.pyfunc.chat import (
    ChatChoice,
    ChatChoiceDelta,
    ChatChunkChoice,
    ChatCompletionChunk,
    ChatCompletionResponse,
    ChatMessage,
    ChatModel,
    ChatParams,
    FunctionToolCallArguments,
    TokenUsageStats,
)
from pack.serving import app
from tests import models
from tests.serving.test_server import Server

openai = pytest.importorskip("openai")
HELLO: list[Any] = [{"role": "user", "content": "hello there"}]


def completion(content: str, **more: Any) -> ChatCompletionResponse:
    choice = ChatChoice(message=ChatMessage(role="assistant", content=content))
    return ChatCompletionResponse(choices=[choice], **more)


def chunk(content: str, **more: Any) -> ChatCompletionChunk:
    return ChatCompletionChunk(choices=[ChatChunkChoice(delta=ChatChoiceDelta(content=content), **more)])


class Echo(ChatModel):
    """Says what was said to it, and fails where it is told to."""

    def predict(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> ChatCompletionResponse:  # type: ignore[override]
        said = str(messages[-1].content)
        if said == "raise":
            raise RuntimeError("a secret")
        if params.tools:
            call = FunctionToolCallArguments(name=params.tools[0].function.name, arguments='{"city": "Lima"}')
            asked = ChatMessage(role="assistant", tool_calls=[call.to_tool_call(id="call-1")])
            return ChatCompletionResponse(choices=[ChatChoice(message=asked, finish_reason="tool_calls")])
        return completion(
            f"{said} {params.temperature} {params.max_tokens} {params.stop}", usage=TokenUsageStats(2, 3, 5)
        )

    def predict_stream(  # type: ignore[override]
        self, context: Any, messages: list[ChatMessage], params: ChatParams
    ) -> Iterator[ChatCompletionChunk]:
        for word in str(messages[-1].content).split():
            if word == "raise":
                raise RuntimeError("a secret")
            yield chunk(word)


class Later(ChatModel):
    """An async one, which streams one word and then waits for its client to leave."""

    async def predict(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return completion("later")

    async def predict_stream(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> AsyncIterator[Any]:  # type: ignore[override]
        try:
            yield chunk("later")
            if messages[-1].content == "wait":
                await asyncio.sleep(600)
            yield chunk("done", finish_reason="length")
        finally:
            await asyncio.to_thread(Path(str(messages[0].content)).touch)


class Whole(ChatModel):
    """One that does not stream."""

    def predict(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> ChatCompletionResponse:  # type: ignore[override]
        return completion("whole")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("chat")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACK_STATE_DIR", str(home / "state"))
        for name, model in {"echo": Echo(), "later": Later(), "whole": Whole()}.items():
            pack.pyfunc.save_model(home / name, python_model=model)
        pack.save_model(models.classifier(), home / "iris", input_example=models.iris()[0][:2])
        given = [part for name in ("echo", "later", "whole", "iris") for part in ("-m", f"{name}={home / name}")]
        running = Server("--trust", *given)
    yield running
    running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_the_client_completes_a_chat(client: Any) -> None:
    answer = client.chat.completions.create(
        model="echo", messages=HELLO, temperature=0, stop="x", max_completion_tokens=5, seed=1, user="me"
    )
    (choice,) = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "hello there 0.0 5 ['x']")
    assert (choice.index, choice.finish_reason) == (0, "stop")
    assert (answer.object, answer.model, answer.usage.total_tokens) == ("chat.completion", "echo", 5)
    assert answer.id == f"chatcmpl-{answer._request_id}"
    assert answer.created > 0


def test_the_client_streams_a_chat(client: Any) -> None:
    chunks = list(client.chat.completions.create(model="echo", messages=HELLO, stream=True))
    assert [one.choices[0].delta.content for one in chunks] == ["hello", "there", None]
    assert [one.choices[0].finish_reason for one in chunks] == [None, None, "stop"]
    assert len({one.id for one in chunks}) == len({one.created for one in chunks}) == 1
    assert {one.object for one in chunks} == {"chat.completion.chunk"}


def test_the_client_gets_tool_calls(client: Any) -> None:
    schema = {"type": "object", "properties": {"city": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": schema}}
    answer = client.chat.completions.create(model="echo", messages=HELLO, tools=[tool])
    (call,) = answer.choices[0].message.tool_calls
    assert (call.id, call.function.name, call.function.arguments) == ("call-1", "weather", '{"city": "Lima"}')
    again: list[Any] = [
        *HELLO,
        answer.choices[0].message.model_dump(),
        {"role": "tool", "tool_call_id": "call-1", "content": "dry"},
    ]
    assert client.chat.completions.create(model="echo", messages=again).choices[0].message.content.startswith("dry")


def test_text_in_parts_reaches_the_model(client: Any) -> None:
    parts: list[Any] = [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]
    answer = client.chat.completions.create(model="echo", messages=parts)
    assert answer.choices[0].message.content.startswith("[{'type': 'text', 'text': 'hello'}]")


def test_the_async_client_completes_and_streams(server: Server, tmp_path: Path) -> None:
    async def ask() -> Any:
        url = f"http://127.0.0.1:{server.port}/v1"
        async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
            messages: list[Any] = [{"role": "user", "content": str(tmp_path / "closed")}]
            create = client.chat.completions.create
            whole = await asyncio.gather(*(create(model="later", messages=messages) for _ in range(5)))
            stream = await create(model="later", messages=messages, stream=True)
            return [one.choices[0].message.content for one in whole], [one.choices[0] async for one in stream]

    whole, chunks = asyncio.run(ask())
    assert whole == ["later"] * 5
    assert [(one.delta.content, one.finish_reason) for one in chunks] == [("later", None), ("done", "length")]


def test_a_client_that_leaves_ends_the_chat(client: Any, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    messages: list[Any] = [{"role": "system", "content": str(closed)}, {"role": "user", "content": "wait"}]
    with client.chat.completions.create(model="later", messages=messages, stream=True) as stream:
        assert next(iter(stream)).choices[0].delta.content == "later"
        assert not closed.exists()
    for _ in range(3000):
        if closed.exists():
            break
        time.sleep(0.01)
    assert closed.exists()


def test_the_client_lists_chat_models(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["echo", "later", "whole"]
    assert client.models.retrieve("echo").created > 0
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("iris")


@pytest.mark.parametrize("name", ["none", "iris"])
def test_a_model_that_is_not_there_or_no_chat_model_is_not_found(client: Any, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model=name, messages=HELLO)
    assert (caught.value.code, caught.value.param, caught.value.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": "x"}, "messages"),
        ({"messages": HELLO, "temperature": "x"}, "temperature"),
        ({"messages": HELLO, "n": 1.5}, "n"),
        ({}, "messages"),
    ],
)
def test_what_does_not_fit_is_a_bad_request_that_names_the_field(client: Any, body: Any, field: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body={"model": "echo", **body}, cast_to=object)
    assert (caught.value.param, caught.value.type) == (field, "invalid_request_error")


def test_a_model_that_does_not_stream_says_so(client: Any) -> None:
    assert client.chat.completions.create(model="whole", messages=HELLO).choices[0].message.content == "whole"
    with pytest.raises(openai.BadRequestError, match="does not stream") as caught:
        client.chat.completions.create(model="whole", messages=HELLO, stream=True)
    assert (caught.value.param, caught.value.code) == ("stream", "unsupported_value")


def test_a_model_that_fails_is_the_servers_error_without_its_words(client: Any) -> None:
    said: list[Any] = [{"role": "user", "content": "raise"}]
    with pytest.raises(openai.InternalServerError, match="RuntimeError") as caught:
        client.chat.completions.create(model="echo", messages=said)
    assert "secret" not in caught.value.response.text
    assert caught.value.body["request_id"] == caught.value.response.headers["x-request-id"]
    said = [{"role": "user", "content": "hello raise"}]
    with pytest.raises(openai.APIError, match="RuntimeError"):
        list(client.chat.completions.create(model="echo", messages=said, stream=True))


@pytest.fixture
def asking(tmp_path: Path) -> TestClient:
    pack.pyfunc.save_model(tmp_path / "echo", python_model=Echo())
    return TestClient(app(str(tmp_path / "echo"), trust=True, max_body=10_000), raise_server_exceptions=False)


def test_invocations_takes_the_same_body_and_answers_without_a_wrapper(asking: TestClient) -> None:
    answer = asking.post("/invocations", json={"messages": HELLO, "temperature": 0.5})
    assert answer.json()["choices"][0]["message"]["content"] == "hello there 0.5 None None"
    stream = asking.post("/stream", json={"messages": HELLO}, headers={"accept": "application/x-ndjson"})
    found = [json.loads(line)["choices"][0]["delta"]["content"] for line in stream.text.splitlines()]
    assert found == ["hello", "there"]
    assert asking.post("/invocations", json={"messages": [{"role": "user"}]}).status_code == 400


def test_without_a_name_the_first_model_answers(asking: TestClient) -> None:
    assert asking.post("/v1/chat/completions", json={"messages": HELLO}).json()["model"] == "model"


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("POST", "/v1/chat/completions", {"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ("POST", "/v1/chat/completions", {"json": [1]}, 400),
        ("POST", "/v1/chat/completions", {"json": {"model": 1}}, 400),
        ("POST", "/v1/chat/completions", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415),
        ("POST", "/v1/chat/completions", {"json": {"messages": "x" * 20_000}}, 413),
        ("GET", "/v1/chat/completions", {}, 404),
        ("POST", "/v1/embeddings", {"json": {}}, 404),
        ("GET", "/v1/models/none", {}, 404),
    ],
)
def test_every_error_under_v1_has_openais_shape(
    asking: TestClient, method: str, path: str, sent: Any, status: int
) -> None:
    answer = asking.request(method, path, **sent)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert {"message", "type", "code", "param"} <= answer.json()["error"].keys()


def test_a_python_model_with_a_chat_task_of_its_own_answers_too(tmp_path: Path) -> None:
    class Bare(pack.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
            return {"choices": [{"message": {"content": model_input["messages"][-1]["content"]}}]}

    pack.pyfunc.save_model(tmp_path / "bare", python_model=Bare(), metadata={"task": "llm/v1/chat"})
    found = TestClient(app({"bare": str(tmp_path / "bare")})).post("/v1/chat/completions", json={"messages": HELLO})
    (choice,) = found.json()["choices"]
    assert (choice["message"]["role"], choice["message"]["content"]) == ("assistant", "hello there")
    assert choice["finish_reason"] == "stop"
