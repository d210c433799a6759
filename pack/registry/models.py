"""Registered models in the embedded database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pack.db import Connection, Database, Page
from pack.db.search import Search
from pack.errors import AlreadyExists, InvalidState, NotFound
from pack.registry import names
from pack.registry.aliases import drop_aliases
from pack.registry.entities import RegisteredModel
from pack.registry.rows import model_row, models_of, now
from pack.registry.targets import MODELS


class Models:
    """The part of `RegistryStore` that holds names."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def create(self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None) -> RegisteredModel:
        """Register a name."""
        names.check_name(name)
        checked = dict(names.check_tag(key, value) for key, value in (tags or {}).items())
        text = names.check_description(description)
        with self._database.write() as connection:
            _refuse_taken(connection, name)
            row = connection.execute(
                """INSERT INTO registered_models (name, description, creation_timestamp, last_updated_timestamp)
                    VALUES (:name, :description, :now, :now) RETURNING *""",
                {"name": name, "description": text, "now": now()},
            ).fetchone()
            for key, value in checked.items():
                _set_tag(connection, row["id"], key, value)
            return models_of(connection, [row], self._place)[0]

    def get(self, name: str) -> RegisteredModel:
        """One registered model."""
        with self._database.read() as connection:
            return models_of(connection, [model_row(connection, name)], self._place)[0]

    def search(
        self,
        *,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """A page of registered models."""
        asked = Search(
            MODELS,
            filter_string,
            order_by,
            where="registered_models.deleted_time IS NULL",
            max_results=max_results,
            page_token=page_token,
        )
        with self._database.read() as connection:
            rows = asked.rows(connection)
            return Page(models_of(connection, rows, self._place), rows.token)

    def update(self, name: str, *, description: str) -> RegisteredModel:
        """Change the description."""
        text = names.check_description(description)
        with self._database.write() as connection:
            row = connection.execute(
                """UPDATE registered_models SET description = :description, last_updated_timestamp = :now
                    WHERE id = :model RETURNING *""",
                {"description": text, "now": now(), "model": model_row(connection, name)["id"]},
            ).fetchone()
            return models_of(connection, [row], self._place)[0]

    def rename(self, name: str, new_name: str) -> RegisteredModel:
        """Change the name; versions, aliases and their history stay with the model."""
        names.check_name(new_name)
        with self._database.write() as connection:
            row = model_row(connection, name)
            if new_name != name:
                _refuse_taken(connection, new_name)
                row = connection.execute(
                    """UPDATE registered_models SET name = :name, last_updated_timestamp = :now
                        WHERE id = :model RETURNING *""",
                    {"name": new_name, "now": now(), "model": row["id"]},
                ).fetchone()
            return models_of(connection, [row], self._place)[0]

    def delete(self, name: str, *, force: bool = False) -> None:
        """Move a model and its versions to the trash; its name is free again."""
        with self._database.write() as connection:
            row = model_row(connection, name)
            pointing = connection.all("SELECT alias FROM aliases WHERE model = :model", {"model": row["id"]})
            if pointing and not force:
                shown = ", ".join(f"@{one['alias']}" for one in pointing)
                raise InvalidState(f"{name!r} has aliases: {shown}", hint="delete them first, or force")
            drop_aliases(connection, name, row["id"], [one["alias"] for one in pointing], "model deleted")
            # No model can be called so: a colon is no part of a name.
            connection.execute(
                """UPDATE registered_models SET deleted_name = name, name = 'trash:' || id, deleted_time = max(:now,
                    coalesce((SELECT max(deleted_time) + 1 FROM registered_models WHERE deleted_name = :name), 0))
                    WHERE id = :model""",
                {"now": now(), "model": row["id"], "name": name},
            )

    def restore(self, name: str) -> RegisteredModel:
        """Take a model out of the trash: of several of that name the one deleted last; aliases are set anew."""
        with self._database.write() as connection:
            row = connection.one(
                """SELECT * FROM registered_models WHERE deleted_name = :name
                    ORDER BY deleted_time DESC, id DESC LIMIT 1""",
                {"name": name},
            )
            if row is None:
                raise NotFound(f"no model {str(name)[:100]!a} is in the trash", hint="list it: pack gc --dry-run")
            _refuse_taken(connection, name)
            restored = connection.execute(
                """UPDATE registered_models SET name = deleted_name, deleted_name = NULL, deleted_time = NULL,
                    last_updated_timestamp = :now WHERE id = :model RETURNING *""",
                {"now": now(), "model": row["id"]},
            ).fetchone()
            return models_of(connection, [restored], self._place)[0]

    def set_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a model."""
        key, value = names.check_tag(key, value)
        with self._database.write() as connection:
            _set_tag(connection, model_row(connection, name)["id"], key, value)

    def delete_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model."""
        with self._database.write() as connection:
            place = {"model": model_row(connection, name)["id"], "key": key}
            connection.execute("DELETE FROM registered_model_tags WHERE model = :model AND key = :key", place)


def _refuse_taken(connection: Connection, name: str) -> None:
    if connection.one("SELECT id FROM registered_models WHERE name = :name", {"name": name}):
        raise AlreadyExists(f"a model named {name!r} is registered already", hint="register a version of it")


def _set_tag(connection: Connection, model: Any, key: str, value: str) -> None:
    connection.execute(
        """INSERT INTO registered_model_tags (model, key, value) VALUES (:model, :key, :value)
            ON CONFLICT (model, key) DO UPDATE SET value = excluded.value""",
        {"model": model, "key": key, "value": value},
    )
