"""The same work on many things at once, given up as a whole where one part fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_WORKERS = 8


def each(work: Callable[[T], R], things: Sequence[T], *, stop: threading.Event) -> list[R]:
    """What `work` answers for each, in their order; at the first failure `stop` is set and the rest is dropped."""
    if len(things) <= 1:
        return [work(thing) for thing in things]
    from concurrent.futures import ThreadPoolExecutor, as_completed

    with ThreadPoolExecutor(_WORKERS) as pool:
        waiting = [pool.submit(work, thing) for thing in things]
        try:
            for one in as_completed(waiting):
                one.result()
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [one.result() for one in waiting]
