"""The tracking store in the embedded database."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pack.db import Connection, Database
from pack.errors import AlreadyExists, InvalidState, InvalidValue, NotFound
from pack.tracking import limits, owner
from pack.tracking.entities import Experiment, LoggedModel, Metric, Page, Param, Run, RunData, RunInfo, RunTag
from pack.tracking.rows import experiment_of, logged_model_of, run_info_of, value_of

_NAME_TAG = "mlflow.runName"
_UPSERT_TAG = """INSERT INTO run_tags (run, key, value) VALUES (:run, :key, :value)
    ON CONFLICT (run, key) DO UPDATE SET value = excluded.value"""
_NEW_LATEST = """INSERT INTO latest_metrics (run, key, step, timestamp, value, is_nan)
    VALUES (:run, :key, :step, :timestamp, :value, :is_nan)
    ON CONFLICT (run, key) DO UPDATE SET step = excluded.step, timestamp = excluded.timestamp,
        value = excluded.value, is_nan = excluded.is_nan
    WHERE (excluded.step, excluded.timestamp, excluded.value) >= (step, timestamp, value)"""
_RUN = "SELECT * FROM runs WHERE run_id = :run_id"


def _now() -> int:
    return time.time_ns() // 1_000_000


class SqlTracking:
    """Implements `TrackingStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place
        self.uri = database.place.uri
        self._keys: dict[str, int] = {}

    def create_experiment(
        self, name: str, *, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and answer its id."""
        limits.check_experiment(name)
        location = limits.check_location(artifact_location)
        with self._database.write() as connection:
            if connection.one("SELECT id FROM experiments WHERE name = :name", {"name": name}):
                raise AlreadyExists(f"an experiment named {name!r} exists already", hint="set_experiment uses it")
            made = connection.execute(
                """INSERT INTO experiments
                    (name, artifact_location, lifecycle_stage, creation_time, last_update_time)
                    VALUES (:name, :location, 'active', :now, :now) RETURNING id""",
                {"name": name, "location": location, "now": _now()},
            ).fetchone()
            connection.many(
                "INSERT INTO experiment_tags (experiment, key, value) VALUES (:experiment, :key, :value)",
                [{"experiment": made["id"], "key": key, "value": str(value)} for key, value in (tags or {}).items()],
            )
        return str(made["id"])

    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment by id."""
        with self._database.read() as connection:
            row = connection.one(
                "SELECT * FROM experiments WHERE id = :id", {"id": limits.experiment_number(experiment_id)}
            )
            if row is None:
                raise NotFound(f"there is no experiment {experiment_id!a}", hint="set_experiment makes one by name")
            return experiment_of(connection, row, self._place)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """One experiment by name."""
        with self._database.read() as connection:
            row = connection.one("SELECT * FROM experiments WHERE name = :name", {"name": name})
            return experiment_of(connection, row, self._place) if row else None

    def search_experiments(self, *, deleted: bool = False) -> list[Experiment]:
        """The active or the deleted experiments."""
        with self._database.read() as connection:
            rows = connection.all(
                "SELECT * FROM experiments WHERE lifecycle_stage = :stage ORDER BY id DESC",
                {"stage": "deleted" if deleted else "active"},
            )
            return [experiment_of(connection, row, self._place) for row in rows]

    def create_run(
        self,
        experiment_id: str,
        *,
        user_id: str,
        start_time: int,
        run_name: str,
        tags: Sequence[RunTag] = (),
        owner: str | None = None,
    ) -> Run:
        """Start a run."""
        run_id = uuid.uuid4().hex
        merged = {**{tag.key: tag.value for tag in tags}, _NAME_TAG: run_name}
        checked = [RunTag(limits.check_key(key, "tag"), str(value)) for key, value in merged.items()]
        with self._database.write() as connection:
            experiment = self._active_experiment(connection, experiment_id)
            root = experiment["artifact_location"] or f"{self._place.artifacts}/{experiment['id']}"
            uri = f"{root.rstrip('/')}/{run_id}/artifacts"
            row = connection.execute(
                """INSERT INTO runs (run_id, experiment, name, user_id, status, start_time, lifecycle_stage,
                    artifact_uri, owner)
                    VALUES (:run_id, :experiment, :name, :user, 'RUNNING', :start, 'active', :uri, :owner)
                    RETURNING *""",
                {
                    "run_id": run_id,
                    "experiment": experiment["id"],
                    "name": run_name,
                    "user": user_id,
                    "start": start_time,
                    "uri": self._place.relative(uri),
                    "owner": owner,
                },
            ).fetchone()
            self._tag(connection, row["id"], checked)
            return self._run(connection, row)

    def get_run(self, run_id: str) -> Run:
        """One run with what it recorded."""
        with self._database.read() as connection:
            return self._run(connection, self._row(connection, run_id))

    def update_run(
        self, run_id: str, *, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        """Change a run's status, end or name."""
        if status is not None:
            limits.check_status(status)
        with self._database.write() as connection:
            row = self._active_row(connection, run_id)
            changed = connection.execute(
                """UPDATE runs SET status = coalesce(:status, status), end_time = coalesce(:end, end_time),
                    name = coalesce(:name, name) WHERE id = :run RETURNING *""",
                {"status": status, "end": end_time, "name": run_name or None, "run": row["id"]},
            ).fetchone()
            if run_name:
                self._tag(connection, row["id"], [RunTag(_NAME_TAG, run_name)])
            return run_info_of(changed, self._place)

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash."""
        self._set_lifecycle(run_id, "deleted", _now())

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash."""
        self._set_lifecycle(run_id, "active", None)

    def search_runs(
        self, experiment_ids: Sequence[str], *, max_results: int = 1000, page_token: str | None = None
    ) -> Page:
        """A page of active runs, the newest first."""
        if not 1 <= max_results <= 50_000:
            raise InvalidValue(f"max_results must be from 1 to 50,000, not {max_results}")
        before = limits.page_start(page_token)
        marks = {f"e{place}": limits.experiment_number(one) for place, one in enumerate(experiment_ids)}
        inside = ", ".join(f":{name}" for name in marks) or "NULL"
        with self._database.read() as connection:
            rows = connection.all(
                f"""SELECT * FROM runs WHERE experiment IN ({inside}) AND lifecycle_stage = 'active' AND id < :before
                    ORDER BY id DESC LIMIT :most""",  # noqa: S608 - only the names of binds
                {**marks, "before": before, "most": max_results + 1},
            )
            runs = tuple(self._run(connection, row) for row in rows[:max_results])
        return Page(runs, str(rows[max_results - 1]["id"]) if len(rows) > max_results else None)

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        """Record metrics, params and tags, all or none."""
        limits.check_batch(metrics=metrics, params=params, tags=tags)
        points = [limits.check_metric(metric) for metric in metrics]
        settled = [limits.check_param(param) for param in params]
        labels = [limits.check_tag(tag) for tag in tags]
        with self._database.write() as connection:
            run = self._active_row(connection, run_id)["id"]
            self._log_params(connection, run, settled)
            self._log_metrics(connection, run, points)
            self._tag(connection, run, labels)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        with self._database.write() as connection:
            run = self._active_row(connection, run_id)["id"]
            gone = connection.execute("DELETE FROM run_tags WHERE run = :run AND key = :key", {"run": run, "key": key})
            if not gone.rowcount:
                raise NotFound(f"the run has no tag {key!a}")

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Every point of one metric, by step and time."""
        with self._database.read() as connection:
            rows = connection.execute(
                """SELECT value, is_nan, timestamp, step FROM metrics
                    WHERE run = :run AND key = (SELECT id FROM metric_keys WHERE name = :key)
                    ORDER BY step, timestamp""",
                {"run": self._row(connection, run_id)["id"], "key": key},
            )
            return [Metric(key, value_of(row), row["timestamp"], row["step"]) for row in rows]

    def fail_orphans(self) -> list[str]:
        """Mark as FAILED the runs of this machine whose process is gone."""
        with self._database.read() as connection:
            rows = connection.all("SELECT run_id, owner FROM runs WHERE owner IS NOT NULL AND status = 'RUNNING'")
        gone = [row["run_id"] for row in rows if owner.is_gone(row["owner"])]
        if gone:
            with self._database.write() as connection:
                connection.many(
                    """UPDATE runs SET status = 'FAILED', end_time = coalesce(end_time, :now)
                        WHERE run_id = :run_id AND status = 'RUNNING'""",
                    [{"run_id": run_id, "now": _now()} for run_id in gone],
                )
        return gone

    def create_logged_model(
        self,
        experiment_id: str,
        *,
        name: str,
        source_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model_type: str | None = None,
        step: int = 0,
    ) -> LoggedModel:
        """Make a logged model, PENDING until it is finalized."""
        limits.check_model(name)
        model_id = f"m-{uuid.uuid4().hex}"
        with self._database.write() as connection:
            experiment = self._active_experiment(connection, experiment_id)
            root = experiment["artifact_location"] or f"{self._place.artifacts}/{experiment['id']}"
            row = connection.execute(
                """INSERT INTO logged_models (model_id, experiment, name, artifact_location, status, source_run_id,
                    model_type, step, creation_timestamp, last_updated_timestamp, lifecycle_stage)
                    VALUES (:model_id, :experiment, :name, :location, 'PENDING', :run, :type, :step, :now, :now,
                    'active') RETURNING *""",
                {
                    "model_id": model_id,
                    "experiment": experiment["id"],
                    "name": name,
                    "location": self._place.relative(f"{root.rstrip('/')}/models/{model_id}/artifacts"),
                    "run": source_run_id,
                    "type": model_type,
                    "step": step,
                    "now": _now(),
                },
            ).fetchone()
            self._model_facts(connection, row["id"], "params", params or {})
            self._model_facts(connection, row["id"], "tags", tags or {})
            return logged_model_of(connection, row, self._place)

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model."""
        with self._database.read() as connection:
            return logged_model_of(connection, self._model_row(connection, model_id), self._place)

    def search_logged_models(self, *, source_run_id: str, name: str | None = None) -> list[LoggedModel]:
        """The READY models of a run, the newest first."""
        with self._database.read() as connection:
            rows = connection.all(
                """SELECT * FROM logged_models WHERE source_run_id = :run AND (:name IS NULL OR name = :name)
                    AND status = 'READY' AND lifecycle_stage = 'active' ORDER BY step DESC, id DESC""",
                {"run": source_run_id, "name": name},
            )
            return [logged_model_of(connection, row, self._place) for row in rows]

    def finalize_logged_model(self, model_id: str, status: str, *, message: str | None = None) -> LoggedModel:
        """Set the status: READY or FAILED."""
        if status not in {"READY", "FAILED"}:
            raise InvalidValue(f"{status!r} is no final status of a model", hint="use READY or FAILED")
        with self._database.write() as connection:
            row = connection.execute(
                """UPDATE logged_models SET status = :status, status_message = :message, last_updated_timestamp = :now
                    WHERE id = :model RETURNING *""",
                {
                    "status": status,
                    "message": message and message[:1000],
                    "now": _now(),
                    "model": self._model_row(connection, model_id)["id"],
                },
            ).fetchone()
            return logged_model_of(connection, row, self._place)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a logged model."""
        with self._database.write() as connection:
            self._model_facts(connection, self._model_row(connection, model_id)["id"], "tags", tags)

    def _row(self, connection: Connection, run_id: str) -> Any:
        row = connection.one(_RUN, {"run_id": run_id})
        if row is None:
            raise NotFound(f"there is no run {str(run_id)[:64]!a}", hint="list them: pack runs list")
        return row

    def _active_row(self, connection: Connection, run_id: str) -> Any:
        row = self._row(connection, run_id)
        if row["lifecycle_stage"] != "active":
            raise InvalidState(f"the run {run_id} is deleted", hint="restore it first")
        return row

    def _active_experiment(self, connection: Connection, experiment_id: str) -> Any:
        row = connection.one(
            "SELECT * FROM experiments WHERE id = :id", {"id": limits.experiment_number(experiment_id)}
        )
        if row is None:
            raise NotFound(f"there is no experiment {experiment_id!a}", hint="set_experiment makes one by name")
        if row["lifecycle_stage"] != "active":
            raise InvalidState(f"the experiment {row['name']!r} is deleted", hint="restore it, or use another name")
        return row

    def _run(self, connection: Connection, row: Any) -> Run:
        run = {"run": row["id"]}
        metrics = connection.execute(
            """SELECT name, value, is_nan FROM latest_metrics JOIN metric_keys ON metric_keys.id = key
                WHERE run = :run ORDER BY name""",
            run,
        )
        data = RunData(
            metrics={one["name"]: value_of(one) for one in metrics},
            params=_pairs(connection, "SELECT key, value FROM params WHERE run = :run", run),
            tags=_pairs(connection, "SELECT key, value FROM run_tags WHERE run = :run", run),
        )
        return Run(run_info_of(row, self._place), data)

    def _set_lifecycle(self, run_id: str, stage: str, deleted: int | None) -> None:
        with self._database.write() as connection:
            connection.execute(
                "UPDATE runs SET lifecycle_stage = :stage, deleted_time = :deleted WHERE id = :run",
                {"stage": stage, "deleted": deleted, "run": self._row(connection, run_id)["id"]},
            )

    def _log_params(self, connection: Connection, run: int, params: Sequence[Param]) -> None:
        for param in params:
            binds = {"run": run, "key": param.key, "value": param.value}
            found = connection.one("SELECT value FROM params WHERE run = :run AND key = :key", binds)
            if found is None:
                connection.execute("INSERT INTO params (run, key, value) VALUES (:run, :key, :value)", binds)
            elif found["value"] != param.value:
                raise InvalidValue(
                    f"param {param.key!r} of this run has another value already",
                    hint="params are set once: use another name, a metric, or a tag",
                )

    def _log_metrics(self, connection: Connection, run: int, metrics: Sequence[Metric]) -> None:
        if not metrics:
            return
        points = [
            {
                "run": run,
                "key": self._key(connection, metric.key),
                "step": metric.step,
                "timestamp": metric.timestamp,
                "value": 0.0 if limits.is_nan(metric.value) else metric.value,
                "is_nan": int(limits.is_nan(metric.value)),
            }
            for metric in metrics
        ]
        connection.many(
            """INSERT OR IGNORE INTO metrics (run, key, step, timestamp, value, is_nan)
                VALUES (:run, :key, :step, :timestamp, :value, :is_nan)""",
            points,
        )
        connection.many(_NEW_LATEST, points)

    def _key(self, connection: Connection, name: str) -> int:
        """The number of a metric's name; numbers are never given twice, so they can be remembered."""
        known = self._keys.get(name)
        if known is not None:
            return known
        row = connection.one("SELECT id FROM metric_keys WHERE name = :name", {"name": name})
        if row is None:
            made = connection.execute("INSERT INTO metric_keys (name) VALUES (:name) RETURNING id", {"name": name})
            return int(made.fetchone()["id"])
        self._keys[name] = int(row["id"])
        return int(row["id"])

    def _tag(self, connection: Connection, run: int, tags: Sequence[RunTag]) -> None:
        connection.many(_UPSERT_TAG, [{"run": run, "key": tag.key, "value": tag.value} for tag in tags])
        renamed = [tag.value for tag in tags if tag.key == _NAME_TAG]
        if renamed:
            connection.execute("UPDATE runs SET name = :name WHERE id = :run", {"name": renamed[-1], "run": run})

    def _model_row(self, connection: Connection, model_id: str) -> Any:
        row = connection.one(
            "SELECT * FROM logged_models WHERE model_id = :id AND lifecycle_stage = 'active'", {"id": model_id}
        )
        if row is None:
            raise NotFound(f"there is no logged model {str(model_id)[:64]!a}")
        return row

    def _model_facts(self, connection: Connection, model: int, noun: str, facts: Mapping[str, str]) -> None:
        table = {"params": "logged_model_params", "tags": "logged_model_tags"}[noun]
        connection.many(
            f"""INSERT INTO {table} (model, key, value) VALUES (:model, :key, :value)
                ON CONFLICT (model, key) DO UPDATE SET value = excluded.value""",  # noqa: S608 - two fixed names
            [
                {"model": model, "key": limits.check_key(key, noun[:-1]), "value": str(value)}
                for key, value in facts.items()
            ],
        )


def _pairs(connection: Connection, statement: str, binds: Mapping[str, Any]) -> dict[str, str]:
    return {row["key"]: row["value"] for row in connection.execute(statement, binds)}
