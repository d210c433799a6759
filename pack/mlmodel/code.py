"""Code and other files that travel with a model: copied in, never through a link."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue, NotFound

CODE = "code"
EXTRA_FILES = "extra_files"
_SKIPPED = {"__pycache__", ".git", ".ipynb_checkpoints"}


def copy_code(paths: Iterable[str | Path], home: Path) -> str | None:
    """Copy files and folders into `code/`, each under its own name; answers `code`, or None without paths."""
    sources = _sources(paths)
    for source in sources:
        copy(source, home / CODE / source.name)
    return CODE if sources else None


def copy_extra_files(paths: Iterable[str | Path], home: Path) -> list[dict[str, Any]]:
    """Copy files into `extra_files/`; answers what the flavor's block lists."""
    copied = []
    for source in _sources(paths):
        copy(source, home / EXTRA_FILES / source.name)
        copied.append({"path": f"{EXTRA_FILES}/{source.name}"})
    return copied


def copy(source: Path, target: Path) -> None:
    """Copy one file or folder; raises `InvalidValue` for a link, a device, or a name that is taken."""
    if target.exists():
        raise InvalidValue(f"two files would be named {target.name!r} in the model", hint="rename one of them")
    if source.is_symlink() or not (source.is_file() or source.is_dir()):
        raise InvalidValue(f"{source} is a link or a device", hint="give the file or folder itself")
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, target)
        return
    target.mkdir()
    for entry in sorted(source.iterdir()):
        if entry.name not in _SKIPPED and entry.suffix != ".pyc":
            copy(entry, target / entry.name)


def _sources(paths: Iterable[str | Path]) -> list[Path]:
    if isinstance(paths, (str, Path)):
        raise InvalidValue("paths must be a list", hint=f"use [{str(paths)!r}]")
    sources = [Path(path).absolute() for path in paths]
    gone = [str(path) for path in sources if not path.exists()]
    if gone:
        raise NotFound(f"there is no {gone[0]}", hint="give files or folders that exist")
    return sources
