"""Artifacts in a folder of this disk.

Every step below the root is opened relative to the folder before it and follows no link, so that neither a path nor a
link swapped in between leads outside. A file is written beside its name, flushed, and renamed.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pack import folders
from pack.artifacts.store import FileInfo
from pack.errors import AlreadyExists, InvalidValue, NotFound, StorageFailed
from pack.uris import relative_path

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_CHUNK = 1 << 20
_PASSING = re.compile(r"\.new-([0-9a-f]{16}|[0-9a-f]{32}|table-lock)")


def is_passing(name: str) -> bool:
    """Whether a file of this name is one that is being written, or the lock of tables: no file of anybody's own."""
    return _PASSING.fullmatch(name) is not None


class LocalStore:
    """An artifact store below `root`; the folder is made, private to this user, at the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, source: Path, path: str) -> None:
        """Copy a file or folder to `path`; raises `InvalidValue` for links and devices."""
        if source.is_symlink():
            source = source.resolve()
        if source.is_dir():
            with _storage(path):
                entries = sorted(source.iterdir())
            for entry in entries:
                self.put(entry, f"{path}/{entry.name}" if path else entry.name)
            return
        if not source.is_file():
            raise NotFound(f"there is no file {source}", hint="give the path of a file or folder that exists")
        folder, name = _split(path)
        with _storage(path), self._folder(folder, make=True) as handle, source.open("rb") as stream:
            self._write(handle, name, stream.read)

    def put_bytes(self, data: bytes, path: str) -> None:
        """Write one file."""
        chunks = iter([data, b""])
        self.put_stream(lambda _: next(chunks), path)

    def put_stream(self, read: Callable[[int], bytes], path: str) -> None:
        """Write one file from chunks; `read(size)` answers nothing at the end."""
        folder, name = _split(path)
        with _storage(path), self._folder(folder, make=True) as handle:
            self._write(handle, name, read)

    def get(self, path: str, target: Path) -> None:
        """Copy `path` to this disk; raises `InvalidValue` where `target` is taken."""
        if target.exists():
            raise InvalidValue(f"{target} exists already", hint="give a new path, or remove it")
        entries = self.list(path)
        if not entries and self._is_folder(path):
            target.mkdir(parents=True)
        for entry in entries:
            self.get(entry.path, target / entry.path.rpartition("/")[2])
        if not entries and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                _storage(path),
                self._file(path) as source,
                os.fdopen(os.dup(source), "rb") as stream,
                target.open("xb") as out,
            ):
                shutil.copyfileobj(stream, out, _CHUNK)

    def read(self, path: str) -> bytes:
        """The bytes of one file."""
        with _storage(path), self._file(path) as handle, os.fdopen(os.dup(handle), "rb") as stream:
            return stream.read()

    def list(self, path: str = "") -> list[FileInfo]:
        """What lies directly in a folder; links and devices are left out."""
        try:
            with self._folder(path, make=False) as handle:
                entries = [(entry.name, entry.stat(follow_symlinks=False)) for entry in os.scandir(handle)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _failed(path, error) from error
        prefix = f"{path}/" if path else ""
        found = []
        for name, status in sorted(entries):
            if stat.S_ISDIR(status.st_mode):
                found.append(FileInfo(prefix + name, is_dir=True, file_size=None))
            elif stat.S_ISREG(status.st_mode) and not is_passing(name):
                found.append(FileInfo(prefix + name, is_dir=False, file_size=status.st_size))
        return found

    def delete(self, path: str) -> None:
        """Delete a file or folder; raises `NotFound` where there is none."""
        folder, name = _split(path)
        with _storage(path), self._folder(folder, make=False) as handle:
            if stat.S_ISDIR(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=handle)
            else:
                os.unlink(name, dir_fd=handle)

    def _is_folder(self, path: str) -> bool:
        try:
            with self._folder(path, make=False):
                return True
        except OSError:
            return False

    @contextmanager
    def _folder(self, path: str, *, make: bool) -> Iterator[int]:
        """An open handle of a folder below the root, reached step by step."""
        if path:
            relative_path(path)
        if make:
            folders.make(self.root, mode=0o700)
        handle = os.open(self.root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            for part in path.split("/") if path else []:
                if make:
                    _make_below(handle, part)
                inner = _inner(handle, part, make=make)
                os.close(handle)
                handle = inner
            yield handle
        finally:
            os.close(handle)

    @contextmanager
    def _file(self, path: str) -> Iterator[int]:
        """An open handle of a plain file below the root."""
        folder, name = _split(path)
        with self._folder(folder, make=False) as parent:
            handle = os.open(name, _FILE, dir_fd=parent)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise NotFound(f"{path!a} is not a file")
            yield handle
        finally:
            os.close(handle)

    def _write(self, folder: int, name: str, read: Callable[[int], bytes]) -> None:
        """Write beside the name, flush, rename: a reader sees the whole file or none."""
        beside = f".new-{secrets.token_hex(8)}"
        handle = os.open(beside, _NEW, 0o600, dir_fd=folder)
        try:
            with os.fdopen(handle, "wb") as out:
                while chunk := read(_CHUNK):
                    out.write(chunk)
                out.flush()
                os.fsync(out.fileno())
            os.replace(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside, dir_fd=folder)
            raise
        os.fsync(folder)


def _make_below(folder: int, name: str) -> None:
    """Make a folder in an open one, and put its name on the disk."""
    try:
        os.mkdir(name, 0o700, dir_fd=folder)
    except FileExistsError:
        return
    os.fsync(folder)


def _inner(folder: int, name: str, *, make: bool) -> int:
    """An open handle of a folder in an open one."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except NotADirectoryError as error:
        if not make:
            raise
        raise AlreadyExists(f"{name!a} is a file, and no folder", hint="use another path") from error


def _split(path: str) -> tuple[str, str]:
    folder, _, name = relative_path(path).rpartition("/")
    return folder, name


@contextmanager
def _storage(path: str) -> Iterator[None]:
    """Say what the disk refused, without naming where on the disk."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no {path!a}") from error
    except IsADirectoryError as error:
        raise AlreadyExists(f"{path!a} is a folder", hint="use another path") from error
    except UnicodeEncodeError as error:
        raise InvalidValue(
            f"{path!a} cannot be a file name here: file names are {error.encoding}", hint="set PYTHONUTF8=1"
        ) from error
    except OSError as error:
        raise _failed(path, error) from error


def _failed(path: str, error: OSError) -> StorageFailed | NotFound:
    if error.errno in {40, 62}:  # ELOOP: a link stands in the way
        return NotFound(f"there is no {path!a}")
    return StorageFailed(f"{path!a}: {error.strerror}", hint="free some space, or check the rights of the folder")
