"""What was deleted rests here until it is purged; what was purged and lies on the disk still is `doomed`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pack.db import Connection, Database
from pack.tracking.entities import Trashed

_RUNS = """SELECT 'run' AS kind, run_id AS id, name, deleted_time, artifact_uri AS location FROM runs
    WHERE lifecycle_stage = 'deleted' AND coalesce(deleted_time, 0) <= :before"""
_MODELS = """SELECT 'logged model' AS kind, model_id AS id, name, deleted_time, artifact_location AS location
    FROM logged_models WHERE lifecycle_stage = 'deleted' AND coalesce(deleted_time, 0) <= :before"""
# An experiment can go when nothing in it has to stay; the default one stays, for what is recorded without any.
_EXPERIMENTS = """SELECT 'experiment' AS kind, CAST(id AS TEXT) AS id, name, deleted_time, artifact_location AS location
    FROM experiments WHERE lifecycle_stage = 'deleted' AND id != 0 AND coalesce(deleted_time, 0) <= :before"""
_IDS = {"run": "run_id", "logged model": "model_id"}
_TABLES = {"run": "runs", "logged model": "logged_models"}


class TrackingTrash:
    """The part of `TrackingStore` that empties the trash."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def list(self, before: int = 2**62) -> list[Trashed]:
        """What was deleted up to a time, in milliseconds since 1970; runs and models before their experiments."""
        with self._database.read() as connection:
            rows = [
                row for query in (_RUNS, _MODELS, _EXPERIMENTS) for row in connection.all(query, {"before": before})
            ]
        return [
            Trashed(row["kind"], row["id"], row["name"], row["deleted_time"] or 0, self._folder(row)) for row in rows
        ]

    def purge(self, items: Sequence[Trashed]) -> None:
        """Take things out of the record for good; their folders are doomed from then on.

        What was restored in the meantime stays, and so does an experiment that still holds something.
        """
        with self._database.write() as connection:
            for item in items:
                gone = _purge(connection, item)
                if gone and item.location:
                    location = self._place.relative(item.location)
                    connection.execute("INSERT OR IGNORE INTO doomed (location) VALUES (:at)", {"at": location})

    def doomed(self) -> Sequence[str]:
        """Folders whose record is gone and which can be removed."""
        with self._database.read() as connection:
            return [self._place.absolute(row["location"]) for row in connection.all("SELECT location FROM doomed")]

    def forget(self, location: str) -> None:
        """A doomed folder has been removed."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM doomed WHERE location = :at", {"at": self._place.relative(location)})

    def _folder(self, row: Any) -> str:
        """The folder of a thing's own, empty where its files may be someone else's."""
        if row["kind"] == "experiment":
            return "" if row["location"] else f"{self._place.artifacts}/{row['id']}"
        folder = Path(self._place.absolute(row["location"]))
        own = folder.name == "artifacts" and folder.parent.name == row["id"] and folder.is_absolute()
        return str(folder.parent) if own else ""


def _purge(connection: Connection, item: Trashed) -> bool:
    if item.kind == "experiment":
        held = "SELECT 1 FROM runs WHERE experiment = :id UNION ALL SELECT 1 FROM logged_models WHERE experiment = :id"
        gone = connection.execute(
            f"DELETE FROM experiments WHERE id = :id AND lifecycle_stage = 'deleted' AND NOT EXISTS ({held})",
            {"id": int(item.id)},
        )
        return bool(gone.rowcount)
    table, column = _TABLES[item.kind], _IDS[item.kind]
    where = f"{column} = :id AND lifecycle_stage = 'deleted'"
    if item.kind == "run":
        # Points have no reference to their run: checking it would slow every one of them.
        connection.execute(f"DELETE FROM metrics WHERE run IN (SELECT id FROM runs WHERE {where})", {"id": item.id})
    return bool(connection.execute(f"DELETE FROM {table} WHERE {where}", {"id": item.id}).rowcount)
