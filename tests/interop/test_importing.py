"""Stores that real MLflow wrote, imported and compared item by item with what MLflow's own client reads."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.exchange import export_to, import_from
from tests.exchange.dump import World
from tests.interop.conftest import MlflowServer

pytestmark = pytest.mark.mlflow

HEAD = """
import hashlib, logging, os
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
import mlflow, numpy as np, pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, Metric, Param, RunTag, ViewType
logging.disable(logging.CRITICAL)
mlflow.set_tracking_uri(URI)
client = MlflowClient()
"""
WORLD = """
from sklearn.linear_model import LogisticRegression
X = np.array([[0.0], [1.0], [2.0], [3.0]])
model = LogisticRegression().fit(X, [0, 0, 1, 1])
frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
data = mlflow.data.from_pandas(frame, source="file:///x.csv", name="train")
more = mlflow.data.from_pandas(frame[:1], source="file:///y.csv", name="test")

churn = mlflow.set_experiment("churn").experiment_id
client.set_experiment_tag(churn, "team", "a/b")
with mlflow.start_run(run_name="parent", description="# Notes") as parent:
    for key, value in {"a/b/c": "1", "lines": "one\\ntwo\\n", "empty": "", "odd. key-_ 1": "x" * 5900}.items():
        mlflow.log_param(key, value)
    mlflow.set_tags({"odd: key/x": "v", "unicode": "ünï 🎉", "empty": ""})
    for step, value in enumerate([float("nan"), float("inf"), float("-inf"), 1e-300, -0.0, 5]):
        mlflow.log_metric("loss", value, step=step)
    mlflow.log_metric("val/acc", 0.5, step=-3)
    mlflow.log_metric("val/acc", 0.5, step=-3, timestamp=5)
    mlflow.log_metric("val/deep/er", 0.1 + 0.2, step=2**40)
    mlflow.log_input(data, context="training", tags={"k": "v"})
    mlflow.log_input(more)
    mlflow.log_metric("measured", 1.5, step=7, dataset=data)
    mlflow.log_text("hello", "dir/sub/a.txt")
    mlflow.log_text("", "empty.txt")
    mlflow.log_dict({"a": 1}, "dir/b.json")
    info = mlflow.sklearn.log_model(model, name="model", params={"C": "1"}, input_example=X[:1], model_type="linear")
    client.set_logged_model_tags(info.model_id, {"stage": "x"})
    mlflow.log_metric("f1", 0.9, step=1, model_id=info.model_id, dataset=data)
    mlflow.log_metric("f1", float("inf"), step=3, model_id=info.model_id)
    client.log_batch(
        parent.info.run_id, [Metric("long", i * 0.1, 1700000000000 + i, i) for i in range(1000)]
    )
    for place in range(3):
        with mlflow.start_run(run_name=f"child {place}", nested=True) as child:
            mlflow.log_metrics({f"m{n}": n / 3 for n in range(20)})
            client.log_inputs(child.info.run_id, models=[LoggedModelInput(model_id=info.model_id)])
second = mlflow.sklearn.log_model(model, name="second")
mlflow.register_model(info.model_uri, "churn", tags={"t": "1"})
mlflow.register_model(f"runs:/{parent.info.run_id}/model", "churn")
mlflow.register_model(second.model_uri, "churn")
for alias, version in (("champion", 2), ("challenger", 1)):
    client.set_registered_model_alias("churn", alias, version)
client.transition_model_version_stage("churn", "2", "Production")
client.transition_model_version_stage("churn", "1", "Archived")
client.update_registered_model("churn", description="# About\\n\\n*it*")
client.update_model_version("churn", "1", description="first")
client.set_registered_model_tag("churn", "owner", "me")
gone = mlflow.register_model(info.model_uri, "churn")
client.delete_model_version("churn", gone.version)
client.copy_model_version("models:/churn/1", "copied")
mlflow.register_model(info.model_uri, "old name")
client.rename_registered_model("old name", "new name")
mlflow.register_model(info.model_uri, "deleted")
client.delete_registered_model("deleted")
with mlflow.start_run(run_name="killed") as killed:
    mlflow.log_metric("x", 1)
client.set_terminated(killed.info.run_id, "KILLED")
client.delete_run(killed.info.run_id)
dead = client.create_experiment("dead", tags={"q": "r"})
run = client.create_run(dead, run_name="in it")
client.log_metric(run.info.run_id, "z", 2.0)
client.delete_experiment(dead)
doomed = mlflow.sklearn.log_model(model, name="doomed")
client.delete_logged_model(doomed.model_id)
running = client.create_run("0", run_name="running")
client.log_param(running.info.run_id, "p", "1")
"""
DUMP = """
def number(value):
    value = float(value) + 0.0  # SQLite keeps no sign of a zero
    return repr(float("inf") * (1 if value > 0 else -1)) if abs(value) >= 1.7976931348623157e308 else repr(value)

def files(root):
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = hashlib.sha256(open(path, "rb").read()).hexdigest()
    return found

def run_of(info):
    run = client.get_run(info.run_id)
    points = [point for key in run.data.metrics for point in client.get_metric_history(info.run_id, key)]
    return {
        "run_id": info.run_id, "user_id": info.user_id, "status": info.status, "start_time": info.start_time,
        "end_time": info.end_time, "lifecycle_stage": info.lifecycle_stage, "run_name": info.run_name,
        "experiment": client.get_experiment(info.experiment_id).name, "params": run.data.params, "tags": run.data.tags,
        "latest": {key: number(value) for key, value in run.data.metrics.items()},
        "points": sorted({(p.key, p.step, p.timestamp, number(p.value)) for p in points}),
        "datasets": sorted((
            {"name": d.dataset.name, "digest": d.dataset.digest, "source_type": d.dataset.source_type,
             "source": d.dataset.source, "schema": d.dataset.schema, "profile": d.dataset.profile,
             "tags": {tag.key: tag.value for tag in d.tags}} for d in run.inputs.dataset_inputs), key=repr),
        "uses": sorted(one.model_id for one in run.inputs.model_inputs),
        "made": sorted((one.model_id, one.step) for one in run.outputs.model_outputs),
        "files": files(info.artifact_uri),
    }

def model_of(model):
    return {
        "model_id": model.model_id, "name": model.name, "status": model.status.value, "model_type": model.model_type,
        "source_run_id": model.source_run_id, "creation_timestamp": model.creation_timestamp,
        "last_updated_timestamp": model.last_updated_timestamp, "params": model.params, "tags": model.tags,
        "experiment": client.get_experiment(model.experiment_id).name,
        "points": sorted((p.key, p.step, p.timestamp, number(p.value), p.run_id, p.dataset_name, p.dataset_digest)
                         for p in model.metrics or []),
        "files": files(model.artifact_location),
    }

def version_of(found):
    version = client.get_model_version(found.name, found.version)
    names = ("creation_timestamp", "last_updated_timestamp", "current_stage", "source", "run_id", "status", "tags")
    return {name: getattr(version, name) for name in names} | {
        "description": version.description or "", "aliases": sorted(version.aliases)}

everything = client.search_experiments(view_type=ViewType.ALL)
infos = [run.info for one in everything for run in client.search_runs([one.experiment_id], run_view_type=ViewType.ALL)]
active = [one.experiment_id for one in everything if one.lifecycle_stage == "active"]
answer = {
    "experiments": {one.name: {"lifecycle_stage": one.lifecycle_stage, "tags": one.tags} for one in everything},
    "runs": {info.run_id: run_of(info) for info in infos},
    "logged": {one.model_id: model_of(one) for one in client.search_logged_models(experiment_ids=active)},
    "models": {
        one.name: {
            "description": one.description or "", "tags": one.tags, "creation_timestamp": one.creation_timestamp,
            "last_updated_timestamp": one.last_updated_timestamp,
            "aliases": {alias: int(version) for alias, version in one.aliases.items()},
            "versions": {str(v.version): version_of(v) for v in client.search_model_versions(f"name = '{one.name}'")},
        }
        for one in client.search_registered_models()
    },
}
"""
LOGGED = {"model_id", "name", "status", "model_type", "source_run_id", "creation_timestamp", "last_updated_timestamp",
          "params", "tags", "experiment", "points", "files"}  # fmt: skip
VERSION = ("creation_timestamp", "last_updated_timestamp", "description", "current_stage", "source", "run_id", "status",
           "tags", "aliases")  # fmt: skip
PLACES = {"files": "mlruns", "database": "mlflow.db"}


def as_mlflow_says(found: dict[str, Any]) -> dict[str, Any]:
    """What was imported, with the names and kinds of values of the dump above."""
    found["runs"] = {one: {**run, "points": sorted(map(tuple, run["points"]))} for one, run in found["runs"].items()}
    for name, model in found["models"].items():
        kept = ("description", "tags", "creation_timestamp", "last_updated_timestamp", "aliases")
        versions = {str(number): _version(version) for number, version in model["versions"].items()}
        found["models"][name] = {**{field: model[field] for field in kept}, "versions": versions}
    return {
        "experiments": {
            name: {"lifecycle_stage": one["lifecycle_stage"], "tags": one["tags"]}
            for name, one in found["experiments"].items()
        },
        "runs": found["runs"],
        "logged": {
            model_id: {name: value for name, value in model.items() if name in LOGGED}
            for model_id, model in found["logged"].items()
            if model["lifecycle_stage"] == "active"
        },
        "models": found["models"],
    }


def _version(version: dict[str, Any]) -> dict[str, Any]:
    return {field: version[field] for field in VERSION}


def _tuples(found: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists only."""
    for thing in (*found["runs"].values(), *found["logged"].values()):
        for field in ("points", "made"):
            thing[field] = sorted(map(tuple, thing.get(field, [])))
    return found


def _without_steps_of_measured(found: dict[str, Any]) -> dict[str, Any]:
    """MLflow's file store reads the step of a point that was measured on a dataset as 0; we read what is written."""
    for thing in (*found["runs"].values(), *found["logged"].values()):
        thing["points"] = sorted(
            {
                (point[0], None, *point[2:]) if point[0] in {"measured", "f1"} else tuple(point)
                for point in thing["points"]
            }
        )
    return found


@pytest.fixture(params=list(PLACES))
def kind(request: pytest.FixtureRequest) -> str:
    """Which of MLflow's two stores it is."""
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def made() -> dict[str, tuple[Path, dict[str, Any]]]:
    """What was written for an earlier test; no test changes it."""
    return {}


@pytest.fixture
def written(
    mlflow: Callable[[str], Any], tmp_path: Path, kind: str, made: dict[str, tuple[Path, dict[str, Any]]]
) -> tuple[Path, dict[str, Any]]:
    """A store that MLflow wrote, and what MLflow's client reads in it."""
    if kind not in made:
        source = tmp_path / PLACES[kind]
        uri = str(source) if kind == "files" else f"sqlite:///{source}"
        made[kind] = source, mlflow(f"URI = {uri!r}\n{HEAD}{WORLD}{DUMP}")
    return made[kind]


def test_all_that_mlflow_reads_is_here_and_the_same(
    written: tuple[Path, dict[str, Any]], kind: str, tmp_path: Path
) -> None:
    source, expected = written
    world = World(tmp_path / "here")
    report = import_from(source, tracking=world.tracking, registry=world.registry)
    assert report.complete, str(report)
    assert report.counts["runs"].there == len(expected["runs"]) == 7
    raw = world.dump()
    assert [model["name"] for model in raw["logged"].values() if model["lifecycle_stage"] == "deleted"] == ["doomed"]
    assert raw["models"]["churn"]["last_version"] == 4
    theirs, mine = _tuples(expected), _tuples(as_mlflow_says(raw))
    if kind == "files":
        steps = {point[1] for run in mine["runs"].values() for point in run["points"] if point[0] == "measured"}
        assert 7 in steps
        theirs, mine = _without_steps_of_measured(theirs), _without_steps_of_measured(mine)
    for noun, things in theirs.items():
        assert mine[noun].keys() == things.keys()
        for name, thing in things.items():
            assert mine[noun][name] == thing, f"{noun} {name}"
    again = import_from(source, tracking=world.tracking, registry=world.registry)
    assert again.complete
    assert {count.new for count in again.counts.values()} == {0}


def test_an_imported_model_loads_and_predicts_and_verifies(
    written: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from click.testing import CliRunner

    from pack.cli import main

    assert import_from(written[0]).complete
    for uri in ("models:/churn/1", "models:/churn/2", "models:/churn/3", "models:/churn@champion", "models:/copied/1"):
        done = CliRunner().invoke(main, ["verify", uri])
        assert done.exit_code == 0, done.output
        assert "registered with" in done.output
    loaded = pack.pyfunc.load_model("models:/churn@champion", trust=True)
    assert list(loaded.predict([[0.0], [3.0]])) == [0, 1]


def test_what_mlflow_wrote_survives_an_export(written: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    first, second = World(tmp_path / "first"), World(tmp_path / "second")
    import_from(written[0], tracking=first.tracking, registry=first.registry)
    assert export_to(tmp_path / "out", tracking=first.tracking, registry=first.registry).complete
    assert import_from(tmp_path / "out", tracking=second.tracking, registry=second.registry).complete
    assert second.dump() == first.dump()


@pytest.mark.parametrize("kind", ["database"], indirect=True)
def test_a_database_of_another_revision_is_read(written: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    source = shutil.copy(written[0], written[0].with_name("older.db"))
    raw = sqlite3.connect(source, isolation_level=None)
    raw.execute("PRAGMA foreign_keys=OFF")
    for table in ("logged_model_metrics", "logged_model_params", "logged_model_tags", "logged_models", "input_tags",
                  "inputs", "datasets", "registered_model_aliases", "webhook_events", "webhooks"):  # fmt: skip
        raw.execute(f"DROP TABLE {table}")
    raw.execute("ALTER TABLE model_versions DROP COLUMN storage_location")
    raw.execute("ALTER TABLE runs DROP COLUMN deleted_time")
    raw.execute("UPDATE alembic_version SET version_num = 'cfd24bdc0731'")
    raw.close()
    world = World(tmp_path / "here")
    report = import_from(source, tracking=world.tracking, registry=world.registry)
    assert report.complete, str(report)
    assert (report.counts["runs"].same, report.counts["logged models"].same, report.counts["versions"].same) == (
        7,
        0,
        5,
    )


def test_a_server_s_artifacts_come_from_its_folder(
    mlflow: Callable[[str], Any], mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    uri = f"http://{mlflow_server.host}"
    script = """
with mlflow.start_run() as run:
    mlflow.log_text("hello", "dir/a.txt")
    info = mlflow.sklearn.log_model(model, name="model", registered_model_name="served")
answer = [run.info.run_id, info.model_id]
"""
    lines = WORLD.splitlines()[:4]
    run_id, model_id = mlflow("\n".join([f"URI = {uri!r}", HEAD, *lines, script]))
    source = mlflow_server.folder.parent / "mlflow.db"
    world = World(tmp_path / "here")
    without = import_from(source, tracking=world.tracking, registry=world.registry)
    assert any("--artifacts-root" in text for text in without.skipped)
    assert world.registry.get_model_version("served", 1).digest is None
    report = import_from(
        source, artifacts_roots=[mlflow_server.folder], tracking=world.tracking, registry=world.registry
    )
    assert report.complete, str(report)
    found = world.dump()
    assert set(found["runs"][run_id]["files"]) == {"dir/a.txt"}
    assert "MLmodel" in found["logged"][model_id]["files"]
    assert world.registry.get_model_version("served", 1).digest is not None
