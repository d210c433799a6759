"""Limits: on bodies, which hold while a body is read (a chunked one has no length to look at first), and on clients."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope

from pack.errors import BadRequest, TooLarge, Unavailable

_MOST_DIGITS = 18
# Bodies of fewer bytes are not counted: how many of them there are is limited elsewhere.
_SMALL = 64 * 1024
_HELD = "pack.held_bytes"


@dataclass(frozen=True)
class ClientLimits:
    """What one client may ask of a server: sizes in bytes, times in seconds, a rate in bytes a second.

    A body must come at `body_rate` on average, once `body_seconds` are over, and never pause for longer than those.
    `idle_seconds` is how long a connection may lie between two requests, `stuck_seconds` how long a client may take
    nothing of an answer. `connections` are those of one process.
    """

    url_bytes: int = 16 * 1024
    head_bytes: int = 64 * 1024
    headers: int = 100
    head_seconds: int = 10
    body_seconds: int = 10
    body_rate: int = 1024
    idle_seconds: int = 15
    stuck_seconds: int = 30
    connections: int = 10_000


class Budget:
    """The bytes that the bodies of all requests may have together, from when they come to when they are answered.

    One body alone may have more. A budget belongs to the event loop on which it is used.
    """

    def __init__(self, most: int, *, setting: str) -> None:
        self.held = 0
        self._most = most
        self._setting = setting

    def hold(self, scope: Scope, size: int) -> None:
        """Count so many bytes for the request of this scope; raises `Unavailable` where they are too many."""
        if size < _SMALL:
            return
        others: int = self.held - scope.get(_HELD, 0)
        if others and others + size > self._most:
            raise Unavailable(
                "the bodies of the requests that are being answered have too many bytes together",
                hint=f"try again in a moment; {self._setting} raises the limit",
            )
        self.held = others + size
        scope[_HELD] = size

    def release(self, scope: Scope) -> None:
        """Count the request of this scope no longer."""
        self.held -= scope.pop(_HELD, 0)


async def read_bytes(scope: Scope, receive: Receive, most: int, *, setting: str, budget: Budget | None = None) -> bytes:
    """The body of a request; raises `TooLarge` as soon as more than `most` bytes are announced or have come.

    Its bytes are held in the `budget`, which raises `Unavailable` as soon as they are too many, until the caller
    releases them; where this raises, they are released.
    """
    _check_headers(scope, most, setting)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        whole: bytes = message.get("body", b"")
        if len(whole) > most:
            raise _too_large(most, setting)
        if len(whole) >= _SMALL and budget is not None:
            budget.hold(scope, len(whole))
        return whole
    parts: list[bytes] = []
    size = 0
    try:
        while message["type"] == "http.request":
            part = message.get("body", b"")
            size += len(part)
            if size > most:
                raise _too_large(most, setting)
            if budget is not None:
                budget.hold(scope, size)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)
            message = await receive()
        raise BadRequest("the body ended early")
    except BaseException:
        # The error holds this frame, and with it the parts, for as long as it takes to answer.
        parts.clear()
        if budget is not None:
            budget.release(scope)
        raise


def _check_headers(scope: Scope, most: int, setting: str) -> None:
    for name, value in scope["headers"]:
        if name == b"content-length":
            if not value.isdigit():
                raise BadRequest("Content-Length is not a number")
            if len(value) > _MOST_DIGITS or int(value) > most:
                raise _too_large(most, setting)
        elif name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise HTTPException(415, "compressed bodies are not taken; send it without Content-Encoding")
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise BadRequest("the only Transfer-Encoding that is taken is: chunked")


def _too_large(most: int, setting: str) -> TooLarge:
    return TooLarge(f"the body is larger than {most:,} bytes", hint=f"send less at once, or raise {setting}")
