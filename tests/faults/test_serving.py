"""A scoring server under load: nothing leaks, nothing is lost, and too much is refused quickly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import pack
from tests import models
from tests.faults.conftest import FULL
from tests.serving.test_following import BODY as ONE_ROW
from tests.serving.test_following import register
from tests.serving.test_server import Server
from tests.serving.test_workers import children

pytestmark = pytest.mark.faults

REQUESTS = 100_000 if FULL else 6_000
BODY = b'{"inputs": [[5.1, 3.5, 1.4, 0.2]]}'
SLOW = (
    "import time, pack\n"
    "def predict(model_input):\n    time.sleep({seconds})\n    return [1]\n"
    "pack.models.set_model(predict)\n"
)


def request_of(body: bytes, path: str = "/invocations", host: str = "localhost") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return int(head.split()[1]), await reader.readexactly(int(lengths[0].partition(b":")[2]))


async def client(port: int, count: int, seen: Counter[tuple[int, bytes]], body: bytes = BODY) -> None:
    """Ask so many times, one after another, over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        writer.write(request_of(body))
        seen[await answer(reader)] += 1
    writer.close()
    await writer.wait_closed()


def kept(process: psutil.Process) -> dict[str, int]:
    """What a process holds once its clients are gone: handles, threads, children, temporary files, bytes of memory."""
    time.sleep(1.0)
    temporary = sum(1 for one in Path("/tmp").iterdir() if one.name.startswith(("pack", "mlflow")))
    return {
        "handles": process.num_fds(),
        "threads": process.num_threads(),
        "children": len(process.children(recursive=True)),
        "temporary": temporary,
        "memory": process.memory_info().rss,
    }


@pytest.fixture
def iris(tmp_path: Path) -> Any:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    server = Server("-m", str(tmp_path / "model"))
    yield server
    server.stop()


def slow(tmp_path: Path, seconds: float, *arguments: str) -> Server:
    script = tmp_path / "slow.py"
    script.write_text(SLOW.format(seconds=seconds), encoding="utf-8")
    pack.pyfunc.save_model(tmp_path / "slow", python_model=str(script))
    return Server("-m", str(tmp_path / "slow"), *arguments)


def test_many_requests_leave_nothing_behind(iris: Server, figure: Callable[..., None]) -> None:
    async def load(count: int) -> Counter[tuple[int, bytes]]:
        seen: Counter[tuple[int, bytes]] = Counter()
        await asyncio.gather(*(client(iris.port, count // 16, seen) for _ in range(16)))
        return seen

    asyncio.run(load(3_200))
    process = psutil.Process(iris.process.pid)
    before = kept(process)
    seen = asyncio.run(load(REQUESTS))
    after = kept(process)
    grown = after.pop("memory") - before.pop("memory")
    assert seen == {(200, b'{"predictions":[0]}'): REQUESTS // 16 * 16}
    assert after == before
    assert grown <= 2**20 * max(1, REQUESTS // 10_000)
    figure("requests to one server", requests=REQUESTS, KiB_of_memory_more=grown // 2**10, handles_and_threads_more=0)


def test_a_term_signal_loses_none_of_a_thousand_requests_in_flight(tmp_path: Path, figure: Callable[..., None]) -> None:
    count = 1000 if FULL else 200
    server = slow(tmp_path, 0.05)
    seen: Counter[tuple[int, bytes]] = Counter()

    async def load() -> None:
        body = b'{"inputs": [1]}'
        streams = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", server.port) for _ in range(count)))
        for _, writer in streams:
            writer.write(request_of(body))
        await asyncio.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        for reader, writer in streams:
            seen[await answer(reader)] += 1
            writer.close()

    start = time.monotonic()
    asyncio.run(load())
    assert server.process.wait(40) == 0
    assert seen == {(200, b'{"predictions":[1]}'): count}
    figure("SIGTERM with requests in flight", in_flight=count, lost=0, seconds=time.monotonic() - start)
    server.stop()


def test_what_is_too_much_is_refused_quickly_and_the_rest_goes_on(tmp_path: Path, figure: Callable[..., None]) -> None:
    server = slow(tmp_path, 0.02, "--max-queue", "16")
    times: dict[int, list[float]] = {}
    pings: list[float] = []

    async def ask(rate: float, seconds: float) -> None:
        """Requests at a steady rate, whether they are answered or not."""
        tasks = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(1 / rate)
        await asyncio.gather(*tasks)

    async def one(path: str = "/invocations") -> None:
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request_of(b'{"inputs": [1]}') if path == "/invocations" else PING)
        status, _ = await answer(reader)
        (times.setdefault(status, []) if path == "/invocations" else pings).append(time.monotonic() - began)
        writer.close()

    async def watch() -> None:
        while True:
            await one("/ping")
            await asyncio.sleep(0.05)

    async def load() -> None:
        watching = asyncio.create_task(watch())
        await ask(2000, 3.0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(load())
    assert server.stop()[0] == 0
    assert set(times) == {200, 503}
    # Eight threads that sleep 20 ms each answer 400 a second at most.
    goodput = len(times[200]) / 3.0
    assert goodput > 200
    rejected, pinged = (statistics.quantiles(one, n=100)[98] for one in (times[503], pings))
    figure(
        "overload of a server", answers_a_second=goodput, ms_of_a_503_p99=rejected * 1e3, ms_of_a_ping_p99=pinged * 1e3
    )


PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_refusal_says_when_to_come_back(tmp_path: Path) -> None:
    server = slow(tmp_path, 0.3, "--max-queue", "1")

    async def load() -> list[bytes]:
        heads = []
        streams = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(20)]
        for _, writer in streams:
            writer.write(request_of(b'{"inputs": [1]}'))
        for reader, writer in streams:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.close()
        return heads

    refused = [head for head in asyncio.run(load()) if b" 503 " in head]
    server.stop()
    assert refused
    assert all(b"retry-after: 1" in head.lower() for head in refused)


def test_memory_is_bounded_while_bodies_wait(iris: Server) -> None:
    rows = json.dumps({"inputs": [[5.1, 3.5, 1.4, 0.2]] * 20_000}).encode()
    seen: Counter[tuple[int, bytes]] = Counter()

    async def load() -> None:
        await asyncio.gather(*(client(iris.port, 3, seen, rows) for _ in range(8)))

    asyncio.run(load())
    assert {status for status, _ in seen} == {200}
    assert psutil.Process(iris.process.pid).memory_info().rss < 700 * 2**20


def test_an_alias_moves_and_a_worker_is_killed_under_load(own_world: Path, figure: Callable[..., None]) -> None:
    versions = [register(number) for number in (1, 2, 3)]
    pack.set_alias("steps", "champion", versions[0])
    server = Server("-m", "models:/steps@champion", "--workers", "2", "--follow-seconds", "0.1")
    body = json.dumps(ONE_ROW).encode()
    seen: Counter[tuple[int, bytes]] = Counter()
    over, cut = asyncio.Event(), 0

    async def ask() -> None:
        """Ask until it is over; a connection that is cut is opened again, and the request sent again."""
        nonlocal cut
        while not over.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                while not over.is_set():
                    writer.write(request_of(body))
                    seen[await answer(reader)] += 1
                writer.close()
            except (ConnectionError, asyncio.IncompleteReadError):
                cut += 1

    async def disturb() -> None:
        for move in range(10):
            await asyncio.to_thread(pack.set_alias, "steps", "champion", versions[(move + 1) % 3])
            await asyncio.sleep(0.5)
            if move == 4:
                os.kill(min(children(server)), signal.SIGKILL)
        await asyncio.sleep(6.0)
        over.set()

    async def load() -> None:
        await asyncio.gather(disturb(), *(ask() for _ in range(8)))

    asyncio.run(load())
    there = len(children(server))
    assert server.stop()[0] == 0
    assert {status for status, _ in seen} == {200}
    assert {json.loads(found)["predictions"][0] for _, found in seen} == {1.0, 2.0, 3.0}
    assert there == 2
    figure("alias moved, worker killed", moves=10, answered=sum(seen.values()), sent_again=cut, lost=0)
