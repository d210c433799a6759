"""Ctrl-C at any moment of a call: the call is done or not, and the same process goes on."""

from __future__ import annotations

import random
import signal
import sys
import traceback
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import pack
from pack.fluent import state
from pack.tracking import Metric, Param
from tests.faults.children import ask, enter
from tests.faults.conftest import FULL
from tests.faults.operations import assert_intact, ids

pytestmark = [pytest.mark.faults, pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")]
TIMES = 20_000 if FULL else 1_500


def _raise(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def record(world: str, times: int, answers: Any) -> None:
    """Record points, and be interrupted; answers how often, and what is wrong."""
    enter(world)
    chance, steps, done, interrupts = random.Random(1), count(), set(), 0
    signal.signal(signal.SIGALRM, _raise)
    store, run = state.tracking(), ids()["run"]
    store.get_run(run)
    for _ in range(times):
        try:
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + chance.random() * 0.001)
            for step in islice(steps, 1000):
                store.log_batch(run, metrics=[Metric(f"m{step}", float(step), step)], params=[Param(f"p{step}", "x")])
                done.add(step)
        except KeyboardInterrupt:
            interrupts += 1
        except pack.PackError:
            answers.send((interrupts, traceback.format_exc()))
            return
    assert_intact()
    data = store.get_run(run).data
    kept = {int(value) for key, value in data.metrics.items() if key == f"m{value:.0f}"}
    params = {int(key[1:]) for key in data.params if key.startswith("p")}
    torn, lost = kept ^ params, done - kept
    answers.send((interrupts, f"torn {torn}, lost {lost}" if torn or lost else ""))


def test_an_interrupted_call_is_done_or_not_and_the_next_works(
    worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    interrupts, wrong = ask(record, str(worlds()), TIMES)
    assert not wrong
    assert interrupts == TIMES
    figure("interrupts: log_batch", interrupts=interrupts, lost=0, torn=0)
