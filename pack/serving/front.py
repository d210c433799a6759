"""The short way of a scoring request: from the socket to the model and back, past the router.

Everything else (health, descriptions, metrics) goes the long way through the Starlette application behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import perf_counter

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pack.errors import ModelFailed
from pack.serving.batching import Scored
from pack.serving.endpoint import Endpoint
from pack.serving.parcels import Parcel
from pack.serving.scoring import JSON
from pack.serving.versions import Version
from pack.web.access import FACTS
from pack.web.answers import answer_error, request_id_of
from pack.web.limits import read_bytes

logger = logging.getLogger("pack.serving")
_HEADERS = [(b"content-type", b"application/json"), (b"x-content-type-options", b"nosniff")]


class Front:
    """ASGI middleware that scores what is posted to one of its paths, and passes on everything else."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, Endpoint], max_body: int) -> None:
        self.app = app
        self._endpoints = endpoints
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Score a request, or pass it on."""
        endpoint = self._endpoint(scope)
        if endpoint is None:
            await self.app(scope, receive, send)
            return
        version: Version | None = None
        try:
            content_type = _content_type(scope, endpoint.content_types)
            body = await read_bytes(scope, receive, self._max_body, setting="PACK_SERVE_MAX_BODY")
            version = await endpoint.pick()
            parcel, scored, parsing = await _score(version, body, content_type)
        except Exception as error:  # noqa: BLE001 - the handler of this path: each error becomes an answer here
            response = await _refused(scope, error, version or endpoint.main.current)
            await response(scope, receive, send)
            return
        headers = [
            *_HEADERS,
            (b"content-length", b"%d" % len(scored.body)),
            (b"x-request-id", request_id_of(scope).encode()),
            (b"server-timing", _timing(parsing, scored)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": scored.body})
        if endpoint.shadow is not None and content_type == JSON and version is endpoint.main.current:
            endpoint.shadow.mirror(body, scored.body)
        if endpoint.capture is not None:
            endpoint.capture.offer(parcel, scored.body, request_id_of(scope), version.number)
        if FACTS in scope:
            scope[FACTS] |= {"model": endpoint.name, **version.shown(), "rows": parcel.rows}

    def _endpoint(self, scope: Scope) -> Endpoint | None:
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        path: str = scope["path"]
        root: str = scope.get("root_path", "")
        return self._endpoints.get(path.removeprefix(root) if root else path)


async def _score(version: Version, body: bytes, content_type: str) -> tuple[Parcel, Scored, float]:
    """What was scored, the answer, and the seconds that reading took."""
    start = perf_counter()
    parcel = version.scorer.read(body, content_type)
    parsing = perf_counter() - start
    scored = await version.batcher.score(parcel, len(body))
    seconds = (parsing, scored.queued, scored.predicting, scored.encoding)
    version.tally.answered(seconds, parcel.rows or 1, scored.together)
    return parcel, scored, parsing


def _timing(parsing: float, scored: Scored) -> bytes:
    return b"parse;dur=%.3f, queue;dur=%.3f, predict;dur=%.3f, encode;dur=%.3f" % (
        parsing * 1e3,
        scored.queued * 1e3,
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


def _content_type(scope: Scope, taken: tuple[str, ...]) -> str:
    """The content type of a body that is taken; answers 415 for every other."""
    given = [value for name, value in scope["headers"] if name == b"content-type"]
    text = given[0].decode("latin-1") if len(given) == 1 else ""
    if text in taken:
        return text
    name, _, rest = text.partition(";")
    options = [part.strip().lower() for part in rest.split(";") if part.strip()]
    kind = name.strip().lower()
    plain = all(option.replace('"', "") in {"charset=utf-8", "charset=utf8"} for option in options)
    if kind in taken and plain:
        return kind
    listed = ", ".join(taken)
    raise HTTPException(
        415, f"the Content-Type must be one of: {listed} (UTF-8, without other parameters); e.g. {JSON}"
    )
