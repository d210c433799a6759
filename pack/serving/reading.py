"""Reading bodies without holding up others: what is large is read in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from pack.serving.batching import Batcher

T = TypeVar("T")
# Bodies of fewer bytes are read sooner than a thread begins, or nearly so.
LARGE = 2**20


async def read_for(batcher: Batcher, size: int, work: Callable[[], T]) -> T:
    """What reads a body of so many bytes answers; meanwhile the model that it is read for stays loaded."""
    if size < LARGE:
        return work()
    with batcher.held():
        return await asyncio.to_thread(work)
