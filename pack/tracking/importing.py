"""Records of another store, taken in with their ids and times; what is here already stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pack.db import Connection, Database
from pack.errors import InvalidValue
from pack.tracking import limits
from pack.tracking.entities import Dataset, DatasetInput, Experiment, LoggedModel, Metric, Run, Taken
from pack.tracking.lineage import Lineage
from pack.tracking.moments import now
from pack.tracking.recording import Recording
from pack.tracking.runs import Runs
from pack.tracking.store import Refused

_CHUNK = 10_000
# Longer than what runs can log here: what others recorded is kept whole.
_LONGEST = 1_000_000
# Experiments made afterwards count on from the highest number, which has to stay below 18 digits.
_ROOM = 999_000_000_000_000_000
_KNOWN = "SELECT own_id FROM imported WHERE origin = :origin AND kind = 'experiment' AND origin_id = :id"
_STATUSES = {"PENDING", "READY", "FAILED"}


@dataclass(frozen=True)
class _Parts:
    """Tells of the parts that cannot be kept; without somebody to tell, the first one is an error."""

    refused: Refused | None

    def refuse(self, what: str, error: InvalidValue) -> None:
        if self.refused is None:
            raise error
        self.refused(what, error)

    def facts(self, facts: Mapping[str, str], noun: str) -> list[tuple[str, str]]:
        """The params or tags whose names and values can be kept."""
        kept = []
        for key, value in facts.items():
            try:
                limits.check_key(key, noun)
                _check_length(value, f"{noun} {key!r}")
                kept.append((key, value))
            except InvalidValue as error:
                self.refuse(f"{noun} {key[:100]!a}", error)
        return kept

    def points(self, history: Iterable[Metric]) -> Iterator[tuple[list[Metric], list[float]]]:
        """The points that can be kept, with their values, some thousands at a time."""
        points: list[Metric] = []
        values: list[float] = []
        for point in history:
            try:
                values.append(limits.check_point(point))
                points.append(point)
            except InvalidValue as error:
                self.refuse(f"a point of metric {str(point.key)[:100]!a}", error)
            if len(points) == _CHUNK:
                yield points, values
                points, values = [], []
        if points:
            yield points, values

    def datasets(self, given: Iterable[DatasetInput]) -> list[DatasetInput]:
        """The datasets that can be kept."""
        kept = []
        for one in given:
            try:
                kept.append(limits.check_dataset(one))
            except InvalidValue as error:
                self.refuse(f"dataset {_shown(one.dataset)}", error)
        return kept


class Importing:
    """The part of `TrackingStore` that takes in what another store recorded. Each call is one transaction."""

    def __init__(self, database: Database, runs: Runs, recording: Recording, lineage: Lineage) -> None:
        self._database = database
        self._place = database.place
        self._runs, self._recording, self._lineage = runs, recording, lineage

    def experiment(self, given: Experiment, *, origin: str, refused: Refused | None = None) -> str:
        """The id of an experiment here: the one that it was imported as before, else that of its name, else a new one.

        A new one keeps its id where that is a number and free.
        """
        limits.check_experiment(given.name)
        tags = _Parts(refused).facts(given.tags, "tag")
        # Another store at the same place has other experiments under these ids, made at another time.
        mark = f"{given.experiment_id}@{given.creation_time or given.name}"
        with self._database.write() as connection:
            asked = {"origin": origin, "id": mark, "name": given.name}
            known = connection.one(_KNOWN, asked)
            if known and connection.one("SELECT 1 FROM experiments WHERE id = :id", {"id": int(known["own_id"])}):
                number = int(known["own_id"])
            else:
                found = connection.one("SELECT id FROM experiments WHERE name = :name", asked)
                number = found["id"] if found else _new_experiment(connection, given)
            connection.many(
                "INSERT OR IGNORE INTO experiment_tags (experiment, key, value) VALUES (?, ?, ?)",
                [(number, key, value) for key, value in tags],
            )
            connection.execute(
                """INSERT OR REPLACE INTO imported (origin, kind, origin_id, own_id)
                    VALUES (:origin, 'experiment', :id, :own)""",
                {**asked, "own": str(number)},
            )
            return str(number)

    def run(
        self,
        given: Run,
        *,
        experiment_id: str,
        history: Iterable[Metric],
        artifact_uri: str,
        refused: Refused | None = None,
    ) -> Taken:
        """Take in a run with every point of its metrics.

        A run that is here is completed: what it lacks is added, and it ends if it had not.
        """
        info, parts = given.info, _Parts(refused)
        limits.check_status(info.status)
        limits.check_time(info.start_time)
        if info.end_time is not None:
            limits.check_time(info.end_time)
        for name in (info.run_name, info.user_id):
            _check_length(name, "run's name or user")
        with self._database.write() as connection:
            found = connection.one("SELECT * FROM runs WHERE run_id = :id", {"id": info.run_id})
            row = found or self._new_run(connection, given, experiment_id, artifact_uri)
            if found and found["status"] in {"RUNNING", "SCHEDULED"}:
                connection.execute(
                    "UPDATE runs SET status = :status, end_time = :end WHERE id = :run",
                    {"status": info.status, "end": info.end_time, "run": row["id"]},
                )
            points = sum(
                self._recording.add_points(connection, row["id"], chunk, values)
                for chunk, values in parts.points(history)
            )
            params = _add(connection, "params", "run", row["id"], parts.facts(given.data.params, "param"))
            tags = _add(connection, "run_tags", "run", row["id"], parts.facts(given.data.tags, "tag"))
            datasets = parts.datasets(given.inputs.dataset_inputs)
            self._lineage.link_inputs(connection, row, datasets, given.inputs.model_inputs)
            self._lineage.link_outputs(connection, row, given.outputs.model_outputs)
            return Taken(found is None, points, params, tags)

    def logged_model(
        self, given: LoggedModel, *, experiment_id: str, artifact_location: str, refused: Refused | None = None
    ) -> Taken:
        """Take in a logged model. One that is here is completed, and is READY or FAILED if it was PENDING."""
        parts = _Parts(refused)
        limits.check_model(given.name)
        if given.status not in _STATUSES:
            raise InvalidValue(f"{given.status[:40]!a} is no status of a logged model")
        for moment in (given.creation_timestamp, given.last_updated_timestamp, given.step):
            limits.check_time(moment)
        for text in (given.status_message, given.model_type, given.source_run_id):
            _check_length(text or "", "field of a logged model")
        with self._database.write() as connection:
            found = connection.one("SELECT * FROM logged_models WHERE model_id = :id", {"id": given.model_id})
            row = found or self._new_logged_model(connection, given, experiment_id, artifact_location)
            if found and found["status"] == "PENDING":
                connection.execute(
                    "UPDATE logged_models SET status = :status, status_message = :message WHERE id = :model",
                    {"status": given.status, "message": given.status_message, "model": row["id"]},
                )
            points = 0
            for chunk, values in parts.points(given.metrics):
                self._recording.add_model_points(connection, chunk, values, row["id"])
                points += len(chunk)
            params = parts.facts(given.params, "param")
            tags = parts.facts(given.tags, "tag")
            return Taken(
                found is None,
                0 if found else points,
                _add(connection, "logged_model_params", "model", row["id"], params),
                _add(connection, "logged_model_tags", "model", row["id"], tags),
            )

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
                "status": info.status,
                "start": info.start_time,
                "end": info.end_time,
                "stage": "deleted" if deleted else "active",
                "deleted": _deleted_time(connection, experiment_id) if deleted else None,
                "uri": self._place.relative(artifact_uri),
            },
        ).fetchone()

    def _new_logged_model(
        self, connection: Connection, given: LoggedModel, experiment_id: str, artifact_location: str
    ) -> Any:
        deleted = given.lifecycle_stage == "deleted"
        return connection.execute(
            """INSERT INTO logged_models (model_id, experiment, name, artifact_location, status, status_message,
                source_run_id, model_type, step, creation_timestamp, last_updated_timestamp, lifecycle_stage,
                deleted_time)
                VALUES (:model_id, :experiment, :name, :location, :status, :message, :run, :type, :step, :made,
                :updated, :stage, :deleted) RETURNING *""",
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
                "deleted": _deleted_time(connection, experiment_id) if deleted else None,
            },
        ).fetchone()


def _new_experiment(connection: Connection, given: Experiment) -> int:
    text = given.experiment_id
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else _ROOM
    taken = number >= _ROOM or connection.one("SELECT 1 FROM experiments WHERE id = :id", {"id": number})
    deleted = given.lifecycle_stage == "deleted"
    made = connection.execute(
        """INSERT INTO experiments (id, name, artifact_location, lifecycle_stage, creation_time, last_update_time,
            deleted_time) VALUES (:id, :name, '', :stage, :made, :updated, :deleted) RETURNING id""",
        {
            "id": None if taken else number,
            "name": given.name,
            "stage": "deleted" if deleted else "active",
            "made": limits.check_time(given.creation_time or 0),
            "updated": limits.check_time(given.last_update_time or given.creation_time or 0),
            "deleted": now() if deleted else None,
        },
    ).fetchone()
    return int(made["id"])


def _deleted_time(connection: Connection, experiment_id: str) -> int:
    """When something imported came into the trash: with its experiment, so that both are restored together, or now."""
    row = connection.one(
        "SELECT deleted_time FROM experiments WHERE id = :id", {"id": limits.experiment_number(experiment_id)}
    )
    return int(row["deleted_time"]) if row and row["deleted_time"] is not None else now()


def _add(connection: Connection, table: str, owner: str, number: int, facts: Iterable[tuple[str, str]]) -> int:
    """Add what a run or model lacks; answers how many that were."""
    statement = f"INSERT OR IGNORE INTO {table} ({owner}, key, value) VALUES (?, ?, ?)"
    return max(connection.many(statement, [(number, key, value) for key, value in facts]), 0)


def _check_length(value: str, noun: str) -> None:
    if len(value) > _LONGEST:
        raise InvalidValue(f"the {noun} has {len(value):,} characters, an import keeps {_LONGEST:,}")


def _shown(dataset: Dataset) -> str:
    return f"{dataset.name[:100]!a}"
