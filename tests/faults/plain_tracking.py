"""Tracking as plain dicts: what the store must answer, written down as simply as it can be said."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pack.errors import AlreadyExists, InvalidState, InvalidValue, NotFound

# step, timestamp, value (0.0 for NaN), whether it is NaN
Point = tuple[int, int, float, bool]


@dataclass
class PlainExperiment:
    """An experiment; `with_it` holds what went to the trash together with it."""

    id: str
    name: str
    created: int
    tags: dict[str, str] = field(default_factory=dict)
    deleted: bool = False
    with_it: set[str] = field(default_factory=set)


@dataclass
class PlainRun:
    """A run."""

    id: str
    experiment: str
    name: str
    start: int
    status: str = "RUNNING"
    end: int | None = None
    deleted: bool = False
    points: dict[str, set[Point]] = field(default_factory=dict)
    latest: dict[str, Point] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def value(self, key: str) -> float | None:
        """The latest value of a metric."""
        point = self.latest.get(key)
        return None if point is None else math.nan if point[3] else point[2]


@dataclass
class PlainModel:
    """A logged model."""

    id: str
    experiment: str
    name: str
    run: str | None
    status: str = "PENDING"
    deleted: bool = False
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class PlainTracking:
    """The same methods as a tracking store has, as far as the machine calls them."""

    def __init__(self) -> None:
        self.experiments: dict[str, PlainExperiment] = {"0": PlainExperiment("0", "Default", 0)}
        self.runs: dict[str, PlainRun] = {}
        self.models: dict[str, PlainModel] = {}

    def refuse_taken(self, name: str) -> None:
        """A name belongs to one experiment, deleted ones too."""
        if any(one.name == name for one in self.experiments.values()):
            raise AlreadyExists(name)

    def experiment(self, experiment_id: str, *, active: bool = True) -> PlainExperiment:
        """An experiment, by default one that is not deleted."""
        found = self.experiments.get(experiment_id)
        if found is None:
            raise NotFound(experiment_id)
        if active and found.deleted:
            raise InvalidState(experiment_id)
        return found

    def run(self, run_id: str, *, active: bool = True) -> PlainRun:
        """A run, by default one that is not deleted."""
        found = self.runs.get(run_id)
        if found is None:
            raise NotFound(run_id)
        if active and found.deleted:
            raise InvalidState(run_id)
        return found

    def model(self, model_id: str) -> PlainModel:
        """A logged model that is not deleted."""
        found = self.models.get(model_id)
        if found is None or found.deleted:
            raise NotFound(model_id)
        return found

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        found = self.experiment(experiment_id)
        if found.name != name:
            self.refuse_taken(name)
            found.name = name

    def delete_experiment(self, experiment_id: str) -> None:
        found = self.experiment(experiment_id, active=False)
        if found.deleted:
            return
        inside = [one for one in self._everything() if one.experiment == experiment_id]
        found.deleted, found.with_it = True, {one.id for one in inside if not one.deleted}
        for one in inside:
            one.deleted = True

    def restore_experiment(self, experiment_id: str) -> None:
        found = self.experiment(experiment_id, active=False)
        if found.deleted:
            found.deleted = False
            for one in self._everything():
                one.deleted = one.deleted and one.id not in found.with_it

    def log_batch(
        self, run_id: str, points: list[tuple[str, Point]], params: list[tuple[str, str]], tags: list[tuple[str, str]]
    ) -> None:
        found = self.run(run_id)
        settled: dict[str, str] = {}
        for key, value in params:
            if found.params.get(key, settled.setdefault(key, value)) != value or settled[key] != value:
                raise InvalidValue(key)
        found.params.update(settled)
        for key, point in points:
            found.points.setdefault(key, set()).add(point)
            if key not in found.latest or point[:3] >= found.latest[key][:3]:
                found.latest[key] = point
        found.tags.update(tags)

    def update_run(self, run_id: str, status: str | None, end: int | None, name: str | None) -> None:
        found = self.run(run_id)
        found.status = status or found.status
        found.end = found.end if end is None else end
        if name:
            found.name = found.tags["mlflow.runName"] = name

    def delete_run(self, run_id: str) -> None:
        self.run(run_id, active=False).deleted = True

    def restore_run(self, run_id: str) -> None:
        found = self.run(run_id, active=False)
        self.experiment(found.experiment)
        found.deleted = False

    def delete_tag(self, run_id: str, key: str) -> None:
        if self.run(run_id).tags.pop(key, None) is None:
            raise NotFound(key)

    def restore_model(self, model_id: str) -> None:
        if model_id not in self.models:
            raise NotFound(model_id)
        self.experiment(self.models[model_id].experiment)
        self.models[model_id].deleted = False

    def log_model_params(self, model_id: str, params: dict[str, str]) -> None:
        found = self.model(model_id)
        if any(found.params.get(key, value) != value for key, value in params.items()):
            raise InvalidValue(model_id)
        found.params.update(params)

    def purge(self) -> None:
        """Empty the trash; an experiment goes with the last of what it holds, the default one never."""
        self.runs = {key: run for key, run in self.runs.items() if not run.deleted}
        self.models = {key: model for key, model in self.models.items() if not model.deleted}
        held = {one.experiment for one in self._everything()} | {"0"}
        self.experiments = {key: one for key, one in self.experiments.items() if not one.deleted or key in held}

    def _everything(self) -> list[PlainRun | PlainModel]:
        return [*self.runs.values(), *self.models.values()]

    def search_runs(
        self, experiments: list[str], view: int, fits: Callable[[PlainRun], bool], order: Callable[[PlainRun], Any]
    ) -> list[str]:
        """The ids of runs in an order; ties go by start time, newest first, then by id."""
        stages = {1: {False}, 2: {True}, 3: {False, True}}[view]
        found = [run for run in self.runs.values() if run.experiment in experiments and run.deleted in stages]
        return [run.id for run in sorted(filter(fits, found), key=lambda run: (*order(run), -run.start, run.id))]


def point_of(value: float, step: int, timestamp: int) -> Point:
    """A point of a metric."""
    return (step, timestamp, 0.0 if math.isnan(value) else value + 0.0, math.isnan(value))
