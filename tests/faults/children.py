"""Processes to be cut off: they start from a process that has everything imported and nothing open."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from pack.errors import PackError
from tests.faults import board
from tests.faults.operations import OPERATIONS, assert_intact, settle

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, "tests.faults.fitted"])
_ANY_TRACER = (0x59616D61, ctypes.c_ulong(-1))  # prctl: whoever traces need not be a parent


def enter(world: str) -> None:
    """Work in a folder, with its own records of trust."""
    os.chdir(world)
    os.environ.update(PACK_STATE_DIR=str(Path(world, "state")), PACK_CACHE_DIR=str(Path(world, "cache")))
    warnings.simplefilter("ignore")
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(*_ANY_TRACER)


def perform(world: str, operation: str, page: str) -> None:
    """Do an operation when the board says so; where it is refused, once more."""
    enter(world)
    shared, chosen = board.Board(Path(page)), OPERATIONS[operation]
    chosen.warm()
    shared.move(board.READY)
    shared.wait(board.GO)
    shared.move(board.TRIED, attempt(chosen.act))
    shared.wait(board.AGAIN)
    if shared.phase == board.END:
        return
    shared.move(board.DONE, attempt(chosen.act))
    shared.wait(board.END)


def attempt(act: Callable[[], Any]) -> dict[str, Any]:
    """What came of an attempt: `done` with an answer, `refused` with an error of ours, or `raw`, which is a defect."""
    try:
        return {"done": act()}
    except PackError as error:
        return {"refused": type(error).__name__, "message": error.message, "hint": error.hint}
    except BaseException:  # noqa: BLE001 - whatever it is, the one who asked is told
        return {"raw": traceback.format_exc()}


def judge(world: str, operation: str, answers: Any) -> None:
    """In a process that saw nothing of it: how often an operation is found done, or what is wrong."""
    enter(world)
    try:
        assert_intact() if operation != "first use" else None
        answers.send((OPERATIONS[operation].done(), ""))
    except BaseException:  # noqa: BLE001 - same
        answers.send((-1, traceback.format_exc()))


def prepare(world: str) -> None:
    """Make the store that operations start from."""
    enter(world)
    settle()


def start(target: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """A process that runs a function of a module."""
    child = CONTEXT.Process(target=target, args=arguments)
    child.start()
    return child


def ask(target: Callable[..., None], *arguments: Any) -> Any:
    """What a function sends, run in a process of its own."""
    mine, theirs = CONTEXT.Pipe(duplex=False)
    child = start(target, *arguments, theirs)
    theirs.close()
    try:
        return mine.recv()
    finally:
        mine.close()
        child.join()
        child.close()
