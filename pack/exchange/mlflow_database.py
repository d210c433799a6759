"""MLflow's SQLite database, opened for reading and never upgraded.

The schema is that of MLflow 3.17, revision `dc11669786a5` (interoperability facts, stores); what an older database
lacks reads as nothing, what a newer one has besides is left. Each question is short, so that a run that goes on
meanwhile can record into the database.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pack.errors import Damaged, NotFound, Unavailable
from pack.exchange import older
from pack.exchange.findings import Findings
from pack.exchange.homes import model_id_of, version_at_home
from pack.exchange.roots import Roots
from pack.exchange.source import Files, Ref, Registered, Version
from pack.exchange.values import optional_text, optional_whole, shown, text, whole
from pack.registry import ModelVersion, RegisteredModel
from pack.tracking import (
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

_POINTS = 20_000
# No view and no virtual table: what looks like a table is one.
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
_RUN_COLUMNS = (
    "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time", "end_time",
    "source_version", "lifecycle_stage", "artifact_uri", "experiment_id",
)  # fmt: skip
_VERSION_COLUMNS = (
    "version", "creation_time", "last_updated_time", "description", "user_id", "current_stage", "source", "run_id",
    "status", "status_message", "run_link", "storage_location",
)  # fmt: skip
_MODEL_STATUSES = {0: "PENDING", 1: "PENDING", 2: "READY", 3: "FAILED"}
# Kinds that have no place here; what is left behind is said.
_LEFT = {"trace_info": "traces", "evaluation_datasets": "evaluation datasets", "webhooks": "webhooks"}
_DEFAULT = "default"


class MlflowDatabase:
    """An `mlflow.db`. Things of a workspace other than the default one are called `WORKSPACE.NAME`."""

    def __init__(self, path: Path, *, roots: Roots, findings: Findings) -> None:
        self.uri = f"sqlite:///{path.absolute()}"
        self._roots, self._findings = roots, findings
        self._raw = _open(path)
        with _reading("the database"):
            tables = self._raw.execute(_TABLES).fetchall()
            self._columns = {str(name): self._columns_of(str(name)) for (name,) in tables}
        self._say_what_is_left()

    def close(self) -> None:
        """Close the database."""
        self._raw.close()

    def experiments(self) -> Iterator[str]:
        """The id of each experiment."""
        for row in self._rows("experiments", ("experiment_id",), "1 ORDER BY experiment_id"):
            yield text(row["experiment_id"], "the id of an experiment")

    def experiment(self, key: str) -> Experiment:
        """One experiment."""
        row = self._one(
            "experiments",
            ("name", "lifecycle_stage", "creation_time", "last_update_time", "workspace"),
            "experiment_id = ?",
            (whole(key, "the id of an experiment"),),
        )
        tags = self._pairs("experiment_tags", "key", "value", "experiment_id = ?", (int(key),))
        return Experiment(
            experiment_id=key,
            name=_called(text(row["name"], "a name"), row["workspace"]),
            artifact_location="",
            lifecycle_stage=_stage(row["lifecycle_stage"]),
            tags=tags,
            creation_time=optional_whole(row["creation_time"], "a creation time"),
            last_update_time=optional_whole(row["last_update_time"], "a time"),
        )

    def runs(self, experiment: str) -> Iterator[Ref]:
        """Each run of an experiment."""
        where = "experiment_id = ? ORDER BY start_time, run_uuid"
        for row in self._rows("runs", ("run_uuid",), where, (int(experiment),)):
            yield Ref(experiment, text(row["run_uuid"], "the id of a run"))

    def run(self, ref: Ref) -> Run:
        """A run."""
        row = self._one("runs", _RUN_COLUMNS, "run_uuid = ?", (ref.id,))
        tags = self._pairs("tags", "key", "value", "run_uuid = ?", (ref.id,))
        name = text(row["name"], "a run's name") or tags.get("mlflow.runName", "")
        info = RunInfo(
            run_id=ref.id,
            experiment_id=ref.experiment,
            user_id=text(row["user_id"], "a user"),
            status=text(row["status"], "a status"),
            start_time=whole(row["start_time"] or 0, "a start time"),
            end_time=optional_whole(row["end_time"], "an end time"),
            lifecycle_stage=_stage(row["lifecycle_stage"]),
            artifact_uri=text(row["artifact_uri"], "an artifact location"),
            run_name=name,
        )
        params = self._pairs("params", "key", "value", "run_uuid = ?", (ref.id,))
        tags = older.with_source_tags(tags, {key: row[key] for key in older.SOURCE_FIELDS})
        inputs = RunInputs(self._datasets(ref.id), [LoggedModelInput(one) for one, _ in self._models(ref.id, "INPUT")])
        outputs = RunOutputs([LoggedModelOutput(one, step) for one, step in self._models(ref.id, "OUTPUT")])
        return Run(info, RunData({}, params, tags), inputs, outputs)

    def history(self, ref: Ref) -> Iterator[Metric]:
        """Every point of every metric."""
        known = self._columns.get("metrics", set())
        step = "coalesce(step, 0)" if "step" in known else "0"
        is_nan = "coalesce(is_nan, 0)" if "is_nan" in known else "0"
        statement = f"""SELECT key, {step} AS s, timestamp, value, {is_nan} AS n FROM metrics
            WHERE run_uuid = ? AND (key, {step}, timestamp, value, {is_nan}) > (?, ?, ?, ?, ?)
            ORDER BY key, s, timestamp, value, n LIMIT {_POINTS}"""  # noqa: S608 - fixed names
        after: tuple[Any, ...] = ("", -(2**63), -(2**63), float("-inf"), 0)
        while known:
            with _reading(f"the metrics of run {shown(ref.id)}"):
                rows = self._raw.execute(statement, (ref.id, *after)).fetchall()
            for key, at, moment, value, bad in rows:
                yield Metric(key, float("nan") if bad else _decoded(value), moment, at)
            if len(rows) < _POINTS:
                return
            after = tuple(rows[-1])

    def run_files(self, run: Run, ref: Ref) -> Files | None:
        """The artifacts of a run."""
        return self._roots.files(run.info.artifact_uri, owner=ref.id, what=f"run {ref.id}")

    def logged_models(self, experiment: str) -> Iterator[Ref]:
        """Each logged model of an experiment."""
        where = "experiment_id = ? ORDER BY creation_timestamp_ms, model_id"
        for row in self._rows("logged_models", ("model_id",), where, (int(experiment),)):
            yield Ref(experiment, text(row["model_id"], "the id of a logged model"))

    def logged_model(self, ref: Ref) -> LoggedModel:
        """A logged model."""
        row = self._one(
            "logged_models",
            ("name", "artifact_location", "creation_timestamp_ms", "last_updated_timestamp_ms", "status",
             "lifecycle_stage", "model_type", "source_run_id", "status_message"),
            "model_id = ?",
            (ref.id,),
        )  # fmt: skip
        made = whole(row["creation_timestamp_ms"] or 0, "a creation time")
        return LoggedModel(
            experiment_id=ref.experiment,
            model_id=ref.id,
            name=text(row["name"], "a name"),
            artifact_location=text(row["artifact_location"], "a location"),
            creation_timestamp=made,
            last_updated_timestamp=whole(row["last_updated_timestamp_ms"] or made, "a time"),
            model_type=optional_text(row["model_type"], "a model's type"),
            source_run_id=optional_text(row["source_run_id"], "a run's id"),
            status=_MODEL_STATUSES.get(whole(row["status"] or 0, "a status"), "FAILED"),
            status_message=optional_text(row["status_message"], "a message"),
            tags=self._pairs("logged_model_tags", "tag_key", "tag_value", "model_id = ?", (ref.id,)),
            params=self._pairs("logged_model_params", "param_key", "param_value", "model_id = ?", (ref.id,)),
            step=self._step(ref.id),
            metrics=self._model_points(ref.id),
            lifecycle_stage=_stage(row["lifecycle_stage"]),
        )

    def logged_model_files(self, model: LoggedModel, ref: Ref) -> Files | None:
        """The directory of a logged model."""
        return self._roots.files(model.artifact_location, owner=ref.id, what=f"logged model {ref.id}")

    def registered_models(self) -> Iterator[str]:
        """The name of each registered model."""
        for row in self._rows("registered_models", ("name", "workspace"), "1 ORDER BY name"):
            yield _called(text(row["name"], "a model's name"), row["workspace"])

    def registered_model(self, key: str) -> Registered:
        """One registered model."""
        where, binds = self._named("registered_models", key)
        row = self._one("registered_models", ("creation_time", "last_updated_time", "description"), where, binds)
        made = whole(row["creation_time"] or 0, "a creation time")
        where, binds = self._named("registered_model_tags", key)
        tags = self._pairs("registered_model_tags", "key", "value", where, binds)
        where, binds = self._named("registered_model_aliases", key)
        aliases = self._rows("registered_model_aliases", ("alias", "version"), f"{where} ORDER BY alias", binds)
        record = RegisteredModel(
            name=key,
            creation_timestamp=made,
            last_updated_timestamp=whole(row["last_updated_time"] or made, "a time"),
            description=text(row["description"], "a description"),
            tags=tags,
            aliases={text(one["alias"], "an alias"): whole(one["version"], "a version") for one in aliases},
        )
        where, binds = self._named("model_versions", key)
        given = [whole(one["version"], "a version") for one in self._rows("model_versions", ("version",), where, binds)]
        return Registered(record, max(given, default=0))

    def versions(self, key: str) -> Iterator[int]:
        """The number of each version that is not deleted."""
        where, binds = self._named("model_versions", key)
        rows = self._rows("model_versions", ("version", "current_stage"), f"{where} ORDER BY version", binds)
        yield from (whole(row["version"], "a version") for row in rows if row["current_stage"] != older.DELETED)

    def version(self, key: str, number: int) -> Version:
        """One version."""
        where, binds = self._named("model_versions", key)
        row = self._one("model_versions", _VERSION_COLUMNS, f"{where} AND version = ?", (*binds, number))
        made = whole(row["creation_time"] or 0, "a creation time")
        source, storage = text(row["source"], "a source"), text(row["storage_location"], "a location")
        where, binds = self._named("model_version_tags", key)
        record = ModelVersion(
            name=key,
            version=number,
            creation_timestamp=made,
            last_updated_timestamp=whole(row["last_updated_time"] or made, "a time"),
            description=text(row["description"], "a description"),
            user_id=text(row["user_id"], "a user"),
            current_stage=text(row["current_stage"], "a stage") or "None",
            source=source,
            storage_location=storage or source,
            run_id=optional_text(row["run_id"], "a run's id"),
            run_link=optional_text(row["run_link"], "a link"),
            model_id=model_id_of(source, storage),
            status=text(row["status"], "a status") or "READY",
            status_message=optional_text(row["status_message"], "a message"),
            tags=self._pairs("model_version_tags", "key", "value", f"{where} AND version = ?", (*binds, number)),
        )
        return version_at_home(record, known_run=self._has_run, known_model=self._has_model, roots=self._roots)

    def _datasets(self, run_id: str) -> list[DatasetInput]:
        found = []
        where = "destination_id = ? AND source_type = 'DATASET' AND destination_type = 'RUN' ORDER BY input_uuid"
        for edge in self._rows("inputs", ("input_uuid", "source_id"), where, (run_id,)):
            columns = ("name", "digest", "dataset_source_type", "dataset_source", "dataset_schema", "dataset_profile")
            row = next(self._rows("datasets", columns, "dataset_uuid = ?", (edge["source_id"],)), None)
            if row is None:
                self._findings.skip(f"run {shown(run_id)}", "one of its datasets is missing")
                continue
            tags = self._pairs("input_tags", "name", "value", "input_uuid = ?", (edge["input_uuid"],))
            texts = [optional_text(row[column], "a field of a dataset") for column in columns]
            dataset = Dataset(*(one or "" for one in texts[:4]), *texts[4:])
            found.append(DatasetInput(dataset, tuple(InputTag(key, value) for key, value in tags.items())))
        return found

    def _models(self, run_id: str, role: str) -> list[tuple[str, int]]:
        where = "source_id = ? AND source_type = ? AND destination_type = ? ORDER BY input_uuid"
        binds = (run_id, f"RUN_{role}", f"MODEL_{role}")
        rows = self._rows("inputs", ("destination_id", "step"), where, binds)
        return [(text(row["destination_id"], "a model's id"), whole(row["step"] or 0, "a step")) for row in rows]

    def _step(self, model_id: str) -> int:
        where = "destination_id = ? AND destination_type = 'MODEL_OUTPUT'"
        steps = [whole(row["step"] or 0, "a step") for row in self._rows("inputs", ("step",), where, (model_id,))]
        return max(steps, default=0)

    def _model_points(self, model_id: str) -> list[Metric]:
        columns = ("metric_name", "metric_timestamp_ms", "metric_step", "metric_value", "run_id", "dataset_name",
                   "dataset_digest")  # fmt: skip
        rows = self._rows("logged_model_metrics", columns, "model_id = ?", (model_id,))
        return [
            Metric(
                text(row["metric_name"], "a metric's name"),
                float("nan") if row["metric_value"] is None else _decoded(row["metric_value"]),
                whole(row["metric_timestamp_ms"], "a time"),
                whole(row["metric_step"] or 0, "a step"),
                model_id,
                optional_text(row["dataset_name"], "a dataset's name"),
                optional_text(row["dataset_digest"], "a digest"),
                optional_text(row["run_id"], "a run's id"),
            )
            for row in rows
        ]

    def _has_run(self, run_id: str) -> bool:
        return next(self._rows("runs", ("run_uuid",), "run_uuid = ?", (run_id,)), None) is not None

    def _has_model(self, model_id: str) -> bool:
        return next(self._rows("logged_models", ("model_id",), "model_id = ?", (model_id,)), None) is not None

    def _named(self, table: str, key: str) -> tuple[str, tuple[Any, ...]]:
        """The rows of a registered model's name, in its workspace."""
        workspace, dot, name = key.partition(".")
        columns = self._columns.get(table, set())
        if "workspace" not in columns:
            return "name = ?", (key,)
        default = "name = ? AND coalesce(workspace, 'default') = 'default'"
        if not dot:
            return default, (key,)
        return f"(({default}) OR (name = ? AND workspace = ?))", (key, name, workspace)

    def _pairs(self, table: str, key: str, value: str, where: str, binds: Sequence[Any]) -> dict[str, str]:
        rows = self._rows(table, (key, value), f"{where} ORDER BY {key}", binds)
        return {text(row[key], "a name"): text(row[value], f"the value of {shown(row[key])}") for row in rows}

    def _one(self, table: str, columns: Sequence[str], where: str, binds: Sequence[Any]) -> Any:
        row = next(self._rows(table, columns, where, binds), None)
        if row is None:
            raise NotFound(f"its row of {table} is gone")
        return row

    def _rows(self, table: str, columns: Sequence[str], where: str, binds: Sequence[Any] = ()) -> Iterator[Any]:
        """Rows of a table; columns that it lacks are null."""
        known = self._columns.get(table)
        if not known:
            return iter(())
        chosen = ", ".join(column if column in known else f"NULL AS {column}" for column in columns)
        with _reading(f"the table {table}"):
            # The names are those written in this file; values are always binds.
            return iter(self._raw.execute(f"SELECT {chosen} FROM {table} WHERE {where}", binds).fetchall())  # noqa: S608

    def _columns_of(self, table: str) -> set[str]:
        quoted = table.replace('"', '""')
        return {str(row[1]) for row in self._raw.execute(f'PRAGMA table_info("{quoted}")').fetchall()}

    def _say_what_is_left(self) -> None:
        for table, noun in _LEFT.items():
            count = self._count(table)
            if count:
                self._findings.note(f"{count:,} {noun} stay behind: there is no place for them here")

    def _count(self, table: str) -> int:
        if table not in self._columns:
            return 0
        with _reading(f"the table {table}"):
            return int(self._raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - a fixed name


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise NotFound(f"there is no file {path}", hint="give the path of an mlflow.db")
    with _reading("the database"):
        raw = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=60.0, isolation_level=None)
        raw.row_factory = sqlite3.Row
        raw.execute("PRAGMA trusted_schema=OFF")
        raw.execute("PRAGMA query_only=ON")
    return raw


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Say what the database refused."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise Unavailable(f"{what} is busy: another program writes into it", hint="try again") from error
        raise Damaged(f"{what} cannot be read: {error}") from error
    except (sqlite3.DatabaseError, OverflowError) as error:
        raise Damaged(f"{what} cannot be read: {error}") from error


def _called(name: str, workspace: Any) -> str:
    return name if workspace in (None, "", _DEFAULT) else f"{text(workspace, 'a workspace')}.{name}"


def _stage(value: Any) -> str:
    return "deleted" if value == "deleted" else "active"


def _decoded(value: Any) -> Any:
    """MLflow writes infinities as the largest float, because some databases know none."""
    return value * 2 if isinstance(value, float) and abs(value) >= sys.float_info.max else value
