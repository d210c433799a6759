"""Eight clients move one alias at the same time: whatever they are answered, one after the other explains it."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pack.errors import InvalidState, NotFound
from pack.registry import RegistryStore, open_registry
from tests.faults.children import CONTEXT, enter, start
from tests.faults.conftest import FULL
from tests.faults.linearizable import Operation, explained, register

pytestmark = pytest.mark.faults
CLIENTS, EACH, VERSIONS = 8, 4, 4
HISTORIES = int(os.environ.get("PACK_TEST_HISTORIES", 10_000 if FULL else 150))
OF_THREADS = HISTORIES // 4


def set_to(value: int, called: int, returned: int, before: int | None) -> Operation:
    return Operation("set", called, returned, value, answer=before)


def read(called: int, returned: int, found: int | None) -> Operation:
    return Operation("get", called, returned, answer=found)


@pytest.mark.parametrize(
    ("history", "is_explained"),
    [
        ([set_to(1, 0, 10, None), read(2, 4, None), read(5, 7, 1)], True),
        ([set_to(1, 0, 10, None), read(2, 4, 1), read(5, 7, None)], False),  # it was seen, and was gone again
        ([set_to(1, 0, 2, None), set_to(2, 3, 5, 1), read(6, 8, 1)], False),  # a stale read
        ([set_to(1, 0, 9, None), set_to(2, 1, 8, None)], False),  # both replaced nothing: one was lost
        ([set_to(1, 0, 9, 2), set_to(2, 1, 8, None), read(10, 11, 1)], True),
        ([Operation("cas", 0, 9, 1, None, answer=True), Operation("cas", 1, 8, 2, None, answer=True)], False),
        ([Operation("cas", 0, 9, 1, None, answer=True), Operation("cas", 1, 8, 2, None, answer=False)], True),
        ([set_to(1, 0, 1, None), Operation("delete", 2, 9), read(3, 4, 1), read(5, 6, None), read(7, 8, 1)], False),
    ],
)
def test_the_checker_tells_what_no_order_explains(history: list[Operation], is_explained: bool) -> None:
    assert explained(history, None, register) is is_explained


def timed(kind: str, act: Callable[[], Any], **facts: int | None) -> Operation:
    """An operation with the moments between which it took effect."""
    called = time.monotonic_ns()
    answer = act()
    return Operation(kind, called, time.monotonic_ns(), answer=answer, **facts)


def one(store: RegistryStore, alias: str, chance: random.Random) -> Operation:
    """A random operation of one client."""
    kind = chance.choice(("set", "cas", "cas", "get", "get", "delete"))
    value, expect = chance.randint(1, VERSIONS), chance.choice((None, *range(1, VERSIONS + 1)))

    def compare_and_set() -> bool:
        try:
            store.set_alias("m", alias, value, expect=expect)
        except InvalidState:
            return False
        return True

    def current() -> int | None:
        try:
            return store.get_model_version_by_alias("m", alias).version
        except NotFound:
            return None

    if kind == "set":
        return timed(kind, lambda: store.set_alias("m", alias, value).from_version, value=value)
    if kind == "cas":
        return timed(kind, compare_and_set, value=value, expect=expect)
    return timed(kind, current if kind == "get" else lambda: store.delete_alias("m", alias))


def client(world: str, number: int, histories: Sequence[int], barrier: Any, answers: Any) -> None:
    """One client: for each history it waits for the others, and does its operations."""
    enter(world)
    store, chance = open_registry(), random.Random(number)
    done = []
    for history in histories:
        barrier.wait()
        done.append([one(store, f"h{history}", chance) for _ in range(EACH)])
    answers.put(done)


def make(world: Path) -> RegistryStore:
    """A model with versions to point at."""
    store = open_registry(f"sqlite:///{world}/.pack/pack.db")
    store.create_registered_model("m")
    for _ in range(VERSIONS):
        store.create_model_version("m", source="s", storage_location=str(world))
    return store


def assert_explained(
    store: RegistryStore, clients: list[list[list[Operation]]], figure: Callable[..., None], how: str
) -> None:
    """Every history is explained, and what was written down of it fits."""
    histories = [[done for each in every for done in each] for every in zip(*clients, strict=True)]
    assert [number for number, history in enumerate(histories) if not explained(history, None, register)] == []
    overlaps = 0
    for number, history in enumerate(histories):
        moves = store.alias_history("m", f"h{number}")
        assert all(later.from_version == earlier.to_version for earlier, later in pairwise(moves))
        overlaps += any(a.called < b.returned and b.called < a.returned for a, b in pairwise(history))
    assert overlaps > len(histories) / 2, "the clients did not meet"
    figure(
        f"aliases: {CLIENTS} {how}", histories=len(histories), operations=len(histories) * CLIENTS * EACH, violations=0
    )


def test_eight_processes(tmp_path: Path, figure: Callable[..., None]) -> None:
    world = tmp_path / "shared"
    world.mkdir()
    store = make(world)
    barrier, answers = CONTEXT.Barrier(CLIENTS), CONTEXT.Queue()
    children = [start(client, str(world), number, range(HISTORIES), barrier, answers) for number in range(CLIENTS)]
    clients = [answers.get(timeout=1800) for _ in children]
    for child in children:
        child.join()
    assert_explained(store, clients, figure, "processes")


def test_eight_threads(tmp_path: Path, figure: Callable[..., None]) -> None:
    world = tmp_path / "shared"
    world.mkdir()
    store, barrier = make(world), threading.Barrier(CLIENTS)
    clients: list[list[list[Operation]]] = []

    def act(number: int) -> None:
        chance, done = random.Random(number), []
        for history in range(OF_THREADS):
            barrier.wait()
            done.append([one(store, f"h{history}", chance) for _ in range(EACH)])
        clients.append(done)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert_explained(store, clients, figure, "threads")
