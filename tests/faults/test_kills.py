"""A process is killed at a moment nobody chose: what was acknowledged is there, whole, and the next goes on at once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import board
from tests.faults.children import ask, start
from tests.faults.conftest import FULL
from tests.faults.loops import PAYLOAD, judge, repeat

pytestmark = pytest.mark.faults
MEGABYTE = 1 << 20
KILLS = int(os.environ.get("PACK_TEST_KILLS", 500 if FULL else 12))
PAYLOAD_SIZE = int(os.environ.get("PACK_TEST_PAYLOAD", 1024 if FULL else 64)) * MEGABYTE


def kill(world: Path, loop: str, first: int, seconds: float) -> int:
    """Let a process do rounds for some time; answers how many it has acknowledged when it is killed."""
    page = world.parent / "page"
    page.unlink(missing_ok=True)
    shared = board.Board(page)
    child = start(repeat, str(world), loop, str(page), first)
    shared.wait(board.READY, alive=child.is_alive)
    time.sleep(seconds)
    assert child.is_alive()
    child.kill()
    child.join()
    return shared.count


def after_kills(world: Path, loop: str, *, kills: int, longest: float, figure: Callable[..., None]) -> None:
    """Kill again and again; each time nothing is lost, nothing is torn, and one round at most was not acknowledged."""
    chance = random.Random(loop)
    first, slowest = 0, 0.0
    for number in range(kills):
        acknowledged = kill(world, loop, first, chance.random() * longest)
        found, seconds, wrong = ask(judge, str(world), loop, acknowledged)
        assert not wrong, f"kill {number}: {wrong}"
        kept = set(found) | (set(range(first)) if loop == "log_model" else set())
        assert set(range(acknowledged)) <= kept, (
            f"kill {number}: acknowledged and lost: {set(range(acknowledged)) - kept}"
        )
        assert kept <= set(range(acknowledged + 1)), f"kill {number}: {kept - set(range(acknowledged + 1))}"
        first, slowest = acknowledged + (acknowledged in kept), max(slowest, seconds)
    figure(f"kills: {loop}", kills=kills, rounds_acknowledged=first, lost=0, torn=0, seconds_to_recover_at_most=slowest)


@pytest.mark.parametrize("loop", ["log_batch", "register_model", "set_alias", "delete_run and gc"])
def test_a_kill_at_any_moment_loses_nothing(
    loop: str, worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    after_kills(worlds(), loop, kills=KILLS, longest=0.1, figure=figure)


def test_a_kill_while_a_large_model_is_logged_leaves_nothing_that_gc_does_not_reclaim(
    worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    world = worlds()
    with (world / PAYLOAD).open("wb") as file:
        for _ in range(PAYLOAD_SIZE // MEGABYTE):
            file.write(os.urandom(MEGABYTE))
    began = time.monotonic()
    kill(world, "log_model", 0, 0.0)
    after_kills(world, "log_model", kills=KILLS, longest=PAYLOAD_SIZE / MEGABYTE / 64, figure=figure)
    figure("kills: log_model, payload", MiB=PAYLOAD_SIZE // MEGABYTE, seconds=time.monotonic() - began)
