"""The scoring server as an application: what it is made of, and what it does when it starts and stops."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pack import settings
from pack.errors import PackError
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving import chat, health, page, streams, v2
from pack.serving.following import Follower
from pack.serving.front import Front
from pack.serving.gathering import EVERY, Gathering
from pack.serving.options import Options, endpoints_of
from pack.web.access import AccessLog
from pack.web.also import Also
from pack.web.answers import answer_error
from pack.web.auth import KeyGuard, Keys
from pack.web.hosts import HostGuard
from pack.web.limits import Budget, read_bytes
from pack.web.tracing import traced


def app(
    model: PyFuncModel | str | Path | Mapping[str, PyFuncModel | str | Path],
    *,
    max_body: int | None = None,
    timeout: float | None = None,
    allowed_hosts: Iterable[str] | None = None,
    trust: bool | str | None = None,
    options: Options | None = None,
    keys: Keys | None = None,
) -> Starlette:
    """A Starlette application that scores one model, or several by name: mount it, test it, or serve it.

    A model is a loaded one or its URI. `max_body` is in bytes, `timeout` in seconds; `options` say the rest. With
    `allowed_hosts`, requests for other hosts are refused (addresses and loopback names always pass), and with `keys`
    those that show none of them. While it runs with its lifespan, it follows the aliases in the URIs.

    >>> app("models:/churn@champion")  # doctest: +SKIP
    >>> app({"churn": "models:/churn@champion", "price": "models:/price/3"})  # doctest: +SKIP
    """
    models = model if isinstance(model, Mapping) else {"model": model}
    chosen = options or Options()
    seconds = settings.serve_timeout() if timeout is None else timeout
    chosen = replace(chosen, limits=replace(chosen.limits, timeout=seconds))
    made = ScoringApp(
        routes=ROUTES,
        exception_handlers={PackError: answer_error, HTTPException: answer_error, Exception: answer_error},
        lifespan=_life,
    )
    made.keys = keys
    made.hosts = None if allowed_hosts is None else tuple(allowed_hosts)
    made.max_body = settings.serve_max_body() if max_body is None else max_body
    made.budget = Budget(settings.serve_max_waiting_bytes(), setting="PACK_SERVE_MAX_WAITING_BYTES")
    made.state.endpoints = endpoints_of(models, trust, chosen)
    made.state.follower = Follower(made.state.endpoints, chosen.follow_every)
    made.state.options = chosen
    made.state.gathering = None if chosen.metrics_folder is None else Gathering(chosen.metrics_folder)
    made.state.drains = False
    return made


class ScoringApp(Starlette):
    """A Starlette application in which the short way for requests to score comes before everything else."""

    hosts: tuple[str, ...] | None = None
    keys: Keys | None = None
    max_body: int = 0
    budget: Budget
    # Among several workers: has the others look where their aliases stand, too.
    hang_up_others: Callable[[], None] | None = None

    def build_middleware_stack(self) -> ASGIApp:
        """The guards of hosts and of keys, the short way, and Starlette's own stack behind them."""
        front = Front(super().build_middleware_stack(), self.state.endpoints.by_path(), self.max_body, self.budget)
        known: ASGIApp = front if self.keys is None else KeyGuard(front, self.keys)
        guarded: ASGIApp = known if self.hosts is None else HostGuard(known, self.hosts)
        also = self.state.options.also
        reached = Also(guarded, also) if also else guarded
        return traced(AccessLog(reached) if self.state.options.access_log else reached)

    async def body(self, request: Request) -> bytes:
        """The body of a request; raises `TooLarge`, or `Unavailable` where those in flight are too large already."""
        setting = "PACK_SERVE_MAX_BODY"
        return await read_bytes(request.scope, request.receive, self.max_body, setting=setting, budget=self.budget)

    def drain(self) -> None:
        """Say in health checks that the server is about to stop; what still comes is answered."""
        self.state.drains = True


@asynccontextmanager
async def _life(served: Any) -> AsyncIterator[None]:
    """Follow the aliases while the server runs; SIGHUP asks to look at once."""
    follower: Follower = served.state.follower
    follower.start()
    writer = asyncio.get_running_loop().create_task(_keep_metrics(served.state))
    with suppress(ValueError, RuntimeError, NotImplementedError):  # not in the main thread, or no such signal here
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, follower.ask)
    try:
        yield
    finally:
        served.state.drains = True
        await follower.stop()
        writer.cancel()
        for endpoint in served.state.endpoints:
            if endpoint.capture is not None:
                await asyncio.to_thread(endpoint.capture.close)
            for slot in endpoint.slots.values():
                slot.unload()


async def _keep_metrics(state: Any) -> None:
    """Write down what was counted, for the other workers, as long as the server runs."""
    while state.gathering is not None:
        with suppress(OSError):  # a full disk: the next time
            state.gathering.save(health.families_of(state.endpoints))
        await asyncio.sleep(EVERY)


async def invocations(request: Request) -> Response:
    """Say how to call: what is posted here was answered before it came this far, unless nothing is served here."""
    request.app.state.endpoints.get(request.path_params.get("name"))
    raise HTTPException(405, "post a body to this path", headers={"allow": "POST"})


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]
ROUTES = [
    *streams.ROUTES,
    *chat.ROUTES,
    Route("/invocations", invocations, methods=_METHODS),
    Route("/models/{name}/invocations", invocations, methods=_METHODS, include_in_schema=False),
    *health.ROUTES,
    *page.ROUTES,
    *v2.ROUTES,
]
