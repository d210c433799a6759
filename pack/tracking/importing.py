"""Records of another store, taken in with their ids and times; what is here already stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pack.db import Connection, Database
from pack.tracking import limits
from pack.tracking.entities import Experiment, LoggedModel, Metric, Param, Run, RunTag
from pack.tracking.lineage import Lineage
from pack.tracking.logged_models import set_facts
from pack.tracking.recording import Recording
from pack.tracking.runs import Runs

_CHUNK = 10_000
_PARAM = "INSERT OR IGNORE INTO params (run, key, value) VALUES (?, ?, ?)"
_TAG = "INSERT OR IGNORE INTO run_tags (run, key, value) VALUES (?, ?, ?)"


class Importing:
    """The part of `TrackingStore` that takes in what another store recorded. Each call is one transaction."""

    def __init__(self, database: Database, runs: Runs, recording: Recording, lineage: Lineage) -> None:
        self._database = database
        self._place = database.place
        self._runs, self._recording, self._lineage = runs, recording, lineage

    def experiment(self, given: Experiment, *, origin: str) -> str:
        """The id of an experiment here: the one that it was imported as before, else that of its name, else a new one.

        A new one keeps its id where that is a number and free.
        """
        limits.check_experiment(given.name)
        with self._database.write() as connection:
            asked = {"origin": origin, "id": given.experiment_id, "name": given.name}
            known = connection.one(
                "SELECT own_id FROM imported WHERE origin = :origin AND kind = 'experiment' AND origin_id = :id", asked
            )
            if known and connection.one("SELECT 1 FROM experiments WHERE id = :id", {"id": int(known["own_id"])}):
                return str(known["own_id"])
            found = connection.one("SELECT id FROM experiments WHERE name = :name", asked)
            number = found["id"] if found else _new_experiment(connection, given)
            for key, value in limits.check_tags(given.tags, limits.EXPERIMENT_TAG, "an experiment").items():
                connection.execute(
                    "INSERT OR IGNORE INTO experiment_tags (experiment, key, value) VALUES (:id, :key, :value)",
                    {"id": number, "key": key, "value": value},
                )
            connection.execute(
                """INSERT OR REPLACE INTO imported (origin, kind, origin_id, own_id)
                    VALUES (:origin, 'experiment', :id, :own)""",
                {**asked, "own": str(number)},
            )
            return str(number)

    def run(self, given: Run, *, experiment_id: str, history: Iterable[Metric], artifact_uri: str) -> bool:
        """Take in a run with every point of its metrics; False where a run of this id was here already.

        A run that is here is completed: what it lacks is added, and it ends if it had not.
        """
        with self._database.write() as connection:
            found = connection.one("SELECT * FROM runs WHERE run_id = :id", {"id": given.info.run_id})
            row = found or self._new_run(connection, given, experiment_id, artifact_uri)
            self._add(connection, row, given, history)
            if found and found["status"] in {"RUNNING", "SCHEDULED"}:
                connection.execute(
                    "UPDATE runs SET status = :status, end_time = :end WHERE id = :run",
                    {"status": given.info.status, "end": given.info.end_time, "run": row["id"]},
                )
            return found is None

    def logged_model(self, given: LoggedModel, *, experiment_id: str, artifact_location: str) -> bool:
        """Take in a logged model; False where one of this id was here already."""
        with self._database.write() as connection:
            if connection.one("SELECT 1 FROM logged_models WHERE model_id = :id", {"id": given.model_id}):
                return False
            deleted = given.lifecycle_stage == "deleted"
            number = connection.execute(
                """INSERT INTO logged_models (model_id, experiment, name, artifact_location, status, status_message,
                    source_run_id, model_type, step, creation_timestamp, last_updated_timestamp, lifecycle_stage,
                    deleted_time)
                    VALUES (:model_id, :experiment, :name, :location, :status, :message, :run, :type, :step, :made,
                    :updated, :stage, :deleted) RETURNING id""",
                {
                    "model_id": given.model_id,
                    "experiment": limits.experiment_number(experiment_id),
                    "name": given.name,
                    "location": self._place.relative(artifact_location),
                    "status": given.status,
                    "message": given.status_message,
                    "run": given.source_run_id,
                    "type": given.model_type,
                    "step": given.step,
                    "made": given.creation_timestamp,
                    "updated": given.last_updated_timestamp,
                    "stage": "deleted" if deleted else "active",
                    "deleted": given.last_updated_timestamp if deleted else None,
                },
            ).fetchone()["id"]
            set_facts(connection, number, "params", given.params)
            set_facts(connection, number, "tags", given.tags)
            self._recording.add_model_points(connection, given.metrics, _values(given.metrics), number)
            return True

    def _new_run(self, connection: Connection, given: Run, experiment_id: str, artifact_uri: str) -> Any:
        info = given.info
        deleted = info.lifecycle_stage == "deleted"
        return connection.execute(
            """INSERT INTO runs (run_id, experiment, name, user_id, status, start_time, end_time, lifecycle_stage,
                deleted_time, artifact_uri)
                VALUES (:run_id, :experiment, :name, :user, :status, :start, :end, :stage, :deleted, :uri)
                RETURNING *""",
            {
                "run_id": info.run_id,
                "experiment": limits.experiment_number(experiment_id),
                "name": info.run_name,
                "user": info.user_id,
                "status": limits.check_status(info.status),
                "start": limits.check_time(info.start_time),
                "end": info.end_time,
                "stage": "deleted" if deleted else "active",
                "deleted": (info.end_time or info.start_time) if deleted else None,
                "uri": self._place.relative(artifact_uri),
            },
        ).fetchone()

    def _add(self, connection: Connection, row: Any, given: Run, history: Iterable[Metric]) -> None:
        run = row["id"]
        chunk: list[Metric] = []
        for point in history:
            chunk.append(point)
            if len(chunk) == _CHUNK:
                self._recording.add_points(connection, run, chunk, _values(chunk))
                chunk = []
        self._recording.add_points(connection, run, chunk, _values(chunk))
        params = [limits.check_param(Param(key, value)) for key, value in given.data.params.items()]
        connection.many(_PARAM, [(run, param.key, param.value) for param in params])
        tags = [limits.check_tag(RunTag(key, value)) for key, value in given.data.tags.items()]
        connection.many(_TAG, [(run, tag.key, tag.value) for tag in tags])
        self._lineage.link_inputs(connection, row, given.inputs.dataset_inputs, given.inputs.model_inputs)
        self._lineage.link_outputs(connection, row, given.outputs.model_outputs)


def _new_experiment(connection: Connection, given: Experiment) -> int:
    number = int(given.experiment_id) if given.experiment_id.isdecimal() and len(given.experiment_id) < 19 else None
    taken = number is None or connection.one("SELECT 1 FROM experiments WHERE id = :id", {"id": number})
    deleted = given.lifecycle_stage == "deleted"
    made = connection.execute(
        """INSERT INTO experiments (id, name, artifact_location, lifecycle_stage, creation_time, last_update_time,
            deleted_time) VALUES (:id, :name, '', :stage, :made, :updated, :deleted) RETURNING id""",
        {
            "id": None if taken else number,
            "name": given.name,
            "stage": "deleted" if deleted else "active",
            "made": given.creation_time or 0,
            "updated": given.last_update_time or given.creation_time or 0,
            "deleted": (given.last_update_time or 0) if deleted else None,
        },
    ).fetchone()
    return int(made["id"])


def _values(points: Sequence[Metric]) -> list[float]:
    return [limits.check_point(point) for point in points]
