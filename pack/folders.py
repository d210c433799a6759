"""Folders that last: a name is on the disk before anything is put below it."""

from __future__ import annotations

import os
from pathlib import Path

from pack.errors import StorageFailed

# Elsewhere folders cannot be opened, and need no flush.
POSIX = os.name == "posix"


def make(folder: Path, mode: int = 0o777) -> None:
    """Make a folder, and those above it, where they are missing; `mode` is that of the folder itself."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        make(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    flush(folder.parent)


def private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user only."""
    if not folder.is_dir():
        private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def check_owner(folder: Path) -> None:
    """See that nobody else can read or write in a folder, whoever made it; raises `StorageFailed` for another's."""
    status = folder.stat()
    if hasattr(os, "getuid") and status.st_uid != os.getuid():
        raise StorageFailed(
            f"the cache in {str(folder)!a} belongs to another user", hint="PACK_CACHE_DIR names another folder for it"
        )
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def flush(place: Path) -> None:
    """Put the bytes of a file, or the names in a folder, on the disk."""
    if POSIX or not place.is_dir():
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
