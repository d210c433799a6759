"""What runs used and made: datasets and models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pack.db import Connection, Database
from pack.errors import InvalidValue
from pack.tracking import limits
from pack.tracking.entities import DatasetInput, LoggedModelInput, LoggedModelOutput
from pack.tracking.runs import Runs

_UPSERT = """INSERT INTO datasets (experiment, name, digest, source_type, source, schema, profile)
    VALUES (:experiment, :name, :digest, :source_type, :source, :schema, :profile)
    ON CONFLICT (experiment, name, digest) DO UPDATE SET source = source RETURNING id"""


class Lineage:
    """The part of `TrackingStore` that links runs with datasets and models; a link made twice is one link."""

    def __init__(self, database: Database, runs: Runs) -> None:
        self._database = database
        self._runs = runs

    def log_inputs(
        self, run_id: str, *, datasets: Sequence[DatasetInput] = (), models: Sequence[LoggedModelInput] = ()
    ) -> None:
        """Link a run with what it used."""
        if len(datasets) > limits.DATASETS:
            raise InvalidValue(f"a call holds {len(datasets):,} datasets, {limits.DATASETS:,} are allowed")
        checked = [limits.check_dataset(one) for one in datasets]
        with self._database.write() as connection:
            run = self._runs.active_row(connection, run_id)
            self.link_inputs(connection, run, checked, models)

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        """Link a run with the models that it made."""
        with self._database.write() as connection:
            self.link_outputs(connection, self._runs.active_row(connection, run_id), models)

    def link_inputs(
        self, connection: Connection, run: Any, datasets: Sequence[DatasetInput], models: Sequence[LoggedModelInput]
    ) -> None:
        """Link the row of a run with what it used."""
        for one in datasets:
            _link(connection, run, one)
        connection.many(
            "INSERT OR IGNORE INTO run_models (run, model_id, role, step) VALUES (?, ?, 'input', 0)",
            [(run["id"], limits.check_linked(model.model_id)) for model in models],
        )

    def link_outputs(self, connection: Connection, run: Any, models: Sequence[LoggedModelOutput]) -> None:
        """Link the row of a run with the models that it made."""
        connection.many(
            """INSERT INTO run_models (run, model_id, role, step) VALUES (?, ?, 'output', ?)
                ON CONFLICT (run, role, model_id) DO UPDATE SET step = excluded.step""",
            [(run["id"], limits.check_linked(model.model_id), limits.check_step(model.step)) for model in models],
        )


def _link(connection: Connection, run: Any, given: DatasetInput) -> None:
    dataset = given.dataset
    number = connection.execute(
        _UPSERT,
        {
            "experiment": run["experiment"],
            "name": dataset.name,
            "digest": dataset.digest,
            "source_type": dataset.source_type,
            "source": dataset.source,
            "schema": dataset.schema,
            "profile": dataset.profile,
        },
    ).fetchone()["id"]
    connection.execute(
        """INSERT OR IGNORE INTO run_datasets (run, dataset, place)
            SELECT :run, :dataset, count(*) FROM run_datasets WHERE run = :run""",
        {"run": run["id"], "dataset": number},
    )
    connection.many(
        """INSERT INTO run_dataset_tags (run, dataset, key, value) VALUES (?, ?, ?, ?)
            ON CONFLICT (run, dataset, key) DO UPDATE SET value = excluded.value""",
        [(run["id"], number, tag.key, tag.value) for tag in given.tags],
    )
