"""The folders that the cache consists of, all private to this user.

gate      locked by whoever publishes a folder or takes one into use, and alone by whoever evicts
blobs     files by their content
sources   the folders that are read from, by address
locks     one for each address, held while it is fetched
leases    who uses which folders
work      what is on its way, by lease
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pack import folders, settings
from pack.artifacts import entries
from pack.artifacts.blobs import Blobs
from pack.artifacts.entries import Kept
from pack.artifacts.leases import Leases
from pack.errors import InvalidValue, StorageFailed
from pack.locks import locked

_ELSEWHERE = "PACK_CACHE_DIR names another folder for downloads"


class Shelves:
    """One cache, below `root`; the folders are made where they are missing."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.gate = root / "gate"
        self.blobs = Blobs(root / "blobs")
        self.sources = root / "sources"
        self.locks = root / "locks"
        self.leases = Leases(root / "leases")
        self.work = root / "work"
        with storage():
            folders.private(root)
            folders.check_owner(root)
            for folder in (self.blobs.root, self.sources, self.locks, self.leases.root, self.work):
                folders.private(folder)

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """A new empty folder, removed at the end with what is left in it."""
        with locked(self.gate, exclusive=False):
            place = self.aside()
            place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def aside(self) -> Path:
        """A new name in `work`, which is swept when this process has ended; ask while the gate is held."""
        return self.work / f"{self.leases.mine()}.{secrets.token_hex(8)}"

    def publish(self, fresh: Path, address: str, files: Mapping[str, Kept]) -> Path:
        """Give a folder in a workspace its name, and take it into use; one that is there is made whole."""
        source = self.sources / entries.source_name(address)
        home = source / entries.content_name(files)
        entries.write(fresh, address, files)
        with locked(self.gate, exclusive=False):
            folders.private(source)
            try:
                fresh.rename(home)
            except OSError:
                if not home.is_dir():
                    raise
                entries.mend(home, fresh, files)
                entries.write(home, address, files)
            for name, kept in files.items():
                self.blobs.keep(home / "files" / name, kept.digest, kept.size)
            self.leases.use(f"{source.name}/{home.name}")
        return home


def shelves() -> Shelves:
    """The cache of this user; raises `StorageFailed` where it cannot be made."""
    return Shelves(_place() / "artifacts-v1")


@contextmanager
def storage() -> Iterator[None]:
    """Say what the disk of the cache refused."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise InvalidValue(
            f"{error.object!a} cannot be a file name here: file names are {error.encoding}", hint="set PYTHONUTF8=1"
        ) from error
    except OSError as error:
        raise StorageFailed(
            f"the cache of downloads cannot be used: {error.strerror or type(error).__name__}",
            hint=f"free some space (pack cache clean), or check the rights of its folder; {_ELSEWHERE}",
        ) from error


def _place() -> Path:
    given = settings.cache_dir()
    if given is not None:
        return given.expanduser().absolute()
    from platformdirs import user_cache_path

    found = user_cache_path("pack-models")
    if not found.is_absolute():
        raise StorageFailed("this user has no home folder to keep downloads in", hint=_ELSEWHERE)
    return found
