"""A shadow: a version that sees a copy of the requests, whose answers are compared and never sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from time import perf_counter

from pack.errors import PackError
from pack.serving.alike import Said, Values, alike
from pack.serving.metrics import SECONDS, Histogram
from pack.serving.parcels import Parcel
from pack.serving.reading import LARGE, read_for
from pack.serving.slots import Slot
from pack.serving.versions import Version

# Copies that may be under way at once, and their bytes; what comes beyond them is not mirrored, and counted.
MOST = 64
MOST_BYTES = 128 * 2**20
# How a version reads a request, and what reads the values of its answer.
Read = Callable[[Version], tuple[Parcel, Values]]
logger = logging.getLogger("pack.serving")


class Shadow:
    """Mirrors requests to a slot, each for at most `deadline` seconds, and counts how its answers differ."""

    def __init__(self, slot: Slot, deadline: float) -> None:
        self.slot = slot
        self.counts = {"agreed": 0, "differed": 0, "failed": 0, "late": 0, "dropped": 0}
        self.seconds = Histogram(SECONDS)
        self._deadline = deadline
        self._tasks: set[asyncio.Task[None]] = set()
        self._held = 0
        # Bytes of copies that are waited for no more; the model may have them until it is idle.
        self._late = 0

    def mirror(self, said: Said, read: Read, *, size: int) -> None:
        """Have a request, whose body has so many bytes, scored in the background; compare with what was sent."""
        size += len(said.body)
        if self._late and not self.slot.in_flight:
            self._late = 0
        if self.slot.current is None or len(self._tasks) >= MOST or self._held + self._late + size > MOST_BYTES:
            self.counts["dropped"] += 1
            return
        self._held += size
        task = asyncio.get_running_loop().create_task(self._compare(said, read, size))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compare(self, said: Said, read: Read, size: int) -> None:
        start = perf_counter()
        try:
            theirs = await self._answer(read, size, start + self._deadline)
            self.seconds.add(perf_counter() - start)
            same = await asyncio.to_thread(alike, theirs, said) if size >= LARGE else alike(theirs, said)
            self.counts["agreed" if same else "differed"] += 1
        except (asyncio.TimeoutError, TimeoutError):
            self.counts["late"] += 1
            self._late += size
        except PackError:
            self.counts["failed"] += 1
        except Exception:  # a worker loop: no copy may stop the next
            logger.exception("a mirrored request failed")
            self.counts["failed"] += 1
        finally:
            self._held -= size

    async def _answer(self, read: Read, size: int, end: float) -> Said:
        """The shadow's answer. Reading cannot be given up, so the deadline ends what comes after it."""
        version = await self.slot.loaded()
        parcel, values = await read_for(version.batcher, size, lambda: read(version))
        scored = await asyncio.wait_for(version.batcher.score(parcel, size), end - perf_counter())
        return Said(scored.body, values)
