"""A folder that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pack.errors import AlreadyExists, StorageFailed

# Elsewhere folders cannot be opened, and need no flush.
_POSIX = os.name == "posix"
_REFUSALS = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.EIO,
    errno.EFBIG,
}  # fmt: skip
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}


@contextmanager
def landing(path: Path) -> Iterator[Path]:
    """A folder to write in that becomes `path` at the end, everything in it on the disk; if anything fails, none does.

    Raises `AlreadyExists` where something other than an empty folder is there, `StorageFailed` where the disk refuses.
    The folder is written inside one that only this user can enter, and gets the usual permissions.
    """
    path = path.absolute()
    try:
        if _is_taken(path):
            raise AlreadyExists(
                f"{path} exists already and is not an empty folder", hint="give another path, or remove it"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        yard = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.new-", dir=path.parent))
    except OSError as error:
        raise _refused(path, error) from error
    try:
        home = yard / "model"
        home.mkdir()
        yield home
        _flush(home)
        _rename(home, path)
        if _POSIX:
            _flush_one(path.parent)
    except OSError as error:
        if error.errno in _REFUSALS:
            raise _refused(path, error) from error
        raise
    finally:
        shutil.rmtree(yard, ignore_errors=True)


def _is_taken(path: Path) -> bool:
    if path.is_symlink():
        return True
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _rename(home: Path, path: Path) -> None:
    try:
        if os.name == "nt" and path.is_dir():
            path.rmdir()
        home.replace(path)
    except OSError as error:
        if error.errno in _TAKEN:
            raise AlreadyExists(f"{path} was made by someone else meanwhile", hint="give another path") from error
        raise


def _flush(home: Path) -> None:
    """Put every file on the disk before the name appears: side by side, so that the disk can do them in one go."""
    places = [Path(folder, name) for folder, _, names in os.walk(home) for name in (*names, "") if name or _POSIX]
    try:
        with ThreadPoolExecutor(max_workers=min(len(places), 16)) as pool:
            list(pool.map(_flush_one, places))
    except RuntimeError:  # no thread can be started, as when the interpreter is about to end
        for place in places:
            _flush_one(place)


def _flush_one(place: Path) -> None:
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"the model could not be written to {path}: {error.strerror}",
        hint="free some space, or choose a folder that you can write; nothing was left behind",
    )
