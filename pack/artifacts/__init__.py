"""Files behind a URI: where they are on this disk, and a store to put them into.

>>> path = download_artifacts("runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/plots", dst_path="out")  # doctest: +SKIP
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pack import uris
from pack.artifacts.store import ArtifactStore as ArtifactStore
from pack.artifacts.store import FileInfo as FileInfo
from pack.artifacts.store import Progress, RemoteStore
from pack.errors import InvalidUri, NotFound
from pack.plugins import Entry, Table
from pack.uris import LoggedModelUri, ModelUri, PathUri, RunUri, StoreUri, Uri

if TYPE_CHECKING:
    from pack.artifacts.patterns import Patterns
    from pack.artifacts.verbs import download_artifacts as download_artifacts
    from pack.artifacts.verbs import list_artifacts as list_artifacts
    from pack.artifacts.verbs import load_dict as load_dict
    from pack.artifacts.verbs import load_image as load_image
    from pack.artifacts.verbs import load_text as load_text

ARTIFACTS = Table(
    "artifact store",
    {
        "file": Entry("pack.artifacts.local:LocalStore"),
        "http": Entry("pack.artifacts.http:HttpStore"),
        "https": Entry("pack.artifacts.http:HttpStore"),
        "mlflow-artifacts": Entry("pack.artifacts.http:HttpStore"),
        "runs": Entry("pack.fluent.locations:RunLocation"),
        "models": Entry("pack.fluent.locations:ModelLocation"),
    },
    group="pack.artifacts",
)
_VERBS = ("download_artifacts", "list_artifacts", "load_dict", "load_image", "load_text")


class Location(Protocol):
    """Finds what a `runs:` or `models:` URI stands for."""

    def where(self, uri: Uri) -> PathUri | StoreUri:
        """Where the file or folder lies: on this disk, or in a store; raises `NotFound` where there is none."""

    def pinned(self, uri: Uri) -> Uri:
        """The URI of exactly what this one leads to now."""

    def digest(self, uri: Uri) -> str | None:
        """The digest that was recorded for it; None where there is no such record."""


def local_path(
    uri: str | Path,
    *,
    dst: str | Path | None = None,
    allow: Patterns = None,
    ignore: Patterns = None,
    progress: Progress | None = None,
) -> Path:
    """The file or folder behind a URI on this disk, for reading; with `dst`, a copy of your own in that folder.

    What lies elsewhere comes through the cache. `allow` and `ignore` choose among the files that are fetched or copied,
    by shell patterns such as `*.json` or `data/`; a folder of this disk without `dst` is answered as it is. `progress`
    is called with a file, its bytes that are here and its bytes in all; without one a terminal shows a bar.

    Raises `NotFound` where there is nothing, `InvalidUri` for a scheme that cannot be read.
    """
    parsed = uris.parse(uri)
    if isinstance(parsed, StoreUri) and parsed.path.endswith("/MLmodel"):
        parsed = replace(parsed, path=parsed.path.removesuffix("/MLmodel"))
    path = found(parsed, allow=allow, ignore=ignore, progress=progress)
    if path.name == "MLmodel" and path.is_file():
        path = path.parent
    if dst is None:
        return path
    from pack.artifacts.copies import copied

    return copied(path, uris.disk_path(dst) / path.name, allow=allow, ignore=ignore)


def found(uri: Uri, *, allow: Patterns = None, ignore: Patterns = None, progress: Progress | None = None) -> Path:
    """The file or folder that a parsed URI leads to; raises `NotFound` where there is nothing."""
    place = _where(uri)
    if isinstance(place, StoreUri):
        from pack.artifacts.cache import fetch

        store, below = _remote(place)
        return fetch(store, below, allow=allow, ignore=ignore, progress=progress)
    path = place.path.expanduser()
    if not os.path.exists(path):  # noqa: PTH110 - says no to a name that is too long, where Path raises
        raise NotFound(
            f"there is nothing at {str(uri)!a}",
            hint="check the path, or list models: pack models list",
            below=True,
        )
    return path


def pinned(uri: str | Path) -> Uri:
    """What a URI leads to now, in a form that does not move: the version behind an alias, a stage or `latest`.

    Raises `NotFound` where there is none.

    >>> pinned("models:/churn@champion")  # doctest: +SKIP
    ModelUri(name='churn', version=3)
    """
    parsed = uris.parse(uri)
    return _location(parsed).pinned(parsed) if isinstance(parsed, ModelUri) else parsed


def registered_digest(uri: str | Path | Uri) -> str | None:
    """The digest that a registered version was recorded with; None where there is no such record.

    >>> registered_digest("models:/churn@champion")  # doctest: +SKIP
    '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
    """
    parsed = uris.parse(uri) if isinstance(uri, (str, Path)) else uri
    return _location(parsed).digest(parsed) if isinstance(parsed, ModelUri) else None


def fetch_to(uri: str | Path | Uri, target: Path) -> None:
    """Put a copy of the file or folder behind a URI at `target`, which must not exist yet.

    What lies elsewhere comes straight to its place, past the cache. Raises `NotFound` where there is nothing.
    """
    place = _where(uris.parse(uri) if isinstance(uri, (str, Path)) else uri)
    if isinstance(place, StoreUri):
        store, below = _remote(place)
        store.get(below, target)
        return
    from pack.artifacts.copies import copied

    copied(found(place), target)


def listing(uri: str | Path) -> list[FileInfo]:
    """What lies directly in the folder behind a URI, by paths below it; empty for a file, and where there is nothing.

    >>> [entry.path for entry in listing("models:/churn@champion")]  # doctest: +SKIP
    ['MLmodel', 'model.skops', 'requirements.txt']
    """
    from pack.artifacts.local import LocalStore

    try:
        place = _where(uris.parse(uri))
        if isinstance(place, StoreUri):
            store, below = _remote(place)
            start = len(below) + 1 if below else 0
            return [FileInfo(entry.path[start:], entry.is_dir, entry.file_size) for entry in store.list(below)]
        return LocalStore(found(place)).list()
    except NotFound as error:
        if "below" in error.facts:  # the run or model is there, and has nothing at this path
            return []
        raise


def _where(uri: Uri) -> PathUri | StoreUri:
    return uri if isinstance(uri, (PathUri, StoreUri)) else _location(uri).where(uri)


def _remote(uri: StoreUri) -> tuple[RemoteStore, str]:
    if uri.scheme not in ARTIFACTS:
        raise InvalidUri(
            f"{uri.scheme}: locations cannot be read yet", hint="copy the files to this disk and give their path"
        )
    kind: type[RemoteStore] = ARTIFACTS.load(uri.scheme)
    return kind.at(uri)


def _location(uri: RunUri | ModelUri | LoggedModelUri) -> Location:
    location: Location = ARTIFACTS.load("runs" if isinstance(uri, RunUri) else "models")()
    return location


def __getattr__(name: str) -> Any:
    if name not in _VERBS:
        raise AttributeError(f"module 'pack.artifacts' has no attribute {name!r}")
    from pack.artifacts import verbs

    return getattr(verbs, name)
