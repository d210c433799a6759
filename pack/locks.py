"""Locks between processes. A lock belongs to an open file, so it ends with the process, however that ends.

Windows and some network disks have no such locks: there nobody waits for another, and nothing is evicted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


@contextmanager
def locked(path: Path, *, exclusive: bool, wait: bool = True, busy: Callable[[], None] | None = None) -> Iterator[bool]:
    """Hold the lock of a file, which is made where there is none; whether it is held.

    It is not where another process has it and `wait` is false, nor where the system has no locks. `busy` is called
    before waiting.
    """
    handle = os.open(path, _FLAGS, 0o600)
    try:
        held = lock(handle, exclusive=exclusive)
        if held is False and wait:
            if busy is not None:
                busy()
            held = lock(handle, exclusive=exclusive, wait=True)
        yield held is True
    finally:
        unlock(handle)  # a child that was forked meanwhile has the same lock, and would keep it
        os.close(handle)


if sys.platform == "win32":

    def lock(handle: int, *, exclusive: bool, wait: bool = False) -> bool | None:
        """Take the lock of an open file; None, for there are no locks here."""
        return None

    def unlock(handle: int) -> None:
        """Let go of nothing."""

else:
    import fcntl

    def lock(handle: int, *, exclusive: bool, wait: bool = False) -> bool | None:
        """Take the lock of an open file; whether it is held now, None where the disk has no locks."""
        kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
        try:
            fcntl.flock(handle, kind if wait else kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True

    def unlock(handle: int) -> None:
        """Let the lock of an open file go."""
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
