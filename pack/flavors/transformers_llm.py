"""Pipelines that are asked as OpenAI's models are: chat, completions, embeddings.

Requests and answers are MLflow's (interoperability facts, flavors, section 11).
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pack.errors import InvalidValue
from pack.flavors.base import Config, Conventions
from pack.flavors.transformers_tasks import values_of
from pack.mlmodel import conversations
from pack.mlmodel.frames import is_frame, is_missing
from pack.mlmodel.nested import plain
from pack.mlmodel.signature import ModelSignature

CHAT, COMPLETIONS, EMBEDDINGS = "llm/v1/chat", "llm/v1/completions", "llm/v1/embeddings"
TASKS: dict[str, Callable[[], ModelSignature]] = {
    CHAT: conversations.chat_signature,
    COMPLETIONS: conversations.completions_signature,
    EMBEDDINGS: conversations.embeddings_signature,
}
PIPELINES = {CHAT: "text-generation", COMPLETIONS: "text-generation", EMBEDDINGS: "feature-extraction"}
_NAMES = {"max_tokens": "max_new_tokens", "n": "num_return_sequences"}
_ASKED = {"messages", "prompt", "input", "stop", "stream", "tools", "custom_inputs"}
_NOT_DONE = ("frequency_penalty", "presence_penalty", "stream")


def conventions(task: str) -> Conventions:
    """The signature and the metadata of a model for this task."""
    return Conventions(f"a model for {task}", TASKS[task](), None, lambda example: example, {"task": task})


def check(task: str, pipe: Any) -> None:
    """Raise `InvalidValue` for a pipeline that cannot be asked so."""
    if pipe.task != PIPELINES[task]:
        raise InvalidValue(f"a {pipe.task} pipeline cannot do {task}", hint=f"it takes a {PIPELINES[task]} pipeline")
    if task == CHAT and not getattr(pipe.tokenizer, "chat_template", None):
        raise InvalidValue("the tokenizer has no chat_template", hint="set tokenizer.chat_template, or do completions")


def answer(task: str, pipe: Any, rows: Any, config: Config) -> Any:
    """The answer to each request: a list of them, for embeddings one for all."""
    if task == EMBEDDINGS:
        return _embedded(pipe, rows)
    return [_completed(task, pipe, _request(one), config) for one in _requests(rows)]


def embeddings(vectors: list[Any], tokens: int) -> dict[str, Any]:
    """The answer to a request for embeddings, from a vector for each text and the number of tokens read."""
    data = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(vectors)]
    return {"object": "list", "data": data, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}


def inputs_of(rows: Any) -> list[str]:
    """The texts of a request for embeddings."""
    found: list[Any] = []
    for one in values_of(rows):
        value = one.get("input") if isinstance(one, Mapping) else one
        found += value if isinstance(value, list) else [value]
    if not all(isinstance(one, str) for one in found):
        raise InvalidValue("input must be text, or a list of texts", hint='give {"input": ["one", "other"]}')
    return found


def _embedded(pipe: Any, rows: Any) -> dict[str, Any]:
    asked = inputs_of(rows)
    vectors = [np.asarray(one, dtype="float32").reshape(-1, np.shape(one)[-1])[0] for one in pipe(asked)]
    return embeddings(vectors, sum(len(pipe.tokenizer(one)["input_ids"]) for one in asked))


def _requests(rows: Any) -> list[Any]:
    """Each request: a dict is one, and so is a list of messages."""
    if is_frame(rows):
        return [{str(key): plain(value) for key, value in row.items()} for row in rows.to_dict(orient="records")]
    if isinstance(rows, (list, tuple)) and rows and all(isinstance(one, Mapping) and "role" in one for one in rows):
        return [{"messages": list(rows)}]
    return list(rows) if isinstance(rows, (list, tuple)) else [rows]


def _request(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"prompt": value}
    if not isinstance(value, Mapping):
        raise InvalidValue(f"a request is a dict, not {type(value).__name__}")
    return {key: one for key, one in value.items() if not is_missing(one)}


def _completed(task: str, pipe: Any, request: dict[str, Any], config: Config) -> dict[str, Any]:
    """One request, answered."""
    stop, options = _options(request, config)
    given = pipe.tokenizer(_prompt(task, pipe, request), return_tensors="pt", add_special_tokens=task != CHAT)
    given = {key: one.to(pipe.device) for key, one in given.items() if key in {"input_ids", "attention_mask"}}
    length = given["input_ids"].shape[1]
    more = {"stopping_criteria": [_ended(pipe.tokenizer, length, stop)]} if stop else {}
    found = pipe.model.generate(**given, **options, **more)
    choices = [_choice(task, pipe, ids[length:], place, stop) for place, ids in enumerate(found)]
    written = sum(choice.pop("tokens") for choice in choices)
    return {
        "id": str(uuid.uuid4()),
        "object": "chat.completion" if task == CHAT else "text_completion",
        "created": int(time.time()),
        "model": type(pipe.model).__name__,
        "usage": {"prompt_tokens": length, "completion_tokens": written, "total_tokens": length + written},
        "choices": choices,
    }


def _prompt(task: str, pipe: Any, request: dict[str, Any]) -> str:
    if task == COMPLETIONS:
        return str(_needed(request, "prompt"))
    messages = _needed(request, "messages")
    if not isinstance(messages, list) or not all(isinstance(one, Mapping) for one in messages):
        raise InvalidValue("messages must be a list of dicts", hint='give [{"role": "user", "content": "..."}]')
    said = [{key: one for key, one in message.items() if one is not None} for message in messages]
    tools = {"tools": request["tools"]} if request.get("tools") else {}
    return str(pipe.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True, **tools))


def _needed(request: dict[str, Any], name: str) -> Any:
    if name not in request:
        raise InvalidValue(f"the request lacks {name}", hint=f"it has: {', '.join(request) or 'nothing'}")
    return request[name]


def _options(request: dict[str, Any], config: Config) -> tuple[list[str], Config]:
    """Where to stop, and how to generate."""
    refused = [name for name in _NOT_DONE if request.get(name)]
    if refused:
        raise InvalidValue(f"{', '.join(refused)} is not done by this model", hint="leave it out")
    asked = {name: one for name, one in request.items() if name not in {*_ASKED, *_NOT_DONE}}
    found = {**config, **{_NAMES.get(name, name): one for name, one in asked.items()}}
    if found.get("temperature") == 0:
        found = {**{name: one for name, one in found.items() if name != "temperature"}, "do_sample": False}
    elif {"temperature", "top_p", "top_k"} & found.keys() or found.get("num_return_sequences", 1) > 1:
        found.setdefault("do_sample", True)
    stop = request.get("stop") or []
    return [stop] if isinstance(stop, str) else list(stop), found


def _ended(tokenizer: Any, length: int, stop: list[str]) -> Callable[..., Any]:
    """Asked after each token: whether what was written since the prompt ends with one of the texts to stop at."""
    longest = max(map(len, stop))

    def ended(ids: Any, *_: Any, **__: Any) -> Any:
        # A text is at most as many tokens as it has bytes; those before it tell where a word begins.
        tails = [tokenizer.decode(one[max(length, len(one) - 4 * longest - 4) :]) for one in ids]
        return ids.new_tensor([any(one in tail for one in stop) for tail in tails]) > 0

    return ended


def _choice(task: str, pipe: Any, ids: Any, place: int, stop: list[str]) -> dict[str, Any]:
    """One answer, without the tokens that end it."""
    ends = pipe.model.generation_config.eos_token_id
    ends = set(ends) if isinstance(ends, list) else {ends}
    written = [int(one) for one in ids]
    end = next((index for index, one in enumerate(written) if one in ends), None)
    written = written if end is None else written[: end + 1]
    text = pipe.tokenizer.decode(written, skip_special_tokens=True)
    cut = min((text.find(one) for one in stop if one in text), default=None)
    text = text if cut is None else text[:cut]
    found = {
        "index": place,
        "finish_reason": "length" if end is None and cut is None else "stop",
        "tokens": len(written),
    }
    return {**found, **({"message": {"role": "assistant", "content": text}} if task == CHAT else {"text": text})}
