"""An access log: one line of JSON for each request, on standard output."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import datetime, timezone
from time import perf_counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pack.web.answers import request_id_of

FACTS = "pack.facts"


class AccessLog:
    """ASGI middleware that writes down each answer: when, which request, its status and how long it took.

    What an application puts into the dict `scope["pack.facts"]` is written too. Headers, bodies and query strings are
    not: they hold secrets.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and write it down when it was answered."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, facts = perf_counter(), dict[str, Any]()
        scope[FACTS] = facts

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                facts["status"] = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            _write(scope, facts, perf_counter() - began)


def _write(scope: Scope, facts: dict[str, Any], seconds: float) -> None:
    client = scope.get("client")
    line = {
        "time": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "request_id": request_id_of(scope),
        "client": client[0] if client else None,
        "method": scope["method"],
        "path": scope["path"],
        "ms": round(seconds * 1e3, 3),
        **facts,
    }
    with suppress(OSError, ValueError):  # whoever reads the log is gone; requests are answered all the same
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
