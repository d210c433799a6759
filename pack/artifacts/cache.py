"""Files of remote stores, fetched once and kept by their content for every process of this user.

What `fetch` answers is for reading: other processes read the same files.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pack import folders
from pack.artifacts import entries
from pack.artifacts.blobs import NEW, seal
from pack.artifacts.cleaning import clean as clean
from pack.artifacts.cleaning import listed as listed
from pack.artifacts.cleaning import tidy
from pack.artifacts.cleaning import usage as usage
from pack.artifacts.cleaning import verify as verify
from pack.artifacts.entries import Kept
from pack.artifacts.landing import Landing
from pack.artifacts.parallel import each
from pack.artifacts.patterns import Patterns, chosen
from pack.artifacts.progress import say, shown
from pack.artifacts.shelves import Shelves, shelves, storage
from pack.artifacts.store import FileInfo, Progress, RemoteStore, Validator
from pack.artifacts.walk import walk
from pack.errors import InvalidState, InvalidValue, Unavailable
from pack.locks import locked


def fetch(
    store: RemoteStore,
    path: str = "",
    *,
    allow: Patterns = None,
    ignore: Patterns = None,
    progress: Progress | None = None,
) -> Path:
    """A file of a store, or a folder with those of its files that the patterns choose, on this disk for reading.

    Files that are as they were when they were fetched are not fetched again. Raises `NotFound` where there is nothing
    or no file is chosen, `Unavailable` where the store cannot answer, `StorageFailed` where this disk refuses.
    """
    cache = shelves()
    address = f"{store.location}/{path}" if path else store.location
    lock = cache.locks / entries.source_name(address)
    waiting = partial(say, "waiting for another process, which fetches the same")
    with storage(), shown(progress) as tell, cache.workspace() as place:
        with locked(lock, exclusive=True, busy=waiting):
            job = _Fetch(store, path, cache, place, tell, _known(cache, address), threading.Event())
            files = job.run(allow, ignore)
            home = cache.publish(place / "entry", address, files)
        with suppress(OSError):  # what was fetched is here, whether or not something else can be removed
            tidy(cache, sum(kept.size for name, kept in files.items() if kept is not job.known.get(name)))
    return home / "files" / job.name


def _known(cache: Shelves, address: str) -> dict[str, Kept]:
    """What is known of the files at an address, as far as they are still here."""
    known: dict[str, Kept] = {}
    for entry in entries.search(cache.sources / entries.source_name(address)):
        known.update(entry.files)
    return known


@dataclass(frozen=True)
class _Fetch:
    """One folder or file on its way into `place/entry/files`, under the last part of its path."""

    store: RemoteStore
    path: str
    cache: Shelves
    place: Path
    tell: Progress
    known: Mapping[str, Kept]
    stop: threading.Event

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2] or "artifacts"

    def run(self, allow: Patterns, ignore: Patterns) -> dict[str, Kept]:
        """Fetch what the patterns choose; what came, by the paths that the files have here."""
        wanted = self._listed(allow, ignore) or {self.name: FileInfo(self.path, is_dir=False, file_size=None)}
        for name, info in wanted.items():
            if name not in self.known:
                self.tell(name, 0, info.file_size)
        fetched = each(lambda name: self._file(name, wanted[name]), list(wanted), stop=self.stop)
        return dict(zip(wanted, fetched, strict=True))

    def _listed(self, allow: Patterns, ignore: Patterns) -> dict[str, FileInfo]:
        """The files of a folder that the patterns choose; empty for a file."""
        start = len(self.path) + 1 if self.path else 0
        found = {info.path[start:]: info for info in walk(self.store, self.path, spread=partial(each, stop=self.stop))}
        return {f"{self.name}/{path}": found[path] for path in chosen(found, allow, ignore)} if found else {}

    def _file(self, name: str, info: FileInfo) -> Kept:
        """Fetch one file, unless the one that is here is still the same."""
        target = self.place / "entry" / "files" / name
        folders.private(target.parent)
        held = self._held(name, info, target)
        beside = self.place / secrets.token_hex(8) if held else target
        try:
            handle = os.open(beside, NEW, 0o600)
        except FileExistsError as error:
            raise InvalidValue(f"{name!a} has the name of another file, as far as this disk can tell") from error
        with os.fdopen(handle, "wb") as file:
            landing = Landing(file)
            validator = self.store.download(
                info.path, landing, known=held.validator if held else None, tell=partial(self._tell, name)
            )
            file.flush()
            os.fsync(handle)
        if validator is None and held is not None:
            beside.unlink()
            return held
        if info.file_size not in {None, landing.size}:
            raise Unavailable(
                f"{name!a} has {landing.size:,} bytes, and was listed with {info.file_size:,}: it is being changed",
                hint="try again when it is written",
            )
        seal(beside)
        beside.replace(target)
        return Kept(landing.digest(), landing.size, validator or Validator())

    def _held(self, name: str, info: FileInfo, target: Path) -> Kept | None:
        """What is known of a file, if it is here, now at `target` too, and the server can say whether it changed."""
        kept = self.known.get(name)
        if kept is None or not kept.validator or info.file_size not in {None, kept.size}:
            return None
        return kept if self.cache.blobs.link(kept.digest, kept.size, target) else None

    def _tell(self, name: str, done: int, total: int | None) -> None:
        if self.stop.is_set():
            raise InvalidState("another file could not be fetched")
        self.tell(name, done, total)
