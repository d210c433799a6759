"""The stages of a connection, and what all connections of a server share."""

from __future__ import annotations

from collections.abc import Callable

from uvicorn.server import ServerState

# What a connection waits for: its first request, the rest of a head, the rest of a body, our answer, another request,
# the other side to read why it is over.
NEW, HEAD, BODY, ANSWER, IDLE, ENDING = range(6)
# Stages in which it is the client that keeps us waiting, and no answer is owed.
DISPENSABLE = frozenset({NEW, HEAD, IDLE})


class State(ServerState):
    """What the connections of a server share: whether it is about to stop, and whom to tell how many they are."""

    draining: bool = False
    tell: Callable[[], None] | None = None
