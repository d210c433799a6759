"""From what people give as `source`, and from what a store recorded, to a source."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias, Union

from pack.data.code_dataset_source import CodeDatasetSource
from pack.data.dataset_source import DatasetSource, check_size, read_object
from pack.data.filesystem_dataset_source import FileSystemDatasetSource, scheme_of
from pack.data.http_dataset_source import HTTPDatasetSource
from pack.errors import InvalidValue

__all__ = [
    "CodeDatasetSource",
    "DatasetSource",
    "FileSystemDatasetSource",
    "HTTPDatasetSource",
    "OtherDatasetSource",
    "get_source",
    "resolve",
]

# What people give: a path, a URI, a source; None is the program itself.
Source: TypeAlias = Union[DatasetSource, str, "os.PathLike[str]", None]


@dataclass(frozen=True)
class OtherDatasetSource(DatasetSource):
    """A source that another program recorded, such as `delta_table`: its type and its JSON object as they are."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def source_type(self) -> str:
        """The type that was recorded."""
        return self.kind

    def to_dict(self) -> dict[str, Any]:
        """The object that was recorded."""
        return dict(self.fields)


def resolve(source: Source) -> DatasetSource:
    """A path, a URI or a source as a source; None is the program itself. Nothing is opened, fetched or expanded."""
    if source is None:
        return CodeDatasetSource()
    if isinstance(source, DatasetSource):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InvalidValue(
            f"a source cannot be {type(source).__name__}",
            hint="give a path, a URI like s3://bucket/key, or leave it out",
        )
    text = os.fspath(source)
    check_size(text)
    found = HTTPDatasetSource(text) if scheme_of(text) in {"http", "https"} else FileSystemDatasetSource(text)
    check_size(found.to_json())
    return found


def get_source(dataset: Any) -> DatasetSource:
    """The source of a dataset, or of what a store recorded of one.

    >>> get_source(run.inputs.dataset_inputs[0]).load()  # doctest: +SKIP
    """
    dataset = getattr(dataset, "dataset", dataset)
    source, kind = getattr(dataset, "source", None), getattr(dataset, "source_type", None)
    if isinstance(source, DatasetSource):
        return source
    if not isinstance(source, str) or not isinstance(kind, str):
        raise InvalidValue(
            f"{type(dataset).__name__} is no dataset", hint="give one of pack.data, or of run.inputs.dataset_inputs"
        )
    return _recorded(kind, read_object(source))


_READERS: dict[str, Callable[[dict[str, Any]], DatasetSource]] = {
    "code": CodeDatasetSource.from_dict,
    "http": HTTPDatasetSource.from_dict,
}


def _recorded(kind: str, fields: dict[str, Any]) -> DatasetSource:
    reader = FileSystemDatasetSource.from_dict if fields.keys() == {"uri"} else _READERS.get(kind)
    found = reader(fields) if reader else OtherDatasetSource(kind, fields)
    return found if found.source_type == kind else OtherDatasetSource(kind, fields)
