"""Rows of the database as entities."""

from __future__ import annotations

from typing import Any

from pack.db import Connection, Place
from pack.tracking.entities import Experiment, LoggedModel, RunInfo


def experiment_of(connection: Connection, row: Any, place: Place) -> Experiment:
    """An experiment with its tags."""
    tags = connection.execute(
        "SELECT key, value FROM experiment_tags WHERE experiment = :experiment", {"experiment": row["id"]}
    )
    return Experiment(
        experiment_id=str(row["id"]),
        name=row["name"],
        artifact_location=row["artifact_location"] or f"{place.artifacts}/{row['id']}",
        lifecycle_stage=row["lifecycle_stage"],
        tags={tag["key"]: tag["value"] for tag in tags},
        creation_time=row["creation_time"],
        last_update_time=row["last_update_time"],
    )


def run_info_of(row: Any, place: Place) -> RunInfo:
    """What a run is."""
    return RunInfo(
        run_id=row["run_id"],
        experiment_id=str(row["experiment"]),
        user_id=row["user_id"],
        status=row["status"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        lifecycle_stage=row["lifecycle_stage"],
        artifact_uri=place.absolute(row["artifact_uri"]),
        run_name=row["name"],
    )


def logged_model_of(connection: Connection, row: Any, place: Place) -> LoggedModel:
    """A logged model with its params and tags."""
    model = {"model": row["id"]}
    params = connection.execute("SELECT key, value FROM logged_model_params WHERE model = :model", model)
    tags = connection.execute("SELECT key, value FROM logged_model_tags WHERE model = :model", model)
    return LoggedModel(
        experiment_id=str(row["experiment"]),
        model_id=row["model_id"],
        name=row["name"],
        artifact_location=place.absolute(row["artifact_location"]),
        creation_timestamp=row["creation_timestamp"],
        last_updated_timestamp=row["last_updated_timestamp"],
        model_type=row["model_type"],
        source_run_id=row["source_run_id"],
        status=row["status"],
        status_message=row["status_message"],
        tags={one["key"]: one["value"] for one in tags},
        params={one["key"]: one["value"] for one in params},
        step=row["step"],
    )


def value_of(row: Any) -> float:
    """A metric's value: the database holds no NaN, so a column of its own says it."""
    return float("nan") if row["is_nan"] else float(row["value"])
