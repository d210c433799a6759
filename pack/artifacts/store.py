"""The contract of an artifact store: files below one root, by relative paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pack.uris import StoreUri

if TYPE_CHECKING:
    from pack.artifacts.landing import Landing

# bytes that are here, and bytes in all where that is known
Tell: TypeAlias = Callable[[int, int | None], None]
# the same for one of several files: its path, bytes here, bytes in all
Progress: TypeAlias = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class FileInfo:
    """One entry of a listing: its path below the root, and its size in bytes (None for a folder)."""

    path: str
    is_dir: bool
    file_size: int | None


class ArtifactStore(Protocol):
    """Files below a root. Paths are checked by `uris.relative_path`; a file appears whole or not at all.

    Each method raises `InvalidValue` for a path that could leave the root, `NotFound` where there is nothing, and
    `StorageFailed` where the disk or network refuses.
    """

    def put(self, source: Path, path: str) -> None:
        """Copy a file or a folder of this disk to `path`, over what is there."""

    def get(self, path: str, target: Path) -> None:
        """Copy a file or a folder from `path` to this disk; `target` must not exist."""

    def read(self, path: str) -> bytes:
        """The bytes of one file."""

    def list(self, path: str = "") -> list[FileInfo]:
        """The files and folders directly in a folder, in the order of their names; empty where there is none."""

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with everything in it; never the root."""


@dataclass(frozen=True)
class Validator:
    """What a server says of one state of a file; while it says the same, the bytes are the same (RFC 9110, 8.8)."""

    etag: str = ""
    modified: str = ""
    size: int = 0

    def __bool__(self) -> bool:
        return bool(self.etag or self.modified)


class RemoteStore(ArtifactStore, Protocol):
    """A store that can tell that a file is unchanged, so that the cache need not fetch it again.

    Its class is a row of the artifacts table, under the scheme of its URIs.
    """

    location: str
    """The address of the root, without credentials: what the cache knows the files by."""

    @classmethod
    def at(cls, uri: StoreUri) -> tuple[RemoteStore, str]:
        """The store that a URI lies in, and the path below its root."""

    def download(self, path: str, landing: Landing, *, known: Validator | None = None, tell: Tell) -> Validator | None:
        """Write one file to `landing`; None, and nothing written, where it is still what `known` says.

        `tell` is called while bytes come; what it raises ends the download.
        """
