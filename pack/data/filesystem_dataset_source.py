"""Data in files: on this disk or in a store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack import uris
from pack.data.dataset_source import MAX_SOURCE_TYPE, DatasetSource, check_size, text_field
from pack.data.redaction import without_secrets
from pack.errors import InvalidValue, NotFound

# A drive of Windows is one letter, so a scheme has two.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


@dataclass(frozen=True)
class FileSystemDatasetSource(DatasetSource):
    """A path, or a URI like `s3://bucket/key`, as it was given but for its secrets; it is recorded, never opened."""

    uri: str

    def __post_init__(self) -> None:
        check_size(self.uri)
        if not self.uri:
            raise InvalidValue("a source needs a path or a URI", hint="give one like data.csv or s3://bucket/data.csv")
        object.__setattr__(self, "uri", without_secrets(self.uri) if "://" in self.uri else self.uri)
        if len(self.source_type) > MAX_SOURCE_TYPE:
            raise InvalidValue(f"{self.source_type[:50]!a}... is too long for the scheme of a URI")

    @property
    def source_type(self) -> str:
        """`local` for a path or a `file:` URI, else the scheme: s3, gs, hdfs, ..."""
        scheme = scheme_of(self.uri)
        return "local" if scheme in {"", "file"} else scheme

    def to_dict(self) -> dict[str, Any]:
        """`{"uri": ...}`."""
        return {"uri": self.uri}

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> FileSystemDatasetSource:
        """Read `{"uri": ...}`."""
        return cls(text_field(source_dict, "uri"))

    def load(self, dst_path: str | Path | None = None) -> Any:
        """The path on this disk; raises `NotFound` where nothing is there, `InvalidValue` for another store."""
        if self.source_type != "local":
            return super().load(dst_path)
        found = uris.parse(self.uri) if scheme_of(self.uri) else uris.PathUri(Path(self.uri))
        if not _exists(Path(str(found))):
            raise NotFound(f"there is nothing at {str(found)[:200]!a}", hint="it may have been moved since")
        return str(found)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or holds NUL
        return False


def scheme_of(text: str) -> str:
    """The scheme of a URI in small letters; empty for a path."""
    match = _SCHEME.match(text)
    return match.group(1).lower() if match else ""
