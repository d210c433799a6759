"""Several processes that serve one listening socket, and the process that looks after them.

uvicorn's own supervisor is not used. It asks a thread of the worker, which answers although the event loop hangs; it
takes a worker that loads for long for a hung one, and starts another, for ever; it stops all workers where one cannot
be replaced; and workers outlive it when it is killed. Here each worker says that it lives from its event loop, once a
second, and ends when its supervisor is gone.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from time import monotonic
from types import FrameType

from pack.errors import InvalidState, InvalidValue
from pack.web.accepting import Load
from pack.web.run import Options
from pack.web.worker import Build, Worker

# The variables from which numeric libraries take the number of their threads.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
# A worker is hung when its event loop stood still for so many seconds more than a request may take.
HANG_SECONDS = 5.0
_TURN = 0.25
_LONGEST_PAUSE = 30.0
logger = logging.getLogger("pack.web")


def supervise(build: Build, listener: socket.socket, *, ready: Callable[[], None], options: Options) -> None:
    """Serve with several workers until SIGTERM or SIGINT, then let all of them finish what is in flight.

    `build` is called in each worker, and pickled for it; `ready` is called once all workers take requests. SIGHUP is
    passed on to the workers, SIGUSR2 replaces them one by one. An application with an attribute `hang_up_others` finds
    there what has SIGHUP passed on to all workers but its own. Raises `InvalidState` where they cannot start, or none
    is left.
    """
    if os.name != "posix":
        raise InvalidValue("several workers need a Unix", hint="leave out --workers here")
    share_cores(options.workers)
    Supervisor(build, listener, ready=ready, options=options).run()


def share_cores(workers: int) -> None:
    """Give each worker its part of the cores for native threads, unless the user's own variables say how many."""
    share = str(max(1, _cores() // workers))
    for name in THREAD_VARIABLES:
        # Most libraries look at the first where their own is not set, and so a user's choice there holds for all.
        os.environ.setdefault(name, os.environ.get(THREAD_VARIABLES[0], share))


class Supervisor:
    """Keeps a number of workers alive."""

    def __init__(self, build: Build, listener: socket.socket, *, ready: Callable[[], None], options: Options) -> None:
        self._make = partial(Worker, build, listener, options)
        self._listener = listener
        # Old and new workers stand beside each other for a while.
        self._counts = RawArray("i", [-1] * (3 * options.workers + 3))
        self._ready = ready
        self._number = options.workers
        self._silence = options.timeout + HANG_SECONDS
        self._workers: list[Worker] = []
        self._was_ready = False
        self._is_asked_to_stop = False
        # Those that SIGHUP wants replaced, and the one that will stand in for the first of them.
        self._outdated: list[Worker] = []
        self._successor: Worker | None = None
        # After a failed start: seconds until the next, and when that is.
        self._pause = 0.0
        self._next = 0.0

    def run(self) -> None:
        """Look after the workers until a signal says to stop."""
        with self._signals():
            try:
                while not self._is_asked_to_stop:
                    self._fill()
                    self._listen()
                    self._renew()
            finally:
                self._stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        handlers = {signal.SIGTERM: self._on_stop, signal.SIGINT: self._on_stop, signal.SIGUSR2: self._on_renew}
        handlers[signal.SIGHUP] = self._on_hangup
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # nohup
            del handlers[signal.SIGHUP]
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        if self._is_asked_to_stop and number == signal.SIGINT:  # asked twice, at a terminal
            for worker in self._workers:
                worker.end_by = 0.0
        self._is_asked_to_stop = True

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        for worker in self._workers:
            worker.hang_up()

    def _on_renew(self, number: int, frame: FrameType | None) -> None:
        if self._was_ready and not self._outdated:
            self._outdated = [worker for worker in self._workers if not worker.is_stopping]

    def _fill(self) -> None:
        """Start the workers that are missing."""
        serving = sum(not worker.is_stopping for worker in self._workers)
        missing = self._number + (self._successor is not None) - serving
        if missing > 0 and monotonic() >= self._next:
            for _ in range(missing):
                self._workers.append(self._start())

    def _start(self) -> Worker:
        taken = {worker.load.place for worker in self._workers}
        free = next((place for place in range(len(self._counts)) if place not in taken), 0)
        return self._make(load=Load(self._counts, free))

    def _listen(self) -> None:
        """Wait for news of the workers for a moment, and act on it."""
        wait([each for worker in self._workers for each in (worker.process.sentinel, worker.events)], timeout=_TURN)
        for worker in self._workers:
            worker.listen()
        self._hang_up_others()
        now = monotonic()
        for worker in list(self._workers):
            if not worker.process.is_alive():
                self._workers.remove(worker)
                self._bury(worker)
            elif worker.end_by is not None and now > worker.end_by:
                worker.kill()
            elif worker.is_ready and not worker.is_stopping and now - worker.beat > self._silence:
                logger.error(
                    "worker %s hung for %g seconds; another takes its place", worker.process.pid, self._silence
                )
                worker.give_up()
        if not self._was_ready and sum(one.is_ready and not one.is_stopping for one in self._workers) == self._number:
            self._was_ready = True
            self._ready()

    def _hang_up_others(self) -> None:
        """Pass on SIGHUP to the workers beside each that asks for it."""
        for asking in [worker for worker in self._workers if worker.has_asked]:
            asking.has_asked = False
            for worker in self._workers:
                if worker is not asking:
                    worker.hang_up()

    def _bury(self, worker: Worker) -> None:
        """Learn from how a worker ended."""
        pid = worker.process.pid
        worker.listen()
        code = worker.close()
        self._outdated = [one for one in self._outdated if one is not worker]
        if worker.is_stopping:
            return
        if worker.is_ready:
            logger.error("worker %s ended with %s; another takes its place", pid, code)
            return
        failure = worker.failure or InvalidState(f"a worker ended with {code} before it was ready")
        if "trace" in failure.facts:
            logger.error("%s", failure.facts["trace"])
        if not self._was_ready or all(one.is_stopping for one in self._workers):
            raise failure
        if worker is self._successor:
            logger.error("the workers are not replaced, since a new one cannot start: %s", failure.message)
            self._outdated, self._successor = [], None
            return
        self._pause = min(max(1.0, self._pause * 2), _LONGEST_PAUSE)
        self._next = monotonic() + self._pause
        logger.error("a worker cannot start: %s; tried again in %g seconds", failure.message, self._pause)

    def _renew(self) -> None:
        """Replace one worker after the other, each once its successor takes requests."""
        if self._successor is None and self._outdated:
            self._successor = self._start()
            self._workers.append(self._successor)
        elif self._successor is not None and self._successor.is_ready:
            if self._outdated:
                self._outdated.pop(0).stop()
            self._successor = None

    def _stop(self) -> None:
        self._listener.close()
        for worker in self._workers:
            if not worker.is_stopping:
                worker.stop()
        while self._workers:
            self._listen()


def _cores() -> int:
    """The cores that this process may use: those that it is bound to, or fewer where a container has less time."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return bound if quota == "max" else max(1, min(bound, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return bound
