"""Which files of a folder are wanted: shell patterns over their relative paths, where `*` crosses `/`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

from pack.errors import NotFound

Patterns: TypeAlias = str | Sequence[str] | None


def chosen(paths: Iterable[str], allow: Patterns = None, ignore: Patterns = None) -> list[str]:
    """The paths that match one of `allow` (all without it) and none of `ignore`; raises `NotFound` for none.

    A pattern that ends in `/` stands for everything in that folder, as on the Hugging Face hub.
    """
    wanted, unwanted = _list(allow), _list(ignore)
    seen = list(paths)
    found = [path for path in seen if (wanted is None or _matches(path, wanted)) and not _matches(path, unwanted or [])]
    if not found and (allow is not None or ignore is not None):
        raise NotFound(
            f"none of {len(seen)} files matches allow={allow!r}, ignore={ignore!r}",
            hint="patterns are compared with paths such as data/model.bin; list them: pack artifacts list",
        )
    return found


def _list(patterns: Patterns) -> list[str] | None:
    if patterns is None:
        return None
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    return [f"{pattern}*" if pattern.endswith("/") else pattern for pattern in given]


def _matches(path: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in patterns)
