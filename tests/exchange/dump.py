"""Everything that a store holds, as plain values that can be compared; places on the disk are left out."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pack.exchange.findings import Findings
from pack.exchange.source import Files, Ref
from pack.exchange.store import Store
from pack.registry import RegistryStore, open_registry
from pack.tracking import Experiment, Metric, TrackingStore, open_tracking


class World:
    """A store of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/pack.db"
        self.tracking: TrackingStore = open_tracking(self.uri)
        self.registry: RegistryStore = open_registry(self.uri)

    def dump(self) -> dict[str, Any]:
        """Everything in it."""
        return dump(self.tracking, self.registry)


def dump(tracking: TrackingStore, registry: RegistryStore) -> dict[str, Any]:
    """Everything in a tracking store and a registry."""
    store = Store(tracking, registry, findings=Findings())
    experiments = {key: store.experiment(key) for key in store.experiments()}
    runs = [ref for key in experiments for ref in store.runs(key)]
    logged = [ref for key in experiments for ref in store.logged_models(key)]
    return {
        "experiments": {one.name: _experiment(one) for one in experiments.values()},
        "runs": {ref.id: _run(store, ref) for ref in runs},
        "logged": {ref.id: _logged(store, ref) for ref in logged},
        "models": {name: _registered(store, name) for name in store.registered_models()},
    }


def points(found: list[Metric]) -> list[list[Any]]:
    """Points in an order of their own, with their values as texts: NaN equals NaN."""
    return sorted([point.key, point.step, point.timestamp, repr(float(point.value))] for point in found)


def files(found: Files | None) -> dict[str, str]:
    """Digests of files, by path."""
    sums = {}
    for path, _ in found.list() if found else ():
        with found.open(path) as handle, os.fdopen(os.dup(handle), "rb") as file:  # type: ignore[union-attr]
            sums[path] = hashlib.sha256(file.read()).hexdigest()
    return sums


def _experiment(given: Experiment) -> dict[str, Any]:
    """Each store makes its default experiment when it is made."""
    times = ("creation_time", "last_update_time") if given.experiment_id == "0" else ()
    return _without(asdict(given), "artifact_location", *times)


def _run(store: Store, ref: Ref) -> dict[str, Any]:
    run = store.run(ref)
    return {
        **_without(asdict(run.info), "artifact_uri", "experiment_id"),
        "experiment": store.experiment(run.info.experiment_id).name,
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {key: repr(value) for key, value in run.data.metrics.items()},
        "points": points(list(store.history(ref))),
        "datasets": sorted(({**asdict(one.dataset), "tags": {tag.key: tag.value for tag in one.tags}}
                            for one in run.inputs.dataset_inputs), key=repr),
        "uses": sorted(one.model_id for one in run.inputs.model_inputs),
        "made": sorted((one.model_id, one.step) for one in run.outputs.model_outputs),
        "files": files(store.run_files(run, ref)),
    }  # fmt: skip


def _logged(store: Store, ref: Ref) -> dict[str, Any]:
    model = store.logged_model(ref)
    measured = sorted((*point, one.run_id, one.dataset_name, one.dataset_digest)
                      for one in model.metrics for point in points([one]))  # fmt: skip
    return {
        **_without(asdict(model), "artifact_location", "experiment_id", "metrics"),
        "experiment": store.experiment(model.experiment_id).name,
        "points": [list(point) for point in measured],
        "files": files(store.logged_model_files(model, ref)),
    }


def _registered(store: Store, name: str) -> dict[str, Any]:
    found = store.registered_model(name)
    versions = {}
    for number in store.versions(name):
        version = store.version(name, number)
        own = version.home.files if version.home else None
        versions[number] = {**_without(asdict(version.record), "storage_location"), "files": files(own)}
    return {
        **_without(asdict(found.record), "latest_versions"),
        "last_version": found.last_version,
        "moves": [asdict(move) for move in found.moves],
        "versions": versions,
    }


def _without(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in names}
