"""A SQLite database: connections for each thread, transactions that last, errors in plain words.

WAL with `synchronous=FULL`: what a call wrote is on the disk when it returns. Statements are SQL with `:name` binds.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias

from pack.db.handles import Handle
from pack.db.migrations import LATEST, MIGRATIONS
from pack.db.place import Place
from pack.errors import InvalidState, InvalidValue, PackError, StorageFailed, Unavailable

BUSY_MILLISECONDS = 60_000
# `:name` binds by name, or `?` binds in order where a statement runs very often
Binds: TypeAlias = Mapping[str, Any] | Sequence[Any]
_VERSION = "SELECT max(version) FROM pack_schema"
# What the driver says of a text with half a character in it, and of a number over 64 bits.
_UNSTORABLE = (UnicodeEncodeError, OverflowError)
# What it says where the file is at fault; a damaged one can make it quote bytes that are no text.
_FAULTS = (sqlite3.Error, UnicodeDecodeError)


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


class Transaction:
    """A block in which a connection can be used: it ends with a commit, or is undone by what it raises.

    Written as a class because it is entered for every point that is logged.
    """

    __slots__ = ("__weakref__", "_begin", "_database", "_handle", "_raw")

    def __init__(self, database: Database, begin: str) -> None:
        self._database = database
        self._begin = begin

    def __enter__(self) -> Connection:
        self._handle = self._database.handle()
        self._handle.take(self)
        try:
            self._raw = self._handle.open()
            self._raw.execute(self._begin)
        except BaseException as error:
            self._undo()
            if isinstance(error, _FAULTS):
                raise plain(error, self._database.place.database) from error
            raise
        return Connection(self._raw)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._raw.execute("COMMIT")
            except BaseException as fault:
                self._undo()
                if isinstance(fault, _FAULTS):
                    raise plain(fault, self._database.place.database) from fault
                raise
            self._handle.leave()
            return
        self._undo()
        if isinstance(error, (*_FAULTS, *_UNSTORABLE)):
            shown = plain(error, self._database.place.database)
            if shown is not error:
                raise shown from error

    def _undo(self) -> None:
        self._handle.undo()
        self._handle.leave()


class Database:
    """The database of one place; opened at the first use, and again in each thread and each forked process."""

    def __init__(self, place: Place) -> None:
        self.place = place
        # How many transactions were undone: what was remembered from inside one of them may be wrong.
        self.undone = 0
        self._local = threading.local()

    def write(self) -> Transaction:
        """A transaction that holds the write lock from its start; durable when the block ends, undone if it raises."""
        return Transaction(self, "BEGIN IMMEDIATE")

    def read(self) -> Transaction:
        """A transaction that sees one state of the database."""
        return Transaction(self, "BEGIN")

    def close(self) -> None:
        """Close this thread's connection."""
        self.handle().close()

    def handle(self) -> Handle:
        """What holds this thread's connection."""
        handle: Handle | None = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._local.handle = Handle(str(self.place.database), self._connect, self._undone)
        return handle

    def _undone(self) -> None:
        self.undone += 1

    def _connect(self) -> sqlite3.Connection:
        self.place.prepare()
        path = self.place.database
        raw = sqlite3.connect(path, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None, check_same_thread=False)
        try:
            raw.row_factory = sqlite3.Row
            raw.execute("PRAGMA foreign_keys=ON")
            if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                _use_wal(raw)
            raw.execute("PRAGMA synchronous=FULL")
            # 16 MB of the log: pages that change again and again are written back once.
            raw.execute("PRAGMA wal_autocheckpoint=4000")
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
    version = schema_version(raw)
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
        for number in range(schema_version(raw) + 1, LATEST + 1):
            for statement in MIGRATIONS[number]:
                raw.execute(statement)
            raw.execute("INSERT INTO pack_schema (version) VALUES (?)", (number,))
        raw.execute("COMMIT")
    except BaseException:
        if raw.in_transaction:
            raw.execute("ROLLBACK")
        raise


def schema_version(raw: sqlite3.Connection) -> int:
    """The last step of the schema that a database has gone; 0 for an empty one."""
    try:
        return int(raw.execute(_VERSION).fetchone()[0] or 0)
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return 0
        raise


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Say what the database refused as an error of ours."""
    try:
        yield
    except _FAULTS as error:
        raise plain(error, path) from error


def plain(error: Exception, path: Path) -> Exception:
    """What the database refused, as an error of ours; a broken rule of the schema stays what it is, a fault of ours."""
    if isinstance(error, sqlite3.OperationalError):
        return _operational(error, path)
    if isinstance(error, _UNSTORABLE) or "binding parameter" in str(error):
        return InvalidValue(
            "a value cannot be stored", hint="give text without lone surrogates, or numbers of at most 64 bits"
        )
    if isinstance(error, (sqlite3.DatabaseError, UnicodeDecodeError)) and not isinstance(error, sqlite3.IntegrityError):
        return StorageFailed(
            f"the database {path} is damaged: {error}",
            hint="restore it from a backup; its artifacts are untouched, and models can be registered again from them",
        )
    return error


def _operational(error: sqlite3.OperationalError, path: Path) -> PackError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return Unavailable(f"the database {path} is busy", hint="another process holds it; try again")
    if "unable to open" in text:
        return StorageFailed(
            f"the database {path} cannot be opened",
            hint="its folder must be one that you can write, for reading too, and a file handle must be left; "
            "a store on a read-only disk can be copied elsewhere",
        )
    return StorageFailed(
        f"the database {path} refused: {text}",
        hint="free some space, or check the rights of the file and its folder; what was recorded before is intact",
    )
