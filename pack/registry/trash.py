"""What was deleted from the registry rests here until it is purged."""

from __future__ import annotations

from collections.abc import Sequence

from pack.db import Database
from pack.registry.entities import Trashed

_MODELS = """SELECT 'registered model' AS kind, deleted_name AS name, NULL AS version, deleted_time,
    '' AS storage_location, id FROM registered_models WHERE deleted_time IS NOT NULL AND deleted_time <= :before"""
_VERSIONS = """SELECT 'version' AS kind, coalesce(m.deleted_name, m.name) AS name, v.version,
    coalesce(v.deleted_time, m.deleted_time) AS deleted_time, v.storage_location, m.id
    FROM model_versions v JOIN registered_models m ON m.id = v.model
    WHERE coalesce(v.deleted_time, m.deleted_time) <= :before"""


class RegistryTrash:
    """The part of `RegistryStore` that empties the trash."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def list(self, before: int = 2**62) -> list[Trashed]:
        """What was deleted up to a time, in milliseconds since 1970: versions, then models."""
        with self._database.read() as connection:
            rows = [row for query in (_VERSIONS, _MODELS) for row in connection.all(query, {"before": before})]
        return [
            Trashed(
                row["kind"],
                row["name"],
                row["version"],
                row["deleted_time"],
                self._place.absolute(row["storage_location"]) if row["storage_location"] else "",
                row["id"],
            )
            for row in rows
        ]

    def purge(self, items: Sequence[Trashed]) -> None:
        """Take things out of the record for good; what was restored in the meantime stays. No file is touched."""
        with self._database.write() as connection:
            for item in items:
                binds = {"model": item.number, "version": item.version}
                if item.kind == "version":
                    connection.execute(
                        """DELETE FROM model_versions WHERE model = :model AND version = :version
                            AND (deleted_time IS NOT NULL OR model IN
                                (SELECT id FROM registered_models WHERE deleted_time IS NOT NULL))""",
                        binds,
                    )
                else:
                    gone = "DELETE FROM registered_models WHERE id = :model AND deleted_time IS NOT NULL"
                    if connection.execute(gone, binds).rowcount:
                        connection.execute("DELETE FROM alias_log WHERE registered = :model", binds)

    def locations(self, *, without: Sequence[Trashed] = ()) -> set[str]:
        """Every folder that a version keeps its files in, those in the trash too; `without` those of some."""
        left_out = {(item.number, item.version) for item in without if item.kind == "version"}
        with self._database.read() as connection:
            rows = connection.all("SELECT model, version, storage_location FROM model_versions")
        return {
            self._place.absolute(row["storage_location"])
            for row in rows
            if (row["model"], row["version"]) not in left_out
        }
