"""The environments that are kept: what lies there, what is in use, and what goes.

Who runs in an environment holds its lock as long as it lives, so that cleaning leaves it alone.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pack import folders, settings
from pack.errors import StorageFailed
from pack.locks import locked

READY = "pack-ready"
_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)


@dataclass(frozen=True)
class Kept:
    """An environment: its folder, what it is for, its bytes, when it was used last (in seconds since 1970).

    `whole` is whether it was made to the end.
    """

    home: Path
    what: str
    size: int
    used: float
    whole: bool


def root() -> Path:
    """The folder of this user's environments, which only they can enter."""
    found = settings.cache_folder() / "environments-v1"
    try:
        folders.private(found)
        folders.check_owner(found)
    except OSError as error:
        raise StorageFailed(
            f"environments cannot be kept in {found}: {error.strerror}", hint="PACK_CACHE_DIR names another folder"
        ) from error
    return found


def lock_of(home: Path) -> Path:
    """The file whose lock says who makes an environment or runs in it."""
    return home.with_name(f"{home.name}.lock")


def hold(home: Path) -> None:
    """Hold the lock of an environment until this process ends, and what it turns into."""
    from pack.locks import lock

    handle = os.open(lock_of(home), _FLAGS, 0o600)
    lock(handle, exclusive=False, wait=True)
    os.set_inheritable(handle, True)


def listed() -> list[Kept]:
    """The environments of this user, the one used last first."""
    return sorted(_all(), key=lambda one: one.used, reverse=True)


def clean(
    *, older_than: float | None = None, everything: bool = False, dry_run: bool = False
) -> tuple[list[Kept], list[Kept]]:
    """Remove what a killed process left half made, and what was not used for `older_than` seconds.

    What was removed, and what should have been and is in use. With `dry_run` nothing is removed.
    """
    now = time.time()
    removed: list[Kept] = []
    in_use: list[Kept] = []
    for one in _all():
        if not (everything or not one.whole or (older_than is not None and one.used < now - older_than)):
            continue
        with locked(lock_of(one.home), exclusive=True, wait=False) as alone:
            if alone and not dry_run:
                shutil.rmtree(one.home, ignore_errors=True)
        (removed if alone else in_use).append(one)
    return removed, in_use


def _all() -> Iterator[Kept]:
    for home in sorted(root().iterdir()):
        if home.is_dir() and not home.is_symlink():
            ready = home / READY
            whole = ready.is_file()
            used = (ready if whole else home).stat().st_mtime
            what = ready.read_text(encoding="utf-8").strip() if whole else "half made"
            yield Kept(home, what, _size(home), used, whole)


def _size(home: Path) -> int:
    """The bytes of an environment; what it shares with other folders of this disk is counted once."""
    found = {}
    for folder, _, names in os.walk(home):
        for name in names:
            status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - of many thousand files
            found[status.st_ino] = status.st_size
    return sum(found.values())
