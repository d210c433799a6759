"""What a search of the tracking store may name, and how that is read from the tables."""

from __future__ import annotations

from pack.db.search import Column, Facts, Linked, Target

_ARTIFACTS = (
    "CASE WHEN artifact_uri LIKE '/%' OR artifact_uri LIKE '%://%' THEN artifact_uri ELSE :root || artifact_uri END"
)
_DATASETS = """run_datasets l JOIN datasets d ON d.id = l.dataset
    LEFT JOIN run_dataset_tags c ON c.run = l.run AND c.dataset = l.dataset AND c.key = 'mlflow.data.context'
    WHERE l.run = runs.id"""
_ENTITIES = {
    "metric": "metrics",
    "param": "params",
    "parameter": "params",
    "parameters": "params",
    "tag": "tags",
    "attribute": "attributes",
    "attr": "attributes",
    "run": "attributes",
    "dataset": "datasets",
}

RUNS = Target(
    noun="runs",
    table="runs",
    columns={
        "run_id": Column("runs.run_id"),
        "run_name": Column("runs.name"),
        "run name": Column("runs.name"),
        "Run name": Column("runs.name"),
        "Run Name": Column("runs.name"),
        "user_id": Column("runs.user_id"),
        "status": Column("runs.status"),
        "artifact_uri": Column(_ARTIFACTS),
        "start_time": Column("runs.start_time", kind="number"),
        "created": Column("runs.start_time", kind="number"),
        "Created": Column("runs.start_time", kind="number"),
        "end_time": Column("runs.end_time", kind="number", nullable=True),
    },
    facts={
        "metrics": Facts("latest_metrics", "f.run = runs.id", "metric"),
        "params": Facts("params", "f.run = runs.id"),
        "tags": Facts("run_tags", "f.run = runs.id"),
    },
    linked={"datasets": Linked(_DATASETS, {"name": "d.name", "digest": "d.digest", "context": "c.value"})},
    entities=_ENTITIES,
    ties=(("start_time", True), ("run_id", False)),
)

EXPERIMENTS = Target(
    noun="experiments",
    table="experiments",
    columns={
        "experiment_id": Column("CAST(experiments.id AS TEXT)", order="experiments.id"),
        "name": Column("experiments.name"),
        "creation_time": Column("experiments.creation_time", kind="number"),
        "last_update_time": Column("experiments.last_update_time", kind="number"),
        "id": Column("experiments.id", kind="number"),
    },
    facts={"tags": Facts("experiment_tags", "f.experiment = experiments.id")},
    entities=_ENTITIES,
    ties=(("creation_time", True), ("id", False)),
)


def logged_models(datasets: str = "1") -> Target:
    """What a search of logged models may name; `datasets` is SQL that says which measurements count."""
    latest = f"""(SELECT model, key, value, is_nan, max(timestamp) FROM logged_model_metrics
        WHERE {datasets} GROUP BY model, key)"""
    times = {
        name: Column(f"logged_models.{column}", kind="number")
        for name, column in {
            "creation_timestamp": "creation_timestamp",
            "creation_time": "creation_timestamp",
            "last_updated_timestamp": "last_updated_timestamp",
            "id": "id",
        }.items()
    }
    return Target(
        noun="logged models",
        table="logged_models",
        columns={
            **{
                name: Column(f"logged_models.{name}", nullable=name in {"model_type", "source_run_id"})
                for name in ("name", "model_id", "model_type", "status", "source_run_id", "lifecycle_stage")
            },
            "experiment_id": Column("CAST(logged_models.experiment AS TEXT)", order="logged_models.experiment"),
            **times,
        },
        facts={
            "metrics": Facts(latest, "f.model = logged_models.id", "metric"),
            "params": Facts("logged_model_params", "f.model = logged_models.id"),
            "tags": Facts("logged_model_tags", "f.model = logged_models.id"),
        },
        entities=_ENTITIES,
        ties=(("creation_timestamp", True), ("id", True)),
    )
