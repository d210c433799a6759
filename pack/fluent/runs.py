"""Runs: start one, go on with one, end it, look at it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from pack import settings
from pack.errors import InvalidState, InvalidValue
from pack.fluent import context, state, system
from pack.fluent.pairs import pairs, texts
from pack.tracking import Metric, Run, RunStatus, RunTag, TrackingStore
from pack.tracking.limits import check_status
from pack.tracking.owner import this_process

_NOTE, _PARENT = "mlflow.note.content", "mlflow.parentRunId"


@dataclass(frozen=True)
class ActiveRun(Run):
    """A run that is open; as a context manager it ends FINISHED, or FAILED where an exception leaves the block."""

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_run(self.info.run_id, "FINISHED" if kind is None else "FAILED")


def start_run(
    run_id: str | None = None,
    experiment_id: str | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """Start a run, or with `run_id` go on with one; use it in a `with` block so that it ends with the block.

    A run that is gone on with gets the name, the tags and the description that are given.
    With `log_system_metrics` the load of this machine is recorded while the run is open. Raises `InvalidState` where
    a run is open already and `nested=True` is not given.

    >>> with start_run(run_name="baseline") as run:  # doctest: +SKIP
    ...     pack.log_metric("loss", 0.3)
    """
    open_runs = state.open_runs()
    if open_runs and not nested:
        raise InvalidState(
            f"the run {open_runs[-1].info.run_id} is open", hint="end it with end_run(), or pass nested=True"
        )
    watch = system.wanted(log_system_metrics)
    if watch:
        system.ready()
    wanted = run_id or _wanted_run(bool(open_runs))
    if wanted:
        run = _resumed(wanted, experiment_id, run_name, _described(tags, description))
    else:
        run = _new_run(experiment_id, run_name, _run_tags(tags, description, parent_run_id))
    active = ActiveRun(run.info, run.data, run.inputs, run.outputs)
    state.push(active)
    if watch:
        _watch_machine(run)
    return active


def end_run(status: str | int = "FINISHED") -> None:
    """End the open run, if there is one.

    >>> end_run("KILLED")  # doctest: +SKIP
    """
    runs = state.open_runs()
    if runs:
        close_run(runs[-1].info.run_id, status_name(status))


def active_run() -> ActiveRun | None:
    """The run that is open in this thread; None where none is.

    >>> active_run()  # doctest: +SKIP
    """
    runs = state.open_runs()
    return ActiveRun(runs[-1].info, runs[-1].data, runs[-1].inputs, runs[-1].outputs) if runs else None


def last_active_run() -> Run | None:
    """The run that was open last, in this thread or else in any, with what it recorded.

    >>> last_active_run()  # doctest: +SKIP
    """
    run_id = state.last_run_id()
    return get_run(run_id) if run_id else None


def get_run(run_id: str) -> Run:
    """A run with what it recorded: `run.info`, `run.data.metrics`, `run.data.params`, `run.data.tags`.

    >>> get_run(run.info.run_id).data.metrics  # doctest: +SKIP
    {'loss': 0.3}
    """
    return state.tracking().get_run(run_id)


def get_parent_run(run_id: str) -> Run | None:
    """The run inside of which a nested run was started; None where it has none.

    >>> get_parent_run(child.info.run_id)  # doctest: +SKIP
    """
    return parent_of(state.tracking(), run_id)


def delete_run(run_id: str, *, force: bool = False) -> None:
    """Move a run to the trash; raises `InvalidState` where an alias points at a model of it, unless forced.

    >>> delete_run(run.info.run_id)  # doctest: +SKIP
    """
    from pack.fluent import protection  # the registry is not needed to start a run

    protection.delete_run(state.tracking(), state.registry(), run_id, force=force)


def restore_run(run_id: str) -> None:
    """Take a run out of the trash.

    >>> restore_run(run.info.run_id)  # doctest: +SKIP
    """
    state.tracking().restore_run(run_id)


def current_run_id() -> str:
    """The open run; one is started where none is open."""
    runs = state.open_runs()
    return runs[-1].info.run_id if runs else start_run().info.run_id


def close_run(run_id: str, status: str) -> None:
    """End a run that is open in this thread, and those that were started inside it and not ended."""
    for run in state.pop_to(run_id):
        closing = run.info.run_id
        state.stop_watching(closing)
        state.store_of(closing).update_run(closing, status=status, end_time=max(state.now(), run.info.start_time))
        state.ended(closing)


def status_name(status: str | int) -> str:
    """A status by its name, also where it was given as MLflow's number."""
    try:
        return check_status(status if isinstance(status, str) else RunStatus(status).name)
    except ValueError as error:
        raise InvalidValue(
            f"{status!a:.80} is no status of a run", hint=f"use one of {', '.join(one.name for one in RunStatus)}"
        ) from error


def parent_of(store: TrackingStore, run_id: str) -> Run | None:
    """The run that a run's tag names as its parent."""
    parent = store.get_run(run_id).data.tags.get(_PARENT)
    return store.get_run(parent) if parent else None


def _watch_machine(run: Run) -> None:
    store = state.tracking()
    run_id = run.info.run_id

    def log(points: list[Metric]) -> None:
        store.log_batch(run_id, metrics=points)

    known = [key for key in run.data.metrics if key.startswith("system/")]
    last = max((point.step for key in known for point in store.get_metric_history(run_id, key)), default=-1)
    watching = system.monitor(log, last + 1)
    watching.start()
    state.watch(run_id, watching.stop)


def _wanted_run(nested: bool) -> str | None:
    """The run that the environment asks to go on with, once."""
    wanted = None if nested else settings.run_id()
    if wanted:
        for name in (settings.run_id.name, settings.run_id.fallback):
            os.environ.pop(str(name), None)
    return wanted


def _resumed(run_id: str, experiment_id: str | None, run_name: str | None, tags: dict[str, str]) -> Run:
    store = state.tracking()
    run = store.get_run(run_id)
    if run.info.lifecycle_stage != "active":
        raise InvalidState(f"the run {run_id} is deleted", hint="restore it first")
    if experiment_id is not None and run.info.experiment_id != str(experiment_id):
        raise InvalidValue(f"the run {run_id} is of experiment {run.info.experiment_id}, not {experiment_id}")
    if any(run_id == one.info.run_id for one in state.open_runs()):
        raise InvalidState(f"the run {run_id} is open in this thread already", hint="end it first")
    store.update_run(run_id, status="RUNNING", run_name=run_name or None)
    if tags:
        store.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    return store.get_run(run_id)


def _new_run(experiment_id: str | None, run_name: str | None, tags: dict[str, str]) -> Run:
    store = state.tracking()
    store.fail_orphans()
    return store.create_run(
        str(experiment_id) if experiment_id is not None else state.experiment_id(),
        user_id=tags.get("mlflow.user", ""),
        start_time=state.now(),
        run_name=run_name or tags.get("mlflow.runName") or context.run_name(),
        tags=[RunTag(key, value) for key, value in tags.items()],
        owner=this_process(),
    )


def _described(tags: Mapping[str, Any] | None, description: str | None) -> dict[str, str]:
    """Tags as text, with the description as MLflow's tag."""
    given = texts(tags, "tags")
    if description is None:
        return given
    if _NOTE in given:
        raise InvalidValue("the description was given twice", hint=f"leave out the tag {_NOTE}")
    return {**given, _NOTE: str(description)}


def _run_tags(tags: Mapping[str, Any] | None, description: str | None, parent: str | None) -> dict[str, str]:
    given = _described({**settings.run_context(), **pairs(tags, "tags")}, description)
    runs = state.open_runs()
    if parent is not None:
        if state.tracking().get_run(parent).info.lifecycle_stage != "active":
            raise InvalidState(f"the parent run {parent} is deleted", hint="restore it first")
        if runs and runs[-1].info.run_id != parent:
            raise InvalidValue(f"the open run is {runs[-1].info.run_id}, not its parent {parent}")
    parent = parent or (runs[-1].info.run_id if runs else None)
    return {**context.tags(), **({_PARENT: parent} if parent else {}), **given}
