"""The short way of a scoring request: from the socket to the model and back, past the router.

Everything else (health, descriptions, metrics) goes the long way through the Starlette application behind it. Whichever
way a request went, the bytes of its body are released here when it was answered.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pack.errors import ModelFailed
from pack.serving.alike import Said, Values, values_of
from pack.serving.batching import Scored
from pack.serving.columnar import Asked, encoder_of
from pack.serving.endpoint import Endpoint
from pack.serving.headers import content_type_of, wants_stream
from pack.serving.leaving import scored_while_connected
from pack.serving.parcels import Parcel
from pack.serving.reading import read_for
from pack.serving.scoring import JSON
from pack.serving.shadow import Shadow
from pack.serving.versions import Version
from pack.web.access import FACTS
from pack.web.answers import answer_error, request_id_of
from pack.web.limits import Budget, read_bytes

logger = logging.getLogger("pack.serving")
_ANYTHING = {b"", b"*/*", b"application/json"}


class Done(NamedTuple):
    """A request that was scored: by which version, its body and the body's type, in which form it is answered."""

    version: Version
    body: bytes
    content_type: str
    asked: Asked | None
    parcel: Parcel
    parsing: float
    scored: Scored


class Front:
    """ASGI middleware that scores what is posted to one of its paths, and passes on everything else."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint], max_body: int, budget: Budget) -> None:
        self.app = app
        self._budget = budget
        self._endpoints = endpoints
        self._max_body = max_body
        self._client: object = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Score a request, or pass it on."""
        endpoint, accept = self._endpoint(scope), _accept(scope) if scope["type"] == "http" else b""
        try:
            if endpoint is None or (accept not in _ANYTHING and wants_stream(scope)):
                await self.app(scope, receive, send)
                return
            try:
                done = await self._score(endpoint, scope, receive, accept)
            except Exception as error:  # noqa: BLE001 - the handler of this path: each error becomes an answer here
                answer = await _refused(scope, error, endpoint.main.current)
                await answer(scope, receive, send)
                return
            await _send(scope, done, send)
            _note(scope, endpoint, done)
        finally:
            self._budget.release(scope)

    async def _score(self, endpoint: Endpoint, scope: Scope, receive: Receive, accept: bytes) -> Done:
        content_type = content_type_of(scope, endpoint.content_types)
        body = await read_bytes(scope, receive, self._max_body, setting="PACK_SERVE_MAX_BODY", budget=self._budget)
        version = await endpoint.pick()
        start = perf_counter()
        asked = None if accept in _ANYTHING else encoder_of(accept.decode("latin-1"), version.model.signature)
        parcel = await read_for(version.batcher, len(body), lambda: version.scorer.read(body, content_type))
        if asked is not None:
            parcel = parcel._replace(encode=asked.encode)
        parsing = perf_counter() - start
        if version.batcher.takes_time:
            scored = await scored_while_connected(version.batcher, parcel, len(body), receive)
        else:
            # A client that asks one thing after another has nobody to wait for.
            client, self._client = self._client, scope.get("client")
            scored = await version.batcher.score(parcel, len(body), alone=client == self._client)
        return Done(version, body, content_type, asked, parcel, parsing, scored)

    def _endpoint(self, scope: Scope) -> Endpoint | None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        return self._endpoints.get(path.removeprefix(root) if root else path)


async def _send(scope: Scope, done: Done, send: Send) -> None:
    body = done.scored.body
    headers = [
        (b"content-type", JSON.encode() if done.asked is None else done.asked.content_type.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id_of(scope).encode()),
        (b"server-timing", _timing(done.parsing, done.scored)),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _note(scope: Scope, endpoint: Endpoint, done: Done) -> None:
    """Count the request, and show it to whoever looks on: the shadow, the capture, the log."""
    version, body, _, _, parcel, parsing, scored = done
    seconds = (parsing, scored.queued, scored.joining, scored.predicting, scored.encoding)
    version.tally.answered(seconds, parcel.rows or 1, scored.together)
    if endpoint.shadow is not None and version is endpoint.main.current:
        _mirror(endpoint.shadow, done, _accept(scope).decode("latin-1"))
    if endpoint.capture is not None:
        endpoint.capture.offer(parcel, scored.body, request_id_of(scope), version.number, size=len(body))
    if FACTS in scope:
        scope[FACTS] |= {"model": endpoint.name, **version.shown(), "rows": parcel.rows}


def _mirror(shadow: Shadow, done: Done, accept: str) -> None:
    """Let the shadow answer the same body, in the form that was asked for."""
    body, content_type, is_plain = done.body, done.content_type, done.asked is None
    values = values_of(JSON if done.asked is None else done.asked.content_type)

    def read(version: Version) -> tuple[Parcel, Values]:
        parcel = version.scorer.read(body, content_type)
        asked = None if is_plain else encoder_of(accept, version.model.signature)
        return parcel if asked is None else parcel._replace(encode=asked.encode), values

    shadow.mirror(Said(done.scored.body, values), read, size=len(body))


def _timing(parsing: float, scored: Scored) -> bytes:
    return b"parse;dur=%.3f, queue;dur=%.3f, validate;dur=%.3f, predict;dur=%.3f, encode;dur=%.3f" % (
        parsing * 1e3,
        scored.queued * 1e3,
        scored.joining * 1e3,
        scored.predicting * 1e3,
        scored.encoding * 1e3,
    )


async def _refused(scope: Scope, error: Exception, version: Version | None) -> Response:
    if isinstance(error, ModelFailed):
        # What the model raised goes to the log, where the request id finds it, and not to the caller.
        logger.error("request %s: %s", request_id_of(scope), error.message, exc_info=error.__cause__)
    response = await answer_error(Request(scope), error)
    if version is not None:
        version.tally.failed(response.status_code)
    return response


def _accept(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"accept":
            found: bytes = value
            return found
    return b""
