"""Runs in the embedded database: what they are, where they are found, and when they go."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from pack.db import Connection, Database, Page
from pack.db.search import Search
from pack.errors import Deleted, InvalidValue, NotFound
from pack.tracking import limits, owner
from pack.tracking.entities import ENDED, Run, RunData, RunInfo, RunTag, ViewType
from pack.tracking.experiments import STAGES, Experiments
from pack.tracking.moments import now
from pack.tracking.rows import Selection, run_info_of, runs_of
from pack.tracking.targets import RUNS

NAME_TAG = "mlflow.runName"
_EVERYTHING = Selection.of(None)
_INSERT = """INSERT INTO runs (run_id, experiment, name, user_id, status, start_time, end_time, lifecycle_stage,
        artifact_uri, owner)
    VALUES (:run_id, :experiment, :name, :user_id, :status, :start_time, :end_time, :lifecycle_stage, :artifact_uri,
        :owner)"""
_UPSERT_TAG = """INSERT INTO run_tags (run, key, value) VALUES (?, ?, ?)
    ON CONFLICT (run, key) DO UPDATE SET value = excluded.value"""
_OWNED = """SELECT run_id AS id, owner FROM runs WHERE owner IS NOT NULL AND status = 'RUNNING' UNION ALL
    SELECT model_id, owner FROM logged_models WHERE owner IS NOT NULL AND status = 'PENDING'"""
_FAIL_RUN = """UPDATE runs SET status = 'FAILED', end_time = coalesce(end_time, max(?, start_time))
    WHERE run_id = ? AND status = 'RUNNING'"""
_FAIL_MODEL = f"""UPDATE logged_models SET status = 'FAILED', status_message = '{ENDED}',
    last_updated_timestamp = ? WHERE model_id = ? AND status = 'PENDING'"""


class Runs:
    """The part of `TrackingStore` that starts, finds and ends runs."""

    def __init__(self, database: Database, experiments: Experiments) -> None:
        self._database = database
        self._place = database.place
        self._experiments = experiments

    def create(
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
        limits.check_time(start_time)
        given = {**{tag.key: tag.value for tag in tags}, NAME_TAG: run_name}
        checked = {tag.key: tag.value for tag in (limits.check_tag(RunTag(*one)) for one in given.items())}
        run_id = uuid.uuid4().hex
        with self._database.write() as connection:
            experiment = self._experiments.active_row(connection, experiment_id)
            row = {
                "run_id": run_id,
                "experiment": experiment["id"],
                "name": checked[NAME_TAG],
                "user_id": user_id,
                "status": "RUNNING",
                "start_time": start_time,
                "end_time": None,
                "lifecycle_stage": "active",
                "artifact_uri": self._place.relative(f"{self._experiments.root(experiment)}/{run_id}/artifacts"),
                "owner": owner,
            }
            number = connection.execute(_INSERT, row).lastrowid
            connection.many(_UPSERT_TAG, [(number, key, value) for key, value in checked.items()])
        return Run(run_info_of(row, self._place), RunData(tags=checked))

    def get(self, run_id: str) -> Run:
        """One run with what it recorded."""
        with self._database.read() as connection:
            return runs_of(connection, [self.row(connection, run_id)], self._place, _EVERYTHING)[0]

    def search(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str | None = None,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        select: Sequence[str] | None = None,
    ) -> Page[Run]:
        """A page of runs."""
        selected = Selection.of(select)
        asked = self._search(experiment_ids, filter_string, view_type, order_by, max_results, page_token)
        with self._database.read() as connection:
            rows = asked.rows(connection)
            return Page(runs_of(connection, rows, self._place, selected), rows.token)

    def count(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str | None = None,
        view_type: int = ViewType.ACTIVE_ONLY,
    ) -> int:
        """How many runs a search would find; none is loaded."""
        asked = self._search(experiment_ids, filter_string, view_type, None, 1, None)
        with self._database.read() as connection:
            return asked.count(connection)

    def update(
        self, run_id: str, *, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        """Change a run's status, end or name."""
        if status is not None:
            limits.check_status(status)
        if end_time is not None:
            limits.check_time(end_time)
        label = [limits.check_tag(RunTag(NAME_TAG, run_name))] if run_name else []
        with self._database.write() as connection:
            row = self.active_row(connection, run_id)
            connection.execute(
                "UPDATE runs SET status = coalesce(?, status), end_time = coalesce(?, end_time) WHERE id = ?",
                (status, end_time, row["id"]),
            )
            self.set_tags(connection, row["id"], label)
            return run_info_of(self.row(connection, run_id), self._place)

    def delete(self, run_id: str) -> None:
        """Move a run to the trash; once more changes nothing."""
        with self._database.write() as connection:
            connection.execute(
                """UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = :now
                    WHERE id = :run AND lifecycle_stage = 'active'""",
                {"now": now(), "run": self.row(connection, run_id)["id"]},
            )

    def restore(self, run_id: str) -> None:
        """Take a run out of the trash; raises `Deleted` where its experiment is still there."""
        with self._database.write() as connection:
            row = self.row(connection, run_id)
            self._experiments.active_row(connection, str(row["experiment"]))
            connection.execute(
                "UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL WHERE id = :run", {"run": row["id"]}
            )

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""
        with self._database.write() as connection:
            run = self.active_row(connection, run_id)["id"]
            gone = connection.execute("DELETE FROM run_tags WHERE run = :run AND key = :key", {"run": run, "key": key})
            if not gone.rowcount:
                raise NotFound(f"the run has no tag {str(key)[:100]!a}")

    def fail_orphans(self) -> list[str]:
        """Mark as FAILED the runs and models of this machine whose process is gone."""
        with self._database.read() as connection:
            rows = connection.all(_OWNED)
        gone = [row["id"] for row in rows if owner.is_gone(row["owner"])]
        if gone:
            with self._database.write() as connection:
                connection.many(_FAIL_RUN, [(now(), one) for one in gone])
                connection.many(_FAIL_MODEL, [(now(), one) for one in gone])
        return gone

    def row(self, connection: Connection, run_id: str) -> Any:
        """The row of a run."""
        row = connection.one("SELECT * FROM runs WHERE run_id = :run_id", {"run_id": run_id})
        if row is None:
            raise NotFound(f"there is no run {str(run_id)[:64]!a}", hint="list runs: pack runs list")
        return row

    def active_row(self, connection: Connection, run_id: str) -> Any:
        """The row of a run that is not deleted."""
        row = self.row(connection, run_id)
        if row["lifecycle_stage"] != "active":
            raise Deleted(f"the run {run_id} is deleted", hint="restore it first")
        return row

    def set_tags(self, connection: Connection, run: int, tags: Sequence[RunTag]) -> None:
        """Set tags; the one that holds the run's name renames it."""
        if not tags:
            return
        connection.many(_UPSERT_TAG, [(run, tag.key, tag.value) for tag in tags])
        renamed = [tag.value for tag in tags if tag.key == NAME_TAG]
        if renamed:
            connection.execute("UPDATE runs SET name = :name WHERE id = :run", {"name": renamed[-1], "run": run})

    def _search(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None,
        view_type: int,
        order_by: Sequence[str] | None,
        max_results: int,
        page_token: str | None,
    ) -> Search:
        if isinstance(experiment_ids, str):
            raise InvalidValue("experiment_ids must be a list of ids", hint=f"pass [{experiment_ids[:50]!r}]")
        numbers = sorted({limits.experiment_number(one) for one in experiment_ids})
        binds: dict[str, Any] = {f"e{place}": number for place, number in enumerate(numbers[:500])}
        inside = f"({', '.join(f':{name}' for name in binds) or 'NULL'})"
        if len(numbers) > 500:
            binds = {"experiments": str(numbers)}
            inside = "(SELECT value FROM json_each(:experiments))"
        return Search(
            RUNS,
            filter_string,
            order_by,
            where=f"runs.experiment IN {inside} AND {STAGES[limits.check_view(view_type)]}",
            binds={**binds, "root": f"{self._place.database.parent}/"},
            max_results=max_results,
            page_token=page_token,
        )
