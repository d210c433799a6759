"""What a process does over and over until it is killed: each round has a number, and leaves what can be counted."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pack
from pack.db import default_place
from pack.db.check import check
from pack.fluent import state, trash
from pack.tracking import Metric, Param, RunTag
from tests.faults import board
from tests.faults.children import enter
from tests.faults.operations import assert_intact, assert_verified, ids

PAYLOAD = "payload.bin"


@dataclass(frozen=True)
class Loop:
    """One round, and the rounds that are found done; what a round left half is an assertion."""

    round: Callable[[int], Any]
    found: Callable[[int], set[int]]


class Holder(pack.pyfunc.PythonModel):
    """A model whose weight is a file."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Answer what was asked."""
        return model_input


def repeat(world: str, loop: str, page: str, first: int) -> None:
    """Do rounds from a number on, for ever; the board counts those that are acknowledged."""
    enter(world)
    shared = board.Board(Path(page))
    shared.count = first
    shared.move(board.READY)
    while True:
        LOOPS[loop].round(shared.count)
        shared.count += 1


def judge(world: str, loop: str, acknowledged: int, answers: Any) -> None:
    """In a new process: the rounds that are found, how long it took until all was well, and what is wrong."""
    enter(world)
    try:
        began = time.monotonic()
        state.tracking().fail_orphans()
        state.tracking().log_batch(ids()["run"], tags=[RunTag("after", str(acknowledged))])
        seconds = time.monotonic() - began
        assert_intact()
        found = LOOPS[loop].found(acknowledged)
        _assert_nothing_is_left_behind()
        answers.send((sorted(found), seconds, ""))
    except BaseException:  # noqa: BLE001 - the one who asked is told
        answers.send(([], 0.0, traceback.format_exc()))


def _assert_nothing_is_left_behind() -> None:
    """One pass of gc takes away every byte that no living thing needs."""
    for path in default_place().artifacts.rglob(".new-*"):
        os.utime(path, (0, 0))
    trash.collect(state.tracking(), state.registry(), older_than=10**9)
    assert not [path for path in default_place().artifacts.rglob("*") if ".new-" in path.name]
    ready = {
        m.model_id for m in state.tracking().search_logged_models(_experiments(), filter_string="status = 'READY'")
    }
    trashed = {one.id for one in state.tracking().trash()}
    there = {path.parent.parent.name for path in default_place().artifacts.rglob("MLmodel")}
    assert there <= ready | trashed, "gc left the files of a model that nobody can load"
    assert check(default_place()).sound


def _experiments() -> list[str]:
    return [one.experiment_id for one in state.tracking().search_experiments()]


def _batch(number: int) -> None:
    metrics = [Metric(f"k{key}", float(number), number, number) for key in range(20)]
    tracking = state.tracking()
    tracking.log_batch(
        ids()["run"], metrics=metrics, params=[Param(f"p{number}", "x")], tags=[RunTag(f"t{number}", "x")]
    )


def _batches(_: int) -> set[int]:
    run, store = ids()["run"], state.tracking()
    histories = [{point.step for point in store.get_metric_history(run, f"k{key}")} for key in range(20)]
    data = store.get_run(run).data
    params, tags = ({int(key[1:]) for key in facts if key[1:].isdigit()} for facts in (data.params, data.tags))
    assert all(history == params == tags for history in histories), "a batch was torn"
    return params


def _register(_: int) -> None:
    pack.register_model(ids()["model"], "new")


def _registered(_: int) -> set[int]:
    try:
        found = state.registry().get_registered_model("new").latest_versions
    except pack.PackError:
        return set()
    last = found[0].version if found else 0
    versions = state.registry().search_model_versions(filter_string="name = 'new'", order_by=["version ASC"])
    assert [one.version for one in versions] == list(range(1, last + 1))
    if found:
        assert_verified(f"models:/new/{last}")
    return set(range(last))


def _move(number: int) -> None:
    state.registry().set_alias("churn", "champion", 1 + number % 2, reason=str(number))


def _moves(_: int) -> set[int]:
    moves = pack.alias_history("churn", "champion")
    assert pack.get_alias("churn", "champion").version == moves[-1].to_version
    numbers = [int(move.reason) for move in moves if move.reason and move.reason.isdigit()]
    assert numbers == sorted(set(numbers))
    return set(numbers)


def _delete(number: int) -> None:
    pack.set_experiment("base")
    with pack.start_run(run_name=f"n{number}") as run:
        pack.log_text("x" * 1000, "x.txt")
    pack.delete_run(run.info.run_id)
    if number % 5 == 4:
        trash.collect(state.tracking(), state.registry(), older_than=-1000)


def _deleted(acknowledged: int) -> set[int]:
    """All rounds but those whose run is there still; the one that was cut off is deleted now."""
    runs = state.tracking().search_runs(_experiments(), filter_string="run_name LIKE 'n%'")
    for run in runs:
        pack.delete_run(run.info.run_id)
    return set(range(acknowledged)) - {int(run.info.run_name[1:]) for run in runs}


def _log_model(number: int) -> None:
    pack.set_experiment("base")
    options: Any = {"artifacts": {"data": PAYLOAD}, "pip_requirements": ["numpy"], "code_paths": []}
    pack.pyfunc.log_model(name=f"n{number}", python_model=Holder(), **options)


def _models(acknowledged: int) -> set[int]:
    """The models that are READY; they are verified, and make room for the next."""
    store = state.tracking()
    found = store.search_logged_models(
        _experiments(), filter_string="name LIKE 'n%'", order_by=["creation_timestamp ASC"]
    )
    ready = [model for model in found if model.status == "READY"]
    assert {model.status for model in found} <= {"READY", "FAILED"}
    for model in ready:
        assert_verified(model.model_uri)
        store.delete_logged_model(model.model_id)
    for model in found:
        if model.status == "FAILED":
            trash.collect(store, state.registry(), older_than=10**9)
            assert not list(Path(model.artifact_location).parent.rglob("*")), "one pass of gc did not reclaim it"
            store.delete_logged_model(model.model_id)
    trash.collect(store, state.registry(), older_than=-1000)
    return {int(model.name[1:]) for model in ready}


LOOPS = {
    "log_batch": Loop(_batch, _batches),
    "register_model": Loop(_register, _registered),
    "set_alias": Loop(_move, _moves),
    "delete_run and gc": Loop(_delete, _deleted),
    "log_model": Loop(_log_model, _models),
}
