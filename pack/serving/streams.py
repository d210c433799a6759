"""Streams: what `predict_stream` yields, as server-sent events or as lines of JSON.

Frames are those of MLflow's agent server (interoperability facts, scoring protocol, section 8): `data: <json>`, at the
end `data: [DONE]`, and where something fails on the way, `data: {"error": ...}` before it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from pack.errors import BadRequest, ModelFailed, PackError
from pack.serving.awaiting import let_go
from pack.serving.encoding import encode
from pack.serving.feeds import Feed, TaskFeed, ThreadFeed
from pack.serving.headers import EVENTS, LINES, content_type_of, stream_type
from pack.serving.leaving import ClientLeft
from pack.serving.parcels import Parcel
from pack.serving.reading import read_for
from pack.serving.versions import Version
from pack.web.access import FACTS
from pack.web.answers import REQUEST_ID, SAFE_HEADERS, answer_error, request_id

logger = logging.getLogger("pack.serving")


class Form(NamedTuple):
    """How items follow each other in a body."""

    content_type: str
    frame: bytes
    end: bytes


FORMS = {
    EVENTS: Form(f"{EVENTS}; charset=utf-8", b"data: %b\n\n", b"data: [DONE]\n\n"),
    LINES: Form(LINES, b"%b\n", b""),
}


@dataclass(frozen=True)
class Dialect:
    """How a protocol puts items, the end and errors into words.

    `tail` gives the items that come after the model's last; `told` is what is said of an error in mid-stream, and
    `refused` the answer to one before the first item.
    """

    form: Form
    make: Callable[[Any], bytes]
    tail: Callable[[], list[bytes]]
    told: Callable[[Request, Exception], dict[str, Any]]
    refused: Callable[[Request, Exception], Awaitable[Response]]


async def stream(request: Request) -> ASGIApp:
    """The predictions for a body, one after another."""
    endpoint = request.app.state.endpoints.get(request.path_params.get("name"))
    content_type = content_type_of(request.scope, endpoint.content_types)
    body = await request.app.body(request)
    version: Version = await endpoint.pick()
    start = perf_counter()
    try:
        check_streams(version)
        parcel = await read_for(version.batcher, len(body), lambda: version.scorer.read(body, content_type))
    except PackError as error:
        version.tally.failed(error.http_status)
        raise
    form = FORMS[stream_type(request.scope)]
    dialect = Dialect(form, _item, list, _told, answer_error)
    return Stream(version, parcel, dialect, name=endpoint.name, parsing=perf_counter() - start)


class Stream:
    """A streamed answer, which ends when its client leaves. Its status is sent with the first item."""

    def __init__(self, version: Version, parcel: Parcel, dialect: Dialect, *, name: str, parsing: float) -> None:
        self._version = version
        self._parcel = parcel
        self._dialect = dialect
        self._name = name
        self._parsing = parsing
        self._has_begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the items as they come."""
        start = perf_counter()
        try:
            status = await _unless_left(receive, self._answer(Request(scope, receive), send))
        except ClientLeft:
            status = ClientLeft.http_status
        self._note(scope, status, perf_counter() - start)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        if FACTS in scope:
            scope[FACTS] |= {"model": self._name, **self._version.shown(), "status": status}
        if status == 200:
            self._version.tally.answered((self._parsing, 0.0, 0.0, seconds, 0.0), self._parcel.rows or 1, 1)
        else:
            self._version.tally.failed(status)

    async def _answer(self, request: Request, send: Send) -> int:
        """Send everything; answers the status that it came to, which may be worse than the one that was sent."""
        try:
            streams = self._version.batcher.streams
            with streams.one():
                await self._pass_on(_Taker(request, send, self._dialect.form, streams.seconds), streams.seconds)
        except Exception as error:  # noqa: BLE001 - the handler of this path: each error becomes an answer here
            _log(request, error)
            response = await self._dialect.refused(request, error)
            if not self._has_begun:
                await response(request.scope, request.receive, send)
                return response.status_code
            told = json.dumps(self._dialect.told(request, error)).encode()
            await send(_part(self._dialect.form.frame % told + self._dialect.form.end, more=False))
            return response.status_code
        return 200

    async def _pass_on(self, taker: _Taker, seconds: float) -> None:
        feed = _feed(self._version, self._parcel, self._dialect.make)
        try:
            items = await feed.take(seconds)
            await taker.begin()
            self._has_begun = True
            while items:
                await taker.take(items)
                items = await feed.take(seconds)
            await taker.take(self._dialect.tail(), is_last=True)
        finally:
            feed.leave()


class _Taker:
    """The client's side: one that takes nothing for so many seconds has left."""

    def __init__(self, request: Request, send: Send, form: Form, seconds: float) -> None:
        self._request = request
        self._send = send
        self._form = form
        self._seconds = seconds

    async def begin(self) -> None:
        """Send the status and the headers."""
        headers = {
            **SAFE_HEADERS,
            "content-type": self._form.content_type,
            REQUEST_ID: request_id(self._request),
            "x-accel-buffering": "no",  # a proxy in front would else keep small items back
        }
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def take(self, items: list[bytes], *, is_last: bool = False) -> None:
        """Send some items."""
        body = b"".join([self._form.frame % item for item in items])
        task = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(self._seconds, task.cancel if task else bool)
        try:
            await self._send(_part(body + self._form.end if is_last else body, more=not is_last))
        finally:
            timer.cancel()


def check_streams(version: Version) -> None:
    """Raise `BadRequest` for a model that does not stream.

    In process that is a wrong state; a caller over HTTP has asked for something that this model will never have, and
    is not to try again later, as 409 would say.
    """
    if not version.model.streams:
        raise BadRequest("this model does not stream", hint="post to /invocations for the whole answer")


async def _unless_left(receive: Receive, work: Coroutine[Any, Any, int]) -> int:
    """What a coroutine answers; cancels it and raises `ClientLeft` when the client hangs up.

    What cancels itself, because its client takes nothing, counts as left too.
    """
    task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        let_go(leaving)
        let_go(task)
    if not task.done() or task.cancelled():
        raise ClientLeft("the client left before it had everything")
    return task.result()


async def _hung_up(receive: Receive) -> None:
    """End when the client leaves; after the body, that is all that a server can still tell."""
    if (await receive())["type"] != "http.disconnect":
        await asyncio.get_running_loop().create_future()


def _feed(version: Version, parcel: Parcel, make: Callable[[Any], bytes]) -> Feed:
    model, data, params = version.model, parcel.join([parcel.data]), parcel.params
    if model.streams_async:
        return TaskFeed(lambda: model.stream_async(data, params), make)
    return ThreadFeed(lambda: model.stream(data, params), make)


def _item(value: Any) -> bytes:
    return encode(value, wrapped=False)


def _told(request: Request, error: Exception) -> dict[str, Any]:
    found = error if isinstance(error, PackError) else PackError("the server failed; its log has the request id")
    return {"error": {**found.to_dict(), "request_id": request_id(request)}}


def _log(request: Request, error: Exception) -> None:
    """What the model raised goes to the log, where the request id finds it, and not to the caller."""
    if isinstance(error, ModelFailed):
        logger.error("request %s: %s", request_id(request), error.message, exc_info=error.__cause__)


def _part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def ask(request: Request) -> Response:
    """Say how to call."""
    raise HTTPException(405, "post a body to this path", headers={"allow": "POST"})


ROUTES = [
    Route("/stream", stream, methods=["POST"]),
    Route("/models/{name}/stream", stream, methods=["POST"]),
    # Those that ask for a stream by their Accept header; the others were answered before they came this far.
    Route("/invocations", stream, methods=["POST"], include_in_schema=False),
    Route("/models/{name}/invocations", stream, methods=["POST"], include_in_schema=False),
    Route("/stream", ask, include_in_schema=False),
    Route("/models/{name}/stream", ask, include_in_schema=False),
]
