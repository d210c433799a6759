"""Bodies that are being read or wait for their answers: together they have so many bytes and no more."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

import pack
from pack.errors import BadRequest, TooLarge, Unavailable
from pack.web.limits import Budget, read_bytes
from tests import models
from tests.serving.test_server import Server

MIB = 2**20
BUDGET = 16 * MIB
SMALL = b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
ECHO = (
    "import time, pack\n"
    "class Echo(pack.pyfunc.PythonModel):\n"
    "    def predict(self, context, model_input, params=None):\n"
    "        time.sleep({seconds})\n"
    "        return [len(model_input)]\n"
    "    def predict_stream(self, context, model_input, params=None):\n"
    "        yield len(model_input)\n"
    "pack.models.set_model(Echo())\n"
)


def padded(body: bytes, size: int) -> bytes:
    """The same JSON with so many bytes."""
    return body + b" " * (size - len(body))


def head(size: int, path: str = "/invocations") -> bytes:
    text = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    )
    return text.encode()


def begin(server: Server, size: int, sent: int, path: str = "/invocations") -> socket.socket:
    """A client that has sent a part of its body; one that is refused meanwhile has sent less."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    client.sendall(head(size, path))
    with suppress(OSError):
        client.sendall(padded(b"", sent))
    return client


def status(client: socket.socket) -> int:
    return int(client.recv(65536).split()[1])


def post(server: Server, body: bytes, path: str = "/invocations") -> int:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(head(len(body), path) + body)
        return status(client)


def is_whole(server: Server, body: bytes = SMALL) -> bool:
    """Whether nothing is held: only then is a body taken that has more bytes than all together may have."""
    end = time.monotonic() + 5
    while (found := post(server, padded(body, BUDGET + MIB))) == 503 and time.monotonic() < end:
        time.sleep(0.1)
    return found == 200


@pytest.fixture
def small_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_SERVE_MAX_WAITING_BYTES", "16MiB")


@pytest.fixture
def iris(tmp_path: Path, small_budget: None) -> Iterator[Server]:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    server = Server("-m", str(tmp_path / "model"))
    yield server
    server.stop()


def echo(tmp_path: Path, seconds: float, *arguments: str) -> Server:
    script = tmp_path / "echo.py"
    script.write_text(ECHO.format(seconds=seconds), encoding="utf-8")
    pack.pyfunc.save_model(tmp_path / "echo", python_model=str(script))
    return Server("-m", str(tmp_path / "echo"), *arguments)


def test_half_sent_bodies_take_no_more_than_their_budget(iris: Server) -> None:
    assert post(iris, SMALL) == 200
    process = psutil.Process(iris.process.pid)
    before = process.memory_info().rss
    with ExitStack() as open_:
        clients = [open_.enter_context(closing(begin(iris, 14 * MIB, 7 * MIB))) for _ in range(24)]
        time.sleep(0.5)
        grown = process.memory_info().rss - before
        refused = []
        for client in clients:
            client.setblocking(False)
            try:
                refused.append(client.recv(65536))
            except BlockingIOError:
                continue
        assert len(clients) - len(refused) == 2
        assert all(b" 503 " in one.splitlines()[0] and b"\r\nretry-after: 1\r\n" in one for one in refused)
        assert all(b"PACK_SERVE_MAX_WAITING_BYTES" in one for one in refused)
        assert grown < 3 * BUDGET
        assert post(iris, SMALL) == 200
        assert post(iris, padded(SMALL, 8 * MIB)) == 503
    assert is_whole(iris)


def test_what_is_held_is_answered_once_its_rest_has_come(iris: Server) -> None:
    with closing(begin(iris, 10 * MIB, 5 * MIB)) as client:
        assert post(iris, padded(SMALL, 15 * MIB)) == 503
        client.sendall(padded(SMALL, 5 * MIB))
        assert status(client) == 200
    assert is_whole(iris)


@pytest.mark.parametrize("path", ["/invocations", "/stream", "/v1/chat/completions", "/v2/models/model/infer"])
def test_every_way_in_keeps_to_the_budget_and_gives_it_back(iris: Server, path: str) -> None:
    with closing(begin(iris, 14 * MIB, 10 * MIB)):
        time.sleep(0.2)
        assert post(iris, padded(b"{}", 8 * MIB), path) == 503
        assert post(iris, SMALL) == 200
    for body in (b"{}", b"{", b"[" * 1000):
        assert post(iris, padded(body, 8 * MIB), path) in {400, 404}
    with closing(begin(iris, 14 * MIB, 10 * MIB, path)):
        time.sleep(0.2)
        assert post(iris, padded(SMALL, 8 * MIB)) == 503
    assert is_whole(iris)


def test_a_client_that_stops_sending_gives_its_bytes_back(iris: Server) -> None:
    with closing(begin(iris, 14 * MIB, 7 * MIB)) as client:
        assert post(iris, padded(SMALL, 10 * MIB)) == 503
        assert status(client) == 408
        assert is_whole(iris)


def test_a_client_that_leaves_before_its_answer_gives_its_bytes_back(tmp_path: Path, small_budget: None) -> None:
    server = echo(tmp_path, 1.0)
    body = padded(b'{"inputs": [1]}', 10 * MIB)
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(head(len(body)) + body)
        time.sleep(0.3)
        assert post(server, body) == 503
    assert is_whole(server, b'{"inputs": [1]}')
    server.stop()


def test_answers_that_come_too_late_and_streams_give_their_bytes_back(tmp_path: Path, small_budget: None) -> None:
    server = echo(tmp_path, 2.0, "--timeout", "0.5")
    body = padded(b'{"inputs": [1]}', 10 * MIB)
    assert post(server, body) == 504
    assert post(server, body, "/stream") == 200
    assert post(server, padded(b'{"inputs": [1]}', BUDGET + MIB), "/stream") == 200
    server.stop()


def reading(budget: Budget, parts: list[bytes], *, most: int = 100 * MIB) -> tuple[dict[str, Any], Any]:
    """A request whose body comes in these parts; after the last, the client leaves."""
    scope: dict[str, Any] = {"type": "http", "headers": []}
    waiting = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    return scope, read_bytes(scope, receive, most, setting="S", budget=budget)


def test_a_body_is_let_go_as_soon_as_it_cannot_be_read() -> None:
    budget = Budget(10 * MIB, setting="B")
    budget.hold({}, 6 * MIB)
    for parts, most, why in [
        ([bytes(MIB)] * 5, 100 * MIB, Unavailable),
        ([bytes(MIB)] * 3, 2 * MIB, TooLarge),
        ([bytes(MIB)] * 3, 100 * MIB, BadRequest),
    ]:
        scope, work = reading(budget, parts, most=most)
        with pytest.raises(why) as error:
            asyncio.run(work)
        assert (budget.held, scope.get("pack.held_bytes")) == (6 * MIB, None)
        frame = error.tb
        while frame.tb_next is not None:
            frame = frame.tb_next
            assert not frame.tb_frame.f_locals.get("parts")


def test_small_bodies_are_not_counted() -> None:
    budget = Budget(0, setting="B")
    budget.hold({}, MIB)
    budget.hold({}, 1000)
    assert budget.held == MIB
    with pytest.raises(Unavailable, match="too many bytes together"):
        budget.hold({}, 2**16)
