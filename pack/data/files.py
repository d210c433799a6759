"""Datasets straight from a file, which is read when it is first needed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pack import uris
from pack.data.dataset_source import DatasetSource
from pack.data.filesystem_dataset_source import FileSystemDatasetSource
from pack.data.pandas_dataset import PandasDataset
from pack.data.sources import Source, resolve
from pack.errors import InvalidValue, NotFound, StorageFailed
from pack.mlmodel.frames import need_pandas
from pack.plugins import missing

if TYPE_CHECKING:
    from os import PathLike


def load_csv(
    path: str | PathLike[str],
    source: Source = None,
    *,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
    **options: Any,
) -> PandasDataset:
    """A CSV file as a dataset; it is read when the table, its digest or its schema is first needed.

    `path`: a path or a `file:` URI. `source`: where the file came from, if not from there. `options` are those of
    `pandas.read_csv`. Raises `InvalidValue` for the URI of another store, which is not fetched here; at the first
    use `NotFound` where there is no file, `InvalidValue` where it is no CSV.

    >>> pack.log_input(load_csv("data/churn.csv", targets="left"), "training")  # doctest: +SKIP
    """
    facts = {"targets": targets, "name": name, "digest": digest, "predictions": predictions}
    return _dataset(path, source, facts, lambda pd, file: pd.read_csv(file, **options))


def load_json(
    path: str | PathLike[str],
    source: Source = None,
    *,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
    **options: Any,
) -> PandasDataset:
    """A JSON file as a dataset, read when it is first needed; `.jsonl` and `.ndjson` hold one object in each line.

    `options` are those of `pandas.read_json`; the rest is as for `load_csv`.

    >>> pack.log_input(load_json("data/churn.jsonl", targets="left"), "training")  # doctest: +SKIP
    """
    facts = {"targets": targets, "name": name, "digest": digest, "predictions": predictions}
    return _dataset(path, source, facts, lambda pd, file: _json(pd, file, options))


def load_parquet(
    path: str | PathLike[str],
    source: Source = None,
    *,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
    **options: Any,
) -> PandasDataset:
    """A Parquet file as a dataset, read when it is first needed; needs `pyarrow`.

    `options` are those of `pandas.read_parquet`; the rest is as for `load_csv`.

    >>> pack.log_input(load_parquet("data/churn.parquet", targets="left"), "training")  # doctest: +SKIP
    """
    facts = {"targets": targets, "name": name, "digest": digest, "predictions": predictions}
    return _dataset(path, source, facts, lambda pd, file: _parquet(pd, file, options))


def _dataset(
    path: str | PathLike[str], source: Source, facts: dict[str, Any], read: Callable[[Any, Path], Any]
) -> PandasDataset:
    given = resolve(path)
    file = _file(given, path)
    facts["name"] = facts["name"] or file.name.encode("utf-8", "replace").decode()[:100]
    return PandasDataset(lambda: _read(file, read), given if source is None else source, **facts)


def _file(given: DatasetSource, path: str | PathLike[str]) -> Path:
    if isinstance(given, FileSystemDatasetSource) and given.source_type == "local":
        found = uris.parse(Path(path) if isinstance(path, os.PathLike) else given.uri)
        if isinstance(found, uris.PathUri):
            return found.path
    raise InvalidValue(
        f"{given.to_json()[:100]} is not on this disk, and nothing is fetched here",
        hint="fetch it, then load the file, and give the URI as source=",
    )


def _read(path: Path, read: Callable[[Any, Path], Any]) -> Any:
    pd = need_pandas()
    try:
        return read(pd, path)
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {str(path)[:200]!a}", hint="give a path that is there") from error
    except OSError as error:
        raise StorageFailed(f"{str(path)[:200]!a} cannot be read: {error.strerror or type(error).__name__}") from error
    except ValueError as error:
        raise InvalidValue(f"{str(path)[:200]!a} cannot be read as a table: {str(error)[:200]}") from error


def _json(pd: Any, path: Path, options: dict[str, Any]) -> Any:
    return pd.read_json(path, **{"lines": path.suffix in {".jsonl", ".ndjson"}, **options})


def _parquet(pd: Any, path: Path, options: dict[str, Any]) -> Any:
    try:
        return pd.read_parquet(path, **options)
    except ImportError as error:
        raise missing("pyarrow", "pyarrow") from error
