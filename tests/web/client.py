"""A running bare server, and what speaks to it over bare sockets."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any


class Bare:
    """`tests.web.bare` as a process."""

    def __init__(self, **options: Any) -> None:
        command = [sys.executable, "-m", "tests.web.bare", json.dumps(options)]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors, text=True, cwd=_ROOT)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline() or 0)

    def connect(self) -> socket.socket:
        """A connection of its own."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def say(self, data: bytes) -> bytes:
        """Send, and read until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return read_all(connection)

    def get(self, path: str) -> dict[str, Any]:
        """The answer to a GET."""
        answer = self.say(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        found: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it; its exit code and what it wrote to standard error."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)
        self._written = self.errors()
        self._errors.close()
        return self.process.returncode, self._written

    def errors(self) -> str:
        """What it wrote to standard error so far."""
        if self._errors.closed:
            return self._written
        self._errors.seek(0)
        return self._errors.read()


def read_all(connection: socket.socket) -> bytes:
    """What comes until the other side closes, orderly or not."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def statuses(answer: bytes) -> list[int]:
    """The status codes of the answers on a connection."""
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something to become so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it never became so"
        time.sleep(0.05)


_ROOT = __file__.rpartition("/tests/")[0]
