"""The registry in the embedded database."""

from __future__ import annotations

import multiprocessing
import os
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from pack.errors import InvalidState
from pack.registry import RegistryStore, open_registry
from tests.contracts.registry import RegistryContract, version_of

FULL = bool(os.environ.get("PACK_TEST_FULL_SIZE"))
PROCESSES, EACH = (64, 100) if FULL else (6, 25)


class TestSqlRegistry(RegistryContract):
    @pytest.fixture
    def store(self) -> RegistryStore:
        return open_registry()


def _register(answers: multiprocessing.Queue[list[int]]) -> None:
    store = open_registry()
    answers.put([version_of(store).version for _ in range(EACH)])


def test_versions_of_many_processes_are_distinct_and_without_a_gap(own_world: Path) -> None:
    open_registry().create_registered_model("churn")
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[list[int]] = context.Queue()
    children = [context.Process(target=_register, args=(answers,)) for _ in range(PROCESSES)]
    for child in children:
        child.start()
    given = [version for _ in children for version in answers.get(timeout=600)]
    for child in children:
        child.join()
    assert sorted(given) == list(range(1, PROCESSES * EACH + 1))


def test_of_many_who_compare_and_set_exactly_one_wins_each_round() -> None:
    store = open_registry()
    store.create_registered_model("churn")
    for _ in range(9):
        version_of(store)
    store.set_alias("churn", "champion", 1)
    wins: list[int] = []

    def move(to: int, expect: int) -> None:
        try:
            store.set_alias("churn", "champion", to, expect=expect)
            wins.append(to)
        except InvalidState:
            return

    for _ in range(10):
        now = store.get_model_version_by_alias("churn", "champion").version
        threads = [threading.Thread(target=move, args=(to, now)) for to in range(1, 9) if to != now]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(wins) == 10
    history = store.alias_history("churn", "champion")
    assert [move.to_version for move in history] == [1, *wins]
    assert all(later.from_version == earlier.to_version for earlier, later in pairwise(history))
