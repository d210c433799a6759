"""Where data came from."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue

# MLflow's columns (interoperability facts, stores).
MAX_SOURCE_TYPE = 36
MAX_SOURCE = 65_535


class DatasetSource(ABC):
    """The contract of a source: its type, and a JSON object that says where the data is.

    A class that was written against MLflow's contract (`_get_source_type`, `to_dict`, `from_dict`) fits.
    """

    @property
    def source_type(self) -> str:
        """The kind of place, as it is recorded: local, s3, http, code, ..."""
        return self._get_source_type()

    def _get_source_type(self) -> str:
        raise InvalidValue(f"{type(self).__name__} does not say its source_type", hint="define it as a property")

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The JSON object that says where the data is."""

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> DatasetSource:
        """The source that `to_dict` described."""
        raise InvalidValue(f"{cls.__name__} does not say how it is read back", hint="define from_dict")

    def to_json(self) -> str:
        """The JSON text, as it is recorded."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, source_json: str) -> DatasetSource:
        """The source that `to_json` described; raises `InvalidValue` for other text."""
        return cls.from_dict(read_object(source_json))

    def load(self, dst_path: str | Path | None = None) -> Any:
        """The data's place on this disk; raises `InvalidValue` for a source that is not on it: nothing is fetched."""
        raise InvalidValue(
            f"a source of type {self.source_type!a} is not fetched",
            hint="fetch it with the client of its store, then read the file",
        )


def read_object(text: str) -> dict[str, Any]:
    """The JSON object in a recorded text; raises `InvalidValue` for anything else."""
    check_size(text)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"the source of a dataset is not JSON: {text[:80]!a}") from error
    if not isinstance(found, dict):
        raise InvalidValue(f"the source of a dataset must be a JSON object, not {type(found).__name__}")
    return found


def check_size(text: Any) -> None:
    """Raise `InvalidValue` for what is no text, or longer than a store takes."""
    if not isinstance(text, str) or len(text) > MAX_SOURCE:
        raise InvalidValue(f"the source of a dataset is text of at most {MAX_SOURCE:,} characters")


def text_field(fields: dict[str, Any], name: str) -> str:
    """One text of a source's JSON object; raises `InvalidValue` where it is missing."""
    value = fields.get(name)
    if not isinstance(value, str):
        raise InvalidValue(f"this source needs the text {name!r}", hint=f'like {{"{name}": "..."}}')
    return value
