"""Further paths for what is served: a platform may choose where it asks for health and for predictions."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Also:
    """ASGI middleware that answers a further path as another one, such as `/v1/churn:predict` as `/invocations`."""

    def __init__(self, app: ASGIApp, paths: Mapping[str, str]) -> None:
        self.app = app
        self._paths = dict(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, to the path that it stands for."""
        if scope["type"] == "http":
            meant = self._paths.get(scope["path"])
            if meant is not None:
                scope = {**scope, "path": meant, "raw_path": meant.encode()}
        await self.app(scope, receive, send)
