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
from typing import NoReturn

from pack import folders
from pack.errors import AlreadyExists, StorageFailed

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
        folders.make(path.parent)
        yard = Path(tempfile.mkdtemp(prefix=f".{path.name[:100]}.new-", dir=path.parent))
    except OSError as error:
        raise _refused(path, error) from error
    try:
        home = yard / "model"
        home.mkdir()
        yield home
    except OSError as error:
        if error.errno in _REFUSALS:
            raise _refused(path, error) from error
        raise
    else:
        _finish(home, path)
    finally:
        shutil.rmtree(yard, ignore_errors=True)


def _is_taken(path: Path) -> bool:
    if path.is_symlink():
        return True
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _finish(home: Path, path: Path) -> None:
    """Put everything on the disk, then the name."""
    try:
        _flush(home)
        _rename(home, path)
        try:
            folders.flush(path.parent)
        except BaseException:
            path.replace(home)  # a name that may be gone tomorrow is not left behind
            raise
    except OSError as error:
        raise _refused(path, error) from error


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
    places = [Path(folder, name) for folder, _, names in os.walk(home, onerror=_fail) for name in (*names, "")]
    try:
        with ThreadPoolExecutor(max_workers=min(len(places), 16)) as pool:
            list(pool.map(folders.flush, places))
    except RuntimeError:  # no thread can be started, as when the interpreter is about to end
        for place in places:
            folders.flush(place)


def _fail(error: OSError) -> NoReturn:
    raise error


def _refused(path: Path, error: OSError) -> StorageFailed:
    return StorageFailed(
        f"the model could not be written to {path}: {error.strerror}",
        hint="free some space, or choose a folder that you can write; nothing was left behind",
    )
