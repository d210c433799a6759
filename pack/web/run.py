"""Running an application under uvicorn: bound first, ready said once, drained at the end."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.types import ASGIApp

from pack.errors import InvalidState, InvalidValue, MissingPackage
from pack.web.hosts import is_loopback
from pack.web.memory import settle

DRAIN_SECONDS = 30


def check_bind(host: str, *, allow_unauthenticated: bool) -> None:
    """Raise `InvalidValue` for a bind that other machines can reach, unless that is asked for."""
    if not is_loopback(host) and not allow_unauthenticated:
        raise InvalidValue(
            f"binding {host} would let other machines call this server, which asks no one who they are",
            hint="bind 127.0.0.1, or pass --allow-unauthenticated if something in front of it does",
        )


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is a free one. Raises `InvalidState` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        why = "is in use" if taken else f"cannot be bound: {error}"
        raise InvalidState(
            f"port {port} of {host} {why}", hint="choose another with --port; 0 is a free one"
        ) from error
    return listener


def serve(app: ASGIApp, listener: socket.socket, *, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight; `ready` is called once requests are taken."""
    uvicorn = _uvicorn()

    class Server(uvicorn.Server):  # type: ignore[misc, name-defined]
        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # A server that was asked to stop and did has done well: the signal is not raised again, the exit code is 0.
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                ready()

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=15,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        h11_max_incomplete_event_size=64 * 1024,
    )
    settle()
    Server(config).run(sockets=[listener])


def _uvicorn() -> Any:
    try:
        import uvicorn
    except ModuleNotFoundError as error:
        raise MissingPackage("serving needs uvicorn", hint="install it: pip install 'packml[serving]'") from error
    return uvicorn
