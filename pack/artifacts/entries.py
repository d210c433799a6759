"""The folders of a cache that are read from: `sources/<address>/<content>/files/...`, and what is known of each.

`record.json` says where the files came from, the digest and size of each, and what the server said of it. Its time is
when the folder was last used. The name of the outer folder stands for the address, that of the inner for the content.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack.artifacts.blobs import NEW, unchanged
from pack.artifacts.store import Validator
from pack.folders import private

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Kept:
    """One file that was fetched: its SHA-256 digest, its size, and what the server said of this state of it."""

    digest: str
    size: int
    validator: Validator


@dataclass(frozen=True)
class Entry:
    """One folder: where it lies, the address that it came from, its files by path, and when it was last used."""

    home: Path
    location: str
    files: Mapping[str, Kept]
    used: float

    @property
    def name(self) -> str:
        """Its name in the leases."""
        return f"{self.home.parent.name}/{self.home.name}"

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(kept.size for kept in self.files.values())

    @property
    def digests(self) -> set[str]:
        """The contents that it needs."""
        return {kept.digest for kept in self.files.values()}


def source_name(location: str) -> str:
    """The name of the folder for an address."""
    return hashlib.sha256(location.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def content_name(files: Mapping[str, Kept]) -> str:
    """The name of a folder with these files: the same for the same bytes under the same paths."""
    lines = "".join(f"{kept.digest} {path}\n" for path, kept in sorted(files.items()))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def search(folder: Path, pattern: str = "*") -> list[Entry]:
    """The entries in a folder, the one used longest ago first; those of all addresses with the pattern `*/*`."""
    found = (read(record.parent) for record in folder.glob(f"{pattern}/record.json"))
    return sorted((entry for entry in found if entry), key=lambda entry: entry.used)


def read(home: Path) -> Entry | None:
    """The entry in a folder; None where there is none, or none that can be read."""
    try:
        path = home / "record.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["format"] != 1:
            return None
        files = {str(name): _kept(facts) for name, facts in body["files"].items()}
        return Entry(home, str(body["location"]), files, path.stat().st_mtime)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def write(home: Path, location: str, files: Mapping[str, Kept]) -> None:
    """Write down what a folder holds, and that it is used now."""
    facts = {
        path: {
            "digest": kept.digest,
            "size": kept.size,
            "etag": kept.validator.etag,
            "modified": kept.validator.modified,
        }
        for path, kept in files.items()
    }
    beside = home / f"record.{os.urandom(8).hex()}"
    with os.fdopen(os.open(beside, NEW, 0o600), "w", encoding="utf-8") as file:
        json.dump({"format": 1, "location": location, "files": facts}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(home / "record.json")


def mend(home: Path, fresh: Path, files: Mapping[str, Kept]) -> None:
    """Undo what was done to a folder since it was made: each file in one step, from a fresh one, under its readers."""
    for path in list(_files_below(home / "files")):
        if path.relative_to(home / "files").as_posix() not in files:
            path.unlink(missing_ok=True)
    for name, kept in files.items():
        path = home / "files" / name
        if not unchanged(path, kept.size):
            private(path.parent)
            (fresh / "files" / name).replace(path)


def _files_below(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder, links to folders included."""
    for place, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = Path(place, name)
            if name in names or path.is_symlink():
                yield path


def _kept(facts: dict[str, Any]) -> Kept:
    if not _DIGEST.fullmatch(facts["digest"]):
        raise ValueError("no digest")
    size, validator = int(facts["size"]), Validator(str(facts["etag"]), str(facts["modified"]), int(facts["size"]))
    return Kept(facts["digest"], size, validator)
