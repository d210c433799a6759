"""Registered models of another registry, taken in with their numbers and times; what is here already stays."""

from __future__ import annotations

from collections.abc import Sequence

from pack.db import Connection, Database
from pack.errors import InvalidValue
from pack.registry import names
from pack.registry.entities import AliasMove, ModelVersion, RegisteredModel
from pack.registry.rows import model_row, version_row, versions_of

_THIS = "WHERE model = :model AND version = :version"


class Importing:
    """The part of `RegistryStore` that takes in what another registry holds. Each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def model(self, given: RegisteredModel, *, last_version: int = 0) -> bool:
        """Take in a name with its tags and description; False where it was here already, and lost nothing.

        The next version that is registered counts on from `last_version`, or from a higher one that was given here.
        """
        names.check_name(given.name)
        tags = [names.check_tag(key, value) for key, value in given.tags.items()]
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
            _count_on(connection, model, last_version)
            connection.many(
                "INSERT OR IGNORE INTO registered_model_tags (model, key, value) VALUES (?, ?, ?)",
                [(model, key, value) for key, value in tags],
            )
            return bool(fresh)

    def version(self, given: ModelVersion) -> bool:
        """Take in a version under its number; False where it was here already.

        One that is here is completed. Raises `InvalidValue` where that number is another model here.
        """
        tags = [names.check_tag(key, value) for key, value in given.tags.items()]
        with self._database.write() as connection:
            place = {"model": model_row(connection, given.name)["id"], "version": names.version_number(given.version)}
            row = connection.one(
                f"""SELECT model_versions.*, :name AS name FROM model_versions {_THIS}""", {**place, "name": given.name}
            )
            if row is None:
                self._add(connection, place, given)
            found = versions_of(connection, [row], self._place)[0] if row else given
            if not same_model(found, given):
                raise InvalidValue(
                    f"version {given.version} of {given.name!r} is another model here",
                    hint="give one of the two another name, and import again",
                )
            connection.many(
                "INSERT OR IGNORE INTO model_version_tags (model, version, key, value) VALUES (?, ?, ?, ?)",
                [(place["model"], place["version"], key, value) for key, value in tags],
            )
            if found.digest is None and given.digest is not None:
                connection.execute(
                    f"UPDATE model_versions SET digest = :digest, storage_location = :location {_THIS}",
                    {**place, "digest": given.digest, "location": self._place.relative(given.storage_location)},
                )
            return row is None

    def alias(self, name: str, alias: str, version: int, *, user_id: str, history: Sequence[AliasMove] = ()) -> bool:
        """Take in an alias, with its history where that is known; False where there is one of that name here."""
        names.check_alias(alias)
        with self._database.write() as connection:
            model = version_row(connection, name, version)["model"]
            binds = {"model": model, "alias": alias, "version": version}
            fresh = connection.execute(
                "INSERT OR IGNORE INTO aliases (model, alias, version) VALUES (:model, :alias, :version)", binds
            ).rowcount
            if fresh:
                _write_down(connection, name, model, alias, version, user_id=user_id, history=history)
            return bool(fresh)

    def last_version(self, name: str) -> int:
        """The highest number that a version of this name was ever given, deleted ones too."""
        with self._database.read() as connection:
            return int(model_row(connection, name)["last_version"])

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
        _count_on(connection, place["model"], place["version"])


def same_model(found: ModelVersion, given: ModelVersion) -> bool:
    """Whether two versions of one number are the same model: by their digests, else by where they came from."""
    if found.digest is not None and given.digest is not None:
        return found.digest == given.digest
    return (found.source, found.run_id, found.model_id) == (given.source, given.run_id, given.model_id)


def _count_on(connection: Connection, model: int, version: int) -> None:
    """Numbers that were given elsewhere are not given again."""
    if not 0 <= version < 2**53:
        raise InvalidValue(f"no version is numbered {version}")
    connection.execute(
        "UPDATE registered_models SET last_version = max(last_version, :version) WHERE id = :model",
        {"model": model, "version": version},
    )


def _write_down(
    connection: Connection,
    name: str,
    model: int,
    alias: str,
    version: int,
    *,
    user_id: str,
    history: Sequence[AliasMove],
) -> None:
    """The history of an alias: what was known elsewhere, and that it came here; a known one ends where it points."""
    moves = [(move.from_version, move.to_version, move.user_id, move.timestamp, move.reason) for move in history]
    last = history[-1] if history else None
    if last is None or last.to_version != version:
        row = connection.one("SELECT last_updated_timestamp AS at FROM registered_models WHERE id = :id", {"id": model})
        at = max(row["at"] if row else 0, last.timestamp if last else 0)
        moves.append((last.to_version if last else None, version, user_id, at, "imported"))
    connection.many(
        """INSERT INTO alias_log (registered, model, alias, from_version, to_version, user_id, timestamp, reason)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
        [(model, name, alias, *move) for move in moves],
    )
