"""What of a store is exported: all of it, or some experiments, runs and registered models with what belongs to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from pack.db.grammar import quoted
from pack.errors import NotFound
from pack.exchange.source import Ref
from pack.registry import ModelVersion, RegistryStore
from pack.tracking import TrackingStore


@dataclass(frozen=True)
class Selection:
    """Whole experiments by id, single runs and logged models by experiment, and registered models; None is all."""

    whole: frozenset[str] | None = None
    runs: Mapping[str, set[str]] = field(default_factory=dict)
    logged_models: Mapping[str, set[str]] = field(default_factory=dict)
    registered: frozenset[str] | None = None

    def experiment(self, key: str) -> bool:
        """Whether anything of an experiment is selected."""
        return self._all(key) or key in self.runs or key in self.logged_models

    def run(self, ref: Ref) -> bool:
        """Whether a run is selected."""
        return self._all(ref.experiment) or ref.id in self.runs.get(ref.experiment, ())

    def logged_model(self, ref: Ref) -> bool:
        """Whether a logged model is selected."""
        return self._all(ref.experiment) or ref.id in self.logged_models.get(ref.experiment, ())

    def registered_model(self, name: str) -> bool:
        """Whether a registered model is selected."""
        return self.registered is None or name in self.registered

    def _all(self, key: str) -> bool:
        return self.whole is None or key in self.whole


def select(
    tracking: TrackingStore,
    registry: RegistryStore,
    *,
    experiments: Iterable[str] = (),
    runs: Iterable[str] = (),
    models: Iterable[str] = (),
) -> Selection:
    """Find what was named; nothing named is everything. Raises `NotFound` for a name that is not there.

    A run brings the models that it logged; a registered model brings the runs and logged models of its versions.
    """
    experiments, runs, models = list(experiments), set(runs), list(models)
    if not (experiments or runs or models):
        return Selection()
    whole = frozenset(_experiment(tracking, name) for name in experiments)
    picked: dict[str, set[str]] = {}
    logged: dict[str, set[str]] = {}
    for version in _versions(registry, models):
        with suppress(NotFound):  # what it came from is gone; the version stays
            if version.run_id:
                runs.add(tracking.get_run(version.run_id).info.run_id)
        with suppress(NotFound):
            if version.model_id:
                _take(logged, tracking.export_logged_model(version.model_id).experiment_id, version.model_id)
    for run_id in runs:
        experiment = tracking.get_run(run_id).info.experiment_id
        _take(picked, experiment, run_id)
        for model in tracking.models_of_run(run_id):
            _take(logged, experiment, model.model_id)
    return Selection(whole, picked, logged, frozenset(models))


def _versions(registry: RegistryStore, models: Iterable[str]) -> Iterator[ModelVersion]:
    for name in models:
        registry.get_registered_model(name)
        yield from registry.search_model_versions(filter_string=f"name = {quoted(name)}")


def _experiment(tracking: TrackingStore, name: str) -> str:
    found = tracking.get_experiment_by_name(name)
    if found is None:
        raise NotFound(f"there is no experiment {name[:100]!a}", hint="list them: pack experiments list")
    return found.experiment_id


def _take(found: dict[str, set[str]], experiment: str, one: str) -> None:
    found.setdefault(experiment, set()).add(one)
