"""Copies of files and folders of this disk, over what is there."""

from __future__ import annotations

import secrets
from pathlib import Path

from pack.artifacts.local import LocalStore
from pack.artifacts.patterns import Patterns, chosen
from pack.artifacts.walk import walk
from pack.errors import StorageFailed


def copied(source: Path, target: Path, *, allow: Patterns = None, ignore: Patterns = None) -> Path:
    """Copy a file, or those files of a folder that the patterns choose; links inside are left out.

    What else lies in `target` stays; each file appears whole or not at all. Raises `NotFound` where no file is chosen,
    `StorageFailed` where the disk refuses.
    """
    source = source.resolve()
    try:
        if not source.is_dir():
            _copy(LocalStore(source.parent), source.name, target)
            return target
        target.mkdir(parents=True, exist_ok=True)
        store = LocalStore(source)
        for path in chosen([entry.path for entry in walk(store)], allow, ignore):
            _copy(store, path, target / path)
    except OSError as error:
        raise StorageFailed(
            f"{str(target)!a} cannot be written: {error.strerror}", hint="free some space, or give another folder"
        ) from error
    return target


def _copy(store: LocalStore, path: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".new-{secrets.token_hex(8)}")
    try:
        store.get(path, beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
