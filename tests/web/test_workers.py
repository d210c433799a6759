"""Several processes on one socket: they share the work, are replaced when they die or hang, and drain together."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.web.client import Bare, read_all, statuses, until

SLOW = b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture
def server() -> Iterator[Bare]:
    running = Bare(workers=2, timeout=0.5)
    yield running
    running.stop()


def pids(running: Bare) -> set[int]:
    """The workers, as two clients that come one after the other see them."""
    found = set()
    for _ in range(20):
        with running.connect() as first, running.connect() as second:
            for connection in (first, second):
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            found |= {int(read_all(each).partition(b'"pid": ')[2].partition(b",")[0]) for each in (first, second)}
    return found


class Load(threading.Thread):
    """Asks again and again, each time on a connection of its own."""

    def __init__(self, running: Bare) -> None:
        super().__init__()
        self.running = running
        self.answers: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                self.answers.append(self.running.get("/"))
            except (OSError, ValueError) as error:
                self.failed.append(repr(error))

    def __enter__(self) -> Load:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


def test_connections_are_spread_over_the_workers(server: Bare) -> None:
    assert len(pids(server)) == 2
    with ExitStack() as stack:
        seen = []
        for _ in range(32):
            connection = stack.enter_context(server.connect())
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)
            seen.append(answer.partition(b'"pid": ')[2].partition(b",")[0])
    assert min(seen.count(pid) for pid in set(seen)) >= 8


def test_each_worker_gets_its_part_of_the_cores(server: Bare, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = server.get("/")["threads"]
    assert threads is not None
    assert 1 <= int(threads) <= max(1, (os.cpu_count() or 1) // 2)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    chosen = Bare(workers=2)
    assert chosen.get("/")["threads"] == "7"
    chosen.stop()


def test_a_worker_that_dies_is_replaced_and_others_go_on(server: Bare) -> None:
    before = pids(server)
    with Load(server) as load:
        server.say(b"GET /die HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: len(pids(server)) == 2 and pids(server) != before)
    # the one who died may have had this client's connection
    assert len(load.failed) <= 1
    code, errors = server.stop()
    assert code == 0
    assert "ended with 9; another takes its place" in errors


def test_a_worker_that_hangs_is_replaced_and_says_where_it_hung(server: Bare) -> None:
    before = pids(server)
    with server.connect() as connection:
        connection.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_all(connection) == b""
    until(lambda: len(pids(server)) == 2)
    assert len(before & pids(server)) == 1
    code, errors = server.stop()
    assert code == 0
    assert "hung for 5.5 seconds" in errors
    assert "in application" in errors  # the frame that hung


def test_a_stop_lets_every_worker_finish(server: Bare) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(40)]
        for connection in connections:
            connection.sendall(SLOW)
        assert server.stop() == (0, "")
        assert [statuses(read_all(connection)) for connection in connections] == [[200]] * 40


def test_a_signal_replaces_the_workers_one_by_one_and_loses_nothing(server: Bare) -> None:
    before = pids(server)
    with Load(server) as load, server.connect() as connection:
        connection.sendall(SLOW)
        server.process.send_signal(signal.SIGUSR2)
        until(lambda: len(pids(server)) == 2 and not before & pids(server))
        assert statuses(read_all(connection)) == [200]
    assert load.failed == []
    assert len({answer["pid"] for answer in load.answers}) == 4
    assert server.stop() == (0, "")


def test_what_cannot_be_built_anew_leaves_the_old_in_place(tmp_path: Path) -> None:
    way = tmp_path / "way"
    running = Bare(workers=2, file=str(way))
    before = pids(running)
    way.touch()
    with Load(running) as load:
        running.process.send_signal(signal.SIGUSR2)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: pids(running) == {max(before)})
        until(lambda: "the file is in the way" in running.errors())
        way.unlink()
        until(lambda: len(pids(running)) == 2)
    assert len(load.failed) <= 1
    assert running.stop()[0] == 0


def test_where_no_worker_can_start_or_none_is_left_the_server_ends(tmp_path: Path) -> None:
    way = tmp_path / "way"
    running = Bare(workers=2, file=str(way))
    way.touch()
    for pid in pids(running):
        os.kill(pid, signal.SIGKILL)
    assert running.process.wait(timeout=60) == 1
    assert "the workers cannot start: ValueError: the file is in the way" in running.stop()[1]
    never = Bare(workers=2, file=str(way))
    assert never.port == 0
    code, errors = never.stop()
    assert code == 1
    assert errors.count("raise ValueError") == 1


def test_workers_do_not_outlive_a_supervisor_that_is_killed(server: Bare) -> None:
    workers = pids(server)
    server.process.kill()
    server.process.wait()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    server.stop()
