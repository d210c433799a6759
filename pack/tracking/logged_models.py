"""Logged models in the embedded database."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pack.db import Connection, Database, Page
from pack.db.search import Search
from pack.errors import InvalidValue, NotFound
from pack.tracking import limits
from pack.tracking.entities import LoggedModel
from pack.tracking.experiments import Experiments
from pack.tracking.moments import now
from pack.tracking.rows import logged_models_of
from pack.tracking.targets import logged_models

FINAL = {"READY", "FAILED"}


class LoggedModels:
    """The part of `TrackingStore` that keeps models which runs made."""

    def __init__(self, database: Database, experiments: Experiments) -> None:
        self._database = database
        self._place = database.place
        self._experiments = experiments

    def create(
        self,
        experiment_id: str,
        *,
        name: str,
        source_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model_type: str | None = None,
        step: int = 0,
        owner: str | None = None,
    ) -> LoggedModel:
        """Make a logged model, PENDING until it is finalized."""
        limits.check_model(name)
        limits.check_step(step)
        model_id = f"m-{uuid.uuid4().hex}"
        with self._database.write() as connection:
            experiment = self._experiments.active_row(connection, experiment_id)
            location = f"{self._experiments.root(experiment)}/models/{model_id}/artifacts"
            row = connection.execute(
                """INSERT INTO logged_models (model_id, experiment, name, artifact_location, status, source_run_id,
                    model_type, step, creation_timestamp, last_updated_timestamp, lifecycle_stage, owner)
                    VALUES (:model_id, :experiment, :name, :location, 'PENDING', :run, :type, :step, :now, :now,
                    'active', :owner) RETURNING *""",
                {
                    "model_id": model_id,
                    "experiment": experiment["id"],
                    "name": name,
                    "location": self._place.relative(location),
                    "run": source_run_id,
                    "type": model_type,
                    "step": step,
                    "now": now(),
                    "owner": owner,
                },
            ).fetchone()
            set_facts(connection, row["id"], "params", params or {})
            set_facts(connection, row["id"], "tags", tags or {})
            _link_output(connection, row)
            return logged_models_of(connection, [row], self._place)[0]

    def get(self, model_id: str) -> LoggedModel:
        """One logged model that is not deleted."""
        with self._database.read() as connection:
            return logged_models_of(connection, [_row(connection, model_id)], self._place)[0]

    def of_run(self, run_id: str, name: str | None = None) -> list[LoggedModel]:
        """The READY models of a run, the newest first."""
        with self._database.read() as connection:
            rows = connection.all(
                """SELECT * FROM logged_models WHERE source_run_id = :run AND (:name IS NULL OR name = :name)
                    AND status = 'READY' AND lifecycle_stage = 'active' ORDER BY step DESC, id DESC""",
                {"run": run_id, "name": name},
            )
            return logged_models_of(connection, rows, self._place)

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        """A page of logged models; with `datasets` only what was measured on them counts."""
        numbers = str(sorted({limits.experiment_number(one) for one in experiment_ids}))
        measured, binds = _measured_on(datasets or ())
        any_of = f"EXISTS (SELECT 1 FROM logged_model_metrics WHERE model = logged_models.id AND ({measured}))"
        asked = Search(
            logged_models(measured),
            filter_string,
            order_by,
            where=f"""logged_models.experiment IN (SELECT value FROM json_each(:experiments))
                AND logged_models.lifecycle_stage = 'active' AND {any_of if datasets else "1"}""",
            binds={**binds, "experiments": numbers},
            max_results=max_results,
            page_token=page_token,
        )
        with self._database.read() as connection:
            rows = asked.rows(connection)
            return Page(logged_models_of(connection, rows, self._place), rows.token)

    def finalize(self, model_id: str, status: str, *, message: str | None = None) -> LoggedModel:
        """Set the status: READY or FAILED."""
        if status not in FINAL:
            raise InvalidValue(f"{str(status)[:40]!a} is no final status of a model", hint="use READY or FAILED")
        with self._database.write() as connection:
            row = connection.execute(
                """UPDATE logged_models SET status = :status, status_message = :message, last_updated_timestamp = :now
                    WHERE id = :model RETURNING *""",
                {
                    "status": status,
                    "message": message and message[:1000],
                    "now": now(),
                    "model": _row(connection, model_id)["id"],
                },
            ).fetchone()
            return logged_models_of(connection, [row], self._place)[0]

    def delete(self, model_id: str) -> None:
        """Move a logged model to the trash."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE logged_models SET lifecycle_stage = 'deleted', deleted_time = :now WHERE id = :id",
                {"now": now(), "id": _row(connection, model_id)["id"]},
            )

    def restore(self, model_id: str) -> None:
        """Take a logged model out of the trash; raises `Deleted` where its experiment is still there."""
        with self._database.write() as connection:
            row = connection.one("SELECT * FROM logged_models WHERE model_id = :id", {"id": model_id})
            if row is None:
                raise _unknown(model_id)
            self._experiments.active_row(connection, str(row["experiment"]))
            connection.execute(
                "UPDATE logged_models SET lifecycle_stage = 'active', deleted_time = NULL WHERE id = :id",
                {"id": row["id"]},
            )

    def set_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a logged model."""
        with self._database.write() as connection:
            set_facts(connection, _row(connection, model_id)["id"], "tags", tags)

    def delete_tag(self, model_id: str, key: str) -> None:
        """Remove a tag of a logged model."""
        with self._database.write() as connection:
            gone = connection.execute(
                "DELETE FROM logged_model_tags WHERE model = :model AND key = :key",
                {"model": _row(connection, model_id)["id"], "key": key},
            )
            if not gone.rowcount:
                raise NotFound(f"the model has no tag {str(key)[:100]!a}")

    def log_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Record params of a logged model; one that has another value already is `InvalidValue`."""
        with self._database.write() as connection:
            model = _row(connection, model_id)["id"]
            for key, value in params.items():
                found = connection.one(
                    "SELECT value FROM logged_model_params WHERE model = :model AND key = :key",
                    {"model": model, "key": key},
                )
                if found is not None and found["value"] != str(value):
                    raise InvalidValue(f"param {key!r} of this model has another value already")
            set_facts(connection, model, "params", params)


def _row(connection: Connection, model_id: str) -> Any:
    row = connection.one(
        "SELECT * FROM logged_models WHERE model_id = :id AND lifecycle_stage = 'active'", {"id": model_id}
    )
    if row is None:
        raise _unknown(model_id)
    return row


def _unknown(model_id: str) -> NotFound:
    return NotFound(f"there is no logged model {str(model_id)[:64]!a}", hint="pack.search_logged_models lists them")


def _link_output(connection: Connection, row: Any) -> None:
    """A run knows the models that it made."""
    connection.execute(
        """INSERT OR IGNORE INTO run_models (run, model_id, role, step)
            SELECT id, :model, 'output', :step FROM runs WHERE run_id = :run""",
        {"model": row["model_id"], "step": row["step"], "run": row["source_run_id"]},
    )


def set_facts(connection: Connection, model: int, noun: str, facts: Mapping[str, str]) -> None:
    """Set params or tags of a logged model."""
    table = {"params": "logged_model_params", "tags": "logged_model_tags"}[noun]
    connection.many(
        f"""INSERT INTO {table} (model, key, value) VALUES (?, ?, ?)
            ON CONFLICT (model, key) DO UPDATE SET value = excluded.value""",
        [(model, limits.check_key(key, noun[:-1]), str(value)) for key, value in facts.items()],
    )


def _measured_on(datasets: Sequence[Mapping[str, str]]) -> tuple[str, dict[str, str]]:
    """SQL that says whether a measurement was made on one of the datasets; with its binds."""
    binds: dict[str, str] = {}
    cases = []
    for place, dataset in enumerate(datasets):
        known = dataset if isinstance(dataset, Mapping) else {}
        name, digest = known.get("dataset_name"), known.get("dataset_digest")
        if not name or len(datasets) > 100:
            raise InvalidValue("each dataset needs a dataset_name, and at most 100 can be given")
        binds[f"name{place}"] = name
        case = f"dataset_name = :name{place}"
        if digest:
            binds[f"digest{place}"] = digest
            case += f" AND dataset_digest = :digest{place}"
        cases.append(f"({case})")
    return " OR ".join(cases) or "1", binds
