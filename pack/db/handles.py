"""Each thread's own connection, closed while the process forks.

SQLite does not survive a fork: a child that inherits an open connection believes in locks that only its parent holds.
It would wait for ever where another thread was writing, and lose what it wrote once the parent closes. So a fork waits
until running transactions have ended, and closes every connection; both sides open theirs again at the next use.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from weakref import ReferenceType, WeakSet, ref

from pack.errors import InvalidState

# Held while a handle is made, and during a fork; whoever would begin a transaction then waits for it.
_gate = threading.RLock()
_forking = threading.Event()
_all: WeakSet[Handle] = WeakSet()


class Handle:
    """The connection of one thread to a file, taken for each transaction; opened at the first use.

    No lock is held while it is taken: an interrupt (Ctrl-C) can come between any two steps, and would leave it locked.
    It is taken as long as the transaction that took it lives and has not left.
    """

    def __init__(self, path: str, connect: Callable[[], sqlite3.Connection], undone: Callable[[], None]) -> None:
        self._path = path
        self._connect = connect
        self._undone = undone
        self._thread = threading.get_ident()
        self._file: tuple[int, int] | None = None
        self._raw: sqlite3.Connection | None = None
        self._taken: ReferenceType[object] | None = None
        with _gate:
            _all.add(self)

    def __del__(self) -> None:
        self.close()

    def take(self, transaction: object) -> None:
        """Begin to use the connection; raises `InvalidState` where this thread is using it already."""
        if self._taken is not None and self._taken() is not None:
            raise InvalidState(
                "this thread is in the middle of another call to the store",
                hint="let a signal handler set a flag, and call the store where the program sees it",
            )
        self._taken = ref(transaction, self._abandoned)
        while _forking.is_set():
            self._taken = None
            with _gate:
                self._taken = ref(transaction, self._abandoned)

    def leave(self) -> None:
        """End the use of the connection."""
        self._taken = None

    def open(self) -> sqlite3.Connection:
        """The connection; the caller has taken it."""
        if self._raw is not None and _file(self._path) != self._file:
            # Someone removed or replaced the file: what is written into the old one would be lost.
            self.close()
        if self._raw is None:
            self._raw = self._connect()
            self._file = _file(self._path)
        return self._raw

    def close(self) -> None:
        """Close the connection; what it had not committed is undone."""
        raw, self._raw = self._raw, None
        if raw is not None:
            raw.close()

    def undo(self) -> None:
        """Undo the transaction that is open, if one is."""
        self._undone()  # before the lock is let go, so that whoever gets it next knows
        try:
            if self._raw is not None and self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
        except sqlite3.Error:
            self.close()  # the next transaction opens the database anew

    def stop(self) -> None:
        """Wait for the transaction that another thread runs, and close; what the forking thread itself runs goes on."""
        while self._taken is not None and self._thread != threading.get_ident():
            time.sleep(0.0002)
        if self._taken is None:
            with suppress(sqlite3.Error):
                self.close()

    def _abandoned(self, transaction: ReferenceType[object]) -> None:
        """An interrupt came just before the transaction's block, or at its very end: it is gone, and is undone."""
        if self._taken is transaction:
            self.undo()
            self._taken = None


def _file(path: str) -> tuple[int, int] | None:
    """Which file lies at a path; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - for every transaction, and a Path costs as much again
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _before_fork() -> None:
    _gate.acquire()
    _forking.set()
    for handle in list(_all):
        handle.stop()


def _after_fork() -> None:
    _forking.clear()
    _gate.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
