"""Empty the trash: what was deleted long enough ago goes for good, and its bytes with it.

What a version keeps its files in stays, whoever made it. A folder is removed after its record: where this is cut off,
the next time goes on. What killed processes left half-written goes too.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pack.db.paging import Page
from pack.errors import NotFound, StorageFailed
from pack.fluent.search import collected
from pack.folders import flush
from pack.registry import RegistryStore
from pack.tracking import Experiment, LoggedModel, TrackingStore, ViewType
from pack.tracking.entities import ENDED

# What artifacts/local.py, exchange/tree.py and flavors/landing.py call files and models while they are written.
_HALF_WRITTEN = re.compile(r"\.new-[0-9a-f]{16}(?:[0-9a-f]{16})?|\.artifacts\.new-[a-z0-9_]{8}")
# A file that is being written changes all the time; one that did not for so long, nobody writes any more.
_QUIET_SECONDS = 3600


@dataclass(frozen=True)
class Garbage:
    """One thing that goes: what it is, since when it was deleted, its bytes on the disk, and what keeps it, if so."""

    kind: str
    id: str
    name: str
    deleted_time: int
    bytes: int
    kept_by: str = ""


def collect(
    tracking: TrackingStore, registry: RegistryStore, *, older_than: int, dry_run: bool = False
) -> list[Garbage]:
    """Remove for good what was deleted more than `older_than` milliseconds ago; with `dry_run` only say what would go.

    Answers everything that was old enough, with what keeps it where it stays.
    """
    tracking.fail_orphans()  # what a dead process was writing goes too
    before = time.time_ns() // 1_000_000 - older_than
    versions, things = registry.trash(before), tracking.trash(before)
    kept = _folders(registry.locations(without=versions))
    going = [item for item in things if item.location not in kept]
    places = {item.location for item in going if item.location}
    left = [path for path in _left_behind(tracking) if places.isdisjoint(_and_above(path))]
    found = [Garbage(one.kind, _label(one.name, one.version), one.name, one.deleted_time, 0) for one in versions]
    found += [
        Garbage(one.kind, one.id, one.name, one.deleted_time, _size(one.location, places), kept.get(one.location, ""))
        for one in things
    ]
    found += [Garbage("half-written", path.name, path.parent.name, 0, _size(str(path))) for path in left]
    found += [Garbage("folder", Path(one).name, "", 0, _size(one)) for one in tracking.doomed() if one not in kept]
    if not dry_run:
        registry.purge(versions)
        tracking.purge(going)
        _remove_doomed(tracking, registry)
        for path in left:
            _remove(path)
    return found


def _folders(locations: set[str]) -> dict[str, str]:
    """Each folder that files of a version lie in, at any depth, and the version's own."""
    return {folder: location for location in locations for folder in _and_above(Path(location))}


def _and_above(path: Path) -> list[str]:
    """A path and every folder above it."""
    return [str(path), *map(str, path.parents)]


def _remove_doomed(tracking: TrackingStore, registry: RegistryStore) -> None:
    """Remove the folders whose record is gone, but for those that a version was made of, or restored to, meanwhile."""
    doomed = tracking.doomed()
    kept = _folders(registry.locations())
    for location in doomed:
        if location not in kept:
            _remove(Path(location))
            tracking.forget(location)


def _left_behind(tracking: TrackingStore) -> Iterator[Path]:
    """Files and folders that processes were writing when they were killed, and models that they did not finish."""

    def page(size: int, token: str | None) -> Page[Experiment]:
        return tracking.search_experiments(view_type=ViewType.ALL, max_results=size, page_token=token)

    experiments = collected(page, None, 1000)
    found = [path for one in experiments for path in _half_written(Path(one.artifact_location))]
    yield from filter(partial(_is_dead, tracking), found)
    yield from _unfinished(tracking, experiments)


def _unfinished(tracking: TrackingStore, experiments: Sequence[Experiment]) -> Iterator[Path]:
    """Models that were written, but not READY when their process was killed: nobody can load them."""
    ids = [one.experiment_id for one in experiments]

    def page(size: int, token: str | None) -> Page[LoggedModel]:
        asked = "status = 'FAILED'"
        return tracking.search_logged_models(ids, filter_string=asked, max_results=size, page_token=token)

    for model in collected(page, None, 1000):
        if model.status_message == ENDED and Path(model.artifact_location).is_dir():
            yield Path(model.artifact_location)


def _half_written(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        inside = [name for name in folders if _HALF_WRITTEN.fullmatch(name)]
        folders[:] = [name for name in folders if name not in inside]
        yield from (Path(folder, name) for name in [*inside, *names] if _HALF_WRITTEN.fullmatch(name))


def _is_dead(tracking: TrackingStore, path: Path) -> bool:
    """Whether nobody writes there any more: its model is no longer being made, or nothing moved for an hour."""
    with suppress(NotFound):
        if path.parent.parent.name == "models":
            return tracking.get_logged_model(path.parent.name).status != "PENDING"
    with suppress(FileNotFoundError):
        return time.time() - path.lstat().st_mtime > _QUIET_SECONDS
    return False


def _remove(path: Path) -> None:
    """Delete a folder or file; it may be gone already. Links are removed, never followed."""
    try:
        while os.path.lexists(path):
            with suppress(FileNotFoundError):  # another gc is at work: what it has not removed yet, is removed here
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        with suppress(FileNotFoundError):
            flush(path.parent)  # before it is forgotten: it must not be there again after a power cut
    except OSError as error:
        raise StorageFailed(
            f"{path.name!a} cannot be removed: {error.strerror}",
            hint="see to the rights of the folder, and run pack gc again: it goes on from there",
        ) from error


def _size(location: str, apart: Collection[str] = ()) -> int:
    """Bytes of the files in a folder, or of a file; folders that are counted `apart` are left out."""
    if not location:
        return 0
    found = [Path(location)]
    for folder, folders, names in os.walk(location):
        folders[:] = [name for name in folders if os.path.join(folder, name) not in apart]  # noqa: PTH118
        found += [Path(folder, name) for name in names]
    total = 0
    for file in found:
        with suppress(FileNotFoundError):
            total += file.lstat().st_size if not file.is_dir() else 0
    return total


def _label(name: str, version: int | None) -> str:
    return name if version is None else f"{name}/{version}"


def total(found: Sequence[Garbage]) -> int:
    """The bytes of what goes."""
    return sum(one.bytes for one in found if not one.kept_by)
