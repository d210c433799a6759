"""Chat models cross over both ways, and every part of a message is what MLflow's is."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.pyfunc import chat
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
from pack.pyfunc.chat_models import EXAMPLE, chat_signature
from pack.pyfunc.parts import Part

pytestmark = pytest.mark.mlflow

MLflow = Callable[[str], Any]
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "two words"}], "temperature": 0.5}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}}
THEIRS = """
import mlflow
from mlflow.types.llm import *

class Echo(mlflow.pyfunc.ChatModel):
    def __init__(self):
        self.usage = TokenUsageStats(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    def predict(self, context, messages: list[ChatMessage], params: ChatParams) -> ChatCompletionResponse:
        said = f"{messages[-1].content} {params.temperature} {params.max_tokens}"
        call = FunctionToolCallArguments(name="f", arguments="{}").to_tool_call(id="1")
        tools = [call] if params.tools else None
        message = ChatMessage(role="assistant", content=said, tool_calls=tools)
        return ChatCompletionResponse(choices=[ChatChoice(message=message)], usage=self.usage, id="7", model="m")
    def predict_stream(self, context, messages, params):
        for word in messages[-1].content.split():
            yield ChatCompletionChunk(choices=[ChatChunkChoice(delta=ChatChoiceDelta(content=word))])
"""


OURS = THEIRS.replace("import mlflow\nfrom mlflow.types.llm", "import pack as mlflow\nfrom pack.pyfunc.chat")


class Echo(ChatModel):
    """The same in our words."""

    def __init__(self) -> None:
        self.usage = TokenUsageStats(prompt_tokens=1, completion_tokens=2, total_tokens=3)

    def predict(self, context: Any, messages: list[ChatMessage], params: ChatParams) -> ChatCompletionResponse:  # type: ignore[override]
        said = f"{messages[-1].content} {params.temperature} {params.max_tokens}"
        call = FunctionToolCallArguments(name="f", arguments="{}").to_tool_call(id="1")
        message = ChatMessage(role="assistant", content=said, tool_calls=[call] if params.tools else None)
        return ChatCompletionResponse(choices=[ChatChoice(message=message)], usage=self.usage, id="7", model="m")

    def predict_stream(  # type: ignore[override]
        self, context: Any, messages: list[ChatMessage], params: ChatParams
    ) -> Iterator[ChatCompletionChunk]:
        for word in str(messages[-1].content).split():
            yield ChatCompletionChunk(choices=[ChatChunkChoice(delta=ChatChoiceDelta(content=word))])


def test_a_chat_model_is_written_as_mlflow_writes_it(tmp_path: Path, mlflow: MLflow) -> None:
    theirs = mlflow(
        f"""{THEIRS}
import yaml
mlflow.pyfunc.save_model("theirs", python_model=Echo(), pip_requirements=["cloudpickle"])
found = yaml.safe_load(open("theirs/MLmodel"))
answer = [found["signature"], found["metadata"], found["flavors"]["python_function"]["loader_module"],
          json.load(open("theirs/input_example.json")), found["is_signature_from_type_hint"]]
"""
    )
    pack.pyfunc.save_model(tmp_path / "ours", python_model=Echo())
    ours = pack.models.Model.load(tmp_path / "ours")
    assert theirs == [
        chat_signature().to_dict(),
        ours.metadata,
        ours.flavors["python_function"]["loader_module"],
        EXAMPLE,
        ours.is_signature_from_type_hint,
    ]


def test_we_answer_with_mlflows_chat_model_as_mlflow_does(tmp_path: Path, mlflow: MLflow) -> None:
    theirs = mlflow(
        f"""{THEIRS}
mlflow.pyfunc.save_model({str(tmp_path / "theirs")!r}, python_model=Echo(), pip_requirements=["cloudpickle"])
loaded = mlflow.pyfunc.load_model({str(tmp_path / "theirs")!r})
answer = [loaded.predict({ASKED!r}), loaded.predict({ {**ASKED, "tools": [TOOL]}!r}),
          list(loaded.predict_stream({ASKED!r}))]
"""
    )
    loaded = pack.pyfunc.load_model(tmp_path / "theirs", trust=True, suppress_warnings=True)
    ours = [loaded.predict(ASKED), loaded.predict({**ASKED, "tools": [TOOL]}), list(loaded.predict_stream(ASKED))]
    assert without_time(ours) == without_time(theirs)
    assert "mlflow" not in sys.modules


def test_mlflow_answers_with_our_chat_model_as_we_do(tmp_path: Path, mlflow: MLflow) -> None:
    # By value, as from a notebook: its module is nowhere in MLflow's environment.
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(OURS, scope)
    pack.pyfunc.save_model(tmp_path / "ours", python_model=scope["Echo"]())
    loaded = pack.pyfunc.load_model(tmp_path / "ours")
    ours = [loaded.predict(ASKED), loaded.predict({**ASKED, "tools": [TOOL]}), list(loaded.predict_stream(ASKED))]
    theirs = mlflow(
        f"""
import mlflow
loaded = mlflow.pyfunc.load_model({str(tmp_path / "ours")!r})
model = loaded._model_impl.chat_model
kind = [type(model).__mro__[1].__module__, type(model.usage).__module__]
answer = [[loaded.predict({ASKED!r}), loaded.predict({ {**ASKED, "tools": [TOOL]}!r}),
          list(loaded.predict_stream({ASKED!r}))], kind, "pack" in sys.modules]
"""
    )
    assert without_time(theirs[0]) == without_time(ours)
    assert theirs[1:] == [["mlflow.pyfunc.model", "mlflow.types.llm"], False]


def test_the_parts_have_mlflows_fields_in_mlflows_order(mlflow: MLflow) -> None:
    theirs = mlflow(
        """
import dataclasses
from mlflow.types import llm
parts = {name: kind for name, kind in vars(llm).items() if dataclasses.is_dataclass(kind) and name[0] != "_"}
answer = {name: [field.name for field in dataclasses.fields(kind)] for name, kind in parts.items()}
"""
    )
    ours = {name: kind for name, kind in vars(chat).items() if isinstance(kind, type) and issubclass(kind, Part)}
    del ours["Part"]
    assert {name: [field.name for field in dataclasses.fields(kind)] for name, kind in ours.items()} == theirs


def without_time(value: Any) -> Any:
    if isinstance(value, list):
        return [without_time(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: without_time(item) for name, item in value.items() if name != "created"}
