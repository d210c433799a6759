"""Limits that hold while a body is read: a chunked body has no length to look at first."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from pack.errors import BadRequest, TooLarge


async def read_body(request: Request, most: int, *, setting: str) -> bytes:
    """The body of a request; raises `TooLarge` as soon as more than `most` bytes are announced or have come."""
    announced = request.headers.get("content-length", "")
    if announced and not (announced.isascii() and announced.isdigit()):
        raise BadRequest("Content-Length is not a number")
    if announced and int(announced) > most:
        raise _too_large(most, setting)
    if request.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise HTTPException(415, "compressed bodies are not taken; send it without Content-Encoding")
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise _too_large(most, setting)
            parts.append(part)
    except ClientDisconnect as error:
        raise BadRequest("the body ended early") from error
    return b"".join(parts)


def _too_large(most: int, setting: str) -> TooLarge:
    return TooLarge(f"the body is larger than {most:,} bytes", hint=f"send less at once, or raise {setting}")
