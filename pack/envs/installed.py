"""What is installed here: modules, the distributions they come from, and their versions.

Answers come from the metadata on `sys.path` and are kept for the process; nothing is imported or run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_INFO = re.compile(r"(?P<name>[^-]+)-(?P<version>.+)\.(dist-info|egg-info)")


@dataclass(frozen=True)
class Mismatch:
    """A requirement that the installed packages do not meet; `installed` is None where it is not installed."""

    requirement: str
    name: str
    installed: str | None

    def __str__(self) -> str:
        return f"{self.requirement} is asked for, {self.installed or 'nothing'} is installed"


def version_of(distribution: str) -> str | None:
    """The installed version of a distribution; None where it is not installed."""
    found = _distributions().get(_normal(distribution))
    return found[0] if found else None


def distribution_of(module: str) -> tuple[str, str] | None:
    """The distribution, as it writes its own name, and version that a top-level module comes from."""
    if module in sys.stdlib_module_names:
        return None
    near = _distributions().get(_normal(module))
    if near and module in _top_level(near[1]):
        return near[2], near[0]
    found = _modules().get(module)
    return (found[2], found[0]) if found else None


def mismatches(requirements: Iterable[str]) -> list[Mismatch]:
    """The requirement lines that the installed packages do not meet, in order; options and paths are passed over."""
    from packaging.requirements import InvalidRequirement, Requirement

    wrong = []
    for line in requirements:
        try:
            wanted = Requirement(line.partition(" --hash")[0].partition(" #")[0].strip())
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        version = version_of(wanted.name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            wrong.append(Mismatch(line, wanted.name, version))
    return wrong


def forget() -> None:
    """Look at what is installed again at the next question."""
    for cached in (_distributions, _modules, _top_level, _display_name):
        cached.cache_clear()


Found = tuple[str, Path, str]


@lru_cache(maxsize=1)
def _distributions() -> dict[str, Found]:
    """Normalised name → version, metadata folder, name as written; the first on `sys.path` wins."""
    found: dict[str, Found] = {}
    for place in dict.fromkeys(sys.path):
        folder = Path(place or ".")
        if not folder.is_dir():
            continue
        for entry in folder.iterdir():
            match = _INFO.fullmatch(entry.name)
            if match:
                found.setdefault(_normal(match["name"]), (match["version"], entry, match["name"]))
    return {name: (version, path, _display_name(path) or shown) for name, (version, path, shown) in found.items()}


@lru_cache(maxsize=1)
def _modules() -> dict[str, Found]:
    """Top-level module → its distribution, for everything that is installed."""
    found: dict[str, Found] = {}
    for distribution in _distributions().values():
        for module in _top_level(distribution[1]):
            found.setdefault(module, distribution)
    return found


@lru_cache(maxsize=4096)
def _display_name(info: Path) -> str | None:
    """The name that the metadata gives, such as PyYAML; its head is enough to read."""
    for file in ("METADATA", "PKG-INFO"):
        path = info / file if info.is_dir() else info
        if path.is_file():
            with path.open(encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    if line.startswith("Name:"):
                        return line.partition(":")[2].strip()
                    if not line.strip():
                        break
    return None


@lru_cache(maxsize=4096)
def _top_level(info: Path) -> frozenset[str]:
    """The top-level modules of a distribution, from `top_level.txt` or the list of its files."""
    listed = info / "top_level.txt"
    if info.is_dir() and listed.is_file():
        return frozenset(listed.read_text(encoding="utf-8", errors="replace").split())
    record = info / "RECORD"
    if not info.is_dir() or not record.is_file():
        return frozenset()
    names = set()
    for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
        first, slash, _ = line.partition(",")[0].strip('"').partition("/")
        if slash and "." not in first:
            names.add(first)
        elif not slash and first.endswith((".py", ".so", ".pyd")):
            names.add(first.partition(".")[0])
    return frozenset(names - {"__pycache__", "..", ""})


def _normal(name: str) -> str:
    """A distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
