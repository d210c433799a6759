"""Registered models of another registry, taken in with their numbers and times; what is here already stays."""

from __future__ import annotations

from pack.db import Connection, Database
from pack.errors import InvalidValue
from pack.registry import names
from pack.registry.entities import ModelVersion, RegisteredModel
from pack.registry.rows import model_row, version_row
from pack.registry.versions import set_tag


class Importing:
    """The part of `RegistryStore` that takes in what another registry holds. Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def model(self, given: RegisteredModel) -> bool:
        """Take in a name with its tags and description; False where it was here already, and lost nothing."""
        names.check_name(given.name)
        with self._database.write() as connection:
            binds = {
                "name": given.name,
                "description": names.check_description(given.description),
                "made": given.creation_timestamp,
                "updated": given.last_updated_timestamp,
            }
            fresh = connection.execute(
                """INSERT OR IGNORE INTO registered_models
                    (name, description, creation_timestamp, last_updated_timestamp)
                    VALUES (:name, :description, :made, :updated)""",
                binds,
            ).rowcount
            model = model_row(connection, given.name)["id"]
            tags = [names.check_tag(key, value) for key, value in given.tags.items()]
            connection.many(
                "INSERT OR IGNORE INTO registered_model_tags (model, key, value) VALUES (?, ?, ?)",
                [(model, key, value) for key, value in tags],
            )
            return bool(fresh)

    def version(self, given: ModelVersion) -> bool:
        """Take in a version under its number; False where it was here already.

        Raises `InvalidValue` where that number is another model here.
        """
        with self._database.write() as connection:
            place = {"model": model_row(connection, given.name)["id"], "version": names.version_number(given.version)}
            found = connection.one("SELECT * FROM model_versions WHERE model = :model AND version = :version", place)
            if found is not None:
                same = found["digest"] == given.digest and found["model_id"] == given.model_id
                if not same:
                    raise InvalidValue(
                        f"version {given.version} of {given.name!r} is another model here",
                        hint="rename one of the two models, and import again",
                    )
                return False
            self._add(connection, place, given)
            return True

    def alias(self, name: str, alias: str, version: int, *, user_id: str) -> bool:
        """Take in an alias; False where there is one of that name here."""
        names.check_alias(alias)
        with self._database.write() as connection:
            model = version_row(connection, name, version)["model"]
            return bool(_point(connection, name, model, alias, version, user_id))

    def _add(self, connection: Connection, place: dict[str, int], given: ModelVersion) -> None:
        connection.execute(
            """INSERT INTO model_versions (model, version, creation_timestamp, last_updated_timestamp, description,
                user_id, stage, source, storage_location, run_id, run_link, model_id, digest, status, status_message)
                VALUES (:model, :version, :made, :updated, :description, :user, :stage, :source, :location, :run,
                :link, :model_id, :digest, :status, :message)""",
            {
                **place,
                "made": given.creation_timestamp,
                "updated": given.last_updated_timestamp,
                "description": names.check_description(given.description),
                "user": given.user_id,
                "stage": names.check_stage(given.current_stage),
                "source": given.source,
                "location": self._place.relative(given.storage_location),
                "run": given.run_id,
                "link": given.run_link,
                "model_id": given.model_id,
                "digest": given.digest,
                "status": given.status,
                "message": given.status_message,
            },
        )
        for key, value in given.tags.items():
            set_tag(connection, place, *names.check_tag(key, value))
        # The next version counts on from the highest that was ever given.
        connection.execute(
            "UPDATE registered_models SET last_version = max(last_version, :version) WHERE id = :model", place
        )


def _point(connection: Connection, name: str, model: int, alias: str, version: int, user_id: str) -> int:
    binds = {"model": model, "alias": alias, "version": version, "name": name, "user": user_id}
    fresh = connection.execute(
        "INSERT OR IGNORE INTO aliases (model, alias, version) VALUES (:model, :alias, :version)", binds
    ).rowcount
    if fresh:
        connection.execute(
            """INSERT INTO alias_log (registered, model, alias, from_version, to_version, user_id, timestamp, reason)
                SELECT :model, :name, :alias, NULL, :version, :user, last_updated_timestamp, 'imported'
                FROM registered_models WHERE id = :model""",
            binds,
        )
    return fresh
