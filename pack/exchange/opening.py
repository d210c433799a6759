"""What a source is: found by looking at what lies there."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from pack import uris
from pack.db import Database, Place
from pack.db.migrations import LATEST
from pack.errors import Damaged, InvalidState, InvalidUri, InvalidValue, NotFound
from pack.exchange.findings import Findings
from pack.exchange.folder import Folder
from pack.exchange.layout import MARK
from pack.exchange.mlflow_database import MlflowDatabase
from pack.exchange.mlflow_files import MlflowFiles, is_mlruns
from pack.exchange.roots import Roots
from pack.exchange.source import Source
from pack.exchange.store import Store

_SQLITE = "sqlite:///"
_KINDS = "an mlruns folder, an mlflow.db, a folder that pack export wrote, or a store of pack's"


def open_source(given: str | Path, *, roots: tuple[Path, ...], findings: Findings, target: str | None = None) -> Source:
    """Open what a path or a `sqlite:///` URI names; `target` is the store that is imported into.

    Raises `NotFound` where there is nothing, `InvalidValue` for something else.
    """
    path = _path(given).resolve()
    if not path.exists():
        raise NotFound(f"there is nothing at {path}", hint=f"give the path of {_KINDS}")
    if path.is_dir():
        return _in_folder(path, roots, findings, target)
    return _in_database(path, path.parent, roots, findings, target)


def _path(given: str | Path) -> Path:
    text = str(given)
    if text.startswith(_SQLITE):
        rest = text.removeprefix(_SQLITE)
        if not rest or "?" in rest:
            raise InvalidUri(f"{text[:200]!a} names no file", hint="use sqlite:///PATH.db")
        return Path(rest).expanduser()
    found = uris.parse(given)
    if not isinstance(found, uris.PathUri):
        raise InvalidUri(f"{text[:200]!a} cannot be imported", hint=f"give the path of {_KINDS} on this disk")
    return found.path.expanduser()


def _in_folder(folder: Path, roots: tuple[Path, ...], findings: Findings, target: str | None) -> Source:
    if (folder / MARK).is_file():
        return Folder(folder, findings=findings)
    if is_mlruns(folder):
        return MlflowFiles(folder, roots=Roots(folder, roots, findings), findings=findings)
    for name in ("pack.db", "mlflow.db"):
        if (folder / name).is_file():
            return _in_database(folder / name, folder, roots, findings, target)
    store, files = folder / ".pack", folder / "mlruns"
    if (store / "pack.db").is_file() and not (_is(target, store / "pack.db") and is_mlruns(files)):
        return _in_folder(store, roots, findings, target)
    if is_mlruns(files):
        return _in_folder(files, roots, findings, target)
    beside = folder.parent / "mlflow.db"
    hint = (
        f"the record of these files is in {beside}: import that" if beside.is_file() else f"give the path of {_KINDS}"
    )
    raise InvalidValue(f"{folder} holds nothing that can be imported", hint=hint)


def _in_database(path: Path, home: Path, roots: tuple[Path, ...], findings: Findings, target: str | None) -> Source:
    tables = _tables(path)
    if "pack_schema" in tables:
        return _pack_store(path, home, roots, findings, target)
    if "alembic_version" in tables or {"experiments", "runs"} <= tables:
        return MlflowDatabase(path, roots=Roots(home, roots, findings), findings=findings)
    raise InvalidValue(f"{path} is a database of something else", hint=f"give the path of {_KINDS}")


def _pack_store(path: Path, home: Path, roots: tuple[Path, ...], findings: Findings, target: str | None) -> Source:
    from pack.registry.sql import SqlRegistry
    from pack.tracking.sql import SqlTracking

    database = path.absolute()
    if _is(target, database):
        raise InvalidValue(f"{path} is the store that would be imported into", hint="choose another PACK_TRACKING_URI")
    place = Place(database, database.parent / f"{database.stem}-artifacts")
    if (home / "artifacts").is_dir() and database.name == "pack.db":
        place = Place(database, database.parent / "artifacts")
    connection = Database(place)
    allowed = Roots(home.absolute(), roots, findings)
    return Store(SqlTracking(connection), SqlRegistry(connection), findings=findings, roots=allowed)


def _is(target: str | None, database: Path) -> bool:
    """Whether a database is the store that is imported into."""
    return target is not None and Path(target.removeprefix(_SQLITE)).resolve() == database.resolve()


def _tables(path: Path) -> set[str]:
    """The tables of a SQLite file, opened for reading; raises `Damaged` for a file that is none."""
    try:
        raw = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60.0)
        try:
            names = {str(row[0]) for row in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "pack_schema" in names:
                _check_schema(path, raw.execute("SELECT max(version) FROM pack_schema").fetchone()[0])
        finally:
            raw.close()
    except sqlite3.DatabaseError as error:
        raise Damaged(f"{path} cannot be read as a database: {error}", hint=f"give the path of {_KINDS}") from error
    return names


def _check_schema(path: Path, version: object) -> None:
    """An older store would be upgraded by opening it, which is for its owner to do."""
    if isinstance(version, int) and version < LATEST:
        raise InvalidState(
            f"{path} was written by an older pack (schema {version}, this one reads {LATEST})",
            hint=f"upgrade it first: PACK_TRACKING_URI=sqlite:///{path.absolute()} pack db upgrade",
        )
