"""A folder that somebody else wrote, read without following a link; and files on their way into a folder of ours.

Every step below a root is opened relative to the folder before it, so that neither a name nor a link swapped in between
leads outside. Names are single steps; whoever has a path checks it with `uris.relative_path` and splits it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pack import locks
from pack.errors import Damaged, InvalidValue, NotFound, StorageFailed, TooLarge
from pack.exchange.values import shown

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_NEW = os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_CLONE = 0x40049409  # FICLONE of linux/fs.h: the copy shares the blocks until one of the two changes
_CHUNK = 1 << 20
_TOGETHER = 128
PASSING = ".new-"
"""How the names of unfinished files begin, here as in the artifact store."""

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One entry of a folder: `file`, `folder`, or `other` for links and devices."""

    name: str
    kind: str
    size: int


class Tree:
    """The folder at `root`, which may itself be a link. Raises `Damaged` for what cannot be read."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self, parts: Parts = ()) -> list[Entry]:
        """What lies directly in a folder, by name; empty where there is none."""
        try:
            with self._folder(parts) as handle:
                found = [(one.name, one.stat(follow_symlinks=False)) for one in os.scandir(handle)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(parts, error) from error
        return [Entry(name, _kind(status.st_mode), status.st_size) for name, status in sorted(found)]

    def folders(self, parts: Parts = ()) -> list[str]:
        """The names of the folders in a folder."""
        return [entry.name for entry in self.entries(parts) if entry.kind == "folder"]

    def is_folder(self, parts: Parts) -> bool:
        """Whether there is a folder, reached through no link."""
        try:
            with self._folder(parts):
                return True
        except (OSError, InvalidValue):
            return False

    def has(self, parts: Parts) -> bool:
        """Whether there is a plain file, reached through no link."""
        try:
            with self.file(parts):
                return True
        except (NotFound, Damaged, InvalidValue):
            return False

    def read(self, parts: Parts, *, limit: int) -> bytes:
        """The bytes of a file of at most `limit`; raises `NotFound`, or `TooLarge`."""
        with self.file(parts) as handle, os.fdopen(os.dup(handle), "rb") as file:
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise _unreadable(parts, error) from error
        if len(data) > limit:
            raise TooLarge(f"{shown('/'.join(parts))} has more than {limit:,} bytes")
        return data

    @contextmanager
    def file(self, parts: Parts) -> Iterator[int]:
        """An open handle of a plain file; raises `NotFound` where there is none, or a link."""
        try:
            with self._folder(parts[:-1]) as parent:
                handle = os.open(_step(parts[-1]), _FILE, dir_fd=parent)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"there is no file {shown('/'.join(parts))}") from error
        except OSError as error:
            raise _unreadable(parts, error) from error
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise NotFound(f"{shown('/'.join(parts))} is not a plain file")
            yield handle
        finally:
            os.close(handle)

    def walk(self, parts: Parts = (), *, depth: int = 200) -> Iterator[tuple[Parts, Entry]]:
        """Every file, link and device below a folder, with its parts below `parts`, in the order of the names."""
        if depth == 0:
            raise TooLarge(f"the folders in {shown('/'.join(parts[:3]))} are more than 200 levels deep")
        for entry in self.entries(parts):
            if entry.kind != "folder":
                yield (entry.name,), entry
                continue
            for inner, found in self.walk((*parts, entry.name), depth=depth - 1):
                yield (entry.name, *inner), found

    @contextmanager
    def _folder(self, parts: Parts) -> Iterator[int]:
        handle = os.open(self.root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            for part in parts:
                inner = os.open(_step(part), _FOLDER, dir_fd=handle)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)


class Landing:
    """Files on their way into the folder at `root`: written under passing names, flushed together, then named.

    Raises `StorageFailed` where the disk refuses. A file that is there already is never touched.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._coming: list[tuple[int, str, str]] = []
        self._folders: dict[Parts, int] = {}

    def add(self, parts: Parts, source: int) -> tuple[str, int]:
        """Copy an open file, sharing its blocks where the disk can; the digest and the size of the copy."""
        with _storage(parts):
            handle, out = self._begin(parts)
            try:
                digest = digest_of(out) if _cloned(source, out) else _written(source, out)
                size = os.fstat(out).st_size
            finally:
                os.close(out)
            self._coming.append((handle, _passing(parts[-1]), parts[-1]))
        return digest, size

    def add_chunks(self, parts: Parts, chunks: Iterable[bytes]) -> str:
        """Write a file from its pieces; its digest."""
        sha = hashlib.sha256()
        with _storage(parts):
            handle, out = self._begin(parts)
            with os.fdopen(out, "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    sha.update(chunk)
            self._coming.append((handle, _passing(parts[-1]), parts[-1]))
        return sha.hexdigest()

    def drop(self, parts: Parts) -> None:
        """Let go of the file that was added last: it turned out not to be what was expected."""
        handle, passing, _ = self._coming.pop()
        with _storage(parts):
            os.unlink(passing, dir_fd=handle)

    def settle(self) -> None:
        """Put what has come on the disk, all together, and give it its names."""
        with _storage(()):
            self._flush()
            for handle, passing, name in self._coming:
                os.replace(passing, name, src_dir_fd=handle, dst_dir_fd=handle)
            for handle in self._folders.values():
                os.fsync(handle)
        self.close()

    def close(self) -> None:
        """Let go of the folders; what has not settled keeps its passing name, which the next try uses again."""
        self._coming.clear()
        for handle in self._folders.values():
            os.close(handle)
        self._folders.clear()

    def _begin(self, parts: Parts) -> tuple[int, int]:
        if len(self._coming) >= _TOGETHER or len(self._folders) >= _TOGETHER:
            self.settle()
        handle = self._folder(parts[:-1])
        return handle, os.open(_passing(_step(parts[-1])), _NEW, 0o600, dir_fd=handle)

    def _folder(self, parts: Parts) -> int:
        if parts not in self._folders:
            if not parts:
                self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._folders[parts] = os.open(self.root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
            else:
                above = self._folder(parts[:-1])
                with suppress(FileExistsError):
                    os.mkdir(_step(parts[-1]), 0o700, dir_fd=above)
                self._folders[parts] = os.open(parts[-1], _FOLDER, dir_fd=above)
        return self._folders[parts]

    def _flush(self) -> None:
        """Side by side, so that the disk can do them in one go."""
        if len(self._coming) == 1:
            _flush_one(self._coming[0])
        elif self._coming:
            with ThreadPoolExecutor(max_workers=min(len(self._coming), 16)) as pool:
                list(pool.map(_flush_one, self._coming))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Have a folder for oneself: who comes second waits. Raises `StorageFailed` where it cannot be made."""
    with _storage((folder.name,)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        locks.lock(handle, exclusive=True, wait=True)
        yield
    finally:
        locks.unlock(handle)
        os.close(handle)


def digest_of(handle: int) -> str:
    """The SHA-256 of an open file, from its start."""
    sha = hashlib.sha256()
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        while chunk := _chunk(file):
            sha.update(chunk)
    return sha.hexdigest()


def _cloned(source: int, out: int) -> bool:
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(out, _CLONE, source)
    except OSError:
        return False
    return True


def _written(source: int, out: int) -> str:
    sha = hashlib.sha256()
    with os.fdopen(os.dup(source), "rb") as file, os.fdopen(os.dup(out), "wb") as copy:
        file.seek(0)
        while chunk := _chunk(file):
            copy.write(chunk)
            sha.update(chunk)
    return sha.hexdigest()


def _chunk(file: BinaryIO) -> bytes:
    """What cannot be read is a fault of the source, not of our disk."""
    try:
        return file.read(_CHUNK)
    except OSError as error:
        raise Damaged(f"a file cannot be read: {error.strerror}") from error


def _flush_one(coming: tuple[int, str, str]) -> None:
    handle = os.open(coming[1], _FILE, dir_fd=coming[0])
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _passing(name: str) -> str:
    """The same name at each try, so that what a killed import left is written over."""
    return f"{PASSING}{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:32]}"


def _step(name: str) -> str:
    """A single step down; raises `InvalidValue` for a name that could lead elsewhere."""
    if name in {"", ".", ".."} or set(name) & {"/", "\\", "\0"}:
        raise InvalidValue(f"{shown(name)!r} is not the name of a file")
    return name


def _kind(mode: int) -> str:
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def _unreadable(parts: Parts, error: OSError) -> Damaged:
    return Damaged(f"{shown('/'.join(parts)) or 'the folder'} cannot be read: {error.strerror}")


@contextmanager
def _storage(parts: Parts) -> Iterator[None]:
    """Say what the disk refused."""
    try:
        yield
    except OSError as error:
        raise StorageFailed(
            f"{shown('/'.join(parts)) or 'a file'} cannot be written: {error.strerror}",
            hint="free some space, or check the rights of the folder; then start again: it goes on where it stopped",
        ) from error
