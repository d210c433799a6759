"""A slot: a place for one model, which follows its alias from version to version.

When the alias moves, the new version is loaded beside the old and rehearsed; it takes over between two requests, and
the old one, which goes on until its last request is answered, stays for a rollback. A version that fails its rehearsal
is refused, and the old one stays.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

from pack.errors import PackError, Unavailable
from pack.serving import trial
from pack.serving.batching import Limits
from pack.serving.rehearsal import Rehearsal
from pack.serving.versions import Source, Version

logger = logging.getLogger("pack.serving")
_RETIRE_EVERY = 0.1


@dataclass(frozen=True)
class Refusal:
    """A version that did not take over, when, and why."""

    uri: str
    at: float
    why: str

    def shown(self) -> dict[str, Any]:
        """What may be told of it."""
        return {"uri": self.uri, "at": round(self.at, 3), "why": self.why}


class Slot:
    """Where one model lies. It belongs to the event loop on which it is used."""

    def __init__(
        self, source: Source, limits: Limits, rehearsal: Rehearsal, *, follows: bool = True, is_lazy: bool = False
    ) -> None:
        self.source = source
        self.is_lazy = is_lazy
        self.current: Version | None = None
        self.previous: Version | None = None
        self.refusal: Refusal | None = None
        self.unreachable = ""
        self.swaps = 0
        self.refusals = 0
        self.follows = follows and source.moves
        self._limits = limits
        self._rehearsal = rehearsal
        self._lock: asyncio.Lock | None = None

    @property
    def versions(self) -> list[Version]:
        """The loaded versions."""
        return [version for version in (self.current, self.previous) if version is not None]

    @property
    def in_flight(self) -> int:
        """How many requests wait or are being scored."""
        return sum(version.batcher.in_flight for version in self.versions)

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return sum(version.batcher.waiting for version in self.versions)

    @property
    def size(self) -> int:
        """The bytes of the loaded versions' files."""
        return sum(version.size for version in self.versions)

    def load_now(self) -> Version:
        """Load what the source leads to, here and now; raises what `load_model` does."""
        found = self.current = self.source.load(self.source.pinned(), self._limits)
        return found

    async def loaded(self) -> Version:
        """The current version, loaded where it is not yet; raises `Unavailable` where that fails."""
        if self.current is not None:
            return self.current
        async with self._alone():
            try:
                return self.current if self.current is not None else await asyncio.to_thread(self.load_now)
            except PackError as error:
                logger.error("%s cannot be loaded: %s", self.source.uri, error)  # noqa: TRY400
                raise Unavailable("the model cannot be loaded", hint="the server's log says why") from error

    async def look(self, *, again: bool = False) -> str:
        """See where the alias stands and go there: `same`, `swapped`, `refused` or `unreachable`.

        A version that was refused is not tried again, unless `again` says so or the alias has moved in between.
        """
        async with self._alone():
            if self.current is None:
                return "same"
            try:
                uri = await asyncio.to_thread(self.source.pinned)
            except PackError as error:
                return self._cannot_look(error)
            self.unreachable = ""
            if uri == self.current.uri:
                self.refusal = None
                return "same"
            if self.refusal is not None and self.refusal.uri == uri and not again:
                return "refused"
            return await self._go_to(uri, self.current)

    def unload(self) -> None:
        """Let go of the versions; the next request loads anew."""
        for version in self.versions:
            version.batcher.close()
        self.current = self.previous = None

    async def _go_to(self, uri: str, old: Version) -> str:
        if self.previous is not None and self.previous.uri == uri:
            self._swap(self.previous)
            return "swapped"
        try:
            if self._rehearsal.trial:
                await trial.run(uri, self.source.trust)
            new = await asyncio.to_thread(self._rehearsed, uri, old)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's model raises, the old one stays
            why = error.message if isinstance(error, PackError) else f"loading it raised {type(error).__name__}"
            self.refusal = Refusal(uri, time.time(), why)
            self.refusals += 1
            logger.error("%s does not take over from %s: %s", uri, old.uri, why)  # noqa: TRY400
            return "refused"
        self._swap(new)
        return "swapped"

    def _rehearsed(self, uri: str, old: Version) -> Version:
        new = self.source.load(uri, self._limits)
        self._rehearsal.run(new, old)
        return new

    def _swap(self, new: Version) -> None:
        """Let the next request go to another version; those before it end where they began."""
        gone, self.previous, self.current = self.previous, self.current, new
        self.refusal = None
        self.swaps += 1
        if gone is not None and gone is not new:
            _retire(asyncio.get_running_loop(), gone)
        logger.info("%s takes over from %s", new.uri, self.previous.uri if self.previous else "nothing")

    def _cannot_look(self, error: PackError) -> str:
        if not self.unreachable:
            logger.warning("%s cannot be looked up, its version stays: %s", self.source.uri, error)
        self.unreachable = error.message
        return "unreachable"

    def _alone(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock


def _retire(loop: asyncio.AbstractEventLoop, version: Version) -> None:
    """Let go of a version when its last request is answered."""
    if version.batcher.in_flight:
        loop.call_later(_RETIRE_EVERY, _retire, loop, version)
    else:
        version.batcher.close()
