"""uvicorn's server with our ways: a clean exit, one sweep a second over its connections, a drain that loses nothing."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from pack.web.accepting import Acceptor, Load
from pack.web.protocol import Protocol
from pack.web.stages import State

# Once a stop is asked for, seconds in which requests that are on their way are still taken.
LAME_SECONDS = 0.2


@dataclass(frozen=True)
class Tie:
    """What ties a worker to its supervisor: it calls `beat` each second, and shares its load of connections."""

    beat: Callable[[], None]
    load: Load


class Server(uvicorn.Server):
    """A server that calls `ready` once requests are taken, and `drain` when it is to stop; with a `tie` a worker."""

    server_state: State

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        ready: Callable[[], None],
        drain: Callable[[], None] | None = None,
        tie: Tie | None = None,
    ) -> None:
        super().__init__(config)
        self.server_state = State()
        self._ready, self._drain, self._tie = ready, drain, tie
        self._acceptor: Acceptor | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on signals; one that was asked to stop and did has done well, so the signal is not raised again."""
        # Ctrl-C reaches every process of a terminal; a worker leaves it to its supervisor.
        numbers = [signal.SIGINT, signal.SIGTERM] if self._tie is None else [signal.SIGTERM]
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests."""
        if self.config.ssl is not None:
            self.config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
        await super().startup(sockets=sockets if self._tie is None else [])
        if not self.started:
            return
        if self._tie is not None and sockets:
            connections, context = self.server_state.connections, self.config.ssl
            self._acceptor = Acceptor(
                sockets[0], self._protocol, connections=connections, context=context, load=self._tie.load
            )
            self.server_state.tell = self._acceptor.tell
        self._sweep(asyncio.get_running_loop())
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what stands in the queue of the socket, answer all that came, and end."""
        self.server_state.draining = True
        if self._drain is not None:
            self._drain()
        await asyncio.sleep(LAME_SECONDS)
        if self._acceptor is not None:
            self._acceptor.close()
        await super().shutdown(sockets=sockets)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        loop = asyncio.get_running_loop()
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_later(1.0, self._sweep, loop)
        if self._tie is not None:
            self._tie.beat()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol):
                connection.grow_older()
