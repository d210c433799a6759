"""A small `mlflow.db` written by hand, with the columns of an old MLflow or of this one."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

OLD = {
    "alembic_version": "version_num",
    "experiments": "experiment_id INTEGER PRIMARY KEY, name, artifact_location, lifecycle_stage",
    "experiment_tags": "key, value, experiment_id",
    "runs": "run_uuid PRIMARY KEY, name, source_type, source_name, entry_point_name, user_id, status, start_time, "
    "end_time, source_version, lifecycle_stage, artifact_uri, experiment_id",
    "tags": "key, value, run_uuid",
    "params": "key, value, run_uuid",
    "metrics": "key, value FLOAT, timestamp BIGINT, run_uuid",
}
NEW = {
    **OLD,
    "metrics": "key, value FLOAT, timestamp BIGINT, run_uuid, step BIGINT, is_nan BOOLEAN, something_newer",
    "registered_models": "name, creation_time, last_updated_time, description, workspace",
    "registered_model_tags": "key, value, name, workspace",
    "registered_model_aliases": "alias, version, name, workspace",
    "model_versions": "name, version, creation_time, last_updated_time, description, user_id, current_stage, source, "
    "run_id, status, status_message, run_link, storage_location, workspace",
    "model_version_tags": "key, value, name, version, workspace",
    "a_table_of_the_future": "x",
}


class MlflowDb:
    """Tables that rows are put into."""

    def __init__(self, path: Path, tables: dict[str, str] | None = None) -> None:
        self.path = path
        self._raw = sqlite3.connect(path, isolation_level=None)
        for name, columns in (tables or NEW).items():
            self._raw.execute(f"CREATE TABLE {name} ({columns})")

    def add(self, table: str, **fields: Any) -> None:
        """A row."""
        marks = ", ".join("?" for _ in fields)
        self._raw.execute(f"INSERT INTO {table} ({', '.join(fields)}) VALUES ({marks})", list(fields.values()))

    def experiment(self, number: int = 1, name: str = "churn") -> None:
        """An experiment."""
        self.add("experiments", experiment_id=number, name=name, artifact_location="", lifecycle_stage="active")

    def run(self, run_id: str, *, artifact_uri: str = "", experiment: int = 1, **fields: Any) -> None:
        """A run that has finished."""
        known = {"name": "first", "status": "FINISHED", "start_time": 20, "end_time": 30, "lifecycle_stage": "active"}
        self.add("runs", run_uuid=run_id, artifact_uri=artifact_uri, experiment_id=experiment, **{**known, **fields})

    def close(self) -> None:
        """Let go of the file."""
        self._raw.close()
