"""A process forks while its threads record: parent and children go on, and nothing that either acknowledged is lost."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pack.fluent import state
from pack.tracking import Metric
from tests.faults.children import ask, enter
from tests.faults.conftest import FULL
from tests.faults.operations import assert_intact, ids

pytestmark = [pytest.mark.faults, pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")]
FORKS, EACH = (500 if FULL else 30), 200


def _log(key: str, step: int) -> None:
    state.tracking().log_batch(ids()["run"], metrics=[Metric(key, float(step), step, step)])


def _forked(act: Callable[[], None]) -> int:
    child = os.fork()
    if not child:
        try:
            act()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    return child


def fork_while_threads_record(world: str, forks: int, answers: Any) -> None:
    """Fork again and again; each child records once. Answers how children ended, and who recorded how often."""
    enter(world)
    stop, done = threading.Event(), [0, 0]

    def record(thread: int) -> None:
        while not stop.is_set():
            _log(f"thread{thread}", done[thread])
            done[thread] += 1
            time.sleep(0.001)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    ends = [os.waitpid(_forked(partial(_log, "child", number)), 0)[1] for number in range(forks)]
    stop.set()
    for thread in threads:
        thread.join()
    assert_intact()
    counts = [len(state.tracking().get_metric_history(ids()["run"], key)) for key in ("child", "thread0", "thread1")]
    answers.send((ends, counts, done))


def close_while_a_child_records(world: str, each: int, answers: Any) -> None:
    """The parent closes its connection in the middle of what its child records; answers how much of it is there."""
    enter(world)
    _log("parent", 0)
    half = Path(world, "half")

    def act() -> None:
        for step in range(each):
            _log("child", step)
            if step == each // 2:
                half.touch()

    child = _forked(act)
    while not half.exists():
        time.sleep(0.001)
    state.tracking().close()
    os.waitpid(child, 0)
    answers.send(None)


def count(world: str, key: str, answers: Any) -> None:
    enter(world)
    answers.send(len(state.tracking().get_metric_history(ids()["run"], key)))


def test_children_of_a_process_whose_threads_record_can_record(
    worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    ends, counts, done = ask(fork_while_threads_record, str(worlds()), FORKS)
    assert set(ends) == {0}
    assert counts == [FORKS, *done]
    figure("forks while two threads record", forks=FORKS, hung=0, lost=0)


def test_what_a_child_records_survives_that_its_parent_closes(worlds: Callable[..., Path]) -> None:
    world = str(worlds())
    ask(close_while_a_child_records, world, EACH)
    assert ask(count, world, "child") == EACH
