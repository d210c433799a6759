"""All files of a folder of a store, within bounds on their number and depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from pack.artifacts.store import ArtifactStore, FileInfo
from pack.errors import TooLarge

MAX_FILES = 100_000
MAX_DEPTH = 200
_AT_ONCE = 8

# lists some folders, one after the other or at once
Spread: TypeAlias = Callable[[Callable[[str], list[FileInfo]], Sequence[str]], Iterable[list[FileInfo]]]


def walk(store: ArtifactStore, path: str = "", *, spread: Spread = map) -> list[FileInfo]:
    """The files below a folder, level by level; `spread` lists up to eight folders at once.

    Raises `TooLarge` over 100,000 entries or 200 levels. Empty where `path` is a file or nothing.
    """
    files: list[FileInfo] = []
    folders, seen = [path], 0
    for _ in range(MAX_DEPTH):
        inner: list[str] = []
        for start in range(0, len(folders), _AT_ONCE):
            found = [entry for entries in spread(store.list, folders[start : start + _AT_ONCE]) for entry in entries]
            files += [entry for entry in found if not entry.is_dir]
            inner += [entry.path for entry in found if entry.is_dir]
            seen += len(found)
            if seen > MAX_FILES:
                raise TooLarge(f"there are more than {MAX_FILES:,} files", hint="fetch a folder inside, one at a time")
        if not inner:
            return files
        folders = inner
    raise TooLarge(f"the folders are more than {MAX_DEPTH} levels deep", hint="fetch a folder inside")
