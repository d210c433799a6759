"""Experiments, runs, params, metrics, tags, and the models that runs log."""

from __future__ import annotations

from typing import Any

from pack.tracking.entities import Dataset as Dataset
from pack.tracking.entities import DatasetInput as DatasetInput
from pack.tracking.entities import Experiment as Experiment
from pack.tracking.entities import InputTag as InputTag
from pack.tracking.entities import LoggedModel as LoggedModel
from pack.tracking.entities import LoggedModelInput as LoggedModelInput
from pack.tracking.entities import LoggedModelOutput as LoggedModelOutput
from pack.tracking.entities import Metric as Metric
from pack.tracking.entities import Param as Param
from pack.tracking.entities import Run as Run
from pack.tracking.entities import RunData as RunData
from pack.tracking.entities import RunInfo as RunInfo
from pack.tracking.entities import RunInputs as RunInputs
from pack.tracking.entities import RunOutputs as RunOutputs
from pack.tracking.entities import RunStatus as RunStatus
from pack.tracking.entities import RunTag as RunTag
from pack.tracking.entities import Taken as Taken
from pack.tracking.entities import Trashed as Trashed
from pack.tracking.entities import ViewType as ViewType
from pack.tracking.store import TrackingStore as TrackingStore


def open_tracking(uri: str | None = None) -> TrackingStore:
    """The store that a tracking URI names; None is the default store. Raises `InvalidUri` for one that is not local."""
    from pack.db import Database, place_of
    from pack.tracking.sql import SqlTracking

    return SqlTracking(Database(place_of(uri)))


def __getattr__(name: str) -> Any:
    """MLflow's older address of the client, `tracking.MlflowClient`; it lies above, so it is named as a string."""
    if name != "MlflowClient":
        raise AttributeError(f"module 'pack.tracking' has no attribute {name!r}")
    from importlib import import_module

    return import_module("pack.fluent.client").Client
