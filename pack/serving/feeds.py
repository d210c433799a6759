"""Feeds: the items of a model's stream on their way to a client, never more than a few before it.

A generator runs in a thread of its own from its first item to its last, and an async generator in a task of its own:
what belongs to a thread or a task, such as a lock, a transaction or `torch.no_grad()`, stays where it was begun.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from typing import Any

from pack.errors import PackError, TimedOut, Unavailable
from pack.serving.awaiting import let_go
from pack.serving.scoring import failure

# How many items may be ready that the client has not taken yet.
AHEAD = 4
# Streams of one model that may be open at once; each may hold a thread for as long as its client listens.
MOST = 256
Make = Callable[[Any], bytes]
logger = logging.getLogger("pack.serving")


class Streams:
    """The open streams of one model; `seconds` is how long the next item of one may take."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._open = 0

    def __len__(self) -> int:
        return self._open

    @contextmanager
    def one(self) -> Iterator[None]:
        """Open one; raises `Unavailable` where too many are open already."""
        if self._open >= MOST:
            raise Unavailable("too many streams of this model are open", hint="try again in a moment")
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1


class Feed:
    """The reader's side. It belongs to the event loop on which it is made."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: deque[bytes] = deque()
        self._end: BaseException | None = None
        self._is_over = self._is_left = False
        self._waiter: asyncio.Future[None] | None = None

    async def take(self, seconds: float) -> list[bytes]:
        """The items that are ready, at least one; none at the end.

        Raises `TimedOut` where none comes within so many seconds, and what the model raised.
        """
        if not self._ready and not self._is_over:
            await self._wait(seconds)
        found = list(self._ready)
        self._ready.clear()
        self._make_room(len(found))
        if found or self._end is None:
            return found
        if isinstance(self._end, PackError):
            raise self._end
        raise failure(self._end) from self._end

    def leave(self) -> None:
        """Close the generator as soon as it can be: one in a thread when it yields next, one in a task at once."""
        self._is_left = True

    def _make_room(self, items: int) -> None:
        raise NotImplementedError

    def _arrive(self, item: bytes) -> None:
        self._ready.append(item)
        self._wake()

    def _finish(self, error: BaseException | None) -> None:
        self._is_over, self._end = True, error
        if self._is_left and isinstance(error, Exception) and not isinstance(error, PackError):
            logger.warning("a stream that its client had left ended with an error", exc_info=error)
        self._wake()

    async def _wait(self, seconds: float) -> None:
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, _late, waiter, seconds)
        try:
            await waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class ThreadFeed(Feed):
    """The items of a generator, made and encoded in a thread."""

    def __init__(self, start: Callable[[], Iterator[Any]], make: Make) -> None:
        super().__init__()
        self._room = threading.Semaphore(AHEAD)
        work = copy_context().run
        threading.Thread(target=work, args=(self._run, start, make), name="pack-stream").start()

    def leave(self) -> None:
        """Let the thread go on, which closes the generator."""
        super().leave()
        self._room.release()

    def _make_room(self, items: int) -> None:
        if items:
            self._room.release(items)

    def _run(self, start: Callable[[], Iterator[Any]], make: Make) -> None:
        error: BaseException | None = None
        try:
            self._pump(start(), make)
        except BaseException as raised:  # noqa: BLE001 - a worker loop: whatever it was, the reader learns of it
            error = raised
        self._tell(self._finish, error)

    def _pump(self, items: Iterator[Any], make: Make) -> None:
        try:
            while self._room.acquire() and not self._is_left:
                try:
                    item = next(items)
                except StopIteration:
                    return
                self._tell(self._arrive, make(item))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _tell(self, what: Callable[[Any], None], value: Any) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(what, value)


class TaskFeed(Feed):
    """The items of an async generator, which runs on the event loop itself."""

    def __init__(self, start: Callable[[], AsyncIterator[Any]], make: Make) -> None:
        super().__init__()
        self._room = asyncio.Semaphore(AHEAD)
        self._task = self._loop.create_task(self._run(start, make))

    def leave(self) -> None:
        """Cancel the generator where it stands."""
        super().leave()
        let_go(self._task)

    def _make_room(self, items: int) -> None:
        for _ in range(items):
            self._room.release()

    async def _run(self, start: Callable[[], AsyncIterator[Any]], make: Make) -> None:
        error: BaseException | None = None
        try:
            await self._pump(start(), make)
        except BaseException as raised:  # noqa: BLE001 - a worker loop: whatever it was, the reader learns of it
            error = raised
        self._finish(error)

    async def _pump(self, items: Any, make: Make) -> None:
        try:
            while True:
                await self._room.acquire()
                item = await anext(items, self)
                if item is self:
                    return
                self._arrive(make(item))
        finally:
            await items.aclose()


def _late(waiter: asyncio.Future[None], seconds: float) -> None:
    if not waiter.done():
        waiter.set_exception(TimedOut(f"the model gave nothing more within {seconds:g} seconds"))
