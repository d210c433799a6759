"""Data from a web address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pack.data.dataset_source import DatasetSource, check_size, text_field
from pack.data.redaction import without_secrets
from pack.errors import InvalidValue


@dataclass(frozen=True)
class HTTPDatasetSource(DatasetSource):
    """The address that data was fetched from, without passwords and signatures; it is recorded, never opened."""

    url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _checked(self.url))

    @property
    def source_type(self) -> str:
        """`http`."""
        return "http"

    def to_dict(self) -> dict[str, Any]:
        """`{"url": ...}`."""
        return {"url": self.url}

    @classmethod
    def from_dict(cls, source_dict: dict[str, Any]) -> HTTPDatasetSource:
        """Read `{"url": ...}`."""
        return cls(text_field(source_dict, "url"))


def _checked(url: str) -> str:
    check_size(url)
    plain = without_secrets(url)
    try:
        split = urlsplit(plain)
        whole = split.scheme in {"http", "https"} and split.hostname and (split.port is None or split.port >= 0)
    except ValueError as error:
        raise _refused(plain) from error
    if not whole or not plain.isprintable():
        raise _refused(plain)
    return plain


def _refused(url: str) -> InvalidValue:
    return InvalidValue(f"{url[:100]!a} is not a web address", hint="give one like https://host/data.csv")
