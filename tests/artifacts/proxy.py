"""A small real HTTP server that speaks the artifact proxy's protocol, and can be told to misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = "/api/2.0/mlflow-artifacts/artifacts"


class Proxy(ThreadingHTTPServer):
    """Files in memory; `misbehave` may answer a request in its own way, and then answers True."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.misbehave: Callable[[Handler], bool | None] = lambda _: False
        self.knows_conditions = False  # 304, which MLflow's proxy does not answer
        self.requests: list[tuple[str, str, dict[str, str]]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def base(self) -> str:
        return f"http://{self.host}{API}"

    def uri(self, path: str = "") -> str:
        return f"mlflow-artifacts://{self.host}/{path}"

    @property
    def fetched(self) -> list[str]:
        """The files whose bytes were asked for without conditions, in the order of their names."""
        return sorted(
            path
            for method, path, headers in self.requests
            if method == "GET" and path[0] != "?" and "Range" not in headers
        )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    @property
    def file(self) -> str:
        """The path of the file that is asked for; empty for a listing."""
        return unquote(urlsplit(self.path).path[len(API) :]).lstrip("/")

    @property
    def folder(self) -> str:
        return parse_qs(urlsplit(self.path).query).get("path", [""])[0]

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer(self._file if self.file else self._listing)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _answer(self, usual: Callable[[], None]) -> None:
        self.server.requests.append((self.command, self.file or f"?{self.folder}", dict(self.headers)))
        self.close_connection = True
        if not self.server.misbehave(self):
            usual()

    def _listing(self) -> None:
        prefix = f"{self.folder}/" if self.folder else ""
        found: dict[str, dict[str, Any]] = {}
        for path, data in self.server.files.items():
            name, inside, _ = path[len(prefix) :].partition("/")
            if path.startswith(prefix):
                found[name] = {"path": name, "is_dir": bool(inside), **({} if inside else {"file_size": len(data)})}
        self.json({"files": list(found.values())} if found else {})

    def _file(self) -> None:
        data = self.server.files.get(self.file)
        if data is None:
            self.json({"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404)
            return
        tag = etag(data)
        if self.server.knows_conditions and self.headers.get("If-None-Match") == tag:
            self.begin(304, {"ETag": tag})
            return
        span = self.headers.get("Range")
        if span is None or self.headers.get("If-Range") != tag:
            self.begin(200, {"Content-Length": str(len(data)), "ETag": tag})
            self.send(data)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        if not part:
            self.begin(416, {"Content-Length": "0", "Content-Range": f"bytes */{len(data)}"})
            return
        where = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        self.begin(206, {"Content-Length": str(len(part)), "ETag": tag, "Content-Range": where})
        self.send(part)

    def _put(self) -> None:
        self.server.files[self.file] = self.rfile.read(int(self.headers["Content-Length"]))
        self.json({})

    def _delete(self) -> None:
        for path in [path for path in self.server.files if f"{path}/".startswith(f"{self.file}/")]:
            del self.server.files[path]
        self.json({})

    def json(self, body: Any, status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.begin(status, {"Content-Type": "application/json", "Content-Length": str(len(data))})
        self.wfile.write(data)

    def begin(self, status: int, headers: dict[str, str]) -> None:
        """The head of an answer."""
        self.send_response_only(status)
        self.send_header("Date", formatdate(usegmt=True))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, data: bytes, *, pause: float = 0.0, piece: int = 1 << 20) -> None:
        """Bytes of a file, in pieces."""
        for start in range(0, len(data), piece):
            self.wfile.write(data[start : start + piece])
            time.sleep(pause)


def etag(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:16]}"'


@contextmanager
def running() -> Iterator[Proxy]:
    """A server in a thread of its own."""
    with Proxy() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
