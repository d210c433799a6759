"""Is a database sound? Looked at without changing it; and upgraded, with a copy of what was there before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pack.db.database import Database, refused, schema_version
from pack.db.migrations import LATEST, MIGRATIONS
from pack.db.place import Place
from pack.errors import NotFound

_COUNTED = ("experiments", "runs", "metrics", "params", "logged_models", "registered_models", "model_versions")
# Each is a number of rows that should not be there, and what they are.
_CONTRADICTIONS = {
    "points of runs that do not exist": "SELECT count(*) FROM metrics WHERE run NOT IN (SELECT id FROM runs)",
    "latest values of metrics without a point": """SELECT count(*) FROM latest_metrics l WHERE NOT EXISTS
        (SELECT 1 FROM metrics m WHERE m.run = l.run AND m.key = l.key AND m.step = l.step
            AND m.timestamp = l.timestamp)""",
    "models that count lower than their highest version": """SELECT count(*) FROM registered_models r
        WHERE last_version < (SELECT max(version) FROM model_versions WHERE model = r.id)""",
    "aliases that stand elsewhere than their history says": """SELECT count(*) FROM aliases a
        WHERE version IS NOT (SELECT to_version FROM alias_log WHERE registered = a.model AND alias = a.alias
            ORDER BY id DESC LIMIT 1)""",
}


@dataclass(frozen=True)
class Health:
    """What a look at a database found: its schema, its size in bytes, how many rows it holds, and what is wrong."""

    database: Path
    schema: int
    latest_schema: int
    bytes: int
    rows: dict[str, int]
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check(place: Place) -> Health:
    """Read every page and index of a database; raises `NotFound` where there is none, `StorageFailed` for another file.

    Versions whose folder is missing are found too; nothing is changed, nothing is migrated.
    """
    path = place.database
    with refused(path), closing(_open(path)) as raw:
        version = schema_version(raw)
        problems = list(_problems(raw, place, version))
        rows = {} if version != LATEST else {name: _number(raw, f"SELECT count(*) FROM {name}") for name in _COUNTED}
    size = sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*") if one.is_file())
    return Health(path, version, LATEST, size, rows, tuple(problems))


def upgrade(place: Place) -> tuple[int, int, Path | None]:
    """Bring the schema up to date: from which, to which, and the copy that was made before (None where none was due).

    Opening a store does the same without a copy; do it here first where a store is shared or large.
    """
    path = place.database
    with refused(path), closing(_open(path)) as raw:
        before = schema_version(raw)
        if before >= LATEST:
            return before, before, None
        copy = path.with_name(f"{path.name}.schema-{before}")
        with closing(sqlite3.connect(copy)) as target:
            raw.backup(target)
    with Database(place).read():
        return before, LATEST, copy


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise NotFound(f"there is no database {path}", hint="the first run makes one; PACK_TRACKING_URI names another")
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=60)


def _problems(raw: sqlite3.Connection, place: Place, version: int) -> Iterator[str]:
    for (found,) in raw.execute("PRAGMA integrity_check(20)"):
        if found != "ok":
            yield str(found)
    if version != LATEST:
        yield f"schema {version}, this pack knows {LATEST}: {'pack db upgrade' if version < LATEST else 'upgrade pack'}"
        return
    for table, row, parent, _ in raw.execute("PRAGMA foreign_key_check"):
        yield f"row {row} of {table} refers to a missing row of {parent}"
    real, expected = _objects(raw), _expected()
    yield from (f"{name} is missing or differs" for name in sorted(expected) if real.get(name) != expected[name])
    for what, statement in _CONTRADICTIONS.items():
        number = _number(raw, statement)
        if number:
            yield f"{number:,} {what}"
    for name, number, location in raw.execute(
        """SELECT m.name, v.version, v.storage_location FROM model_versions v JOIN registered_models m ON m.id = v.model
            WHERE v.deleted_time IS NULL AND m.deleted_time IS NULL"""
    ):
        place_of_files = place.absolute(location)
        if "://" not in place_of_files and not Path(place_of_files).is_dir():
            yield f"the files of models:/{name}/{number} are gone"


def _expected() -> dict[str, str]:
    """The tables and indexes that a new database has."""
    with closing(sqlite3.connect(":memory:")) as raw:
        for number in sorted(MIGRATIONS):
            for statement in MIGRATIONS[number]:
                raw.execute(statement)
        return _objects(raw)


def _objects(raw: sqlite3.Connection) -> dict[str, str]:
    rows = raw.execute("SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {name: " ".join(str(sql).split()) for name, sql in rows}


def _number(raw: sqlite3.Connection, statement: str) -> int:
    return int(raw.execute(statement).fetchone()[0])
