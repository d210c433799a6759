"""Taking connections from a socket that several processes share, so that each gets its part.

Left to themselves, the process that wakes up first takes all that wait, and one core does the work of all. Here a
process takes one at a time, and one that has more connections than another lets that one go first for a moment.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, MutableSequence, Sized
from dataclasses import dataclass
from typing import Any

# Seconds: to let others go first; to wait when this process can open no more files; that a TLS handshake may take.
_COURTESY = 0.002
_RECOVERY = 1.0
_HANDSHAKE_SECONDS = 10.0
# Where letting others go first does not help, since they are busy, so many connections are taken before the next try.
_MOST_CREDIT = 64
_NOBODY = -1


@dataclass(frozen=True)
class Load:
    """How many connections each process has, in memory that all of them share, and which place there is this one's."""

    counts: MutableSequence[int]
    place: int

    def say(self, connections: int) -> None:
        """Say how many connections this process has."""
        self.counts[self.place] = connections

    def leave(self) -> None:
        """Say that this process takes no connections."""
        self.counts[self.place] = _NOBODY

    def is_above_another(self) -> bool:
        """Whether another process that takes connections has fewer."""
        own = self.counts[self.place]
        return any(_NOBODY < count < own for count in self.counts)


class Acceptor:
    """Takes connections from a listening socket, gives each to a protocol that `make` makes, and says how many."""

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[], asyncio.Protocol],
        *,
        connections: Sized,
        context: ssl.SSLContext | None,
        load: Load,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make = make
        self._tls: dict[str, Any] = (
            {} if context is None else {"ssl": context, "ssl_handshake_timeout": _HANDSHAKE_SECONDS}
        )
        self._load = load
        self._connections = connections
        self._credit = 0
        self._next_credit = 1
        self._is_closed = False
        self._beginning: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        listener.setblocking(False)
        self.tell()
        self._listen()

    def tell(self) -> None:
        """Say how many connections there are, for the other processes."""
        if not self._is_closed:
            self._load.say(len(self._connections) + len(self._beginning))

    def close(self) -> None:
        """Take no more."""
        self._is_closed = True
        self._load.leave()
        self._loop.remove_reader(self._listener.fileno())
        if self._timer is not None:
            self._timer.cancel()
        self._listener.close()

    def _listen(self) -> None:
        self._timer = None
        self._loop.add_reader(self._listener.fileno(), self._come)

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._timer = self._loop.call_later(seconds, then)

    def _come(self) -> None:
        """A connection waits."""
        if self._credit > 0 or not self._load.is_above_another():
            self._take()
        else:
            self._pause(_COURTESY, self._insist)

    def _insist(self) -> None:
        """Others could have taken it."""
        self._listen()
        if self._take():
            self._credit = self._next_credit = min(self._next_credit * 2, _MOST_CREDIT)
        else:
            self._next_credit = 1

    def _take(self) -> bool:
        """Take a connection, if one still waits."""
        self._credit = max(0, self._credit - 1)
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError:  # out of files or memory
            self._pause(_RECOVERY, self._listen)
            return False
        task = self._loop.create_task(self._begin(connection))
        self._beginning.add(task)
        task.add_done_callback(self._begun)
        self.tell()
        return True

    def _begun(self, task: asyncio.Task[None]) -> None:
        self._beginning.discard(task)
        self.tell()

    async def _begin(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._make, connection, **self._tls)
        except (OSError, asyncio.TimeoutError):  # it is gone already, or speaks no TLS
            connection.close()
