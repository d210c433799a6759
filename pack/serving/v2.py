"""The Open Inference Protocol over HTTP: routes under `/v2`, errors with `error` beside our own fields."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from pack.errors import BadRequest, ModelFailed, NotFound
from pack.serving import health, oip
from pack.serving.alike import Said, Values
from pack.serving.endpoint import Endpoint
from pack.serving.leaving import scored_while_connected
from pack.serving.metrics import PHASES
from pack.serving.parcels import Parcel
from pack.serving.reading import read_for
from pack.serving.shadow import Read
from pack.serving.versions import Version
from pack.version import __version__
from pack.web.access import FACTS
from pack.web.answers import answer_error, json_answer, request_id

logger = logging.getLogger("pack.serving")
HEADER_LENGTH = "inference-header-content-length"
_BINARY = "application/octet-stream"
# The protocol's clients send no Content-Type at all.
_TAKEN = {"", "application/json", _BINARY}
_MOST_DIGITS = 18
_Work = Callable[[Request], Awaitable[Response]]


class Door:
    """An ASGI endpoint: one function answers one method, or all, and every error becomes an answer of the protocol."""

    def __init__(self, work: _Work, method: str | None = "GET") -> None:
        self.work = work
        self.method = method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            self._check_method(request.method)
            response = await self.work(request)
        except Exception as error:  # noqa: BLE001 - the handler of these paths: each error becomes an answer here
            response = await _refused(request, error)
        await response(scope, receive, send)

    def _check_method(self, method: str) -> None:
        if self.method is not None and method != self.method and (method, self.method) != ("HEAD", "GET"):
            raise HTTPException(405, f"{self.method} is needed here", headers={"allow": self.method})


async def server(request: Request) -> Response:
    """The server's name, its version, and what it knows beyond the protocol."""
    return _json(request, {"name": "pack", "version": __version__, "extensions": list(oip.EXTENSIONS)})


async def live(request: Request) -> Response:
    """Say that the process answers."""
    return _json(request, {"live": True})


async def ready(request: Request) -> Response:
    """Say whether requests are taken: 200, or 503."""
    good = health.is_ready(request)
    return _json(request, {"ready": good}, 200 if good else 503)


async def model(request: Request) -> Response:
    """The description of a model."""
    endpoint = _endpoint(request)
    version = _asked_for(request, endpoint) or endpoint.main.current or await endpoint.pick()
    return _json(request, oip.described(version.model, endpoint.name, _number(version)))


async def model_ready(request: Request) -> Response:
    """Say whether a model takes requests: 200, or 503."""
    endpoint = _endpoint(request)
    good = endpoint.is_ready and not request.app.state.drains
    if good:
        _asked_for(request, endpoint)
    return _json(request, {"name": endpoint.name, "ready": good}, 200 if good else 503)


async def infer(request: Request) -> Response:
    """Score the tensors of a request."""
    endpoint = _endpoint(request)
    _check_content_type(request)
    header_length = _header_length(request)
    body = await request.app.body(request)
    version = _asked_for(request, endpoint) or await endpoint.pick()
    try:
        return await _scored(request, version, body, header_length)
    except Exception as error:
        version.tally.failed(getattr(error, "http_status", getattr(error, "status_code", 500)))
        raise


async def unknown(request: Request) -> Response:
    """Say that there is nothing here."""
    raise HTTPException(404, "the Open Inference Protocol has nothing here; the routes are listed in the docs")


async def _scored(request: Request, version: Version, body: bytes, header_length: int | None) -> Response:
    start = perf_counter()
    endpoint = _endpoint(request)
    names = {"model_name": endpoint.name, "model_version": _number(version)}
    parcel, reply = await read_for(
        version.batcher, len(body), lambda: oip.read(body, header_length, version.model, names)
    )
    parsing = perf_counter() - start
    answer, queued, joining, predicting, encoding, together = await scored_while_connected(
        version.batcher, parcel, len(body), request.receive
    )
    times = (parsing, queued, joining, predicting, encoding)
    version.tally.answered(times, parcel.rows or 1, together)
    if FACTS in request.scope:
        request.scope[FACTS] |= {"model": endpoint.name, **version.shown(), "rows": parcel.rows}
    if endpoint.shadow is not None and version is endpoint.main.current:
        # The names are the champion's for both: they are no part of what is compared.
        endpoint.shadow.mirror(Said(answer, reply.values), _reader(body, header_length, names), size=len(body))
    if endpoint.capture is not None:
        endpoint.capture.offer(parcel, answer, request_id(request), version.number, size=len(body))
    phases = zip(PHASES, times, strict=True)
    headers = {"server-timing": ", ".join(f"{phase};dur={seconds * 1e3:.3f}" for phase, seconds in phases)}
    response = json_answer(request, answer, headers=headers)
    if reply.header_length is not None:
        response.headers["content-type"] = _BINARY
        response.headers[HEADER_LENGTH] = str(reply.header_length)
    return response


def _reader(body: bytes, header_length: int | None, names: dict[str, str]) -> Read:
    """What reads the same request for a shadow."""

    def read(version: Version) -> tuple[Parcel, Values]:
        parcel, reply = oip.read(body, header_length, version.model, names)
        return parcel, reply.values

    return read


def _endpoint(request: Request) -> Endpoint:
    found: Endpoint = request.app.state.endpoints.get(request.path_params["name"])
    return found


def _asked_for(request: Request, endpoint: Endpoint) -> Version | None:
    """The version that the path names, the champion's or the canary's; None where it names none."""
    number = request.path_params.get("version")
    if number is None:
        return None
    slots = (slot.current for slot in (endpoint.main, endpoint.canary) if slot is not None)
    served = [version for version in slots if version is not None]
    for version in served:
        if _number(version) == number:
            return version
    known = ", ".join(map(_number, served)) or "none yet"
    raise NotFound(f"version {number!a:.40} of {endpoint.name!r} is not served", hint=f"served here: {known}")


def _number(version: Version) -> str:
    """The number in the registry; 1 for a model that was never registered."""
    return version.number or "1"


def _check_content_type(request: Request) -> None:
    given = request.headers.getlist("content-type")
    kind = given[0].partition(";")[0].strip().lower() if given else ""
    if len(given) > 1 or kind not in _TAKEN:
        raise HTTPException(415, f"the Content-Type must be application/json, or {_BINARY} with binary tensors")


def _header_length(request: Request) -> int | None:
    given = request.headers.getlist(HEADER_LENGTH)
    if not given:
        return None
    if len(given) > 1 or not (given[0].isascii() and given[0].isdigit()) or len(given[0]) > _MOST_DIGITS:
        raise BadRequest("the header Inference-Header-Content-Length is not one number of bytes")
    return int(given[0])


def _json(request: Request, body: dict[str, Any], status: int = 200) -> Response:
    return json_answer(request, json.dumps(body).encode(), status=status)


async def _refused(request: Request, error: Exception) -> Response:
    """Our answer to an error, and in it `error`, where the protocol's clients look."""
    if isinstance(error, ModelFailed):
        # What the model raised goes to the log, where the request id finds it, and not to the caller.
        logger.error("request %s: %s", request_id(request), error.message, exc_info=error.__cause__)
    answer = await answer_error(request, error)
    body = json.loads(bytes(answer.body))
    text = f"{body['message']}; {body['hint']}" if "hint" in body else body["message"]
    kept = {name: value for name, value in answer.headers.items() if name not in {"content-length", "content-type"}}
    return json_answer(request, json.dumps({"error": text, **body}).encode(), status=answer.status_code, headers=kept)


_MODEL = "/v2/models/{name}"
_VERSION = _MODEL + "/versions/{version}"
ROUTES = [
    Route("/v2", Door(server)),
    Route("/v2/health/live", Door(live)),
    Route("/v2/health/ready", Door(ready)),
    Route(_MODEL, Door(model)),
    Route(_VERSION, Door(model)),
    Route(_MODEL + "/ready", Door(model_ready)),
    Route(_VERSION + "/ready", Door(model_ready)),
    Route(_MODEL + "/infer", Door(infer, "POST")),
    Route(_VERSION + "/infer", Door(infer, "POST")),
    Route("/v2/{rest:path}", Door(unknown, None)),
]
