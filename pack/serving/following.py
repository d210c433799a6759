"""Following: a task that brings slots to where their aliases stand, every few seconds or at once when asked."""

from __future__ import annotations

import asyncio
import logging

from pack.serving.endpoint import Endpoint, Endpoints

EVERY = 2.0
logger = logging.getLogger("pack.serving")


class Follower:
    """Looks at all slots that follow an alias, each `every` seconds. It belongs to one event loop."""

    def __init__(self, endpoints: Endpoints, every: float = EVERY) -> None:
        self._endpoints = endpoints
        self._every = every
        self._task: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()

    def start(self) -> None:
        """Begin to look."""
        slots = [slot for endpoint in self._endpoints for slot in endpoint.slots.values()]
        if any(slot.follows for slot in slots):
            self._task = asyncio.get_running_loop().create_task(self._run())

    def ask(self) -> None:
        """Look at once, and try again what was refused."""
        self._asked.set()

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            again = await self._rest()
            for endpoint in self._endpoints:
                try:
                    await look(endpoint, again=again)
                except Exception:
                    logger.exception("following %s failed; it goes on", endpoint.name)

    async def _rest(self) -> bool:
        """Wait for the next look; whether someone asked for it."""
        try:
            await asyncio.wait_for(self._asked.wait(), self._every)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        self._asked.clear()
        return True


async def look(endpoint: Endpoint, *, again: bool = False) -> dict[str, str]:
    """Look at each slot of an endpoint that follows an alias: what came of it by role."""
    return {role: await slot.look(again=again) for role, slot in endpoint.slots.items() if slot.follows}
