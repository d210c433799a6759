"""Runs and models as tables of pandas."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pack.plugins import missing
from pack.tracking import LoggedModel, Run

if TYPE_CHECKING:
    import pandas as pd

_INFO = ("run_id", "experiment_id", "status", "artifact_uri")
_MODEL = (
    "artifact_location", "creation_timestamp", "experiment_id", "last_updated_timestamp", "metrics", "model_id",
    "model_type", "name", "params", "source_run_id", "status", "status_message", "tags",
)  # fmt: skip


def pandas() -> ModuleType:
    """pandas, which is needed for tables only; raises `MissingPackage` where it is not installed."""
    try:
        import pandas as pd
    except ImportError as error:
        raise missing("pandas", "pandas") from error
    return pd


def frame_of(runs: Sequence[Run]) -> pd.DataFrame:
    """A row for each run: what it is, then `metrics.KEY`, `params.KEY`, `tags.KEY`.

    What a run lacks is NaN among the metrics and None elsewhere; times are UTC.
    """
    made = pandas()
    columns: dict[str, Any] = {name: [getattr(run.info, name) for run in runs] for name in _INFO}
    for name in ("start_time", "end_time"):
        moments = [getattr(run.info, name) for run in runs]
        columns[name] = made.to_datetime(moments, unit="ms", utc=True, errors="coerce")
    columns |= _spread([run.data.metrics for run in runs], "metrics", float("nan"))
    columns |= _spread([run.data.params for run in runs], "params", None)
    columns |= _spread([run.data.tags for run in runs], "tags", None)
    frame: pd.DataFrame = made.DataFrame(columns)
    return frame


def models_frame(models: Sequence[LoggedModel]) -> pd.DataFrame:
    """A row for each logged model, with MLflow's columns."""
    frame: pd.DataFrame = pandas().DataFrame({name: [getattr(model, name) for model in models] for name in _MODEL})
    return frame


def _spread(rows: Sequence[dict[str, Any]], noun: str, absent: Any) -> dict[str, list[Any]]:
    """Dicts as columns, in the order of the keys' names."""
    columns: dict[str, list[Any]] = {}
    for place, row in enumerate(rows):
        for key, value in row.items():
            column = columns.get(key)
            if column is None:
                column = columns[key] = [absent] * len(rows)
            column[place] = value
    return {f"{noun}.{key}": columns[key] for key in sorted(columns)}
