"""An event loop in a thread of its own, for models that are `async` and called by code that is not."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

_T = TypeVar("_T")
_END = object()
# The loops that wait for the code that runs here: on these nothing more can be run.
_inside: ContextVar[frozenset[int]] = ContextVar("pack_inside_loops", default=frozenset())


class PrivateLoop:
    """The event loop of one model, started when it is first used and stopped when the model is gone.

    It is the same from call to call, so that a connection which a coroutine left open is still there for the next. The
    caller may have a running loop of its own, which waits meanwhile as for any other call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = 0

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """What a coroutine answers; raises what it raises. Whatever interrupts the wait cancels it."""
        # A stream that nobody reads any more may be collected, and so closed, in any thread.
        if id(self) in _inside.get() or threading.current_thread() is self._thread:
            return _apart(work)
        loop = self._started()
        token = _inside.set(_inside.get() | {id(self)})
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        finally:
            _inside.reset(token)
        try:
            return future.result()
        finally:
            future.cancel()

    def iterate(self, items: AsyncIterator[_T]) -> Iterator[_T]:
        """The items of an async iterator, which is closed when this one is."""
        try:
            while (item := self.run(_next(items))) is not _END:
                yield item
        finally:
            self.run(_close(items))

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A process that was forked has the loop, and not the thread.
            if self._loop is None or self._process != os.getpid():
                self._loop, self._process = asyncio.new_event_loop(), os.getpid()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="pack-async-model", daemon=True)
                self._thread.start()
                weakref.finalize(self, _stop, self._loop)
            return self._loop


def _apart(work: Coroutine[Any, Any, _T]) -> _T:
    """A call from inside the loop itself, such as a model that asks itself: in another thread, on another loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, work).result()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)


async def _close(items: Any) -> None:
    if hasattr(items, "aclose"):
        await items.aclose()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(loop.stop)
