"""The registry in the embedded database."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pack.db import Connection, Database
from pack.errors import AlreadyExists, InvalidState, InvalidValue, NotFound
from pack.registry.entities import AliasMove, ModelVersion, RegisteredModel
from pack.registry.names import check_alias, check_description, check_name, version_number
from pack.uris import ModelUri

_TAG_KEY, _TAG_VALUE = 250, 100_000
_VERSION = """SELECT model_versions.*, registered_models.name FROM model_versions
    JOIN registered_models ON registered_models.id = model_versions.model"""


def _now() -> int:
    return time.time_ns() // 1_000_000


class SqlRegistry:
    """Implements `RegistryStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place
        self.uri = database.place.uri

    def create_registered_model(
        self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Register a name."""
        check_name(name)
        with self._database.write() as connection:
            if connection.one("SELECT id FROM registered_models WHERE name = :name", {"name": name}):
                raise AlreadyExists(f"a model named {name!r} is registered already", hint="register a version of it")
            row = connection.execute(
                """INSERT INTO registered_models (name, description, creation_timestamp, last_updated_timestamp)
                    VALUES (:name, :description, :now, :now) RETURNING *""",
                {"name": name, "description": check_description(description), "now": _now()},
            ).fetchone()
            for key, value in (tags or {}).items():
                _set_tag(connection, "registered_model_tags", {"model": row["id"]}, key, value)
            return self._model_of(connection, row)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One registered model."""
        with self._database.read() as connection:
            return self._model_of(connection, self._row(connection, name))

    def search_registered_models(self) -> list[RegisteredModel]:
        """All registered models, by name."""
        with self._database.read() as connection:
            rows = connection.all("SELECT * FROM registered_models ORDER BY name")
            return [self._model_of(connection, row) for row in rows]

    def update_registered_model(self, name: str, *, description: str) -> RegisteredModel:
        """Change the description."""
        with self._database.write() as connection:
            row = connection.execute(
                """UPDATE registered_models SET description = :description, last_updated_timestamp = :now
                    WHERE id = :model RETURNING *""",
                {
                    "description": check_description(description),
                    "now": _now(),
                    "model": self._row(connection, name)["id"],
                },
            ).fetchone()
            return self._model_of(connection, row)

    def delete_registered_model(self, name: str, *, force: bool = False) -> None:
        """Delete a model and its versions."""
        with self._database.write() as connection:
            model = {"model": self._row(connection, name)["id"]}
            pointing = connection.all("SELECT alias FROM aliases WHERE model = :model", model)
            if pointing and not force:
                names = ", ".join(f"@{row['alias']}" for row in pointing)
                raise InvalidState(f"{name!r} has aliases: {names}", hint="delete them first, or force")
            connection.execute("DELETE FROM aliases WHERE model = :model", model)
            connection.execute("DELETE FROM registered_models WHERE id = :model", model)

    def create_model_version(
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
        with self._database.write() as connection:
            model = self._row(connection, name)["id"]
            # The number is taken inside the transaction that uses it: no gap, no double.
            version = connection.execute(
                """UPDATE registered_models SET last_version = last_version + 1, last_updated_timestamp = :now
                    WHERE id = :model RETURNING last_version""",
                {"model": model, "now": _now()},
            ).fetchone()["last_version"]
            connection.execute(
                """INSERT INTO model_versions (model, version, creation_timestamp, last_updated_timestamp,
                    description, user_id, stage, source, storage_location, run_id, run_link, model_id, digest, status)
                    VALUES (:model, :version, :now, :now, :description, :user, 'None', :source, :location, :run, :link,
                    :model_id, :digest, 'READY')""",
                {
                    "model": model,
                    "version": version,
                    "now": _now(),
                    "description": check_description(description),
                    "user": user_id,
                    "source": source,
                    "location": self._place.relative(storage_location),
                    "run": run_id,
                    "link": run_link,
                    "model_id": model_id,
                    "digest": digest,
                },
            )
            for key, value in (tags or {}).items():
                _set_tag(connection, "model_version_tags", {"model": model, "version": version}, key, value)
            return self._version(connection, name, version)

    def get_model_version(self, name: str, version: int) -> ModelVersion:
        """One version."""
        with self._database.read() as connection:
            self._row(connection, name)
            return self._version(connection, name, version_number(version))

    def search_model_versions(self, name: str | None = None) -> list[ModelVersion]:
        """The versions of a model, or of all, the newest first."""
        with self._database.read() as connection:
            rows = connection.all(
                f"{_VERSION} WHERE :name IS NULL OR name = :name ORDER BY name, version DESC", {"name": name}
            )
            return [self._version_of(connection, row) for row in rows]

    def update_model_version(self, name: str, version: int, *, description: str) -> ModelVersion:
        """Change the description."""
        with self._database.write() as connection:
            place = self._place_of(connection, name, version)
            connection.execute(
                """UPDATE model_versions SET description = :description, last_updated_timestamp = :now
                    WHERE model = :model AND version = :version""",
                {**place, "description": check_description(description), "now": _now()},
            )
            return self._version(connection, name, place["version"])

    def delete_model_version(self, name: str, version: int, *, force: bool = False) -> None:
        """Delete a version."""
        with self._database.write() as connection:
            place = self._place_of(connection, name, version)
            pointing = connection.all("SELECT alias FROM aliases WHERE model = :model AND version = :version", place)
            if pointing and not force:
                names = ", ".join(f"@{row['alias']}" for row in pointing)
                raise InvalidState(f"{names} points at version {version} of {name!r}", hint="move it first, or force")
            for row in pointing:
                self._move(connection, name, place["model"], row["alias"], None, user_id="", reason="version deleted")
            connection.execute("DELETE FROM model_versions WHERE model = :model AND version = :version", place)

    def set_alias(
        self,
        name: str,
        alias: str,
        version: int,
        *,
        user_id: str = "",
        reason: str | None = None,
        expect: int | bool | None = False,
    ) -> AliasMove:
        """Point an alias at a version."""
        check_alias(alias)
        with self._database.write() as connection:
            place = self._place_of(connection, name, version)
            now = self._current(connection, place["model"], alias)
            if expect is not False and now != expect:
                shown = "nothing" if now is None else f"version {now}"
                raise InvalidState(
                    f"@{alias} of {name!r} points at {shown}, not at {expect}", hint="look, and try again"
                )
            return self._move(connection, name, place["model"], alias, place["version"], user_id=user_id, reason=reason)

    def delete_alias(self, name: str, alias: str, *, user_id: str = "", reason: str | None = None) -> None:
        """Remove an alias."""
        with self._database.write() as connection:
            model = self._row(connection, name)["id"]
            if self._current(connection, model, alias) is not None:
                self._move(connection, name, model, alias, None, user_id=user_id, reason=reason)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at."""
        with self._database.read() as connection:
            version = self._current(connection, self._row(connection, name)["id"], alias)
            if version is None:
                raise NotFound(
                    f"{name!r} has no alias {alias!a}", hint=f"set it: pack alias set {name} {alias} VERSION"
                )
            return self._version(connection, name, version)

    def alias_history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Every move of an alias, the oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(
                "SELECT * FROM alias_log WHERE model = :name AND (:alias IS NULL OR alias = :alias) ORDER BY id",
                {"name": name, "alias": alias},
            )
            return [_move_of(row) for row in rows]

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a model."""
        with self._database.write() as connection:
            place = {"model": self._row(connection, name)["id"]}
            _set_tag(connection, "registered_model_tags", place, key, value)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model."""
        with self._database.write() as connection:
            place = {"model": self._row(connection, name)["id"], "key": key}
            connection.execute("DELETE FROM registered_model_tags WHERE model = :model AND key = :key", place)

    def set_model_version_tag(self, name: str, version: int, key: str, value: str) -> None:
        """Set a tag of a version."""
        with self._database.write() as connection:
            _set_tag(connection, "model_version_tags", self._place_of(connection, name, version), key, value)

    def delete_model_version_tag(self, name: str, version: int, key: str) -> None:
        """Remove a tag of a version."""
        with self._database.write() as connection:
            place = {**self._place_of(connection, name, version), "key": key}
            connection.execute(
                "DELETE FROM model_version_tags WHERE model = :model AND version = :version AND key = :key", place
            )

    def resolve(self, uri: ModelUri) -> ModelVersion:
        """The version that a `models:/` URI means."""
        if uri.version is not None:
            return self.get_model_version(uri.name, uri.version)
        if uri.alias is not None and uri.alias.lower() != "latest":
            return self.get_model_version_by_alias(uri.name, uri.alias)
        with self._database.read() as connection:
            row = connection.one(
                f"""{_VERSION} WHERE model = :model AND (:stage IS NULL OR lower(stage) = lower(:stage))
                    ORDER BY version DESC LIMIT 1""",
                {"model": self._row(connection, uri.name)["id"], "stage": uri.stage},
            )
            if row is None:
                where = f"in stage {uri.stage!a}" if uri.stage else "at all"
                raise NotFound(f"{uri.name!r} has no version {where}", hint=f"list them: pack models show {uri.name}")
            return self._version_of(connection, row)

    def _row(self, connection: Connection, name: str) -> Any:
        row = connection.one("SELECT * FROM registered_models WHERE name = :name", {"name": name})
        if row is None:
            raise NotFound(f"no model is registered as {str(name)[:100]!a}", hint="list them: pack models list")
        return row

    def _place_of(self, connection: Connection, name: str, version: int) -> dict[str, int]:
        found = self._version(connection, name, version_number(version))
        return {"model": self._row(connection, name)["id"], "version": found.version}

    def _version(self, connection: Connection, name: str, version: int) -> ModelVersion:
        row = connection.one(
            f"{_VERSION} WHERE name = :name AND version = :version", {"name": name, "version": version}
        )
        if row is None:
            raise NotFound(f"{name!r} has no version {version}", hint=f"list them: pack models show {name}")
        return self._version_of(connection, row)

    def _version_of(self, connection: Connection, row: Any) -> ModelVersion:
        place = {"model": row["model"], "version": row["version"]}
        where = "WHERE model = :model AND version = :version"
        tags = connection.execute(f"SELECT key, value FROM model_version_tags {where}", place)
        aliases = connection.execute(f"SELECT alias FROM aliases {where} ORDER BY alias", place)
        return ModelVersion(
            name=row["name"],
            version=row["version"],
            creation_timestamp=row["creation_timestamp"],
            last_updated_timestamp=row["last_updated_timestamp"],
            description=row["description"],
            user_id=row["user_id"],
            current_stage=row["stage"],
            source=row["source"],
            storage_location=self._place.absolute(row["storage_location"]),
            run_id=row["run_id"],
            run_link=row["run_link"],
            model_id=row["model_id"],
            digest=row["digest"],
            status=row["status"],
            status_message=row["status_message"],
            tags={one["key"]: one["value"] for one in tags},
            aliases=[one["alias"] for one in aliases],
        )

    def _model_of(self, connection: Connection, row: Any) -> RegisteredModel:
        model = {"model": row["id"]}
        tags = connection.execute("SELECT key, value FROM registered_model_tags WHERE model = :model", model)
        aliases = connection.execute("SELECT alias, version FROM aliases WHERE model = :model ORDER BY alias", model)
        newest = connection.one(f"{_VERSION} WHERE model = :model ORDER BY version DESC LIMIT 1", model)
        return RegisteredModel(
            name=row["name"],
            creation_timestamp=row["creation_timestamp"],
            last_updated_timestamp=row["last_updated_timestamp"],
            description=row["description"],
            latest_versions=[self._version_of(connection, newest)] if newest else [],
            tags={one["key"]: one["value"] for one in tags},
            aliases={one["alias"]: one["version"] for one in aliases},
        )

    def _current(self, connection: Connection, model: int, alias: str) -> int | None:
        row = connection.one(
            "SELECT version FROM aliases WHERE model = :model AND alias = :alias", {"model": model, "alias": alias}
        )
        return int(row["version"]) if row else None

    def _move(
        self,
        connection: Connection,
        name: str,
        model: int,
        alias: str,
        version: int | None,
        *,
        user_id: str,
        reason: str | None,
    ) -> AliasMove:
        """Move or remove an alias, and write down that it was."""
        before = self._current(connection, model, alias)
        binds = {"model": model, "alias": alias, "version": version}
        if version is None:
            connection.execute("DELETE FROM aliases WHERE model = :model AND alias = :alias", binds)
        else:
            connection.execute(
                """INSERT INTO aliases (model, alias, version) VALUES (:model, :alias, :version)
                    ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version""",
                binds,
            )
        row = connection.execute(
            """INSERT INTO alias_log (model, alias, from_version, to_version, user_id, timestamp, reason)
                VALUES (:name, :alias, :before, :version, :user, :now, :reason) RETURNING *""",
            {**binds, "name": name, "before": before, "user": user_id, "now": _now(), "reason": reason},
        ).fetchone()
        return _move_of(row)


def _set_tag(connection: Connection, table: str, place: Mapping[str, int], key: str, value: Any) -> None:
    if not isinstance(key, str) or not 1 <= len(key) <= _TAG_KEY:
        raise InvalidValue(f"the key of a tag has 1 to {_TAG_KEY} characters")
    if len(str(value)) > _TAG_VALUE:
        raise InvalidValue(f"the value of tag {key!a} has more than {_TAG_VALUE:,} characters")
    names = ", ".join([*place, "key"])
    binds = ", ".join(f":{name}" for name in [*place, "key"])
    connection.execute(
        f"""INSERT INTO {table} ({names}, value) VALUES ({binds}, :value)
            ON CONFLICT ({names}) DO UPDATE SET value = excluded.value""",
        {**place, "key": key, "value": str(value)},
    )


def _move_of(row: Any) -> AliasMove:
    return AliasMove(
        name=row["model"],
        alias=row["alias"],
        from_version=row["from_version"],
        to_version=row["to_version"],
        user_id=row["user_id"],
        timestamp=row["timestamp"],
        reason=row["reason"],
    )
