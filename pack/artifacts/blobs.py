"""Files by their content: `blobs/ab/<sha256>`, which have further names in the folders that are read from.

A file that is kept bears the time 1980-01-01. Whoever writes to it gives it another one; its bytes are then compared
with its digest before it is used again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

_KEPT = 315_532_800 * 10**9
_CHUNK = 1 << 20
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Blobs:
    """The files of a cache, by their SHA-256 digests in hexadecimal digits."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, digest: str) -> Path:
        """Where the file of this digest lies."""
        return self.root / digest[:2] / digest

    def link(self, digest: str, size: int, target: Path) -> bool:
        """Give a file a further name; False where there is none, or its bytes have changed, and then it is dropped."""
        path = self.path(digest)
        try:
            _name_again(path, target)
        except FileNotFoundError:
            return False
        if unchanged(target, size):
            return True
        if hashed(target) == digest:
            seal(target)
            return True
        target.unlink()
        path.unlink(missing_ok=True)
        return False

    def keep(self, file: Path, digest: str, size: int) -> None:
        """Give a sealed file a name here too; where its digest has one, the two become one file."""
        path = self.path(digest)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not unchanged(path, size):
            path.unlink(missing_ok=True)
            with suppress(FileExistsError):
                _name_again(file, path)
        elif not path.samefile(file):
            beside = path.with_name(f".new-{os.urandom(8).hex()}")
            with suppress(OSError):
                beside.hardlink_to(path)
                beside.replace(file)

    def all(self) -> list[tuple[Path, int]]:
        """Every file and its size; ask while nobody adds or removes one."""
        return [(path, path.stat().st_size) for path in self.root.glob("??/*")]


def seal(path: Path) -> None:
    """Mark a file that was flushed as unchanged from now on."""
    os.utime(path, ns=(_KEPT, _KEPT))


def unseal(path: Path) -> None:
    """See that the bytes of a file are looked at before it is used again."""
    os.utime(path)


def unchanged(path: Path, size: int) -> bool:
    """Whether a file is what it was when it was sealed."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size == size and status.st_mtime_ns == _KEPT


def hashed(path: Path) -> str:
    """The digest of a file."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def _name_again(path: Path, target: Path) -> None:
    """A second name for a file, or a copy where the disk knows no second names; it appears whole."""
    try:
        target.hardlink_to(path)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        _copy(path, target)


def _copy(path: Path, target: Path) -> None:
    beside = target.with_name(f".new-{os.urandom(8).hex()}")
    try:
        with path.open("rb") as source, os.fdopen(os.open(beside, NEW, 0o600), "wb") as copy:
            shutil.copyfileobj(source, copy, _CHUNK)
            copy.flush()
            os.fsync(copy.fileno())
        shutil.copystat(path, beside)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
