"""A small `mlruns` folder written by hand: what MLflow writes, and what strangers might."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RUN, CHILD, LOGGED = "a" * 32, "b" * 32, "m-" + "c" * 32
MLMODEL = f"flavors: {{}}\nmodel_uuid: '1'\nmodel_id: {LOGGED}\nrun_id: {RUN}\n"


def meta(folder: Path, **fields: Any) -> Path:
    """A meta.yaml; JSON is YAML too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.yaml").write_text(json.dumps(fields), encoding="utf-8")
    return folder


def fact(folder: Path, key: str, value: str) -> None:
    """One small file of a param, tag, metric or alias."""
    path = folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value, encoding="utf-8")


def experiment(root: Path, number: str = "1", name: str = "churn", **fields: Any) -> Path:
    """An experiment."""
    return meta(root / number, experiment_id=number, name=name, lifecycle_stage="active", creation_time=10, **fields)


def run(home: Path, run_id: str = RUN, **fields: Any) -> Path:
    """A finished run with a param, a tag, three points and a file."""
    known = {"run_id": run_id, "run_name": "first", "status": 3, "start_time": 20, "end_time": 30, "user_id": "ada",
             "lifecycle_stage": "active", "artifact_uri": f"/away/mlruns/{home.name}/{run_id}/artifacts"}  # fmt: skip
    folder = meta(home / run_id, **{**known, **fields})
    fact(folder / "params", "depth", "3")
    fact(folder / "tags", "mlflow.runName", "first")
    fact(folder / "metrics", "val/loss", "1000 0.5 0\n1001 nan 1\n1002 -inf 2\n")
    fact(folder / "artifacts", "plots/curve.txt", "up")
    return folder


def logged(home: Path, model_id: str = LOGGED, **fields: Any) -> Path:
    """A logged model with a directory."""
    known = {"model_id": model_id, "name": "model", "status": 2, "creation_timestamp": 25, "source_run_id": RUN,
             "artifact_location": f"/away/mlruns/{home.name}/models/{model_id}/artifacts"}  # fmt: skip
    folder = meta(home / "models" / model_id, **{**known, **fields})
    fact(folder / "artifacts", "MLmodel", MLMODEL)
    fact(folder / "artifacts", "model.txt", "weights")
    fact(folder / "metrics", "loss", f"1000 0.5 1 {RUN}\n")
    return folder


def version(root: Path, number: int = 1, name: str = "churn", **fields: Any) -> Path:
    """A version of a registered model, which is made besides."""
    meta(root / "models" / name, name=name, creation_timestamp=40, last_updated_timestamp=50, description="# It")
    known = {"name": name, "version": number, "creation_timestamp": 41, "source": f"models:/{LOGGED}", "run_id": RUN,
             "current_stage": "None", "storage_location": f"/away/mlruns/1/models/{LOGGED}/artifacts"}  # fmt: skip
    return meta(root / "models" / name / f"version-{number}", **{**known, **fields})


def whole(root: Path) -> Path:
    """One of each."""
    home = experiment(root)
    fact(home / "tags", "team", "growth")
    run(home)
    fact(run(home, CHILD) / "tags", "mlflow.parentRunId", RUN)
    logged(home)
    version(root)
    version(root, 2, current_stage="Production")
    fact(root / "models" / "churn" / "aliases", "champion", "2")
    return root
