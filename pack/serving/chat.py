"""OpenAI's chat API in front of chat models: `/v1/chat/completions` and `/v1/models`.

The model's name in a body selects the endpoint. Errors have OpenAI's shape, so that its clients raise what they would
raise elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from datetime import datetime, timezone
from time import perf_counter
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pack.errors import BadRequest, InvalidValue, ModelFailed, NotFound, PackError
from pack.pyfunc.chat import ChatCompletionRequest
from pack.pyfunc.chat_models import CHAT, CHAT_TASKS, TASK, request_of
from pack.pyfunc.parts import fields_of
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.bodies import parse_json
from pack.serving.encoding import encode
from pack.serving.endpoint import Endpoint
from pack.serving.headers import EVENTS, content_type_of
from pack.serving.leaving import scored_while_connected
from pack.serving.parcels import Parcel, parcel_of
from pack.serving.reading import LARGE
from pack.serving.scoring import JSON
from pack.serving.streams import FORMS, Dialect, Stream
from pack.serving.versions import Version
from pack.web.access import FACTS
from pack.web.answers import json_answer, request_id

logger = logging.getLogger("pack.serving")
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


async def completions(request: Request) -> ASGIApp:
    """Complete a chat, at once or as a stream of chunks."""
    try:
        return await _complete(request)
    except Exception as error:  # noqa: BLE001 - the handler of this path: each error becomes an answer of its shape here
        return await refused(request, error)


async def models(request: Request) -> Response:
    """The chat models that are served."""
    found = [_shown(endpoint) for endpoint in request.app.state.endpoints if _may_chat(endpoint)]
    return json_answer(request, json.dumps({"object": "list", "data": found}).encode())


async def model(request: Request) -> Response:
    """One chat model."""
    try:
        endpoint = _endpoint(request, request.path_params["name"])
        if not _may_chat(endpoint):
            raise _no_chat(endpoint.name)
    except NotFound as error:
        return await refused(request, error)
    return json_answer(request, json.dumps(_shown(endpoint)).encode())


async def unknown(request: Request) -> Response:
    """Say what there is under /v1."""
    known = "/v1/chat/completions (POST), /v1/models"
    return await refused(request, NotFound(f"no {request.method} here", hint=f"there is: {known}", code="unknown_url"))


async def refused(request: Request, error: Exception) -> Response:
    """The answer to an error of any kind, in OpenAI's shape; what the model raised goes to the log."""
    if isinstance(error, ModelFailed):
        logger.error("request %s: %s", request_id(request), error.message, exc_info=error.__cause__)
    elif not isinstance(error, (PackError, HTTPException)):
        logger.error("request %s failed", request_id(request), exc_info=error)
    status = error.http_status if isinstance(error, PackError) else getattr(error, "status_code", 500)
    headers = {"retry-after": "1"} if status == 503 else {}
    return json_answer(request, json.dumps(told(request, error)).encode(), status=status, headers=headers)


def told(request: Request, error: Exception) -> dict[str, Any]:
    """What the caller is told of an error."""
    if isinstance(error, PackError):
        status, message = error.http_status, f"{error.message}; {error.hint}" if error.hint else error.message
        code, field = error.facts.get("code", error.error_code.lower()), error.facts.get("field")
    elif isinstance(error, HTTPException):
        status, message, code, field = error.status_code, error.detail, None, None
    else:
        status, message, code, field = 500, "the server failed; its log has the request id", "internal_error", None
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {
        "error": {"message": message, "type": kind, "code": code, "param": field, "request_id": request_id(request)}
    }


async def _complete(request: Request) -> ASGIApp:
    content_type_of(request.scope, (JSON,))
    body = await request.app.body(request)
    start = perf_counter()
    asked = parse_json(body) if len(body) < LARGE else await asyncio.to_thread(parse_json, body)
    if not isinstance(asked, dict):
        raise BadRequest("the body must be an object", hint='give {"model": ..., "messages": [...]}')
    endpoint = _endpoint(request, asked.get("model"))
    version: Version = await endpoint.pick()
    try:
        parcel = _parcel(version.model, endpoint.name, asked)
        parsing = perf_counter() - start
        if asked.get("stream"):
            return _stream(request, version, parcel, endpoint.name, parsing=parsing)
        scored = await scored_while_connected(version.batcher, parcel, len(body), request.receive)
        answer = _whole(scored.body, request_id(request), endpoint.name)
    except (PackError, HTTPException) as error:
        version.tally.failed(error.http_status if isinstance(error, PackError) else error.status_code)
        raise
    seconds = (parsing, scored.queued, scored.joining, scored.predicting, scored.encoding)
    version.tally.answered(seconds, 1, scored.together)
    if FACTS in request.scope:
        request.scope[FACTS] |= {"model": endpoint.name, **version.shown()}
    return json_answer(request, answer)


def _stream(request: Request, version: Version, parcel: Parcel, name: str, *, parsing: float) -> ASGIApp:
    if not version.model.streams:
        raise BadRequest(
            "this model does not stream", hint="leave stream out", field="stream", code="unsupported_value"
        )
    chunks = _Chunks(request_id(request), name)
    dialect = Dialect(FORMS[EVENTS], chunks.make, chunks.tail, told, refused)
    return Stream(version, parcel, dialect, name=name, parsing=parsing)


def _endpoint(request: Request, name: Any) -> Endpoint:
    """The endpoint of a model's name; the first, where there is none."""
    if name is not None and not isinstance(name, str):
        raise BadRequest("model must be text", field="model")
    try:
        found: Endpoint = request.app.state.endpoints.get(name)
    except NotFound as error:
        raise NotFound(error.message, hint=error.hint, code="model_not_found", field="model") from error
    return found


def _task(model: PyFuncModel) -> Any:
    return (model.metadata.metadata or {}).get(TASK)


def _may_chat(endpoint: Endpoint) -> bool:
    """Whether a model answers chats; one that was not loaded yet may."""
    version = endpoint.main.current
    return version is None or _task(version.model) in CHAT_TASKS


def _no_chat(name: str) -> NotFound:
    hint = f"post to /models/{name}/invocations"
    return NotFound(f"the model {name!a} is no chat model", hint=hint, code="model_not_found", field="model")


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    version = endpoint.main.current
    created = 0 if version is None else _seconds(version.model.metadata.utc_time_created)
    return {"id": endpoint.name, "object": "model", "created": created, "owned_by": "pack"}


def _seconds(text: str | None) -> int:
    try:
        return int(datetime.fromisoformat(text or "").replace(tzinfo=timezone.utc).timestamp())
    except ValueError:
        return 0


def _parcel(model: PyFuncModel, name: str, asked: dict[str, Any]) -> Parcel:
    """A request as the model takes it; what OpenAI's API has beyond that is left out."""
    task = _task(model)
    if task not in CHAT_TASKS:
        raise _no_chat(name)
    if "messages" not in asked:
        raise InvalidValue(
            "messages is missing", hint='give "messages": [{"role": ..., "content": ...}]', field="messages"
        )
    given = {key: value for key, value in asked.items() if key in fields_of(ChatCompletionRequest)}
    if given.get("max_tokens") is None and "max_completion_tokens" in asked:
        given["max_tokens"] = asked["max_completion_tokens"]
    if isinstance(given.get("stop"), str):
        given["stop"] = [given["stop"]]
    wanted = request_of(given).to_dict()
    return parcel_of(wanted if task == CHAT else model.plan.data(wanted), model.plan.params(None), wrapped=False)


def _whole(body: bytes, id_: str, name: str) -> bytes:
    """A completion with everything that OpenAI's clients expect in it."""
    answer = json.loads(body)
    # A flavor answers a list, one answer for each request.
    answer = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
        raise ModelFailed("the model did not answer with a chat completion", hint="answer {'choices': [...]}")
    choices = [
        {"index": place, "finish_reason": "stop", "logprobs": None, **choice, "message": _message(choice)}
        for place, choice in enumerate(answer["choices"])
    ]
    found = {**_head(id_, name, "chat.completion"), **_given(answer), "choices": choices}
    return json.dumps(found).encode()


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "refusal": None, **choice.get("message", {})}


def _head(id_: str, name: str, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{id_}", "object": kind, "created": int(time.time()), "model": name}


def _given(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if value is not None}


class _Chunks:
    """The chunks of one stream: all with one id, and at the end each choice says why it ended."""

    def __init__(self, id_: str, name: str) -> None:
        self._head = _head(id_, name, "chat.completion.chunk")
        self._ended: dict[int, bool] = {}

    def make(self, item: Any) -> bytes:
        """The JSON text of a chunk."""
        if not isinstance(item, dict) or not isinstance(item.get("choices"), list):
            raise ModelFailed("the model did not yield a chat completion chunk", hint="yield {'choices': [...]}")
        choices: list[dict[str, Any]] = [
            {"index": 0, "delta": {}, "finish_reason": None, "logprobs": None, **one} for one in item["choices"]
        ]
        for choice in choices:
            ended = choice["finish_reason"] is not None
            self._ended[choice["index"]] = ended or self._ended.get(choice["index"], False)
        # One stream has one id and one time, whatever the model puts into each chunk.
        head = {key: self._head[key] for key in ("id", "created")}
        return encode({**self._head, **_given(item), **head, "choices": choices}, wrapped=False)

    def tail(self) -> list[bytes]:
        """A last chunk for the choices of which the model did not say why they ended."""
        rest = [index for index, ended in self._ended.items() if not ended]
        ended: dict[str, Any] = {"delta": {}, "finish_reason": "stop", "logprobs": None}
        choices = [{"index": index, **ended} for index in rest]
        return [encode({**self._head, "choices": choices}, wrapped=False)] if rest else []


_EVERY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
ROUTES = [
    # Not described beside our own routes: OpenAI describes them, and errors have another shape here.
    Route("/v1/chat/completions", completions, methods=["POST"], include_in_schema=False),
    Route("/v1/models", models, include_in_schema=False),
    Route("/v1/models/{name}", model, include_in_schema=False),
    Route("/v1/{rest:path}", unknown, methods=_EVERY, include_in_schema=False),
]
