"""Chat models: messages in, a completion out, in the words of OpenAI's API.

Names, fields and defaults are MLflow's (interoperability facts, flavors, section 14.5). Everything here checks itself
when it is made and raises `ValueError` for what does not fit; `to_dict` leaves out what is None.
"""

from __future__ import annotations

import time
import uuid
from abc import ABCMeta, abstractmethod
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pack.pyfunc.model import PythonModel
from pack.pyfunc.parts import Part, fields_of

ParamKind = Literal["string", "number", "integer", "object", "array", "boolean", "null"]


@dataclass
class FunctionToolCallArguments(Part):
    """Which function a model wants to be called, and its arguments as JSON text."""

    name: str
    arguments: str

    def to_tool_call(self, id: str | None = None) -> ToolCall:  # noqa: A002 - the field's name on the wire
        """A tool call of it; without an id it gets a new one."""
        return ToolCall(function=self) if id is None else ToolCall(function=self, id=id)


@dataclass
class ToolCall(Part):
    """A call that the model asks for; the answer to it comes in a message with the role `tool` and this id."""

    function: FunctionToolCallArguments
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    type: str = "function"


@dataclass
class ChatMessage(Part):
    """One message: who says what. It holds text (or a list of parts), a refusal, or tool calls."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.content is not None and self.refusal is not None:
            raise ValueError("content and refusal came together; a message has one of them")
        if self.content is None and self.refusal is None and not self.tool_calls:
            raise ValueError("content is missing; a message has content, a refusal or tool_calls")


@dataclass
class ParamType(Part):
    """The JSON Schema type of a tool's parameter; a list of types, or none, where the schema says it so."""

    type: ParamKind | list[str] | None = None


@dataclass
class ParamProperty(ParamType):
    """One parameter of a tool."""

    description: str | None = None
    enum: list[Any] | None = None
    items: ParamProperty | None = None


@dataclass
class ToolParamsSchema(Part):
    """The parameters of a tool, as JSON Schema has them."""

    properties: dict[str, ParamProperty] = field(default_factory=dict)
    type: Literal["object"] = "object"
    required: list[str] | None = None
    additionalProperties: Any = None  # noqa: N815 - the name in JSON Schema


@dataclass
class FunctionToolDefinition(Part):
    """A function that a model may ask to be called."""

    name: str
    description: str | None = None
    parameters: ToolParamsSchema | None = None
    strict: bool = False

    def to_tool_definition(self) -> ToolDefinition:
        """A tool of it."""
        return ToolDefinition(function=self)


@dataclass
class ToolDefinition(Part):
    """A tool that a model may ask for."""

    function: FunctionToolDefinition
    type: Literal["function"] = "function"


@dataclass
class ChatParams(Part):
    """How a completion is asked for, beside the messages."""

    temperature: float = 1.0
    max_tokens: int | None = None
    stop: list[str] | None = None
    n: int = 1
    stream: bool = False
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    custom_inputs: dict[str, Any] | None = None
    tools: list[ToolDefinition] | None = None

    @classmethod
    def keys(cls) -> set[str]:
        """The names of the params."""
        return set(fields_of(cls))


@dataclass
class ChatCompletionRequest(ChatParams):
    """What a chat model is asked: messages, and params beside them."""

    messages: list[ChatMessage] = field(default_factory=list)


@dataclass
class TopTokenLogProb(Part):
    """A token that was likely at one place, and its log probability."""

    token: str
    logprob: float
    bytes: list[int] | None = None


@dataclass
class TokenLogProb(Part):
    """A token of the answer, its log probability, and what else was likely there."""

    token: str
    logprob: float
    top_logprobs: list[TopTokenLogProb]
    bytes: list[int] | None = None


@dataclass
class ChatChoiceLogProbs(Part):
    """The log probabilities of a choice's tokens."""

    content: list[TokenLogProb] | None = None


@dataclass
class ChatChoice(Part):
    """One answer: a message, and why it ended there."""

    message: ChatMessage
    index: int = 0
    finish_reason: str = "stop"
    logprobs: ChatChoiceLogProbs | None = None


@dataclass
class ChatChoiceDelta(Part):
    """What a chunk adds to a message."""

    role: str | None = "assistant"
    content: str | None = None
    refusal: str | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None


@dataclass
class ChatChunkChoice(Part):
    """What a chunk adds to one answer; the last says why it ended."""

    delta: ChatChoiceDelta
    index: int = 0
    finish_reason: str | None = None
    logprobs: ChatChoiceLogProbs | None = None


@dataclass
class TokenUsageStats(Part):
    """How many tokens a completion took."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


@dataclass
class ChatCompletionResponse(Part):
    """What a chat model answers; `created` is in seconds since 1970."""

    choices: list[ChatChoice]
    usage: TokenUsageStats | None = None
    id: str | None = None
    model: str | None = None
    object: str = "chat.completion"
    created: int = field(default_factory=lambda: int(time.time()))
    custom_outputs: dict[str, Any] | None = None


@dataclass
class ChatCompletionChunk(Part):
    """One piece of a streamed answer; `created` is in seconds since 1970."""

    choices: list[ChatChunkChoice]
    usage: TokenUsageStats | None = None
    id: str | None = None
    model: str | None = None
    object: str = "chat.completion.chunk"
    created: int = field(default_factory=lambda: int(time.time()))
    custom_outputs: dict[str, Any] | None = None


class ChatModel(PythonModel, metaclass=ABCMeta):
    """A python model that answers chats: subclass it and write `predict`, and `predict_stream` where it can stream.

    Both may be `async`. Such a model has one signature, which saving writes by itself, and answers OpenAI's clients at
    `/v1/chat/completions` when it is served.

    >>> class Echo(ChatModel):
    ...     def predict(self, context, messages, params):
    ...         said = ChatMessage(role="assistant", content=messages[-1].content)
    ...         return ChatCompletionResponse(choices=[ChatChoice(message=said)])
    """

    # MLflow's class is abstract too, and a pickle of this one would not open there if it were not.
    @abstractmethod
    def predict(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> Any:  # type: ignore[override]
        """The answer to a conversation: a `ChatCompletionResponse`."""

    def predict_stream(  # type: ignore[override]
        self, context: Any, messages: list[ChatMessage], params: ChatParams
    ) -> Iterator[Any] | AsyncIterator[Any]:
        """The answer piece by piece: each a `ChatCompletionChunk`."""
        raise NotImplementedError(f"{type(self).__name__} does not define predict_stream")
