"""Work that is awaited on the event loop: what a model's coroutine answers, within its time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from pack.errors import ModelFailed, PackError, TimedOut
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.encoding import encode
from pack.serving.parcels import Parcel
from pack.serving.scoring import failure

_T = TypeVar("_T")
logger = logging.getLogger("pack.serving")
# What was cancelled and has not ended yet; a task that nobody holds could be collected before it has cleaned up.
_leaving: set[asyncio.Future[Any]] = set()


class Answered(NamedTuple):
    """The body of an answer, and where its time went, in seconds."""

    body: bytes
    joining: float
    predicting: float
    encoding: float


async def answered(model: PyFuncModel, parcel: Parcel) -> Answered:
    """What a model whose predict is a coroutine answers; raises `ModelFailed` where its code raises."""
    start = perf_counter()
    data = parcel.join([parcel.data])
    joined = perf_counter()
    try:
        found = await model.score_async(data, parcel.params)
    except PackError:
        raise
    except Exception as error:
        raise failure(error) from error
    predicted = perf_counter()
    body = encode(found, wrapped=parcel.wrapped) if parcel.encode is None else parcel.encode(found)
    return Answered(body, joined - start, predicted - joined, perf_counter() - predicted)


async def within(seconds: float, work: Coroutine[Any, Any, _T]) -> _T:
    """What a coroutine answers; raises `TimedOut` after so many seconds.

    It is cancelled then, and where whoever waits for it is cancelled; its cleaning up is not waited for.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        let_go(task)
    if not done:
        raise TimedOut(f"the model did not answer within {seconds:g} seconds")
    if task.cancelled():
        raise ModelFailed("the model cancelled its own work", hint="the server's log has the details")
    return task.result()


def let_go(task: asyncio.Future[Any]) -> None:
    """Cancel a task without waiting for its end; one that is done is left as it is."""
    if task.done():
        return
    _leaving.add(task)
    task.add_done_callback(_gone)
    task.cancel()


def _gone(task: asyncio.Future[Any]) -> None:
    _leaving.discard(task)
    if not task.cancelled() and task.exception() is not None:
        logger.warning("a request that was given up ended with an error", exc_info=task.exception())
