"""The signatures of models that are asked as OpenAI's are: chat, completions, embeddings.

The schemas are MLflow's (interoperability facts, flavors, sections 11 and 14.5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import AnyType, Array, Map, Object, Property


def chat_signature() -> ModelSignature:
    """The signature of every chat model."""
    return ModelSignature(inputs=_inputs(), outputs=_outputs())


def completions_signature() -> ModelSignature:
    """The signature of a model that completes a prompt."""
    optional: dict[str, Any] = {"temperature": "double", "max_tokens": "long", "stop": Array("string"), "n": "long"}
    rest = [ColSpec(kind, name, required=False) for name, kind in {**optional, "stream": "boolean"}.items()]
    choice = _object({"index": "long", "text": "string", "finish_reason": "string"}, {})
    outputs = [*_answered(choice), ColSpec(_usage("completion_tokens"), "usage")]
    return ModelSignature(inputs=Schema([ColSpec("string", "prompt"), *rest]), outputs=Schema(outputs))


def embeddings_signature() -> ModelSignature:
    """The signature of a model that embeds texts."""
    item = _object({"index": "long", "object": "string", "embedding": Array("double")}, {})
    outputs = [ColSpec("string", "object"), ColSpec(Array(item), "data"), ColSpec(_usage(), "usage")]
    return ModelSignature(inputs=Schema([ColSpec("string", "input")]), outputs=Schema(outputs))


def _object(required: Mapping[str, Any], optional: Mapping[str, Any]) -> Object:
    return Object(
        [
            *(Property(name, kind) for name, kind in required.items()),
            *(Property(name, kind, required=False) for name, kind in optional.items()),
        ]
    )


def _message() -> Object:
    function = _object({"name": "string", "arguments": "string"}, {})
    call = _object({"id": "string", "function": function, "type": "string"}, {})
    optional = {"content": "string", "name": "string", "refusal": "string", "tool_call_id": "string"}
    return _object({"role": "string"}, {**optional, "tool_calls": Array(call)})


def _tool() -> Object:
    item = _object({"type": "string"}, {})
    optional: dict[str, Any] = {"description": "string", "enum": Array("string"), "items": item}
    schema = _object(
        {"properties": Map(_object({"type": "string"}, optional))},
        {"type": "string", "required": Array("string"), "additionalProperties": "boolean"},
    )
    function = _object({"name": "string", "parameters": schema}, {"description": "string", "strict": "boolean"})
    return _object({"type": "string"}, {"function": function})


def _inputs() -> Schema:
    optional: dict[str, Any] = {
        "temperature": "double",
        "max_tokens": "long",
        "stop": Array("string"),
        "n": "long",
        "stream": "boolean",
        "top_p": "double",
        "top_k": "long",
        "frequency_penalty": "double",
        "presence_penalty": "double",
        "tools": Array(_tool()),
        "custom_inputs": Map(AnyType()),
    }
    rest = [ColSpec(kind, name, required=False) for name, kind in optional.items()]
    return Schema([ColSpec(Array(_message()), "messages"), *rest])


def _outputs() -> Schema:
    choice = _object({"index": "long", "message": _message(), "finish_reason": "string"}, {})
    custom = ColSpec(Map(AnyType()), "custom_outputs", required=False)
    return Schema([*_answered(choice), ColSpec(_usage("completion_tokens"), "usage", required=False), custom])


def _answered(choice: Object) -> list[ColSpec]:
    rest = [
        ColSpec("string", "id"),
        ColSpec("string", "object"),
        ColSpec("long", "created"),
        ColSpec("string", "model"),
    ]
    return [*rest, ColSpec(Array(choice), "choices")]


def _usage(*more: str) -> Object:
    return _object(dict.fromkeys(("prompt_tokens", *more, "total_tokens"), "long"), {})
