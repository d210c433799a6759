"""Files behind a URI: where they are on this disk, and a store to put them into."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pack import uris
from pack.artifacts.store import ArtifactStore as ArtifactStore
from pack.artifacts.store import FileInfo as FileInfo
from pack.errors import InvalidUri, NotFound
from pack.plugins import Entry, Table
from pack.uris import LoggedModelUri, ModelUri, PathUri, RunUri, Uri

ARTIFACTS = Table(
    "artifact store",
    {
        "file": Entry("pack.artifacts.local:LocalStore"),
        "runs": Entry("pack.fluent.locations:RunLocation"),
        "models": Entry("pack.fluent.locations:ModelLocation"),
    },
    group="pack.artifacts",
)


class Location(Protocol):
    """Finds what a `runs:` or `models:` URI stands for on this disk."""

    def path(self, uri: Uri) -> Path:
        """The file or folder; raises `NotFound` where there is none."""


def local_path(uri: str | Path, *, dst: str | Path | None = None) -> Path:
    """The file or folder behind a URI on this disk; with `dst`, a copy of it in that folder.

    Raises `NotFound` where there is nothing, `InvalidUri` for a scheme that cannot be read yet.
    """
    path = _found(uris.parse(uri))
    if path.name == "MLmodel" and path.is_file():
        path = path.parent
    if not path.exists():
        raise NotFound(f"there is nothing at {str(uri)!a}", hint="check the path, or list models: pack models list")
    return path if dst is None else _copied(path, Path(dst))


def _found(uri: Uri) -> Path:
    if isinstance(uri, PathUri):
        return uri.path.expanduser()
    if isinstance(uri, RunUri):
        return _location("runs").path(uri)
    if isinstance(uri, (ModelUri, LoggedModelUri)):
        return _location("models").path(uri)
    raise InvalidUri(
        f"{uri.scheme}: locations cannot be read yet", hint="copy the model to this disk and give its path"
    )


def _location(name: str) -> Location:
    found: Location = ARTIFACTS.load(name)()
    return found


def _copied(path: Path, dst: Path) -> Path:
    from pack.artifacts.local import LocalStore

    dst.mkdir(parents=True, exist_ok=True)
    target = dst / path.name
    LocalStore(path.parent).get(path.name, target)
    return target
