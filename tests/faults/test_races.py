"""Many at once: on one run, and with gc among those who log and register. Nothing that lives is lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

import pack
from pack.db import default_place
from pack.db.check import check
from pack.errors import Deleted, InvalidState, NotFound, PackError
from pack.fluent import state, trash
from pack.tracking import RunTag, open_tracking
from tests.faults.children import CONTEXT, ask, enter, start
from tests.faults.conftest import FULL
from tests.faults.linearizable import Operation, explained
from tests.faults.operations import OPTIONS, assert_intact, assert_verified, classifier, ids

pytestmark = pytest.mark.faults
MANY, FEW, HISTORIES, EACH = (64 if FULL else 12), 4, (400 if FULL else 25), 3
SECONDS = 60 if FULL else 4
Stage = tuple[str, str]


def run_step(operation: Operation, now: Stage) -> tuple[bool, Stage]:
    """A step of a run: its stage and its name; a deleted one is not renamed."""
    stage, name = now
    if operation.kind == "delete":
        return True, ("deleted", name)
    if operation.kind == "restore":
        return True, ("active", name)
    if operation.kind == "rename":
        return operation.answer == (stage == "active"), (stage, operation.value if stage == "active" else name)
    return operation.answer == now, now


def act_on(run_id: str, kind: str, value: str) -> Operation:
    """Do something to a run, and note when."""
    store, answer = state.tracking(), cast("Any", None)
    called = time.monotonic_ns()
    if kind == "delete":
        store.delete_run(run_id)
    elif kind == "restore":
        store.restore_run(run_id)
    elif kind == "rename":
        try:
            answer = bool(store.update_run(run_id, run_name=value))
        except Deleted:
            answer = False
    else:
        run = store.get_run(run_id)
        assert run.data.tags["mlflow.runName"] == run.info.run_name
        answer = (run.info.lifecycle_stage, run.info.run_name)
    return Operation(kind, called, time.monotonic_ns(), value, answer=answer)


def few_on_one_run(world: str, number: int, runs: list[str], barrier: Any, answers: Any) -> None:
    enter(world)
    chance, done = random.Random(number), []
    for run in runs:
        barrier.wait()
        kinds = [chance.choice(("delete", "restore", "rename", "look", "look")) for _ in range(EACH)]
        done.append([act_on(run, kind, f"{number}-{place}") for place, kind in enumerate(kinds)])
    answers.put(done)


def test_what_is_done_to_one_run_at_once_is_as_if_done_one_after_the_other(
    worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    world = worlds()
    store = open_tracking(f"sqlite:///{world}/.pack/pack.db")
    runs = [store.create_run("0", user_id="", start_time=0, run_name="old").info.run_id for _ in range(HISTORIES)]
    barrier, answers = CONTEXT.Barrier(FEW), CONTEXT.Queue()
    children = [start(few_on_one_run, str(world), number, runs, barrier, answers) for number in range(FEW)]
    clients = [answers.get(timeout=600) for _ in children]
    for child in children:
        child.join()
    histories = [[done for each in every for done in each] for every in zip(*clients, strict=True)]
    assert [n for n, history in enumerate(histories) if not explained(history, ("active", "old"), run_step)] == []
    figure("delete, restore, rename of one run", histories=len(histories), processes=FEW, violations=0)


def many_on_one_run(world: str, number: int, barrier: Any, answers: Any) -> None:
    enter(world)
    run, kept = ids()["run"], []
    barrier.wait()
    for place, kind in enumerate(("rename", "delete", "restore", "rename", "restore")):
        act_on(run, kind, f"{number}-{place}")
        with suppress(Deleted):
            state.tracking().log_batch(run, tags=[RunTag(f"t{number}-{place}", "x")])
            kept.append(f"t{number}-{place}")
    answers.put(kept)


def test_very_many_at_one_run_lose_nothing_that_was_acknowledged(
    worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    world = worlds()
    barrier, answers = CONTEXT.Barrier(MANY), CONTEXT.Queue()
    children = [start(many_on_one_run, str(world), number, barrier, answers) for number in range(MANY)]
    kept = {tag for _ in children for tag in answers.get(timeout=600)}
    for child in children:
        child.join()
    tags, wrong = ask(tags_of, str(world))
    assert not wrong
    assert kept == {tag for tag in tags if tag.startswith("t")}
    figure("one run, many processes", processes=MANY, tags_acknowledged=len(kept), lost=0)


def tags_of(world: str, answers: Any) -> None:
    enter(world)
    state.tracking().restore_run(ids()["run"])
    assert_intact()
    run = pack.get_run(ids()["run"])
    same = run.info.run_name == run.data.tags["mlflow.runName"]
    answers.send((list(run.data.tags), "" if same else "the name and its tag differ"))


def log_and_register(world: str, number: int, until: float, answers: Any) -> None:
    """Log models, register most of them; answers what was acknowledged."""
    enter(world)
    pack.set_experiment("race")
    done = 0
    while time.monotonic() < until:
        name = f"m{number}" if done % 4 else None
        with suppress(NotFound):  # it was READY, and was deleted before it was registered
            pack.log_model(classifier(), "model", registered_model_name=name, **OPTIONS)
        done += 1
    answers.put(done)


def delete_and_restore(world: str, number: int, until: float, answers: Any) -> None:
    """Delete versions and models of the others, restore some, register some again."""
    enter(world)
    experiment, chance, done = pack.set_experiment("race").experiment_id, random.Random(number), 0
    store, registry = state.tracking(), state.registry()
    while time.monotonic() < until:
        time.sleep(chance.random() * 0.1)
        ready = store.search_logged_models([experiment], filter_string="status = 'READY'", max_results=20)
        models = [model.model_id for model in ready]
        versions = list(registry.search_model_versions(filter_string="name LIKE 'm%'", max_results=20))
        with suppress(NotFound, InvalidState, PackError):
            if chance.random() < 0.4 and versions:
                version = chance.choice(versions)
                registry.delete_model_version(version.name, version.version)
                store.delete_logged_model(str(version.model_id))
                if chance.random() < 0.5:
                    registry.restore_model_version(version.name, version.version)
            elif models:
                model = chance.choice(models)
                if chance.random() < 0.5:
                    store.delete_logged_model(model)
                pack.register_model(f"models:/{model}", f"m{number}")
            done += 1
    answers.put(done)


def collect(world: str, number: int, until: float, answers: Any) -> None:
    """Empty the trash, however fresh it is."""
    enter(world)
    passes = 0
    while time.monotonic() < until:
        trash.collect(state.tracking(), state.registry(), older_than=-1000)
        passes += 1
    answers.put(passes)


def look(world: str, answers: Any) -> None:
    """Everything that lives has its files, whole."""
    enter(world)
    assert_intact()
    pack.set_experiment("race")
    ready = pack.search_logged_models(filter_string="status = 'READY'", output_format="list")
    versions = state.registry().search_model_versions(filter_string="name LIKE 'm%'")
    for uri in [*(model.model_uri for model in ready), *(f"models:/{one.name}/{one.version}" for one in versions)]:
        assert_verified(uri)
    answers.send((len(ready), len(versions), check(default_place()).problems))


def test_gc_takes_nothing_that_is_logged_registered_or_restored_meanwhile(
    worlds: Callable[..., Path], figure: Callable[..., None]
) -> None:
    world, answers, until = str(worlds()), CONTEXT.Queue(), time.monotonic() + SECONDS
    targets = [log_and_register, log_and_register, delete_and_restore, delete_and_restore, collect, collect]
    children = [start(target, world, number, until, answers) for number, target in enumerate(targets)]
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * len(children)
    ready, versions, problems = ask(look, world)
    assert problems == ()
    done = sum(answers.get(timeout=10) for _ in children)
    figure("gc among those who log and register", steps=done, living_models=ready, living_versions=versions, lost=0)
