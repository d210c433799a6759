"""The HTTP side of the scoring server: routes, content types, deadlines."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pack import settings
from pack.errors import ModelFailed, PackError
from pack.serving.scoring import JSON, Scorer
from pack.version import __version__
from pack.web.answers import answer_error, json_answer, request_id
from pack.web.hosts import HostGuard
from pack.web.limits import read_body

if TYPE_CHECKING:
    from pack.pyfunc.wrapper import PyFuncModel

THREADS = 8
logger = logging.getLogger("pack.serving")


@dataclass(frozen=True)
class Options:
    """What a scoring server is run with."""

    max_body: int
    timeout: float


def app(
    model: PyFuncModel | str | Path,
    *,
    max_body: int | None = None,
    timeout: float | None = None,
    allowed_hosts: Iterable[str] | None = None,
    trust: bool | str | None = None,
) -> Starlette:
    """A Starlette application that scores one model: mount it, test it, or serve it.

    `model` is a loaded model or its URI. `max_body` is in bytes, `timeout` in seconds. With `allowed_hosts`, requests
    for other hosts are refused (addresses and loopback names always pass).

    >>> app("models:/churn@champion")  # doctest: +SKIP
    """
    from pack.pyfunc.load import load_model

    loaded = load_model(model, trust=trust) if isinstance(model, (str, Path)) else model
    guard = [] if allowed_hosts is None else [Middleware(HostGuard, allowed=tuple(allowed_hosts))]
    made = Starlette(
        routes=ROUTES,
        middleware=guard,
        exception_handlers={PackError: answer_error, HTTPException: answer_error, Exception: answer_error},
    )
    made.state.scorer = Scorer(loaded)
    made.state.limiter = anyio.CapacityLimiter(THREADS)
    made.state.options = Options(
        max_body=settings.serve_max_body() if max_body is None else max_body,
        timeout=settings.serve_timeout() if timeout is None else timeout,
    )
    return made


async def invocations(request: Request) -> Response:
    """Score a body."""
    state = request.app.state
    scorer: Scorer = state.scorer
    content_type = _content_type(request, scorer)
    body = await read_body(request, state.options.max_body, setting="PACK_SERVE_MAX_BODY")
    answer = None
    with anyio.move_on_after(state.options.timeout):
        answer = await anyio.to_thread.run_sync(
            _score, scorer, body, content_type, request_id(request), limiter=state.limiter, abandon_on_cancel=True
        )
    if answer is None:
        raise HTTPException(504, f"the model did not answer within {state.options.timeout:g} seconds")
    return json_answer(request, answer)


async def ping(request: Request) -> Response:
    """Say that the model is loaded and requests are taken."""
    return json_answer(request, b"\n")


async def version(request: Request) -> Response:
    """The version of pack."""
    return json_answer(request, __version__.encode())


ROUTES = [
    Route("/invocations", invocations, methods=["POST"]),
    Route("/ping", ping),
    Route("/health", ping),
    Route("/version", version),
]


def _score(scorer: Scorer, body: bytes, content_type: str, request: str) -> bytes:
    """Score in a worker thread; what the model raised goes to the log, not to the caller."""
    try:
        return scorer.score(body, content_type)
    except ModelFailed as error:
        logger.error("request %s: %s", request, error.message, exc_info=error.__cause__)  # noqa: TRY400
        raise


def _content_type(request: Request, scorer: Scorer) -> str:
    """The content type of a body that is taken; answers 415 for every other."""
    given = request.headers.getlist("content-type")
    name, _, rest = (given[0] if len(given) == 1 else "").partition(";")
    options = [part.strip().lower() for part in rest.split(";") if part.strip()]
    kind = name.strip().lower()
    plain = all(option.replace('"', "") in {"charset=utf-8", "charset=utf8"} for option in options)
    if kind in scorer.content_types and plain:
        return kind
    listed = ", ".join(scorer.content_types)
    raise HTTPException(
        415, f"the Content-Type must be one of: {listed} (UTF-8, without other parameters); e.g. {JSON}"
    )
