"""Refusals: the short JSON answers to requests that never reach an application."""

from __future__ import annotations

import http
import json
from collections.abc import Sequence
from typing import NamedTuple

from starlette.types import Scope, Send

from pack.web.answers import SAFE_HEADERS, request_id_of

Header = tuple[bytes, bytes]
_SAFE = [(name.encode(), value.encode()) for name, value in SAFE_HEADERS.items()]


class Refusal(NamedTuple):
    """Why a request is refused: an HTTP status, a code for programs, a sentence for people, and further headers."""

    status: int
    code: str
    message: str
    headers: Sequence[Header] = ()


def too_large(message: str, *, status: int = 431) -> Refusal:
    """A refusal of what is beyond a limit."""
    return Refusal(status, "REQUEST_LIMIT_EXCEEDED", message)


def too_slow(part: str) -> Refusal:
    """A refusal of a client that sends a part of its request too slowly."""
    return Refusal(408, "DEADLINE_EXCEEDED", f"the {part} of the request came too slowly")


async def send_refusal(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer a request with a refusal; the connection ends, since nobody reads its body."""
    headers, body = _parts(scope, refusal)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def written(refusal: Refusal) -> bytes:
    """A refusal as it stands on the wire, for a request that cannot be read."""
    headers, body = _parts({"headers": []}, refusal)
    lines = [b"HTTP/1.1 %d %s" % (refusal.status, http.HTTPStatus(refusal.status).phrase.encode())]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join([*lines, b"", body])


def _parts(scope: Scope, refusal: Refusal) -> tuple[list[Header], bytes]:
    found = request_id_of(scope)
    body = json.dumps({"error_code": refusal.code, "message": refusal.message, "request_id": found}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", found.encode()),
        (b"connection", b"close"),
        *_SAFE,
        *refusal.headers,
    ]
    return headers, body
