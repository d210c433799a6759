"""Each write of each operation fails once, or is where the process dies: what it leaves is whole, and it goes on."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults import board
from tests.faults.children import ask, judge, perform, start
from tests.faults.conftest import FULL
from tests.faults.operations import OPERATIONS
from tests.faults.tracing import CALLS, KILL, Step, counted, missing, steps, traced, was_hit

pytestmark = [pytest.mark.faults, pytest.mark.skipif(bool(missing()), reason=missing())]
SAMPLE = 9
# What belongs into a log, not before people.
_UNCLEAR = re.compile(r"Errno|\w+Error\b|sqlite3|\bNone\b|Traceback")


def cut(world: Path, operation: str, *options: str, log: Path, again: bool) -> list[dict[str, Any]]:
    """What an operation answers while it is traced, and where it was refused, what it answers to a second try."""
    page = world.parent / "page"
    page.unlink(missing_ok=True)
    shared = board.Board(page)
    child = start(perform, str(world), operation, str(page))
    assert child.pid
    shared.wait(board.READY, alive=child.is_alive)
    answers = []
    with traced(child.pid, log, *options):
        shared.move(board.GO)
        if shared.wait(board.TRIED, alive=child.is_alive):
            answers.append(shared.said())
    if answers and again and "done" not in answers[0]:
        shared.move(board.AGAIN)
        shared.wait(board.DONE, alive=child.is_alive)
        answers.append(shared.said())
    shared.move(board.END)
    child.join()
    return answers


def calls_of(operation: str, world: Path, log: Path) -> Counter[str]:
    answers = cut(world, operation, "-e", f"trace={','.join(CALLS)}", log=log, again=False)
    assert [list(answer) for answer in answers] == [["done"]], answers
    return counted(log)


def chosen(every: list[Step], operation: str) -> list[Step]:
    """All of them, or a few that are spread evenly, with a start that the operation's name gives."""
    if FULL:
        return every
    start = random.Random(operation).random()
    return [every[int((number + start) * len(every) / SAMPLE)] for number in range(min(SAMPLE, len(every)))]


def complaints(step: Step, operation: str, answers: list[dict[str, Any]], world: Path) -> Iterator[str]:
    """What is wrong with what came of a step."""
    for answer in answers:
        if "raw" in answer:
            yield str(answer["raw"])
        elif "refused" in answer and (not answer["hint"] or _UNCLEAR.search(answer["message"])):
            yield f"an unclear error: {answer}"
    done, wrong = ask(judge, str(world), operation)
    if wrong:
        yield wrong
    elif not answers:
        yield from [] if step.what == KILL and done in {0, 1} else [f"found {done} times after its end"]
    elif "done" not in answers[-1]:
        yield f"it does not go on after the fault: {answers}"
    elif not 1 <= done <= OPERATIONS[operation].most:
        yield f"acknowledged, and found {done} times"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_fault_at_any_write_leaves_all_or_nothing(
    operation: str, worlds: Callable[..., Path], tmp_path: Path, figure: Callable[..., None]
) -> None:
    empty, log = operation == "first use", tmp_path / "log"
    counts = calls_of(operation, worlds(empty=empty), log)
    every = steps(counts)
    hit: Counter[str] = Counter()
    wrong: list[str] = []
    for step in chosen(every, operation):
        world = worlds(empty=empty)
        options = ("-e", f"trace={step.call}", "-e", step.inject)
        answers = cut(world, operation, *options, log=log, again=True)
        wrong += [f"{operation}, {step}: {what}" for what in complaints(step, operation, answers, world)]
        if was_hit(log):
            hit["kills" if step.what == KILL else "errors"] += 1
    figure(
        f"stepping: {operation}", calls=counts.total(), of_steps=len(every), errors=hit["errors"], kills=hit["kills"]
    )
    assert not wrong, f"{len(wrong)} steps:\n" + "\n".join(wrong[:20])
