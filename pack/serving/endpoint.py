"""Endpoints: the names under which models are served, each with its champion, and perhaps a shadow and a canary."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any

from pack.errors import NotFound
from pack.serving.capture import Capture
from pack.serving.scoring import CONTENT_TYPES
from pack.serving.shadow import Shadow
from pack.serving.slots import Slot
from pack.serving.versions import Version


class Endpoint:
    """A name under which a model is served.

    `share` of the requests, from 0 to 1, goes to the canary; the shadow sees a copy of those that the champion answers.
    """

    def __init__(
        self, name: str, main: Slot, *, canary: Slot | None = None, share: float = 0.0, shadow: Shadow | None = None
    ) -> None:
        self.name = name
        self.main = main
        self.canary = canary
        self.share = share
        self.shadow = shadow
        self.room: Room | None = None
        self.capture: Capture | None = None
        self.used = 0.0

    @property
    def slots(self) -> dict[str, Slot]:
        """Its slots by what they are for."""
        shadow = None if self.shadow is None else self.shadow.slot
        every = {"champion": self.main, "canary": self.canary, "shadow": shadow}
        return {role: slot for role, slot in every.items() if slot is not None}

    @property
    def current(self) -> Version:
        """The champion's version; raises `NotFound` where none is loaded."""
        if self.main.current is None:
            raise NotFound(f"the model {self.name!a:.100} is not loaded yet", hint="send it a request first")
        return self.main.current

    @property
    def content_types(self) -> tuple[str, ...]:
        """The content types of the bodies that are taken."""
        version = self.main.current
        return CONTENT_TYPES if version is None else version.scorer.content_types

    async def pick(self) -> Version:
        """The version that answers the next request, loaded where it is not; raises `Unavailable` where that fails."""
        if self.canary is not None and self.canary.current is not None and random.random() < self.share:  # noqa: S311
            return self.canary.current
        if self.room is not None:
            self.used = perf_counter()
        if self.main.current is not None:
            return self.main.current
        found = await self.main.loaded()
        if self.room is not None:
            self.room.make(self)
        return found

    @property
    def is_ready(self) -> bool:
        """Whether it takes requests: its version is loaded, or will be by the first request."""
        return self.main.current is not None or self.main.is_lazy

    def shown(self) -> dict[str, Any]:
        """What its slots hold, for people and probes."""
        return {"name": self.name, "ready": self.is_ready} | {
            role: shown_slot(slot) for role, slot in self.slots.items()
        }


class Endpoints:
    """All endpoints of a server by name; the first is also served without one."""

    def __init__(self, endpoints: Mapping[str, Endpoint]) -> None:
        self._endpoints = dict(endpoints)
        self.default = next(iter(self._endpoints.values()))

    def get(self, name: str | None = None) -> Endpoint:
        """The endpoint of this name, or the default; raises `NotFound`."""
        found = self.default if name is None else self._endpoints.get(name)
        if found is None:
            known = ", ".join(sorted(self._endpoints)[:20])
            raise NotFound(f"no model is served under the name {name!a:.100}", hint=f"served here: {known}")
        return found

    def __iter__(self) -> Iterator[Endpoint]:
        return iter(self._endpoints.values())

    def __len__(self) -> int:
        return len(self._endpoints)

    def by_path(self) -> dict[str, Endpoint]:
        """The path to post to → the endpoint that answers there."""
        named = {f"/models/{name}/invocations": endpoint for name, endpoint in self._endpoints.items()}
        return {"/invocations": self.default, **named}


class Room:
    """The bytes that the files of loaded models may have together."""

    def __init__(self, endpoints: Endpoints, most: int) -> None:
        self._endpoints = endpoints
        self._most = most

    def make(self, keep: Endpoint) -> None:
        """Let go of models not used for longest until the rest fits; never of `keep`, or of one in use."""
        loaded = sorted((one for one in self._endpoints if one.main.current is not None), key=lambda one: one.used)
        total = sum(one.main.size for one in loaded)
        for one in loaded:
            if total <= self._most:
                return
            if one is not keep and not one.main.in_flight:
                total -= one.main.size
                one.main.unload()


def shown_slot(slot: Slot) -> dict[str, Any]:
    """What a slot holds, what it follows, and what was refused."""
    found: dict[str, Any] = {"follows": slot.source.uri if slot.follows else None}
    found |= slot.current.shown() if slot.current is not None else {"uri": None, "version": None, "digest": None}
    if slot.refusal is not None:
        found["refused"] = slot.refusal.shown()
    if slot.unreachable:
        found["unreachable"] = slot.unreachable
    return found
