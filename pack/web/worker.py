"""One of several processes that serve: as its supervisor sees it, and what it does itself.

It says that it lives from its event loop, once a second, and ends when its supervisor is gone. Its application may
have SIGHUP passed on to the other workers: through the supervisor, so that no worker sends a signal to anyone.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from time import monotonic

from starlette.types import ASGIApp

from pack.errors import InvalidState, PackError
from pack.web.accepting import Load
from pack.web.run import Options, serve

# Seconds beyond those of a drain after which a worker that does not end is killed.
_GRACE = 5.0
_READY, _BEAT, _HANGUP = b"+", b".", b"!"
Build = Callable[[], ASGIApp]


class Worker:
    """One process that serves, as its supervisor sees it."""

    def __init__(self, build: Build, listener: socket.socket, options: Options, *, load: Load) -> None:
        context = get_context("spawn")
        self.load, self._drain = load, options.drain
        self.events, theirs = context.Pipe(duplex=False)
        self.process = context.Process(target=_work, args=(build, listener, options, theirs, load))
        # Ctrl-C reaches every process of a terminal; it is the supervisor that acts on it.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.process.start()
        finally:
            signal.signal(signal.SIGINT, before)
            theirs.close()
        self.is_ready = False
        # Whether it wants SIGHUP passed on to the others; whether it is to get one as soon as it takes requests.
        self.has_asked = False
        self.is_owed = False
        self.failure: InvalidState | None = None
        self.beat = monotonic()
        self.end_by: float | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self.end_by is not None

    def listen(self) -> None:
        """Hear what the worker has said."""
        with suppress(EOFError, OSError):  # it ended; its sentinel says so
            while self.events.poll():
                said = self.events.recv()
                self.beat = monotonic()
                self.is_ready = self.is_ready or said == _READY
                self.has_asked = self.has_asked or said == _HANGUP
                if isinstance(said, InvalidState):
                    self.failure = said
        if self.is_owed and self.is_ready:
            self.hang_up()

    def hang_up(self) -> None:
        """Send it SIGHUP: now, or once it takes requests."""
        self.is_owed = not self.is_ready
        if self.is_ready and not self.is_stopping:
            self.pass_on(signal.SIGHUP)

    def stop(self) -> None:
        """Ask it to finish what is in flight and end."""
        self.end_by = monotonic() + self._drain + _GRACE
        self.pass_on(signal.SIGTERM)

    def give_up(self) -> None:
        """Let a hung worker write where it hangs, and kill it."""
        self.end_by = monotonic() + 1.0
        self.pass_on(signal.SIGUSR1)

    def kill(self) -> None:
        """End it at once."""
        self.pass_on(signal.SIGKILL)

    def close(self) -> int | None:
        """Let go of what is left of an ended process; its exit code."""
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        self.events.close()
        self.load.leave()
        return code

    def pass_on(self, number: int) -> None:
        """Send a signal to the process, if it is still there."""
        if self.process.pid is not None and self.process.is_alive():
            os.kill(self.process.pid, number)


def _work(build: Build, listener: socket.socket, options: Options, events: Connection, load: Load) -> None:
    """What a worker does."""
    with suppress(AttributeError, RuntimeError, OSError, ValueError):  # there may be no standard error
        faulthandler.enable()
        faulthandler.register(signal.SIGUSR1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="pack-parent").start()
    try:
        app = build()
    except Exception as error:  # noqa: BLE001 - a worker: whatever it was, the supervisor says it, once for all workers
        events.send(_failure(error))
        sys.exit(1)

    def ready() -> None:
        events.send(_READY)
        os.set_blocking(events.fileno(), False)

    def say(word: bytes) -> None:
        with suppress(OSError):  # the supervisor has not looked for long, or is gone
            events.send(word)

    if hasattr(app, "hang_up_others"):
        app.hang_up_others = partial(say, _HANGUP)

    from pack.web.server import Tie

    serve(app, listener, ready=ready, options=options, tie=Tie(partial(say, _BEAT), load))


def _end_with_parent() -> None:
    """Finish as on SIGTERM when the supervisor is gone."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _failure(error: Exception) -> InvalidState:
    """What is said of an application that cannot be built; it must be possible to pickle it."""
    if isinstance(error, PackError):
        return InvalidState(error.message, hint=error.hint)
    trace = "".join(traceback.format_exception(error))
    return InvalidState(f"the workers cannot start: {type(error).__name__}: {error}", trace=trace)
