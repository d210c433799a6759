"""The contract of a dataset: what a run records of data that it used."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

from pack.data.dataset_source import DatasetSource
from pack.data.schema import MAX_SCHEMA
from pack.data.sources import Source, resolve
from pack.errors import InvalidValue

# MLflow's columns (interoperability facts, stores). What is longer is not recorded, or refused where a person gave it.
MAX_NAME = 500
MAX_DIGEST = 36
MAX_PROFILE = 16_777_215


class Dataset(ABC):
    """Data that a run uses: its name, its source, and, computed when first asked for, digest, schema and profile.

    Making one does no work and copies nothing. The digest is that of the data at the first look: do not change the
    data in place before it is logged. Raises `InvalidValue` for a name or a digest that no store takes.
    """

    def __init__(self, source: Source = None, name: str | None = None, digest: str | None = None) -> None:
        self._name = _checked(name, MAX_NAME, "name")
        self._given_digest = _checked(digest, MAX_DIGEST, "digest")
        self._source = resolve(source)

    @property
    def name(self) -> str:
        """The name; `dataset` where none was given."""
        return self._name or "dataset"

    @cached_property
    def digest(self) -> str:
        """What tells this data from other data: as given, or 32 hexadecimal digits over all of it."""
        return self._given_digest or self._compute_digest()

    @property
    def source(self) -> DatasetSource:
        """Where the data came from."""
        return self._source

    @property
    def source_type(self) -> str:
        """The kind of place that the data came from: local, s3, http, code, ..."""
        return self._source.source_type

    @property
    @abstractmethod
    def schema(self) -> Any:
        """The columns or tensors; None where no schema can describe them."""

    @property
    @abstractmethod
    def profile(self) -> Any:
        """How much there is, as a JSON object."""

    @abstractmethod
    def _compute_digest(self) -> str:
        """The digest of data that came without one."""

    def to_dict(self) -> dict[str, str | None]:
        """What a store records, all texts: name, digest, source, source_type, schema, profile.

        A schema or a profile that is longer than a store takes (1,048,575 and 16,777,215 characters) is None.
        """
        return {
            "name": self.name,
            "digest": self.digest,
            "source": self.source.to_json(),
            "source_type": self.source_type,
            "schema": within(self._schema_text(), MAX_SCHEMA),
            "profile": within(json.dumps(self.profile), MAX_PROFILE),
        }

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict())

    def _schema_text(self) -> str | None:
        """The JSON text of the schema; tables, whose schemas are lists of columns, say it in their own way."""
        return None if self.schema is None else json.dumps(self.schema.to_dict())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name[:80]!a}, source={str(self.source.to_dict())[:200]})"


def within(text: str | None, limit: int) -> str | None:
    """A text that a store takes; None where it is longer."""
    return text if text is None or len(text) <= limit else None


def check_column(frame: Any, name: str | None, *, what: str) -> None:
    """Raise `InvalidValue` where a frame lacks the column that was named as `what`."""
    if name is None:
        return
    try:
        known = name in frame.columns
    except TypeError:
        known = False
    if not known:
        shown = ", ".join(repr(one)[:50] for one in list(frame.columns[:10]))
        raise InvalidValue(f"{what}={repr(name)[:100]} names no column of the data", hint=f"its columns: {shown}")


def _checked(text: str | None, limit: int, what: str) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str) or not text or len(text) > limit:
        raise InvalidValue(f"the {what} of a dataset is text of 1 to {limit} characters", hint="give one like churn-v3")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValue(f"the {what} of a dataset holds half a character: {text[:80]!a}", hint="decode it as UTF-8")
    return text
