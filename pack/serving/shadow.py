"""A shadow: a version that sees a copy of the requests, whose answers are compared and never sent."""

from __future__ import annotations

import asyncio
import math
from time import perf_counter
from typing import Any

import msgspec

from pack.errors import PackError
from pack.serving.metrics import SECONDS, Histogram
from pack.serving.reading import read_for
from pack.serving.scoring import JSON
from pack.serving.slots import Slot

# Copies that may be under way at once; what comes beyond them is not mirrored, and counted.
MOST = 64
# Numbers agree within this part of the larger of the two.
TOLERANCE = 1e-6


class Shadow:
    """Mirrors requests to a slot, each for at most `deadline` seconds, and counts how its answers differ."""

    def __init__(self, slot: Slot, deadline: float) -> None:
        self.slot = slot
        self.counts = {"agreed": 0, "differed": 0, "failed": 0, "late": 0, "dropped": 0}
        self.seconds = Histogram(SECONDS)
        self._deadline = deadline
        self._tasks: set[asyncio.Task[None]] = set()

    def mirror(self, body: bytes, answer: bytes) -> None:
        """Score a JSON body in the background, and compare with the answer that was sent."""
        if self.slot.current is None or len(self._tasks) >= MOST:
            self.counts["dropped"] += 1
            return
        task = asyncio.get_running_loop().create_task(self._compare(body, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def report(self) -> dict[str, Any]:
        """How the shadow does beside the champion."""
        compared = self.counts["agreed"] + self.counts["differed"]
        asked = compared + self.counts["failed"] + self.counts["late"]
        mean = self.seconds.sum / compared if compared else None
        return {
            **self.counts,
            "disagreement": self.counts["differed"] / compared if compared else None,
            "errors": (self.counts["failed"] + self.counts["late"]) / asked if asked else None,
            "mean_seconds": mean,
        }

    async def _compare(self, body: bytes, answer: bytes) -> None:
        start = perf_counter()
        try:
            theirs = await asyncio.wait_for(self._answer(body), self._deadline)
        except (asyncio.TimeoutError, TimeoutError):
            self.counts["late"] += 1
        except PackError:
            self.counts["failed"] += 1
        else:
            self.seconds.add(perf_counter() - start)
            self.counts["agreed" if alike(theirs, answer) else "differed"] += 1

    async def _answer(self, body: bytes) -> bytes:
        version = await self.slot.loaded()
        parcel = await read_for(version.batcher, len(body), lambda: version.scorer.read(body, JSON))
        return (await version.batcher.score(parcel, len(body))).body


def alike(one: bytes, other: bytes) -> bool:
    """Whether two answers say the same, numbers within the tolerance."""
    if one == other:
        return True
    try:
        return _same(msgspec.json.decode(one), msgspec.json.decode(other))
    except msgspec.DecodeError:  # NaN and infinities have no JSON: then they are compared as text
        return False


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    return bool(one == other)
