"""Micro-batching: while the model is busy requests gather, and are then scored in one call.

An idle model is called at once: a request alone waits for no company. A model that answers within moments is called on
the event loop itself, since a thread would cost more than it gives; any other is called in a thread, so that the server
goes on reading, answering health checks and keeping deadlines. A model whose predict is a coroutine is awaited on the
loop, each request beside the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

from pack.errors import ModelFailed, PackError, TimedOut, Unavailable
from pack.serving.awaiting import answered, within
from pack.serving.feeds import Streams
from pack.serving.parcels import Parcel
from pack.serving.scoring import Answers, Scorer

THREADS = 8
# A call that is known to take no longer than this, in seconds, may run on the event loop.
MOMENT = 0.008
# Where several requests wait, others are likely on their way: they are awaited for this part of what a call takes.
PATIENCE = 0.1
# What is known of a call fades by this much with each that is quicker.
_FADE = 0.95
logger = logging.getLogger("pack.serving")


@dataclass(frozen=True)
class Limits:
    """How far requests gather: rows and bytes in one call, seconds to wait for company, requests that may wait.

    `timeout` is how long a request may take, in seconds, from when it was read to its answer. Without `joins` each
    request is scored alone.
    """

    max_rows: int = 8192
    max_bytes: int = 16 * 2**20
    wait: float = 0.0
    queue: int = 1024
    timeout: float = 60.0
    joins: bool = True


class Scored(NamedTuple):
    """The body of an answer, where its time went, in seconds, and how many requests were scored in the call."""

    body: bytes
    queued: float
    joining: float
    predicting: float
    encoding: float
    together: int


class _Waiting:
    __slots__ = ("future", "parcel", "since", "size")

    def __init__(self, parcel: Parcel, size: int, future: asyncio.Future[Scored], since: float) -> None:
        self.parcel = parcel
        self.size = size
        self.future = future
        self.since = since


class Batcher:
    """The queue in front of one model. It belongs to the event loop on which it is used."""

    def __init__(self, scorer: Scorer, limits: Limits) -> None:
        self.streams = Streams(limits.timeout)
        self._scorer = scorer
        self._limits = limits
        self._queue: deque[_Waiting] = deque()
        self._running: dict[int, list[_Waiting]] = {}
        self._is_async = scorer.model.is_async
        self._awaited: set[asyncio.Task[Scored]] = set()
        self._pool: ThreadPoolExecutor | None = None
        self._is_due = False
        self._held = 0
        self._patient_until = 0.0
        self._sweeper: asyncio.TimerHandle | None = None
        # Seconds and rows of the slowest call that is still remembered; 0 rows: it was never called.
        self._seconds = 0.0
        self._rows = 0.0

    @property
    def waiting(self) -> int:
        """How many requests wait to be scored."""
        return len(self._queue)

    @property
    def takes_time(self) -> bool:
        """Whether calls run in threads, since they take longer than a moment."""
        return bool(self._running) or not self._is_quick(1)

    @property
    def in_flight(self) -> int:
        """How many requests are read, wait or are being scored, and how many streams are open."""
        scored = sum(map(len, self._running.values()))
        return len(self._queue) + scored + len(self._awaited) + len(self.streams) + self._held

    @contextmanager
    def held(self) -> Iterator[None]:
        """While a request to this model is still read, it is in flight too."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    async def score(self, parcel: Parcel, size: int, *, alone: bool = False) -> Scored:
        """Score a parcel that came in a body of so many bytes; `alone` says that no other is likely to come with it.

        Raises what `submit` and its future raise.
        """
        if (self._scorer.joins and not alone) or self._queue or self._running or not self._is_quick(parcel.rows or 1):
            return await self.submit(parcel, size)
        found = self._scorer.answers([parcel])
        self._remember(found.seconds, parcel.rows or 1)
        body = found.bodies[0]
        if isinstance(body, PackError):
            raise body
        return Scored(body, 0.0, *found[1:], 1)

    def submit(self, parcel: Parcel, size: int) -> asyncio.Future[Scored]:
        """Queue a parcel.

        The future raises what `Scorer.answers` says for it, or `TimedOut`; cancel it to drop out. Raises `Unavailable`
        where too many requests wait already.
        """
        if len(self._queue) + len(self._awaited) >= self._limits.queue or self._is_hopeless():
            raise Unavailable("too many requests wait for this model", hint="try again in a moment")
        if self._is_async:
            return self._await(parcel)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Scored] = loop.create_future()
        self._queue.append(_Waiting(parcel, size, future, perf_counter()))
        if not self._is_due:
            self._plan(loop)
        return future

    def close(self) -> None:
        """Let go of the threads."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _await(self, parcel: Parcel) -> asyncio.Task[Scored]:
        """Await the model's own coroutine; to cancel the task is to cancel that."""
        task = asyncio.get_running_loop().create_task(self._scored(parcel))
        self._awaited.add(task)
        task.add_done_callback(self._awaited.discard)
        return task

    async def _scored(self, parcel: Parcel) -> Scored:
        found = await within(self._limits.timeout, answered(self._scorer.model, parcel))
        return Scored(found.body, 0.0, *found[1:], 1)

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """See to it that the queue is looked at: after all that comes in this turn of the loop, or after the wait."""
        if self._is_due or not self._queue or not self._is_free():
            return
        self._is_due = True
        if self._limits.wait and self._scorer.joins:
            loop.call_later(self._limits.wait, self._call)
        else:
            loop.call_soon(self._call)

    def _is_free(self) -> bool:
        """Whether another call may begin; calls that nobody waits for any more do not count."""
        if not self._running:
            return True
        waited_for = sum(any(not one.future.done() for one in batch) for batch in self._running.values())
        return waited_for < (1 if self._scorer.joins else THREADS) and len(self._running) < THREADS

    def _is_hopeless(self) -> bool:
        """Whether a request that comes now cannot be answered in its time, by what is remembered of calls."""
        if self._scorer.joins:
            return False  # all that wait go together
        ahead = len(self._queue) + len(self._running)
        return ahead // THREADS * self._seconds > self._limits.timeout

    def _call(self) -> None:
        self._is_due = False
        loop = asyncio.get_running_loop()
        if self._is_patient():
            self._is_due = True
            loop.call_soon(self._call)
            return
        began = perf_counter()
        while self._queue and self._is_free():
            batch = self._take()
            if not batch:
                break
            if not self._is_quick(sum(one.parcel.rows or 1 for one in batch)):
                self._start(loop, batch)
                continue
            self._finish(batch, self._score(batch))
            if self._scorer.joins or perf_counter() - began > MOMENT:
                break
        self._plan(loop)

    def _is_patient(self) -> bool:
        """Whether those who are likely on their way are awaited a little longer; a request alone waits for nobody."""
        if not self._scorer.joins or len(self._queue) < 2 or self._running:
            return False
        if not self._patient_until:
            self._patient_until = perf_counter() + min(self._seconds, MOMENT) * PATIENCE
            return True
        if perf_counter() < self._patient_until:
            return True
        self._patient_until = 0.0
        return False

    def _take(self) -> list[_Waiting]:
        """The next requests that go together, the first that waits among them."""
        queue = self._queue
        while queue and queue[0].future.done():
            queue.popleft()
        if not queue:
            return []
        first = queue.popleft()
        batch = [first]
        if first.parcel.rows is None or not self._scorer.joins:
            return batch
        rows, size, key = first.parcel.rows, first.size, first.parcel.key
        while queue:
            one = queue[0]
            if one.future.done():
                queue.popleft()
                continue
            rows, size = rows + (one.parcel.rows or 0), size + one.size
            if one.parcel.key != key or rows > self._limits.max_rows or size > self._limits.max_bytes:
                break
            batch.append(queue.popleft())
        return batch

    def _is_quick(self, rows: int) -> bool:
        """Whether a call with so many rows takes but a moment, by what is remembered."""
        return self._seconds * max(1.0, rows / self._rows) < MOMENT if self._rows else False

    def _score(self, batch: list[_Waiting]) -> Answers | Exception:
        try:
            return self._scorer.answers([one.parcel for one in batch])
        except Exception as error:  # noqa: BLE001 - a worker loop: whatever it was, the requests of this batch learn of it
            return error

    def _start(self, loop: asyncio.AbstractEventLoop, batch: list[_Waiting]) -> None:
        """Call the model in a thread."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="pack-model")
        self._running[id(batch)] = batch

        def back(done: ThreadFuture[Any]) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._back, batch, done)

        self._pool.submit(self._score, batch).add_done_callback(back)
        self._watch(loop)

    def _back(self, batch: list[_Waiting], done: ThreadFuture[Any]) -> None:
        del self._running[id(batch)]
        if not done.cancelled():
            self._finish(batch, done.result())
        self._plan(asyncio.get_running_loop())

    def _finish(self, batch: list[_Waiting], found: Answers | Exception) -> None:
        if isinstance(found, Exception):
            logger.error("scoring failed", exc_info=found)
            failed = ModelFailed(f"scoring failed with {type(found).__name__}", hint="the server's log has the details")
            found = Answers([failed] * len(batch))
        self._remember(found.seconds, sum(one.parcel.rows or 1 for one in batch))
        end = perf_counter() - found.seconds
        for one, body in zip(batch, found.bodies, strict=True):
            if one.future.done():
                continue
            if isinstance(body, PackError):
                one.future.set_exception(body)
            else:
                one.future.set_result(Scored(body, end - one.since, *found[1:], len(batch)))

    def _remember(self, seconds: float, rows: int) -> None:
        self._seconds = max(seconds, self._seconds * _FADE)
        self._rows = max(rows, self._rows * _FADE)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Keep deadlines while calls run in threads."""
        if self._sweeper is None:
            self._sweeper = loop.call_later(min(self._limits.timeout / 4, 1.0), self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        latest = perf_counter() - self._limits.timeout
        for batch in (*self._running.values(), self._queue):
            for one in batch:
                if one.since < latest and not one.future.done():
                    one.future.set_exception(self._late())
        loop = asyncio.get_running_loop()
        if self._running:
            self._watch(loop)
        self._plan(loop)

    def _late(self) -> TimedOut:
        return TimedOut(f"the model did not answer within {self._limits.timeout:g} seconds")
