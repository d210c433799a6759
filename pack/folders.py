"""Folders that last: a name is on the disk before anything is put below it."""

from __future__ import annotations

import os
from pathlib import Path

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


def flush(place: Path) -> None:
    """Put the bytes of a file, or the names in a folder, on the disk."""
    if POSIX or not place.is_dir():
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
