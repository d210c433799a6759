"""Rows of the database as entities, and the rows that names and versions stand for."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from pack.db import Connection, Place
from pack.errors import NotFound
from pack.registry.entities import AliasMove, ModelVersion, RegisteredModel
from pack.registry.names import version_number

_VERSIONS = """SELECT model_versions.*, registered_models.name FROM model_versions
    JOIN registered_models ON registered_models.id = model_versions.model"""
_LIVE = "model_versions.deleted_time IS NULL"
_AMONG = "IN (SELECT value FROM json_each(:ids))"
_PAIRS = "IN (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(:ids))"


def now() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def model_row(connection: Connection, name: str) -> Any:
    """The row of a registered model."""
    row = connection.one("SELECT * FROM registered_models WHERE name = :name AND deleted_time IS NULL", {"name": name})
    if row is None:
        raise NotFound(f"no model is registered as {str(name)[:100]!a}", hint="list them: pack models list")
    return row


def version_row(connection: Connection, name: str, version: Any) -> Any:
    """The row of a version, with the model's name."""
    binds = {"model": model_row(connection, name)["id"], "version": version_number(version)}
    row = connection.one(f"{_VERSIONS} WHERE model = :model AND version = :version AND {_LIVE}", binds)
    if row is None:
        raise NotFound(f"{name!r} has no version {binds['version']}", hint=f"list them: pack models show {name}")
    return row


def newest_rows(connection: Connection, models: Sequence[int], stage: str | None = None) -> list[Any]:
    """The newest version in each stage of each model, or in one stage."""
    return connection.all(
        f"""{_VERSIONS} JOIN (SELECT model AS m, max(version) AS v FROM model_versions
            WHERE model {_AMONG} AND {_LIVE} AND (:stage IS NULL OR stage = :stage) GROUP BY model, stage)
            ON m = model AND v = version ORDER BY version DESC""",
        {"ids": json.dumps(list(models)), "stage": stage},
    )


def versions_of(connection: Connection, rows: Sequence[Any], place: Place) -> list[ModelVersion]:
    """Versions with their tags and aliases."""
    ids = {"ids": json.dumps([[row["model"], row["version"]] for row in rows])}
    tags: dict[tuple[int, int], dict[str, str]] = {}
    statement = f"SELECT model, version, key, value FROM model_version_tags WHERE (model, version) {_PAIRS}"
    for model, version, key, value in connection.execute(statement, ids):
        tags.setdefault((model, version), {})[key] = value
    aliases: dict[tuple[int, int], list[str]] = {}
    statement = f"SELECT model, version, alias FROM aliases WHERE (model, version) {_PAIRS} ORDER BY alias"
    for model, version, alias in connection.execute(statement, ids):
        aliases.setdefault((model, version), []).append(alias)
    return [
        ModelVersion(
            name=row["name"],
            version=row["version"],
            creation_timestamp=row["creation_timestamp"],
            last_updated_timestamp=row["last_updated_timestamp"],
            description=row["description"],
            user_id=row["user_id"],
            current_stage=row["stage"],
            source=row["source"],
            storage_location=place.absolute(row["storage_location"]),
            run_id=row["run_id"],
            run_link=row["run_link"],
            model_id=row["model_id"],
            digest=row["digest"],
            status=row["status"],
            status_message=row["status_message"],
            tags=tags.get((row["model"], row["version"]), {}),
            aliases=aliases.get((row["model"], row["version"]), []),
        )
        for row in rows
    ]


def models_of(connection: Connection, rows: Sequence[Any], place: Place) -> list[RegisteredModel]:
    """Registered models with tags, aliases, and the newest version of each stage."""
    numbers = [row["id"] for row in rows]
    ids = {"ids": json.dumps(numbers)}
    tags: dict[int, dict[str, str]] = {}
    for model, key, value in connection.execute(
        f"SELECT model, key, value FROM registered_model_tags WHERE model {_AMONG}", ids
    ):
        tags.setdefault(model, {})[key] = value
    aliases: dict[int, dict[str, int]] = {}
    for model, alias, version in connection.execute(
        f"SELECT model, alias, version FROM aliases WHERE model {_AMONG} ORDER BY alias", ids
    ):
        aliases.setdefault(model, {})[alias] = version
    found = newest_rows(connection, numbers)
    newest: dict[int, list[ModelVersion]] = {}
    for row, version in zip(found, versions_of(connection, found, place), strict=True):
        newest.setdefault(row["model"], []).append(version)
    return [
        RegisteredModel(
            name=row["name"],
            creation_timestamp=row["creation_timestamp"],
            last_updated_timestamp=row["last_updated_timestamp"],
            description=row["description"],
            latest_versions=newest.get(row["id"], []),
            tags=tags.get(row["id"], {}),
            aliases=aliases.get(row["id"], {}),
        )
        for row in rows
    ]


def move_of(row: Any, name: str) -> AliasMove:
    """An entry of an alias's history."""
    return AliasMove(
        name=name,
        alias=row["alias"],
        from_version=row["from_version"],
        to_version=row["to_version"],
        user_id=row["user_id"],
        timestamp=row["timestamp"],
        reason=row["reason"],
    )
