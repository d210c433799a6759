"""A server in this process, with a socket of its own: for tests with clients that are not Python's."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from pack.serving import app
from pack.serving.page import ROUTES


def described(models: Any, **options: Any) -> Starlette:
    """The application with the routes of its page."""
    made = app(models, allowed_hosts=(), **options)
    made.router.routes += [route for route in ROUTES if route not in made.routes]
    return made


@contextmanager
def serving(models: str | Mapping[str, str], *, below: str = "", **options: Any) -> Iterator[str]:
    """Serve models, if so wanted below a path such as `/deep`; gives the server's URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        made = described(models, **options)
        config = uvicorn.Config(
            Starlette(routes=[Mount(below, made)]) if below else made, log_level="critical", lifespan="on"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{below}/"
        finally:
            server.should_exit = True
            thread.join()
