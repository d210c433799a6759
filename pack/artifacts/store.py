"""The contract of an artifact store: files below one root, by relative paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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
