"""Rows of the database as entities; what many of them have is fetched for all at once."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pack.db import Connection, Place
from pack.errors import InvalidValue
from pack.tracking.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
)

_AMONG = "IN (SELECT value FROM json_each(:ids))"
_PARTS = ("metrics", "params", "tags", "inputs", "outputs")


@dataclass(frozen=True)
class Selection:
    """Which parts of a run are loaded: for each of metrics, params, tags all keys (None) or some."""

    parts: dict[str, Collection[str] | None]

    @classmethod
    def of(cls, names: Sequence[str] | None) -> Selection:
        """Read `["metrics.loss", "params", ...]`; None is everything. Raises `InvalidValue` for another word."""
        if names is None:
            return cls(dict.fromkeys(_PARTS))
        parts: dict[str, Collection[str] | None] = {}
        for name in names:
            part, _, key = str(name).partition(".")
            if part not in _PARTS:
                shown = str(name)[:80]
                raise InvalidValue(f"{shown!a} cannot be selected", hint="select like metrics.loss, params, tags.x")
            known = parts.get(part, set())
            parts[part] = None if not key or key == "*" or known is None else {*known, key}
        return cls(parts)

    def takes(self, part: str) -> bool:
        """Whether any of this part is loaded."""
        return part in self.parts

    def keys(self, part: str) -> str | None:
        """The keys of a part as a JSON list; None is all of them."""
        keys = self.parts[part]
        return None if keys is None else json.dumps(sorted(keys))


def experiments_of(connection: Connection, rows: Sequence[Any], place: Place) -> list[Experiment]:
    """Experiments with their tags."""
    tags = _by_owner(
        connection, f"SELECT experiment, key, value FROM experiment_tags WHERE experiment {_AMONG}", _ids(rows)
    )
    return [
        Experiment(
            experiment_id=str(row["id"]),
            name=row["name"],
            artifact_location=place.absolute(row["artifact_location"] or f"{place.artifacts}/{row['id']}"),
            lifecycle_stage=row["lifecycle_stage"],
            tags=tags.get(row["id"], {}),
            creation_time=row["creation_time"],
            last_update_time=row["last_update_time"],
        )
        for row in rows
    ]


def run_info_of(row: Any, place: Place) -> RunInfo:
    """What a run is."""
    return RunInfo(
        run_id=row["run_id"],
        experiment_id=str(row["experiment"]),
        user_id=row["user_id"],
        status=row["status"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        lifecycle_stage=row["lifecycle_stage"],
        artifact_uri=place.absolute(row["artifact_uri"]),
        run_name=row["name"],
    )


def runs_of(connection: Connection, rows: Sequence[Any], place: Place, selected: Selection) -> list[Run]:
    """Runs with what was selected of them."""
    ids = _ids(rows)
    metrics = _metrics(connection, ids, selected) if selected.takes("metrics") else {}
    params = _facts(connection, "params", ids, selected.keys("params")) if selected.takes("params") else {}
    tags = _facts(connection, "run_tags", ids, selected.keys("tags")) if selected.takes("tags") else {}
    datasets = _datasets(connection, ids) if selected.takes("inputs") else {}
    models = _models(connection, ids) if selected.takes("inputs") or selected.takes("outputs") else {}
    return [
        Run(
            run_info_of(row, place),
            RunData(metrics.get(row["id"], {}), params.get(row["id"], {}), tags.get(row["id"], {})),
            RunInputs(
                datasets.get(row["id"], []),
                [LoggedModelInput(model) for role, model, _ in models.get(row["id"], ()) if role == "input"],
            ),
            RunOutputs(
                [LoggedModelOutput(model, step) for role, model, step in models.get(row["id"], ()) if role == "output"]
            ),
        )
        for row in rows
    ]


def logged_models_of(connection: Connection, rows: Sequence[Any], place: Place) -> list[LoggedModel]:
    """Logged models with params, tags and metrics."""
    ids = _ids(rows)
    params, tags = (
        _by_owner(connection, f"SELECT model, key, value FROM logged_model_{noun} WHERE model {_AMONG}", ids)
        for noun in ("params", "tags")
    )
    metrics = _model_metrics(connection, ids)
    return [
        LoggedModel(
            experiment_id=str(row["experiment"]),
            model_id=row["model_id"],
            name=row["name"],
            artifact_location=place.absolute(row["artifact_location"]),
            creation_timestamp=row["creation_timestamp"],
            last_updated_timestamp=row["last_updated_timestamp"],
            model_type=row["model_type"],
            source_run_id=row["source_run_id"],
            status=row["status"],
            status_message=row["status_message"],
            tags=tags.get(row["id"], {}),
            params=params.get(row["id"], {}),
            step=row["step"],
            metrics=metrics.get(row["id"], []),
            lifecycle_stage=row["lifecycle_stage"],
        )
        for row in rows
    ]


def value_of(row: Any) -> float:
    """A metric's value: the database holds no NaN, so a column of its own says it."""
    return float("nan") if row["is_nan"] else float(row["value"])


def _ids(rows: Iterable[Any]) -> str:
    return json.dumps([row["id"] for row in rows])


def _by_owner(connection: Connection, statement: str, ids: str, **binds: Any) -> dict[int, dict[str, Any]]:
    """Owner → key → value, from rows of the three."""
    found: dict[int, dict[str, Any]] = {}
    for owner, key, value in connection.execute(statement, {"ids": ids, **binds}):
        found.setdefault(owner, {})[key] = value
    return found


def _facts(connection: Connection, table: str, ids: str, keys: str | None) -> dict[int, dict[str, Any]]:
    some = "" if keys is None else " AND key IN (SELECT value FROM json_each(:keys))"
    return _by_owner(connection, f"SELECT run, key, value FROM {table} WHERE run {_AMONG}{some}", ids, keys=keys)


def _metrics(connection: Connection, ids: str, selected: Selection) -> dict[int, dict[str, float]]:
    keys = selected.keys("metrics")
    some = (
        ""
        if keys is None
        else " AND key IN (SELECT id FROM metric_keys WHERE name IN (SELECT value FROM json_each(:keys)))"
    )
    rows = connection.execute(
        f"SELECT run, key, CASE is_nan WHEN 0 THEN value END FROM latest_metrics WHERE run {_AMONG}{some}",
        {"ids": ids, "keys": keys},
    ).fetchall()
    names = _key_names(connection, {row[1] for row in rows})
    nan = float("nan")
    found: dict[int, dict[str, float]] = {}
    for run, key, value in rows:
        found.setdefault(run, {})[names[key]] = nan if value is None else value
    return found


def _key_names(connection: Connection, keys: Collection[int]) -> dict[int, str]:
    rows = connection.execute(f"SELECT id, name FROM metric_keys WHERE id {_AMONG}", {"ids": json.dumps(list(keys))})
    return {row["id"]: row["name"] for row in rows}


def _datasets(connection: Connection, ids: str) -> dict[int, list[DatasetInput]]:
    tags: dict[tuple[int, int], list[InputTag]] = {}
    for row in connection.execute(
        f"SELECT run, dataset, key, value FROM run_dataset_tags WHERE run {_AMONG}", {"ids": ids}
    ):
        tags.setdefault((row["run"], row["dataset"]), []).append(InputTag(row["key"], row["value"]))
    found: dict[int, list[DatasetInput]] = {}
    for row in connection.execute(
        f"""SELECT l.run, d.* FROM run_datasets l JOIN datasets d ON d.id = l.dataset
            WHERE l.run {_AMONG} ORDER BY place""",
        {"ids": ids},
    ):
        dataset = Dataset(row["name"], row["digest"], row["source_type"], row["source"], row["schema"], row["profile"])
        found.setdefault(row["run"], []).append(DatasetInput(dataset, tuple(tags.get((row["run"], row["id"]), ()))))
    return found


def _models(connection: Connection, ids: str) -> dict[int, list[tuple[str, str, int]]]:
    found: dict[int, list[tuple[str, str, int]]] = {}
    for row in connection.execute(
        f"SELECT run, role, model_id, step FROM run_models WHERE run {_AMONG} ORDER BY step", {"ids": ids}
    ):
        found.setdefault(row["run"], []).append((row["role"], row["model_id"], row["step"]))
    return found


def _model_metrics(connection: Connection, ids: str) -> dict[int, list[Metric]]:
    found: dict[int, list[Metric]] = {}
    for row in connection.execute(
        f"""SELECT m.*, k.name, l.model_id FROM logged_model_metrics m JOIN metric_keys k ON k.id = m.key
            JOIN logged_models l ON l.id = m.model WHERE m.model {_AMONG} ORDER BY k.name, m.step, m.timestamp""",
        {"ids": ids},
    ):
        point = Metric(
            row["name"],
            value_of(row),
            row["timestamp"],
            row["step"],
            model_id=row["model_id"],
            dataset_name=row["dataset_name"] or None,
            dataset_digest=row["dataset_digest"] or None,
            run_id=row["run_id"],
        )
        found.setdefault(row["model"], []).append(point)
    return found
