"""Experiments in the embedded database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pack.db import Connection, Database, Page
from pack.db.search import Search
from pack.errors import AlreadyExists, Deleted, NotFound
from pack.tracking import limits
from pack.tracking.entities import Experiment, ViewType
from pack.tracking.moments import now
from pack.tracking.rows import experiments_of
from pack.tracking.targets import EXPERIMENTS

STAGES = {
    ViewType.ACTIVE_ONLY: "lifecycle_stage = 'active'",
    ViewType.DELETED_ONLY: "lifecycle_stage = 'deleted'",
    ViewType.ALL: "1",
}


class Experiments:
    """The part of `TrackingStore` that groups runs."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def create(self, name: str, *, artifact_location: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Make an experiment and answer its id."""
        limits.check_experiment(name)
        location = limits.check_location(artifact_location)
        checked = limits.check_tags(tags, limits.EXPERIMENT_TAG, "an experiment")
        with self._database.write() as connection:
            self._refuse_taken(connection, name)
            made = connection.execute(
                """INSERT INTO experiments
                    (name, artifact_location, lifecycle_stage, creation_time, last_update_time)
                    VALUES (:name, :location, 'active', :now, :now) RETURNING id""",
                {"name": name, "location": location, "now": now()},
            ).fetchone()
            for key, value in checked.items():
                _set_tag(connection, made["id"], key, value)
        return str(made["id"])

    def get(self, experiment_id: str) -> Experiment:
        """One experiment by id."""
        with self._database.read() as connection:
            return experiments_of(connection, [self.row(connection, experiment_id)], self._place)[0]

    def get_by_name(self, name: str) -> Experiment | None:
        """One experiment by name."""
        with self._database.read() as connection:
            row = connection.one("SELECT * FROM experiments WHERE name = :name", {"name": name})
            return experiments_of(connection, [row], self._place)[0] if row else None

    def search(
        self,
        *,
        filter_string: str | None = None,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """A page of experiments."""
        asked = Search(
            EXPERIMENTS,
            filter_string,
            order_by,
            where=STAGES[limits.check_view(view_type)],
            max_results=max_results,
            page_token=page_token,
        )
        with self._database.read() as connection:
            rows = asked.rows(connection)
            return Page(experiments_of(connection, rows, self._place), rows.token)

    def rename(self, experiment_id: str, name: str) -> None:
        """Change the name."""
        limits.check_experiment(name)
        with self._database.write() as connection:
            row = self.active_row(connection, experiment_id)
            if row["name"] != name:
                self._refuse_taken(connection, name)
                connection.execute(
                    "UPDATE experiments SET name = :name, last_update_time = :now WHERE id = :id",
                    {"name": name, "now": now(), "id": row["id"]},
                )

    def delete(self, experiment_id: str) -> None:
        """Move an experiment and its runs to the trash; once more changes nothing."""
        with self._database.write() as connection:
            row = self.row(connection, experiment_id)
            if row["lifecycle_stage"] != "active":
                return
            binds = {"id": row["id"], "now": max(now(), _last_deleted(connection, row["id"]) + 1)}
            connection.execute(
                """UPDATE experiments SET lifecycle_stage = 'deleted', deleted_time = :now, last_update_time = :now
                    WHERE id = :id""",
                binds,
            )
            for table in ("runs", "logged_models"):
                connection.execute(
                    f"""UPDATE {table} SET lifecycle_stage = 'deleted', deleted_time = :now
                        WHERE experiment = :id AND lifecycle_stage = 'active'""",
                    binds,
                )

    def restore(self, experiment_id: str) -> None:
        """Take an experiment out of the trash, with what went there together with it."""
        with self._database.write() as connection:
            row = self.row(connection, experiment_id)
            if row["lifecycle_stage"] == "active":
                return
            binds = {"id": row["id"], "now": now(), "then": row["deleted_time"]}
            connection.execute(
                """UPDATE experiments SET lifecycle_stage = 'active', deleted_time = NULL, last_update_time = :now
                    WHERE id = :id""",
                binds,
            )
            for table in ("runs", "logged_models"):
                connection.execute(
                    f"""UPDATE {table} SET lifecycle_stage = 'active', deleted_time = NULL
                        WHERE experiment = :id AND lifecycle_stage = 'deleted' AND deleted_time IS :then""",
                    binds,
                )

    def set_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag."""
        checked = limits.check_tags({limits.check_key(key, "tag"): value}, limits.EXPERIMENT_TAG, "an experiment")
        with self._database.write() as connection:
            _set_tag(connection, self.active_row(connection, experiment_id)["id"], key, checked[key])

    def delete_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag."""
        with self._database.write() as connection:
            gone = connection.execute(
                "DELETE FROM experiment_tags WHERE experiment = :experiment AND key = :key",
                {"experiment": self.active_row(connection, experiment_id)["id"], "key": key},
            )
            if not gone.rowcount:
                raise NotFound(f"the experiment has no tag {str(key)[:100]!a}")

    def row(self, connection: Connection, experiment_id: str) -> Any:
        """The row of an experiment."""
        row = connection.one(
            "SELECT * FROM experiments WHERE id = :id", {"id": limits.experiment_number(experiment_id)}
        )
        if row is None:
            raise NotFound(
                f"there is no experiment {str(experiment_id)[:50]!a}", hint="set_experiment makes one by name"
            )
        return row

    def active_row(self, connection: Connection, experiment_id: str) -> Any:
        """The row of an experiment that is not deleted."""
        row = self.row(connection, experiment_id)
        if row["lifecycle_stage"] != "active":
            raise Deleted(f"the experiment {row['name']!r} is deleted", hint="restore it, or use another name")
        return row

    def root(self, row: Any) -> str:
        """Where the files of an experiment go."""
        return str(row["artifact_location"] or f"{self._place.artifacts}/{row['id']}").rstrip("/")

    def _refuse_taken(self, connection: Connection, name: str) -> None:
        taken = connection.one("SELECT lifecycle_stage FROM experiments WHERE name = :name", {"name": name})
        if taken is not None:
            hint = "set_experiment uses it" if taken["lifecycle_stage"] == "active" else "it is deleted: restore it"
            raise AlreadyExists(f"an experiment named {name!r} exists already", hint=hint)


def _last_deleted(connection: Connection, experiment: int) -> int:
    """When something of an experiment was deleted by itself: it does not come back with the experiment."""
    row = connection.one(
        """SELECT max(deleted_time) AS latest FROM (SELECT deleted_time FROM runs WHERE experiment = :id UNION ALL
            SELECT deleted_time FROM logged_models WHERE experiment = :id)""",
        {"id": experiment},
    )
    return (row["latest"] if row else None) or 0


def _set_tag(connection: Connection, experiment: int, key: str, value: str) -> None:
    connection.execute(
        """INSERT INTO experiment_tags (experiment, key, value) VALUES (:experiment, :key, :value)
            ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value""",
        {"experiment": experiment, "key": key, "value": value},
    )
