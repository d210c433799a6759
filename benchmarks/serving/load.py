"""Load on a server: as much as it takes, by wrk; at a rate of our choice, by a client of our own.

wrk can only wait whole milliseconds between requests, and it asks the next one when the last is answered, so a server
that stalls is asked less. The client here asks at fixed times whatever the server does, and counts from those times.
"""

from __future__ import annotations

import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

SCRIPT = Path(__file__).parent / "post.lua"
CONNECTIONS = 16
# More than that at a steady rate, so that a request finds one that is free unless the server is far behind.
STEADY_CONNECTIONS = 64


class Load(NamedTuple):
    """Requests a second, seconds for one in two and for all but one in a hundred, and requests that failed."""

    rate: float
    p50: float
    p99: float
    failed: int


def need_wrk() -> None:
    """Exit where wrk is not installed."""
    if shutil.which("wrk") is None:
        sys.exit("the load comes from wrk, which is not installed: apt-get install wrk")


def wrk(url: str, body: Path, *, connections: int, seconds: int) -> Load:
    """As many requests as the server takes, each connection asking again as soon as it is answered."""
    words = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "20", "-s", str(SCRIPT), url]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "BODY": str(body)})
    if done.returncode:
        raise OSError(f"wrk failed: {done.stderr.strip() or done.stdout.strip()}")
    found = json.loads(done.stdout.splitlines()[-1])
    rate = found["requests"] / found["microseconds"] * 1e6
    return Load(rate, found["p50"] / 1e6, found["p99"] / 1e6, found["refused"] + found["broken"])


def request(path: str, body: bytes) -> bytes:
    """The bytes of a POST."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def at_rate(port: int, asked: bytes, *, rate: float, seconds: float, evenly: bool = True) -> Load:
    """Ask at a rate, evenly or at random times, over connections that are kept.

    Seconds count from the time at which a request was due, so one that waits for a free connection waits too.
    """
    dues = list(_dues(rate, seconds, evenly))
    lines = [Line(port, asked) for _ in range(STEADY_CONNECTIONS)]
    try:
        took, refused, until = _ask(dues, lines)
    finally:
        for line in lines:
            line.socket.close()
    took.sort()
    missing = len(dues) - len(took)
    if not took:
        raise OSError("no request was answered")
    return Load(len(took) / until, _share(took, 0.5), _share(took, 0.99), refused + missing)


class Line:
    """A connection with at most one request on its way."""

    def __init__(self, port: int, asked: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.asked = memoryview(asked)
        self.left = self.asked[:0]
        self.due = 0.0
        self.answer = bytearray()

    def fileno(self) -> int:
        return self.socket.fileno()

    def ask(self, due: float) -> None:
        """Send a request that was due at a time."""
        self.due, self.left = due, self.asked
        self.answer.clear()
        self.write()

    def write(self) -> None:
        """Send what the connection takes now."""
        while self.left:
            try:
                self.left = self.left[self.socket.send(self.left) :]
            except BlockingIOError:
                return

    def read(self) -> int | None:
        """The status of the answer, once all of it has come."""
        try:
            part = self.socket.recv(1 << 18)
        except BlockingIOError:
            return None
        if not part:
            raise OSError("the server closed a connection that it had been asked to keep")
        self.answer += part
        end = self.answer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.answer[:end]).lower()
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        return int(head[9:12]) if len(self.answer) >= end + 4 + length else None


def _dues(rate: float, seconds: float, evenly: bool) -> Iterator[float]:
    """Seconds from the start at which requests are due."""
    rolls, due = random.Random(0), 0.0
    while due < seconds:
        yield due
        due += 1 / rate if evenly else rolls.expovariate(rate)


def _ask(dues: list[float], lines: list[Line]) -> tuple[list[float], int, float]:
    """Seconds of each answer, the number of refusals, and when the last answer came."""
    idle, late = deque(lines), deque[float]()
    took: list[float] = []
    refused, following, start = 0, 0, perf_counter()
    deadline = dues[-1] + 5
    with select.epoll() as poll:
        by_number = {line.socket.fileno(): line for line in lines}
        for number in by_number:
            poll.register(number, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        while len(took) < len(dues) and (now := perf_counter() - start) < deadline:
            while following < len(dues) and dues[following] <= now:
                late.append(dues[following])
                following += 1
            while late and idle:
                idle.popleft().ask(late.popleft())
            pause = dues[following] - now if following < len(dues) else 0.1
            # epoll itself waits whole milliseconds only; select takes microseconds, and epoll's own number.
            select.select((poll,), (), (), max(0.0, pause))
            for number, _ in poll.poll(0):
                line = by_number[number]
                line.write()
                status = line.read()
                if status:
                    took.append(perf_counter() - start - line.due)
                    refused += status != 200
                    idle.append(line)
    return took, refused, perf_counter() - start


def _share(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
