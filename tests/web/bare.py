"""A bare application under our own server, run as a process: `python -m tests.web.bare '{"head_seconds": 1}'`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path

from starlette.types import Receive, Scope, Send

from pack.errors import PackError
from pack.web.limits import ClientLimits, read_bytes
from pack.web.run import Options, bind, run


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what came: the path asks for what is to happen."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    path = scope["path"]
    if path == "/die":
        os._exit(9)
    if path == "/hang":
        time.sleep(3600)  # noqa: ASYNC251 - it is to hang
    if path == "/slow":
        await asyncio.sleep(1)
    if path == "/big":
        await _answer(send, b"x" * 50_000_000)
        return
    if path == "/early":
        await _answer(send, b"enough", status=413)
        return
    if path.startswith("/odd/"):
        await _oddly(path, send)
        return
    try:
        length = len(await read_bytes(scope, receive, 10_000_000, setting="SETTING"))
    except PackError as error:
        await _answer(send, error.message.encode(), status=error.http_status)
        return
    told = {
        "pid": os.getpid(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "length": length,
        "path": path,
        "headers": len(scope["headers"]),
        "client": scope["client"][0],
        "scheme": scope["scheme"],
    }
    await _answer(send, json.dumps(told).encode())


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer(send: Send, body: bytes, *, status: int = 200) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _oddly(path: str, send: Send) -> None:
    """Answers that do not come as one whole, or are wrong."""
    length, body, value = (10 if path == "/odd/length" else 5), b"whole", b"fine"
    if path == "/odd/header":
        value = b"x\r\nset-cookie: forged=1"
    headers = [(b"content-length", b"%d" % length), (b"x-value", value)]
    if path == "/odd/close":
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if path == "/odd/raise":
        raise ValueError("after the head")
    if path == "/odd/parts":
        await send({"type": "http.response.body", "body": b"wh", "more_body": True})
        body = b"ole"
    await send({"type": "http.response.body", "body": body})


def build(file: str | None = None) -> object:
    """The application, which cannot be built while a file of this name exists."""
    logging.basicConfig(level=logging.INFO)
    if file is not None and Path(file).exists():
        raise ValueError("the file is in the way")
    return application


def main() -> None:
    """Serve until a signal; the first line says the port."""
    given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    workers, timeout, file = given.pop("workers", 1), given.pop("timeout", 60.0), given.pop("file", None)
    options = Options(workers=workers, timeout=timeout, limits=ClientLimits(**given))
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    run(partial(build, file), listener, ready=lambda: print(port, flush=True), options=options)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
