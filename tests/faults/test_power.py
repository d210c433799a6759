"""The power fails between any two calls: what was acknowledged was flushed, and the rest is whole or absent."""

from __future__ import annotations

import copy
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults import board
from tests.faults.children import ask, judge, perform, start
from tests.faults.conftest import FULL
from tests.faults.power import OPTIONS, Call, Disk, read
from tests.faults.tracing import missing, traced

pytestmark = [pytest.mark.faults, pytest.mark.skipif(bool(missing()), reason=missing())]
SAMPLE = 5
# What the others write is written by these too.
CUT = [
    "log_batch", "log_batch with a checkpoint", "log_text", "log_artifacts", "log_model", "register_model", "set_alias",
    "gc", "close", "first use",
]  # fmt: skip


def trace(world: Path, operation: str, log: Path) -> Disk:
    """Do an operation once, traced; answers the disk as it was before."""
    page = world.parent / "page"
    page.unlink(missing_ok=True)
    shared = board.Board(page)
    child = start(perform, str(world), operation, str(page))
    assert child.pid
    assert shared.wait(board.READY, alive=child.is_alive)
    disk = Disk(world)
    with traced(child.pid, log, *OPTIONS):
        shared.move(board.GO)
        assert shared.wait(board.TRIED, alive=child.is_alive)
    assert "done" in shared.said(), shared.said()
    child.kill()
    child.join()
    return disk


def cuts(disk: Disk, calls: list[Call], chance: random.Random) -> Iterator[tuple[int, bool]]:
    """After each change to the disk, or after some: how many there were, and whether it was the last."""
    counted = sum(map(copy.deepcopy(disk).do, calls))
    chosen = range(1, counted + 1) if FULL else {*chance.sample(range(1, counted + 1), min(SAMPLE, counted)), counted}
    number = 0
    for call in calls:
        changed = disk.do(call)
        number += changed
        if changed and number in chosen:
            yield number, number == counted


@pytest.mark.parametrize("operation", CUT)
def test_what_was_acknowledged_survives_a_power_cut_and_the_rest_is_whole_or_absent(
    operation: str, worlds: Callable[..., Path], tmp_path: Path, figure: Callable[..., None]
) -> None:
    chance, seen = random.Random(operation), 0
    disk = trace(worlds(empty=operation == "first use"), operation, tmp_path / "log")
    for number, last in cuts(disk, list(read(tmp_path / "log")), chance):
        for some in (None, chance):
            disk.write_out(tmp_path / "after", some)
            done, wrong = ask(judge, str(tmp_path / "after"), operation)
            what = "some" if some else "nothing"
            assert not wrong, f"after change {number}, of what was not flushed {what} is left: {wrong}"
            assert done == 1 if last else done in {0, 1}, f"after change {number}, {what}: found {done} times"
            shutil.rmtree(tmp_path / "after")
            seen += 1
    figure(f"power cuts: {operation}", cuts=seen, lost=0, torn=0)
