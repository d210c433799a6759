"""Runs: start one, record into it, end it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pack import settings
from pack.artifacts.local import LocalStore
from pack.errors import InvalidState, InvalidValue, NotFound
from pack.fluent import context, state
from pack.tracking import Experiment, Metric, Param, Run, RunTag
from pack.tracking.limits import BATCH
from pack.tracking.owner import this_process
from pack.uris import relative_path

_NOTE, _PARENT = "mlflow.note.content", "mlflow.parentRunId"


@dataclass(frozen=True)
class ActiveRun(Run):
    """A run that is open; as a context manager it ends FINISHED, or FAILED where an exception leaves the block."""

    def __enter__(self) -> ActiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_run("FINISHED" if kind is None else "FAILED")


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Experiment:
    """Choose the experiment of the runs that follow, by name (made where it is missing) or by id.

    Raises `InvalidState` where it is deleted, `NotFound` where there is no such id.

    >>> set_experiment("churn")  # doctest: +SKIP
    """
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidValue("set_experiment needs a name or an id", hint='call set_experiment("churn")')
    store = state.tracking()
    if experiment_id is not None:
        found = store.get_experiment(str(experiment_id))
    else:
        found = store.get_experiment_by_name(str(experiment_name)) or _made(str(experiment_name))
    if found.lifecycle_stage != "active":
        raise InvalidState(f"the experiment {found.name!r} is deleted", hint="restore it, or use another name")
    state.use_experiment(found.experiment_id)
    return found


def create_experiment(name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None) -> str:
    """Make an experiment and answer its id; raises `AlreadyExists` where the name is taken.

    >>> create_experiment("churn")  # doctest: +SKIP
    """
    return state.tracking().create_experiment(name, artifact_location=artifact_location, tags=tags)


def get_experiment(experiment_id: str) -> Experiment:
    """One experiment by id.

    >>> get_experiment("0").name  # doctest: +SKIP
    'Default'
    """
    return state.tracking().get_experiment(str(experiment_id))


def get_experiment_by_name(name: str) -> Experiment | None:
    """One experiment by name; None where there is none.

    >>> get_experiment_by_name("churn")  # doctest: +SKIP
    """
    return state.tracking().get_experiment_by_name(name)


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

    Raises `InvalidState` where a run is open already and `nested=True` is not given.

    >>> with start_run(run_name="baseline") as run:  # doctest: +SKIP
    ...     pack.log_metric("loss", 0.3)
    """
    if log_system_metrics:
        raise InvalidValue("system metrics are not recorded yet", hint="leave log_system_metrics out")
    open_runs = state.open_runs()
    if open_runs and not nested:
        raise InvalidState(
            f"the run {open_runs[-1].info.run_id} is open", hint="end it with end_run(), or pass nested=True"
        )
    wanted = run_id or _wanted_run(bool(open_runs))
    if wanted:
        run = _resumed(wanted, experiment_id)
    else:
        run = _new_run(experiment_id, run_name, _run_tags(tags, description, parent_run_id))
    active = ActiveRun(run.info, run.data)
    state.push(active)
    return active


def end_run(status: str = "FINISHED") -> None:
    """End the open run, if there is one.

    >>> end_run("KILLED")  # doctest: +SKIP
    """
    run = state.pop()
    if run is not None:
        state.tracking().update_run(run.info.run_id, status=status, end_time=state.now())


def active_run() -> ActiveRun | None:
    """The run that is open in this thread; None where none is.

    >>> active_run()  # doctest: +SKIP
    """
    runs = state.open_runs()
    return ActiveRun(runs[-1].info, runs[-1].data) if runs else None


def last_active_run() -> Run | None:
    """The run that was open last in this thread, with what it recorded.

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


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Record a param of the open run; it is set once. Answers the value.

    >>> log_param("learning_rate", 0.01)  # doctest: +SKIP
    0.01
    """
    state.tracking().log_batch(_run_id(), params=[Param(key, str(value))])
    return value


def log_params(params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None) -> None:
    """Record several params.

    >>> log_params({"depth": 3, "trees": 100})  # doctest: +SKIP
    """
    items = [Param(key, str(value)) for key, value in params.items()]
    for start in range(0, len(items), BATCH["params"]):
        state.tracking().log_batch(run_id or _run_id(), params=items[start : start + BATCH["params"]])


def log_metric(
    key: str,
    value: float,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
) -> None:
    """Record a point of a metric; with `step`, a curve. It is on the disk when the call returns.

    >>> log_metric("loss", 0.3, step=1)  # doctest: +SKIP
    """
    log_metrics({key: value}, step=step, run_id=run_id, timestamp=timestamp)


def log_metrics(
    metrics: Mapping[str, float],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
) -> None:
    """Record a point of several metrics.

    >>> log_metrics({"accuracy": 0.95, "f1": 0.93})  # doctest: +SKIP
    """
    when = state.now() if timestamp is None else timestamp
    points = [Metric(key, value, when, 0 if step is None else step) for key, value in metrics.items()]
    for start in range(0, len(points), BATCH["metrics"]):
        state.tracking().log_batch(run_id or _run_id(), metrics=points[start : start + BATCH["metrics"]])


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Set a tag of the open run.

    >>> set_tag("stage", "baseline")  # doctest: +SKIP
    """
    set_tags({key: value})


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    """Set several tags of the open run.

    >>> set_tags({"stage": "baseline", "team": "growth"})  # doctest: +SKIP
    """
    items = [RunTag(key, str(value)) for key, value in tags.items()]
    for start in range(0, len(items), BATCH["tags"]):
        state.tracking().log_batch(_run_id(), tags=items[start : start + BATCH["tags"]])


def delete_tag(key: str) -> None:
    """Remove a tag of the open run.

    >>> delete_tag("stage")  # doctest: +SKIP
    """
    state.tracking().delete_tag(_run_id(), key)


def log_artifact(local_path: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Copy a file into the run's artifacts, below `artifact_path`.

    >>> log_artifact("curve.png", artifact_path="plots")  # doctest: +SKIP
    """
    source = Path(local_path)
    if not source.exists():
        raise NotFound(f"there is no {source}", hint="give the path of a file or folder that exists")
    _artifacts(run_id).put(source, _joined(artifact_path, source.name))


def log_artifacts(local_dir: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Copy everything in a folder into the run's artifacts, below `artifact_path`.

    >>> log_artifacts("reports", artifact_path="results")  # doctest: +SKIP
    """
    source = Path(local_dir)
    if not source.is_dir():
        raise NotFound(f"there is no folder {source}", hint="log_artifact takes a single file")
    store = _artifacts(run_id)
    for entry in sorted(source.iterdir()):
        store.put(entry, _joined(artifact_path, entry.name))


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Write text as a file of the run.

    >>> log_text("hello", "notes/hello.txt")  # doctest: +SKIP
    """
    _artifacts(run_id).put_bytes(text.encode(), relative_path(artifact_file))


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Write a dict as a JSON file of the run, or as YAML where the file is named so.

    >>> log_dict({"classes": ["a", "b"]}, "classes.json")  # doctest: +SKIP
    """
    if artifact_file.endswith((".yml", ".yaml")):
        from pack import yamls

        log_text(yamls.dump(dictionary, sort_keys=False), artifact_file, run_id)
        return
    log_text(json.dumps(dictionary, indent=2, default=str), artifact_file, run_id)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None) -> None:
    """Write a matplotlib figure as a file of the run, in the format that the file's name says.

    >>> log_figure(figure, "plots/curve.png")  # doctest: +SKIP
    """
    if not hasattr(figure, "savefig"):
        raise InvalidValue(f"{type(figure).__name__} is no figure", hint="give a matplotlib figure")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / relative_path(artifact_file).rpartition("/")[2]
        figure.savefig(path, **(save_kwargs or {}))
        _artifacts(None).put(path, artifact_file)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Where the open run's files lie.

    >>> get_artifact_uri("plots")  # doctest: +SKIP
    """
    root = get_run(_run_id()).info.artifact_uri
    return f"{root}/{relative_path(artifact_path)}" if artifact_path else root


def _run_id() -> str:
    """The open run; one is started where none is open."""
    runs = state.open_runs()
    return runs[-1].info.run_id if runs else start_run().info.run_id


def _artifacts(run_id: str | None) -> LocalStore:
    run = get_run(run_id or _run_id())
    if run.info.lifecycle_stage != "active":
        raise InvalidState(f"the run {run.info.run_id} is deleted", hint="restore it first")
    return LocalStore(Path(run.info.artifact_uri))


def _joined(folder: str | None, name: str) -> str:
    return relative_path(f"{folder.rstrip('/')}/{name}" if folder else name)


def _made(name: str) -> Experiment:
    """A new experiment; where another process was faster, the one that it made."""
    from pack.errors import AlreadyExists

    store = state.tracking()
    try:
        return store.get_experiment(store.create_experiment(name))
    except AlreadyExists:
        found = store.get_experiment_by_name(name)
        if found is None:
            raise
        return found


def _wanted_run(nested: bool) -> str | None:
    """The run that the environment asks to go on with, once."""
    wanted = None if nested else settings.run_id()
    if wanted:
        for name in (settings.run_id.name, settings.run_id.fallback):
            os.environ.pop(str(name), None)
    return wanted


def _resumed(run_id: str, experiment_id: str | None) -> Run:
    store = state.tracking()
    run = store.get_run(run_id)
    if run.info.lifecycle_stage != "active":
        raise InvalidState(f"the run {run_id} is deleted", hint="restore it first")
    if experiment_id is not None and run.info.experiment_id != str(experiment_id):
        raise InvalidValue(f"the run {run_id} is of experiment {run.info.experiment_id}, not {experiment_id}")
    store.update_run(run_id, status="RUNNING")
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


def _run_tags(tags: Mapping[str, Any] | None, description: str | None, parent: str | None) -> dict[str, str]:
    given = {str(key): str(value) for key, value in {**settings.run_context(), **(tags or {})}.items()}
    if description is not None:
        if _NOTE in given:
            raise InvalidValue("the description was given twice", hint=f"leave out the tag {_NOTE}")
        given[_NOTE] = description
    runs = state.open_runs()
    if parent is not None:
        state.tracking().get_run(parent)
        if runs and runs[-1].info.run_id != parent:
            raise InvalidValue(f"the open run is {runs[-1].info.run_id}, not its parent {parent}")
    parent = parent or (runs[-1].info.run_id if runs else None)
    return {**context.tags(), **({_PARENT: parent} if parent else {}), **given}
