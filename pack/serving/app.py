"""The HTTP side of the scoring server: routes, content types, deadlines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pack import settings
from pack.errors import PackError
from pack.serving.batching import Limits
from pack.serving.endpoint import Endpoint, Endpoints, Version
from pack.serving.front import Front
from pack.version import __version__
from pack.web.answers import answer_error, json_answer
from pack.web.hosts import HostGuard

if TYPE_CHECKING:
    from pack.pyfunc.wrapper import PyFuncModel


def app(
    model: PyFuncModel | str | Path | Mapping[str, PyFuncModel | str | Path],
    *,
    max_body: int | None = None,
    allowed_hosts: Iterable[str] | None = None,
    trust: bool | str | None = None,
    timeout: float | None = None,
    limits: Limits | None = None,
) -> Starlette:
    """A Starlette application that scores one model, or several by name: mount it, test it, or serve it.

    A model is a loaded one or its URI. `max_body` is in bytes, `timeout` in seconds; `limits` say how far requests are
    gathered. With `allowed_hosts`, requests for other hosts are refused (addresses and loopback names always pass).

    >>> app("models:/churn@champion")  # doctest: +SKIP
    >>> app({"churn": "models:/churn@champion", "price": "models:/price/3"})  # doctest: +SKIP
    """
    models = model if isinstance(model, Mapping) else {"model": model}
    seconds = settings.serve_timeout() if timeout is None else timeout
    chosen = replace(limits or Limits(), timeout=seconds)
    loaded = {name: _loaded(one, trust) for name, one in models.items()}
    endpoints = Endpoints({name: Endpoint(name, Version.of(one, chosen)) for name, one in loaded.items()})
    made = ScoringApp(
        routes=ROUTES,
        exception_handlers={PackError: answer_error, HTTPException: answer_error, Exception: answer_error},
    )
    made.hosts = None if allowed_hosts is None else tuple(allowed_hosts)
    made.max_body = settings.serve_max_body() if max_body is None else max_body
    made.state.endpoints = endpoints
    return made


class ScoringApp(Starlette):
    """A Starlette application in which the short way for requests to score comes before everything else."""

    hosts: tuple[str, ...] | None = None
    max_body: int = 0

    def build_middleware_stack(self) -> ASGIApp:
        """The hosts' guard, the short way, and Starlette's own stack behind them."""
        front = Front(super().build_middleware_stack(), self.state.endpoints.by_path(), self.max_body)
        return front if self.hosts is None else HostGuard(front, self.hosts)


def _loaded(model: PyFuncModel | str | Path, trust: bool | str | None) -> PyFuncModel:
    from pack.pyfunc.load import load_model

    return load_model(model, trust=trust) if isinstance(model, (str, Path)) else model


async def invocations(request: Request) -> Response:
    """Say how to call: what is posted here was answered before it came this far."""
    raise HTTPException(405, "post a body to /invocations", headers={"allow": "POST"})


async def ping(request: Request) -> Response:
    """Say that the model is loaded and requests are taken."""
    return json_answer(request, b"\n")


async def version(request: Request) -> Response:
    """The version of pack."""
    return json_answer(request, __version__.encode())


ROUTES = [
    Route("/invocations", invocations),
    Route("/ping", ping),
    Route("/health", ping),
    Route("/version", version),
]
