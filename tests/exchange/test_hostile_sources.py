"""Sources that strangers made: nothing outside them is read, nothing outside the store is written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pack.errors import PackError
from pack.exchange import Report, import_from
from tests.exchange import mlruns
from tests.exchange.databases import MlflowDb
from tests.exchange.dump import World
from tests.exchange.mlruns import CHILD, LOGGED, RUN

SECRET = "the secret outside"


def bring(source: Path | str, world: World) -> Report:
    return import_from(source, tracking=world.tracking, registry=world.registry)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder that no source may lead to; what a model would need is in it."""
    folder = tmp_path / "secret"
    mlruns.fact(folder, "MLmodel", SECRET)
    mlruns.fact(folder, "artifacts/secret.txt", SECRET)
    return folder


@pytest.fixture(autouse=True)
def nothing_leaks(tmp_path: Path, here: World) -> object:
    """After each test: the secret is in no file of the store, and nothing new lies beside the test's own folders."""
    yield
    for path in (tmp_path / "here").rglob("*"):
        assert not path.is_symlink()
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    assert {path.name for path in tmp_path.iterdir()} <= {"here", "there", "secret", "world", "state", "cache", "db"}


@pytest.fixture
def database(tmp_path: Path) -> MlflowDb:
    (tmp_path / "db").mkdir()
    made = MlflowDb(tmp_path / "db" / "mlflow.db")
    made.experiment()
    return made


@pytest.mark.parametrize(
    "uri",
    [
        "/etc",
        "file:///etc",
        "{secret}",
        "{secret}/{run}/artifacts",
        "../secret/{run}/artifacts",
        "{there}/../secret/{run}/artifacts",
        "{there}/1/{run}/artifacts/../../../../secret",
        "{there}/1/%2e%2e/{run}",
        "file:///{there}/1/{run}%2f..%2f..%2fsecret",
        "{there}\\..\\secret\\{run}",
        "mlflow-artifacts:/#/../{run}",
        "mlflow-artifacts:/../../secret/{run}/artifacts",
        "http://169.254.169.254/latest/{run}",
        "\\\\127.0.0.1\\share\\{run}",
        "runs:/{run}/../x",
        pytest.param("x" * 100_000, id="long"),
        pytest.param("x/" * 500 + "{run}/artifacts", id="deep"),
        "a\u0000b",
    ],
)
def test_a_location_leads_nowhere_outside(there: Path, here: World, secret: Path, database: MlflowDb, uri: str) -> None:
    mlruns.fact(secret / RUN / "artifacts", "secret.txt", SECRET)
    text = uri.format(secret=secret, there=there, run=RUN)
    database.run(RUN, artifact_uri=text)
    database.add("registered_models", name="m", creation_time=1)
    database.add("model_versions", name="m", version=1, source=text, storage_location=text, current_stage="None")
    bring(database.path, here)
    mlruns.run(there / "1", artifact_uri=text)
    mlruns.version(there, 1, source=text, storage_location=text)
    bring(there, here)
    assert all(set(run["files"]) <= {"plots/curve.txt"} for run in here.dump()["runs"].values())


def test_links_are_not_followed(there: Path, here: World, secret: Path) -> None:
    artifacts = there / "1" / RUN / "artifacts"
    (artifacts / "file.txt").symlink_to(secret / "MLmodel")
    (artifacts / "folder").symlink_to(secret)
    (there / "1" / CHILD / "params" / "secret").symlink_to(secret / "MLmodel")
    (there / "1" / LOGGED).symlink_to(secret)
    (there / "2").symlink_to(there / "1")
    report = bring(there, here)
    assert sum("link" in text for text in report.skipped) == 2
    assert set(here.dump()["runs"][RUN]["files"]) == {"plots/curve.txt"}
    assert "secret" not in here.dump()["runs"][CHILD]["params"]


def test_a_record_that_is_a_link_is_not_read(there: Path, here: World, secret: Path) -> None:
    record = mlruns.run(there / "1", "d" * 32) / "meta.yaml"
    record.rename(secret / "meta.yaml")
    record.symlink_to(secret / "meta.yaml")
    assert any("d" * 32 in text for text in bring(there, here).skipped)
    assert set(here.dump()["runs"]) == {RUN, CHILD}


def test_artifacts_behind_a_link_are_not_copied(there: Path, here: World, secret: Path) -> None:
    kept = there / "1" / RUN / "artifacts"
    kept.rename(there.parent / "aside")
    kept.symlink_to(secret)
    bring(there, here)
    assert here.dump()["runs"][RUN]["files"] == {}


def test_a_pipe_or_a_device_is_not_opened(there: Path, here: World) -> None:
    os.mkfifo(there / "1" / RUN / "artifacts" / "pipe")
    os.mkfifo(there / "1" / RUN / "params" / "pipe")
    assert any("pipe" in text for text in bring(there, here).skipped)


@pytest.mark.parametrize(
    "name", ["a%2fb", "a#b", "x;y", "bad\u202ename", "new\nline", ".new-0123456789abcdef", "x" * 255]
)
def test_a_file_name_that_has_no_place_here_is_reported(there: Path, here: World, name: str) -> None:
    mlruns.fact(there / "1" / RUN / "artifacts", name, "x")
    report = bring(there, here)
    taken = set(here.dump()["runs"][RUN]["files"]) - {"plots/curve.txt"}
    assert taken == ({name} if len(name) == 255 else set())
    assert bool(report.skipped) == (not taken)


@pytest.mark.parametrize("run_id", ["../../x", "/etc/passwd", "..", "", "a/b", "a\u0000b", "x" * 5000, "$(id)", "é"])
def test_an_id_is_never_a_path(here: World, database: MlflowDb, run_id: str) -> None:
    database.run(run_id, artifact_uri=f"/x/{run_id}/artifacts")
    assert bring(database.path, here).skipped
    assert here.dump()["runs"] == {}


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a:b", ".", "..", "", " ", pytest.param("x" * 10_000_000, id="long"), "a\u0007b", "a@b"]
)
def test_the_name_of_a_model_is_never_a_path(here: World, database: MlflowDb, name: str) -> None:
    database.add("registered_models", name=name, creation_time=1)
    database.add("model_versions", name=name, version=1, source="x", current_stage="None")
    report = bring(database.path, here)
    assert report.skipped
    assert max(map(len, report.skipped)) < 2000
    assert here.dump()["models"] == {}


@pytest.mark.parametrize("name", ["$(id)", "-rf", "🎉", "‮gnp", "a b"])
def test_a_strange_name_is_kept_as_it_is(here: World, tmp_path: Path, name: str) -> None:
    (tmp_path / "db").mkdir()
    database = MlflowDb(tmp_path / "db" / "mlflow.db")
    database.experiment(1, name)
    database.run(RUN, name=name)
    assert bring(database.path, here).complete
    assert here.dump()["runs"][RUN]["run_name"] == name


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch canary']",
        "name: !!python/name:os.system",
        "a: &a [x]\n" + "".join(f"b{n}: [*a, *a]\n" for n in range(200)),
        "[" * 10_000,
        "- " * 10_000,
        "name: 2024-01-01\n",
        "name: [1, 2]\n",
        "status: 99999999999999999999999999\nname: x\n",
        "\udcff",
        "",
        "just text",
        "name: \"\\ud800\"\nstatus: 3\n",
    ],
)  # fmt: skip
def test_hostile_yaml_costs_only_its_thing(there: Path, here: World, text: str) -> None:
    mlruns.run(there / "1", "d" * 32)
    for place in (there / "1" / ("d" * 32), mlruns.experiment(there, "2", "second"), there / "models" / "churn"):
        (place / "meta.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    bring(there, here)
    assert RUN in here.dump()["runs"]
    assert not list(Path.cwd().rglob("canary"))


def test_numbers_that_fit_nowhere_are_reported(there: Path, here: World) -> None:
    lines = ["1 1e400 1", f"{10**30} 1 1", f"1 1 {2**70}", "-5 1 1", "1 0x10 1", "1" * 5000 + " 1 1", "7 2.5 3"]
    mlruns.fact(there / "1" / RUN / "metrics", "odd", "\n".join(lines))
    mlruns.run(there / "1", "d" * 32, start_time=10**30)
    mlruns.run(there / "1", "e" * 32, end_time="soon")
    report = bring(there, here)
    assert [point.value for point in here.tracking.get_metric_history(RUN, "odd")] == [float("inf"), 2.5]
    assert len(here.dump()["runs"]) == 2
    assert len(report.skipped) == 7


def test_values_of_the_wrong_kind_in_a_database_are_reported(here: World, database: MlflowDb) -> None:
    database.run(RUN)
    database.run("b" * 32, start_time="yesterday")
    database.run("c" * 32, status=b"\xff\xfe")
    for value in (None, "text", b"bytes", 1.5):
        database.add("metrics", key="m", value=value, timestamp=1, step=1, run_uuid=RUN, is_nan=0)
    database.add("metrics", key=5, value=1.0, timestamp=1, step=1, run_uuid=RUN, is_nan=0)
    database.add("metrics", key="t", value=1.0, timestamp="then", step=b"x", run_uuid=RUN, is_nan=0)
    database.add("params", key=None, value=None, run_uuid=RUN)
    report = bring(database.path, here)
    assert here.dump()["runs"][RUN]["points"] == [["m", 1, 1, "1.5"]]
    assert len(here.dump()["runs"]) == 1
    assert not report.complete


@pytest.mark.parametrize(
    "statement",
    [
        (
            "CREATE VIEW runs AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i AS run_uuid, 1 AS experiment_id, i AS start_time FROM n"
        ),
        "CREATE VIRTUAL TABLE runs USING fts5(run_uuid, experiment_id, start_time)",
    ],
    ids=["view", "virtual"],
)
def test_what_only_looks_like_a_table_is_none(here: World, tmp_path: Path, statement: str) -> None:
    (tmp_path / "db").mkdir()
    database = MlflowDb(tmp_path / "db" / "mlflow.db", {"alembic_version": "x", "experiments": "experiment_id, name"})
    database.add("experiments", experiment_id=1, name="x")
    database._raw.execute(statement)
    if "fts5" in statement:
        database.add("runs", run_uuid=RUN, experiment_id=1, start_time=1)
    report = bring(database.path, here)
    assert report.complete
    assert here.dump()["runs"] == {}


def test_a_damaged_database_is_a_clear_error(here: World, database: MlflowDb) -> None:
    for number in range(300):
        database.run(f"{number:032x}", name="x" * 500)
    database.close()
    data = bytearray(database.path.read_bytes())
    for place in range(8192, len(data) - 4096, 4096):
        data[place : place + 64] = os.urandom(64)
    database.path.write_bytes(bytes(data))
    said = ""
    try:
        said = str(bring(database.path, here))
    except PackError as error:
        said = error.message
    assert "cannot be read" in said


def test_a_metric_file_without_end_is_refused(there: Path, here: World) -> None:
    with (there / "1" / RUN / "metrics" / "endless").open("wb") as file:
        file.truncate(300 << 20)
    with (there / "1" / RUN / "params" / "endless").open("wb") as file:
        file.truncate(300 << 20)
    report = bring(there, here)
    assert len(report.skipped) == 2
    assert RUN in here.dump()["runs"]


def test_hostile_exports_write_nothing_outside(tmp_path: Path, here: World, secret: Path) -> None:
    (tmp_path / "db").mkdir()
    folder = tmp_path / "db" / "export"
    mlruns.fact(folder, "pack-export.json", '{"format": 1}')
    home = folder / "experiments" / "churn-1" / "runs" / RUN
    mlruns.fact(home.parent.parent, "experiment.json", json.dumps({"format": 1, "experiment_id": "1", "name": "x",
                                                               "lifecycle_stage": "active"}))  # fmt: skip
    record = {"format": 1, "run_id": RUN, "status": "FINISHED", "start_time": 1, "lifecycle_stage": "active"}
    mlruns.fact(home, "run.json", json.dumps(record))
    lines = [f"{'0' * 64}  artifacts/{path}" for path in ("../../../../secret/MLmodel", "/etc/passwd", "link/MLmodel")]
    mlruns.fact(home, "SHA256SUMS", "\n".join(lines) + "\n")
    mlruns.fact(home, "artifacts/a.txt", "x")
    (home / "artifacts" / "link").symlink_to(secret)
    report = bring(folder, here)
    assert len(report.skipped) == 3
    assert here.dump()["runs"][RUN]["files"] == {}
