"""Versions of registered models in the embedded database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pack.db import Connection, Database, Page
from pack.db.search import Search
from pack.errors import InvalidState, InvalidValue, NotFound
from pack.registry import names
from pack.registry.aliases import drop_aliases
from pack.registry.entities import ModelVersion
from pack.registry.rows import model_row, newest_rows, now, version_row, versions_of
from pack.registry.targets import VERSIONS

_THIS = "WHERE model = :model AND version = :version"


class Versions:
    """The part of `RegistryStore` that counts versions."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def create(
        self,
        name: str,
        *,
        source: str,
        storage_location: str,
        user_id: str = "",
        run_id: str | None = None,
        model_id: str | None = None,
        digest: str | None = None,
        description: str = "",
        run_link: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Add the next version."""
        checked = dict(names.check_tag(key, value) for key, value in (tags or {}).items())
        text = names.check_description(description)
        with self._database.write() as connection:
            model = model_row(connection, name)["id"]
            # The number is taken inside the transaction that uses it: no gap, no double.
            version = connection.execute(
                """UPDATE registered_models SET last_version = last_version + 1, last_updated_timestamp = :now
                    WHERE id = :model RETURNING last_version""",
                {"model": model, "now": now()},
            ).fetchone()["last_version"]
            connection.execute(
                """INSERT INTO model_versions (model, version, creation_timestamp, last_updated_timestamp,
                    description, user_id, stage, source, storage_location, run_id, run_link, model_id, digest, status)
                    VALUES (:model, :version, :now, :now, :description, :user, 'None', :source, :location, :run, :link,
                    :model_id, :digest, 'READY')""",
                {
                    "model": model,
                    "version": version,
                    "now": now(),
                    "description": text,
                    "user": user_id,
                    "source": source,
                    "location": self._place.relative(storage_location),
                    "run": run_id,
                    "link": run_link,
                    "model_id": model_id,
                    "digest": digest,
                },
            )
            for key, value in checked.items():
                set_tag(connection, {"model": model, "version": version}, key, value)
            return self._one(connection, version_row(connection, name, version))

    def get(self, name: str, version: int) -> ModelVersion:
        """One version."""
        with self._database.read() as connection:
            return self._one(connection, version_row(connection, name, version))

    def search(
        self,
        *,
        filter_string: str | None = None,
        max_results: int = 10_000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """A page of versions."""
        asked = Search(
            VERSIONS,
            filter_string,
            order_by,
            where="model_versions.deleted_time IS NULL AND registered_models.deleted_time IS NULL",
            max_results=max_results,
            page_token=page_token,
        )
        with self._database.read() as connection:
            rows = asked.rows(connection)
            return Page(versions_of(connection, rows, self._place), rows.token)

    def latest(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """The newest version of each stage."""
        wanted = {names.check_stage(stage) for stage in stages or ()}
        with self._database.read() as connection:
            rows = newest_rows(connection, [model_row(connection, name)["id"]])
            return versions_of(connection, [row for row in rows if not wanted or row["stage"] in wanted], self._place)

    def update(self, name: str, version: int, *, description: str) -> ModelVersion:
        """Change the description."""
        text = names.check_description(description)
        return self._change(name, version, "description = :value", text)

    def set_stage(self, name: str, version: int, stage: str, *, archive_existing: bool = False) -> ModelVersion:
        """Move a version to a stage, and with `archive_existing` the others of that stage to Archived."""
        wanted = names.check_stage(stage)
        if archive_existing and wanted not in {"Staging", "Production"}:
            raise InvalidValue(
                f"nothing is archived by a move to {wanted}", hint="archive_existing goes with Staging or Production"
            )
        with self._database.write() as connection:
            row = version_row(connection, name, version)
            binds = {"model": row["model"], "version": row["version"], "stage": wanted, "now": now()}
            if archive_existing:
                connection.execute(
                    """UPDATE model_versions SET stage = 'Archived', last_updated_timestamp = :now
                        WHERE model = :model AND stage = :stage AND version != :version AND deleted_time IS NULL""",
                    binds,
                )
            connection.execute(
                f"UPDATE model_versions SET stage = :stage, last_updated_timestamp = :now {_THIS}", binds
            )
            return self._one(connection, version_row(connection, name, version))

    def delete(self, name: str, version: int, *, force: bool = False) -> None:
        """Move a version to the trash."""
        with self._database.write() as connection:
            row = version_row(connection, name, version)
            place = {"model": row["model"], "version": row["version"], "now": now()}
            pointing = [one["alias"] for one in connection.all(f"SELECT alias FROM aliases {_THIS}", place)]
            if pointing and not force:
                shown = ", ".join(f"@{alias}" for alias in pointing)
                raise InvalidState(f"{shown} points at version {version} of {name!r}", hint="move it first, or force")
            drop_aliases(connection, name, row["model"], pointing, "version deleted")
            connection.execute(f"UPDATE model_versions SET deleted_time = :now {_THIS}", place)

    def restore(self, name: str, version: int) -> ModelVersion:
        """Take a version out of the trash."""
        with self._database.write() as connection:
            place = {"model": model_row(connection, name)["id"], "version": names.version_number(version)}
            found = connection.execute(f"UPDATE model_versions SET deleted_time = NULL {_THIS}", place)
            if not found.rowcount:
                raise NotFound(f"{name!r} has no version {version} in the trash", hint="list it: pack gc --dry-run")
            return self._one(connection, version_row(connection, name, version))

    def set_tag(self, name: str, version: int, key: str, value: str) -> None:
        """Set a tag of a version."""
        key, value = names.check_tag(key, value)
        with self._database.write() as connection:
            row = version_row(connection, name, version)
            set_tag(connection, {"model": row["model"], "version": row["version"]}, key, value)

    def delete_tag(self, name: str, version: int, key: str) -> None:
        """Remove a tag of a version."""
        with self._database.write() as connection:
            row = version_row(connection, name, version)
            place = {"model": row["model"], "version": row["version"], "key": key}
            connection.execute(f"DELETE FROM model_version_tags {_THIS} AND key = :key", place)

    def _change(self, name: str, version: int, change: str, value: Any) -> ModelVersion:
        with self._database.write() as connection:
            row = version_row(connection, name, version)
            connection.execute(
                f"UPDATE model_versions SET {change}, last_updated_timestamp = :now {_THIS}",
                {"model": row["model"], "version": row["version"], "value": value, "now": now()},
            )
            return self._one(connection, version_row(connection, name, version))

    def _one(self, connection: Connection, row: Any) -> ModelVersion:
        return versions_of(connection, [row], self._place)[0]


def set_tag(connection: Connection, place: Mapping[str, int], key: str, value: str) -> None:
    """Set a tag of the version at a place."""
    connection.execute(
        """INSERT INTO model_version_tags (model, version, key, value) VALUES (:model, :version, :key, :value)
            ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value""",
        {**place, "key": key, "value": value},
    )
