"""Clients that leave: what they asked for drops out of the queue."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive

from pack.errors import BadRequest
from pack.serving.batching import Batcher, Scored
from pack.serving.parcels import Parcel


class ClientLeft(BadRequest):
    """The client closed its connection before it was answered; nobody reads this."""

    http_status = 499


async def scored_while_connected(batcher: Batcher, parcel: Parcel, size: int, receive: Receive) -> Scored:
    """Score a parcel; raises `ClientLeft` as soon as the client leaves, and what `Batcher.score` raises.

    A model that answers within moments is not worth a look at the connection.
    """
    if not batcher.takes_time:
        return await batcher.score(parcel, size)
    future = batcher.submit(parcel, size)
    left = asyncio.ensure_future(_left(receive))
    both: set[asyncio.Future[Any]] = {future, left}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            return future.result()
        raise ClientLeft("the client left before it was answered")
    finally:
        future.cancel()
        left.cancel()


async def _left(receive: Receive) -> None:
    """Ends when the client leaves; after the body, that is all that a server can still tell."""
    if (await receive())["type"] != "http.disconnect":
        await asyncio.get_running_loop().create_future()
