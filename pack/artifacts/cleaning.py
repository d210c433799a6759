"""What lies in the cache, and what of it goes: the folders used longest ago first, never one that a process uses."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pack import settings
from pack.artifacts import entries
from pack.artifacts.blobs import hashed, unseal
from pack.artifacts.entries import Entry, Kept
from pack.artifacts.shelves import Shelves, shelves, storage
from pack.errors import StorageFailed
from pack.locks import locked


@dataclass(frozen=True)
class Cleaned:
    """What a cleaning removed and freed (in bytes), and what it left because a process uses it."""

    freed: int
    removed: tuple[Entry, ...]
    in_use: tuple[Entry, ...]


def listed() -> list[Entry]:
    """The folders of the cache, the one used last first."""
    with storage():
        return entries.search(shelves().sources, "*/*")[::-1]


def usage() -> int:
    """The bytes that the cache takes."""
    cache = shelves()
    with storage(), locked(cache.gate, exclusive=False):
        return sum(size for _, size in cache.blobs.all())


def clean(*, older_than: float | None = None, everything: bool = False, dry_run: bool = False) -> Cleaned:
    """Remove what killed processes left, what is over the limit, and what was not used for `older_than` seconds.

    What a process uses stays. With `dry_run` nothing is removed, and the answer says what would be.
    """
    cache, now, limit = shelves(), time.time(), settings.cache_limit()

    def due(entry: Entry, total: int) -> bool:
        return everything or total > limit or (older_than is not None and entry.used < now - older_than)

    with storage(), locked(cache.gate, exclusive=True) as alone:
        if not alone:
            raise StorageFailed(
                "the disk of the cache has no locks, so nobody can tell what is in use",
                hint="remove its folder while nothing uses it, or name another with PACK_CACHE_DIR",
            )
        plan = _plan(cache, due)
        if not dry_run:
            _carry_out(cache, plan)
        return Cleaned(plan.freed, tuple(plan.removed), tuple(plan.in_use))


def verify() -> list[Path]:
    """The files whose bytes are not what was fetched; they are fetched again when they are asked for."""
    with storage():
        found = entries.search(shelves().sources, "*/*")
        files = ((entry.home / "files" / name, kept) for entry in found for name, kept in entry.files.items())
        damaged = list(_damaged(files))
        for path in damaged:
            unseal(path)
    return damaged


def _damaged(files: Iterable[tuple[Path, Kept]]) -> Iterator[Path]:
    """Compare files with their digests; what has several names is read once."""
    digests: dict[tuple[int, int], str] = {}
    for path, kept in files:
        with suppress(FileNotFoundError):
            status = path.stat()
            inode = (status.st_dev, status.st_ino)
            digests[inode] = digests.get(inode) or hashed(path)
            if digests[inode] != kept.digest:
                yield path


# Bytes that this process brought since it looked at the limit, by cache.
_brought: dict[Path, int] = {}


def tidy(cache: Shelves, brought: int) -> None:
    """Keep the limit: looked at once in each process, and then with each hundredth of it that comes."""
    limit = settings.cache_limit()
    first = cache.root not in _brought
    _brought[cache.root] = _brought.get(cache.root, 0) + brought
    if not first and _brought[cache.root] * 100 < limit:
        return
    _brought[cache.root] = 0
    with locked(cache.gate, exclusive=True) as alone:
        if alone and (_ended(cache) or sum(size for _, size in cache.blobs.all()) > limit):
            _carry_out(cache, _plan(cache, lambda _, total: total > limit))


@dataclass
class _Plan:
    """What goes and what stays; `leftovers` are folders, `blobs` files that no folder needs any more."""

    freed: int = 0
    removed: list[Entry] = field(default_factory=list)
    in_use: list[Entry] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    blobs: list[Path] = field(default_factory=list)


def _plan(cache: Shelves, due: Callable[[Entry, int], bool]) -> _Plan:
    """Choose the folders that are `due`, given the bytes that there are without those before; ask alone."""
    plan = _Plan(leftovers=_ended(cache))
    used = {name for names in cache.leases.living().values() for name in names}
    found, blobs = entries.search(cache.sources, "*/*"), cache.blobs.all()
    sizes = {path.name: size for path, size in blobs}
    needed = Counter(digest for entry in found for digest in entry.digests)
    total = sum(size for digest, size in sizes.items() if needed[digest])
    for entry in found:
        if not due(entry, total):
            continue
        if entry.name in used:
            plan.in_use.append(entry)
            continue
        plan.removed.append(entry)
        needed.subtract(entry.digests)
        total -= sum(sizes.get(digest, 0) for digest in entry.digests if not needed[digest])
    plan.leftovers += _broken(cache, used | {entry.name for entry in found})
    plan.blobs = [path for path, _ in blobs if not needed[path.name]]
    plan.freed = sum(sizes[path.name] for path in plan.blobs) + sum(map(_size, plan.leftovers))
    return plan


def _ended(cache: Shelves) -> list[Path]:
    """The workspaces of processes that have ended."""
    living = cache.leases.living()
    return [path for path in cache.work.iterdir() if path.name.partition(".")[0] not in living]


def _broken(cache: Shelves, known: set[str]) -> list[Path]:
    """Folders whose record cannot be read."""
    return [path for path in cache.sources.glob("*/*") if f"{path.parent.name}/{path.name}" not in known]


def _carry_out(cache: Shelves, plan: _Plan) -> None:
    """Delete folders, each moved out of the way in one step first, and files; then the addresses that are empty."""
    for folder in [*plan.leftovers, *(entry.home for entry in plan.removed)]:
        aside = cache.aside()
        folder.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    for blob in plan.blobs:
        blob.unlink(missing_ok=True)
    for source in {entry.home.parent for entry in plan.removed}:
        with suppress(OSError):
            source.rmdir()
    for lock in list(cache.locks.iterdir()):
        if not (cache.sources / lock.name).exists():
            _drop(lock)


def _drop(lock: Path) -> None:
    """Remove the lock of an address that nothing lies under, unless it is being fetched."""
    with locked(lock, exclusive=True, wait=False) as free:
        if free:
            lock.unlink()


def _size(folder: Path) -> int:
    """The bytes that a folder's deletion frees: files with a further name elsewhere stay."""
    found = [Path(place, name).lstat() for place, _, names in os.walk(folder) for name in names]
    return sum(status.st_size for status in found if status.st_nlink == 1)
