"""Aliases in the embedded database: where they point now, and where they pointed before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pack.db import Connection, Database
from pack.errors import InvalidState, InvalidValue, NotFound
from pack.registry.entities import AliasMove, ModelVersion
from pack.registry.names import check_alias, check_reason
from pack.registry.rows import model_row, move_of, newest_rows, now, version_row, versions_of
from pack.uris import ModelUri

_MOVES = "SELECT * FROM alias_log WHERE registered = :model AND (:alias IS NULL OR alias = :alias) ORDER BY id"


class Aliases:
    """The part of `RegistryStore` that says which version is live, and was."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._place = database.place

    def set(
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
        check_reason(reason)
        with self._database.write() as connection:
            row = version_row(connection, name, version)
            before = _current(connection, row["model"], alias)
            if expect is not False and before != expect:
                shown = "nothing" if before is None else f"version {before}"
                raise InvalidState(
                    f"@{alias} of {name!r} points at {shown}, not at {expect}", hint="look, and try again"
                )
            return _move(connection, name, row["model"], alias, row["version"], user_id=user_id, reason=reason)

    def rollback(
        self, name: str, alias: str, *, steps: int = 1, user_id: str = "", reason: str | None = None
    ) -> AliasMove:
        """Point an alias back at what it pointed at before its last moves."""
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise InvalidValue(f"an alias goes back by a number of moves from 1 up, not {steps!a}")
        check_reason(reason)
        with self._database.write() as connection:
            model = model_row(connection, name)["id"]
            before = _current(connection, model, alias)
            if before is None:
                raise _no_alias(name, alias)
            version = _past(connection, name, model, alias, back=steps)
            version_row(connection, name, version)
            why = reason or f"rolled back from version {before}"
            return _move(connection, name, model, alias, version, user_id=user_id, reason=why)

    def delete(self, name: str, alias: str, *, user_id: str = "", reason: str | None = None) -> None:
        """Remove an alias."""
        check_reason(reason)
        with self._database.write() as connection:
            model = model_row(connection, name)["id"]
            if _current(connection, model, alias) is not None:
                _move(connection, name, model, alias, None, user_id=user_id, reason=reason)

    def get(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at."""
        with self._database.read() as connection:
            return self._one(connection, _meant(connection, ModelUri(name, alias=str(alias))))

    def history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Every move of an alias, the oldest first."""
        with self._database.read() as connection:
            rows = connection.all(_MOVES, {"model": model_row(connection, name)["id"], "alias": alias})
            return [move_of(row, name) for row in rows]

    def resolve(self, uri: ModelUri) -> ModelVersion:
        """The version that a `models:/` URI means."""
        with self._database.read() as connection:
            return self._one(connection, _meant(connection, uri))

    def _one(self, connection: Connection, row: Any) -> ModelVersion:
        return versions_of(connection, [row], self._place)[0]


def drop_aliases(connection: Connection, name: str, model: int, aliases: Sequence[str], reason: str) -> None:
    """Remove aliases whose version goes, and write down why."""
    for alias in aliases:
        _move(connection, name, model, alias, None, user_id="", reason=reason)


def _meant(connection: Connection, uri: ModelUri) -> Any:
    model = model_row(connection, uri.name)["id"]
    if uri.version is not None:
        return version_row(connection, uri.name, uri.version)
    past = bool(uri.back) or uri.at is not None
    if uri.alias is not None and (past or uri.alias.lower() != "latest"):
        if past:
            version = _past(connection, uri.name, model, uri.alias, back=uri.back, at=uri.at)
            return version_row(connection, uri.name, version)
        current = _current(connection, model, uri.alias)
        if current is None:
            raise _no_alias(uri.name, uri.alias)
        return version_row(connection, uri.name, current)
    wanted = None if uri.stage is None else uri.stage.lower()
    rows = [row for row in newest_rows(connection, [model]) if wanted is None or row["stage"].lower() == wanted]
    if not rows:
        where = f"in stage {uri.stage!a}" if uri.stage else "at all"
        raise NotFound(f"{uri.name!r} has no version {where}", hint=f"list them: pack models show {uri.name}")
    return rows[0]


def _past(connection: Connection, name: str, model: int, alias: str, *, back: int = 0, at: int | None = None) -> int:
    """Where an alias pointed some moves ago, or at a time; the order is that of the moves, whatever clocks said."""
    rows = connection.all(_MOVES, {"model": model, "alias": alias})
    if at is not None:
        rows = [row for row in rows if row["timestamp"] <= at]
    found = rows[-1 - back]["to_version"] if len(rows) > back else None
    if found is None:
        when = "then" if at is not None else f"{back} moves ago"
        raise NotFound(
            f"@{alias} of {name!r} pointed at nothing {when}", hint=f"look: pack alias history {name} {alias}"
        )
    return int(found)


def _current(connection: Connection, model: int, alias: str) -> int | None:
    row = connection.one(
        "SELECT version FROM aliases WHERE model = :model AND alias = :alias", {"model": model, "alias": alias}
    )
    return int(row["version"]) if row else None


def _move(
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
    before = _current(connection, model, alias)
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
        """INSERT INTO alias_log (registered, model, alias, from_version, to_version, user_id, timestamp, reason)
            VALUES (:model, :name, :alias, :before, :version, :user, :now, :reason) RETURNING *""",
        {**binds, "name": name, "before": before, "user": user_id, "now": now(), "reason": reason},
    ).fetchone()
    return move_of(row, name)


def _no_alias(name: str, alias: str) -> NotFound:
    return NotFound(f"{name!r} has no alias {str(alias)[:100]!a}", hint=f"set it: pack alias set {name} ALIAS VERSION")
