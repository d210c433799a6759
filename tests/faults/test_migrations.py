"""An old database is opened: by many at once, and by one who is killed on the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pack.db import Database, Place
from pack.db.check import check
from pack.db.migrations import LATEST, MIGRATIONS
from pack.tracking.sql import SqlTracking
from tests.faults import board
from tests.faults.children import CONTEXT, enter, start
from tests.faults.conftest import FULL
from tests.faults.tracing import KILL, Step, counted, missing, traced

pytestmark = pytest.mark.faults
RUN, MANY = "a" * 32, 16 if FULL else 6


def place_in(world: Path) -> Place:
    return Place(world / "pack.db", world / "artifacts")


@pytest.fixture
def old(tmp_path: Path) -> Callable[[], Path]:
    """Call it for a folder with a database of the first schema."""
    world = tmp_path / "old"

    def make() -> Path:
        world.mkdir(exist_ok=True)
        for path in world.iterdir():
            path.unlink()
        with closing(sqlite3.connect(world / "pack.db", isolation_level=None)) as raw:
            raw.execute("PRAGMA journal_mode=WAL")
            for statement in (*MIGRATIONS[1], "INSERT INTO pack_schema (version) VALUES (1)"):
                raw.execute(statement)
            raw.execute(
                """INSERT INTO runs (run_id, experiment, name, user_id, status, start_time, lifecycle_stage,
                    artifact_uri) VALUES (?, 0, 'old', '', 'FINISHED', 1, 'active', 'x')""",
                (RUN,),
            )
            raw.execute("INSERT INTO params (run, key, value) VALUES (1, 'depth', '3')")
        return world

    return make


def open_it(world: str, page: str, answers: Any) -> None:
    """Open the database as soon as the board says so; answers what an old run holds."""
    enter(world)
    shared = board.Board(Path(page))
    shared.move(board.READY)
    shared.wait(board.GO)
    store = SqlTracking(Database(place_in(Path(world))))
    answers.put(store.get_run(RUN).data.params)
    shared.wait(board.END)


def assert_upgraded(world: Path) -> None:
    store = SqlTracking(Database(place_in(world)))
    assert store.get_run(RUN).data.params == {"depth": "3"}
    store.close()
    assert check(place_in(world)).schema == LATEST
    assert check(place_in(world)).sound


def test_many_that_open_an_old_database_at_once_upgrade_it_once(old: Callable[[], Path], tmp_path: Path) -> None:
    for _ in range(20 if FULL else 3):
        world, answers = old(), CONTEXT.Queue()
        pages = [tmp_path / f"page{number}" for number in range(MANY)]
        boards = [board.Board(page) for page in pages]
        children = [start(open_it, str(world), str(page), answers) for page in pages]
        for shared, child in zip(boards, children, strict=True):
            shared.wait(board.READY, alive=child.is_alive)
        for shared in boards:
            shared.move(board.END)
        assert [answers.get(timeout=60) for _ in children] == [{"depth": "3"}] * MANY
        for child in children:
            child.join()
        for page in pages:
            page.unlink()
        assert_upgraded(world)


def opened(world: Path, page: Path, log: Path, *options: str) -> None:
    page.unlink(missing_ok=True)
    shared = board.Board(page)
    answers = CONTEXT.SimpleQueue()
    child = start(open_it, str(world), str(page), answers)
    assert child.pid
    assert shared.wait(board.READY, alive=child.is_alive)
    with traced(child.pid, log, *options):
        shared.move(board.END)
        child.join()


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_a_kill_at_any_write_of_an_upgrade_leaves_the_old_schema_or_the_new(
    old: Callable[[], Path], tmp_path: Path, figure: Callable[..., None]
) -> None:
    page, log, kills = tmp_path / "page", tmp_path / "log", 0
    opened(old(), page, log, "-e", "trace=pwrite64,fdatasync,ftruncate,unlink")
    counts = counted(log)
    for call, count in counts.items():
        for number in range(1, count + 1, 1 if FULL else max(1, count // 4)):
            world = old()
            step = Step(call, number, KILL)
            opened(world, page, log, "-e", f"trace={call}", "-e", step.inject)
            found = check(place_in(world))
            assert found.schema in {1, LATEST}, str(step)
            assert found.sound or found.schema == 1, f"{step}: {found.problems}"
            assert_upgraded(world)
            kills += 1
    figure("kills in an upgrade of the database", writes=counts.total(), kills=kills, torn=0)
