"""Datasets that runs use: where the data came from, its digest, its schema and its size; computed when first needed.

dataset = pack.data.from_pandas(frame, source="s3://bucket/churn.csv", targets="left")
with pack.start_run():
    pack.log_input(dataset, context="training")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pack.data.dataset import Dataset as Dataset
    from pack.data.dataset_source import DatasetSource as DatasetSource
    from pack.data.files import load_csv as load_csv
    from pack.data.files import load_json as load_json
    from pack.data.files import load_parquet as load_parquet
    from pack.data.numpy_dataset import from_numpy as from_numpy
    from pack.data.pandas_dataset import from_pandas as from_pandas
    from pack.data.polars_dataset import from_polars as from_polars
    from pack.data.sources import get_source as get_source

_EXPORTS = {
    "Dataset": "dataset",
    "DatasetSource": "dataset_source",
    "from_numpy": "numpy_dataset",
    "from_pandas": "pandas_dataset",
    "from_polars": "polars_dataset",
    "get_source": "sources",
    "load_csv": "files",
    "load_json": "files",
    "load_parquet": "files",
}
# What MLflow has and this room does not: what to write instead.
_INSTEAD = {
    "from_huggingface": "from_pandas(ds.to_pandas(), source='https://huggingface.co/datasets/...')",
    "from_spark": "from_pandas(df.toPandas(), source=PATH)",
    "from_tensorflow": "from_numpy(array, source=PATH)",
    "load_delta": "from_pandas(frame, source=PATH)",
}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        instead = f"; use {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{instead}")
    found = getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
