"""A path in front of all others, where a proxy serves this server under it; the proxy may strip it or not."""

from __future__ import annotations

import re
from collections.abc import Collection

from starlette.types import ASGIApp, Receive, Scope, Send

from pack.errors import InvalidValue

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")


def checked_prefix(text: str, *, taken: Collection[str] = ()) -> str:
    """A prefix such as `/ml/churn`, without a slash at its end.

    Raises `InvalidValue` for what is none, and for one under a name in `taken`, where it could not be told whether a
    proxy stripped the prefix.
    """
    prefix = text.rstrip("/")
    parts = prefix.split("/")
    if prefix and (not _PREFIX.fullmatch(prefix) or "." in parts or ".." in parts):
        raise InvalidValue(
            f"{text!a:.100} is no path to serve under", hint="give one like /ml/churn: --root-path /ml/churn"
        )
    if prefix and parts[1] in taken:
        raise InvalidValue(f"/{parts[1]} is a path of its own on this server", hint="serve under another --root-path")
    return prefix


class Prefix:
    """ASGI middleware: every path begins with the prefix, which is told to the application as its `root_path`."""

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app = app
        self._prefix = prefix
        self._inside = prefix + "/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its prefix."""
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, "root_path": self._prefix}
            path: str = scope["path"]
            if path != self._prefix and not path.startswith(self._inside):
                scope["path"] = self._prefix + path
                scope["raw_path"] = self._prefix.encode() + (scope.get("raw_path") or path.encode())
        await self.app(scope, receive, send)
