"""Experiments, runs, params, metrics, tags, and the models that runs log."""

from __future__ import annotations

from pack.tracking.entities import Experiment as Experiment
from pack.tracking.entities import LoggedModel as LoggedModel
from pack.tracking.entities import Metric as Metric
from pack.tracking.entities import Param as Param
from pack.tracking.entities import Run as Run
from pack.tracking.entities import RunData as RunData
from pack.tracking.entities import RunInfo as RunInfo
from pack.tracking.entities import RunTag as RunTag
from pack.tracking.store import TrackingStore as TrackingStore


def open_tracking(uri: str | None = None) -> TrackingStore:
    """The store that a tracking URI names; None is the default store. Raises `InvalidUri` for one that is not local."""
    from pack.db import Database, place_of
    from pack.tracking.sql import SqlTracking

    return SqlTracking(Database(place_of(uri)))
