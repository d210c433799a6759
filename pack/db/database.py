"""A SQLite database: connections for each thread, transactions that last, errors in plain words.

WAL with `synchronous=FULL`: what a call wrote is on the disk when it returns. Statements are SQL with `:name` binds.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from pack.db.migrations import LATEST, MIGRATIONS
from pack.db.place import Place
from pack.errors import InvalidState, PackError, StorageFailed, Unavailable

BUSY_MILLISECONDS = 60_000
# `:name` binds by name, or `?` binds in order where a statement runs very often
Binds: TypeAlias = Mapping[str, Any] | Sequence[Any]
_VERSION = "SELECT max(version) FROM pack_schema"


class Connection:
    """An open transaction."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def execute(self, statement: str, binds: Binds | None = None) -> sqlite3.Cursor:
        """Run one statement; iterate the answer for its rows."""
        return self._raw.execute(statement, binds or {})

    def many(self, statement: str, binds: Iterable[Binds]) -> int:
        """Run one statement for each set of binds; answers how many rows were changed."""
        return self._raw.executemany(statement, binds).rowcount

    def one(self, statement: str, binds: Binds | None = None) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self.execute(statement, binds).fetchone()
        return row

    def all(self, statement: str, binds: Binds | None = None) -> list[sqlite3.Row]:
        """Every row."""
        return self.execute(statement, binds).fetchall()


class Database:
    """The database of one place; opened at the first use, and again in each thread and each forked process."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._local = threading.local()
        self._pid = os.getpid()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start; durable when the block ends, undone if it raises."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._transaction("BEGIN") as connection:
            yield connection

    def close(self) -> None:
        """Close this thread's connection."""
        raw = getattr(self._local, "raw", None)
        if raw is not None and self._local.pid == os.getpid():
            raw.close()
        self._local.raw = None

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Connection]:
        with _plain_errors(self.place.database):
            raw = self._open()
            raw.execute(begin)
            try:
                yield Connection(raw)
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        local = self._local
        if getattr(local, "raw", None) is None or local.pid != os.getpid():
            # A connection of the parent process must not be touched here, not even closed.
            local.raw, local.pid = self._connect(), os.getpid()
        raw: sqlite3.Connection = local.raw
        return raw

    def _connect(self) -> sqlite3.Connection:
        self.place.prepare()
        path = self.place.database
        fresh = not path.exists()
        raw = sqlite3.connect(path, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False)
        try:
            raw.row_factory = sqlite3.Row
            raw.execute("PRAGMA foreign_keys=ON")
            if fresh or raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                _use_wal(raw)
            raw.execute("PRAGMA synchronous=FULL")
            raw.execute("PRAGMA case_sensitive_like=ON")
            raw.create_function("fold", 1, _fold, deterministic=True)
            _migrate(raw, path)
        except BaseException:
            raw.close()
            raise
        return raw


def _fold(text: Any) -> Any:
    """Text without its case, for ILIKE: SQLite's own folds ASCII only."""
    return text.casefold() if isinstance(text, str) else text


def _use_wal(raw: sqlite3.Connection) -> None:
    """Switch to WAL; a database that cannot be written stays as it is and can be read."""
    try:
        raw.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise


def _migrate(raw: sqlite3.Connection, path: Path) -> None:
    """Bring the schema up to date, in one transaction; raises `InvalidState` for one from the future."""
    version = _schema_version(raw)
    if version == LATEST:
        return
    if version > LATEST:
        raise InvalidState(
            f"{path.name} was written by a newer pack (schema {version}, this one knows {LATEST})",
            hint="upgrade: pip install -U packml",
        )
    raw.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have done it while this one waited for the lock.
        for number in range(_schema_version(raw) + 1, LATEST + 1):
            for statement in MIGRATIONS[number]:
                raw.execute(statement)
            raw.execute("INSERT INTO pack_schema (version) VALUES (?)", (number,))
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise


def _schema_version(raw: sqlite3.Connection) -> int:
    try:
        return int(raw.execute(_VERSION).fetchone()[0] or 0)
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return 0
        raise


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Say what the database refused as an error of ours."""
    try:
        yield
    except PackError:
        raise
    except sqlite3.OperationalError as error:
        raise _operational(error, path) from error
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise StorageFailed(
            f"the database {path} is damaged: {error}",
            hint="restore it from a backup; its artifacts are untouched, and models can be registered again from them",
        ) from error


def _operational(error: sqlite3.OperationalError, path: Path) -> PackError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return Unavailable(f"the database {path} is busy", hint="another process holds it; try again")
    return StorageFailed(
        f"the database {path} refused: {text}",
        hint="free some space, or check the rights of the file and its folder; what was recorded before is intact",
    )
