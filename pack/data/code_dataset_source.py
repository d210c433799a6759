"""Data that a program made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pack.data.dataset_source import DatasetSource
from pack.errors import InvalidValue


@dataclass(frozen=True)
class CodeDatasetSource(DatasetSource):
    """The program that made the data, by the tags that a run of it has; `log_input` fills in empty ones."""

    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def source_type(self) -> str:
        """`code`."""
        return "code"

    def to_dict(self) -> dict[str, Any]:
        """`{"tags": {...}}`."""
        return {"tags": dict(self.tags)}

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> CodeDatasetSource:
        """Read `{"tags": {...}}`."""
        tags = source_dict.get("tags") or {}
        if not isinstance(tags, dict):
            raise InvalidValue("a code source needs 'tags', a JSON object of texts")
        return cls({str(key): str(value) for key, value in tags.items()})
