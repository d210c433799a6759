"""Requirements from a project's lock: the pins of what the project depends on, for this platform.

Two formats are read: `uv.lock` beside `pyproject.toml`, and `pylock.toml` (PEP 751), which pip writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue

LOCK = "uv.lock"
PROJECT = "pyproject.toml"
PYLOCK = "pylock.toml"


def locked_requirements(folder: Path) -> list[str] | None:
    """`name==version` for the project's dependencies and theirs; None where `folder` holds no locked project.

    Markers are evaluated for the running interpreter. Packages that come from a folder, a Git repository or a URL are
    left out: they travel by `code_paths`. No index address is read from the lock.
    """
    lock, project = folder / LOCK, folder / PROJECT
    if not (lock.is_file() and project.is_file()):
        return _pylocked(folder / PYLOCK) if (folder / PYLOCK).is_file() else None
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in _toml(lock).get("package", []):
        packages.setdefault(str(package.get("name")), []).append(package)
    name = str(_toml(project).get("project", {}).get("name", ""))
    roots = packages.get(name.lower().replace("_", "-"), [])
    if not roots:
        raise InvalidValue(f"{LOCK} does not hold the project {name!r}", hint="lock it again: uv lock")
    return sorted(_closure(roots[0].get("dependencies", []), packages), key=str.lower)


def _pylocked(lock: Path) -> list[str]:
    """The pins of a PEP 751 lock, which lists what is to be installed and nothing else."""
    packages = [package for package in _toml(lock).get("packages", []) if isinstance(package, dict)]
    pins = {
        f"{package['name']}=={package['version']}"
        for package in packages
        if package.get("name") and package.get("version") and _applies(package.get("marker"))
    }
    return sorted(pins, key=str.lower)


def _closure(dependencies: Iterable[dict[str, Any]], packages: dict[str, list[dict[str, Any]]]) -> set[str]:
    pins: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = list(dependencies)
    while waiting:
        wanted = waiting.pop()
        package = _chosen(wanted, packages)
        if package is None or not _applies(wanted.get("marker")):
            continue
        key = (str(package["name"]), ",".join(wanted.get("extra", [])))
        if key in seen:
            continue
        seen.add(key)
        if "registry" in package.get("source", {}):
            pins.add(f"{package['name']}=={package['version']}")
        waiting += package.get("dependencies", [])
        for extra in wanted.get("extra", []):
            waiting += package.get("optional-dependencies", {}).get(extra, [])
    return pins


def _chosen(wanted: dict[str, Any], packages: dict[str, list[dict[str, Any]]]) -> dict[str, Any] | None:
    """The locked package that a dependency means; a lock may hold several versions, told apart by version."""
    found = packages.get(str(wanted.get("name")), [])
    exact = [package for package in found if package.get("version") == wanted.get("version")]
    fitting = exact or [package for package in found if _any_applies(package.get("resolution-markers"))] or found
    return fitting[0] if fitting else None


def _any_applies(markers: Any) -> bool:
    return not markers or any(_applies(marker) for marker in markers)


def _applies(marker: Any) -> bool:
    from packaging.markers import InvalidMarker, Marker

    try:
        return not marker or Marker(str(marker)).evaluate({"extra": ""})
    except InvalidMarker as error:
        raise InvalidValue("the lock holds a marker that cannot be read", hint="lock the project again") from error


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise InvalidValue(f"{path.name} cannot be read as TOML") from error
