"""Files on a real MLflow server: what MLflow put there is read here, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pack
from pack import artifacts
from pack.artifacts import ArtifactStore, cache
from pack.artifacts.http import HttpStore
from tests.artifacts.proxy import API
from tests.contracts.artifacts import ArtifactContract
from tests.interop.conftest import MlflowServer


class TestOnMlflow(ArtifactContract):
    @pytest.fixture
    def store(self, mlflow_server: MlflowServer) -> ArtifactStore:
        return HttpStore(f"http://{mlflow_server.host}{API}")


def test_what_did_not_change_is_not_fetched_again(mlflow_server: MlflowServer) -> None:
    (mlflow_server.folder / "m").mkdir()
    for name in ("a.bin", "b.bin"):
        (mlflow_server.folder / "m" / name).write_bytes(name.encode() * 100_000)
    heard: dict[str, int] = {}

    def hear(file: str, done: int, total: int | None) -> None:
        heard[file] = done

    uri = f"mlflow-artifacts://{mlflow_server.host}/m"
    path = artifacts.local_path(uri, progress=hear)
    assert heard == {"m/a.bin": 500_000, "m/b.bin": 500_000}
    heard.clear()
    assert artifacts.local_path(uri, progress=hear) == path
    assert heard == {}
    (mlflow_server.folder / "m" / "b.bin").write_bytes(b"new")
    assert (artifacts.local_path(uri, progress=hear) / "b.bin").read_bytes() == b"new"
    assert heard == {"m/b.bin": 3}
    assert cache.usage() == 1_000_003


def test_what_mlflow_logged_through_its_server_is_read_here(
    mlflow_server: MlflowServer, mlflow: Callable[[str], Any]
) -> None:
    host = mlflow_server.host
    run = mlflow(
        f"""
import mlflow
mlflow.set_tracking_uri("http://{host}")
with mlflow.start_run() as run:
    mlflow.log_text("hé", "notes/a b.txt")
    mlflow.log_dict({{"x": 1}}, "d.json")
answer = run.info.artifact_uri
"""
    )
    assert run.startswith("mlflow-artifacts:/")
    uri = run.replace("mlflow-artifacts:/", f"mlflow-artifacts://{host}/")
    assert artifacts.load_text(f"{uri}/notes/a b.txt") == "hé"
    assert artifacts.load_dict(f"{uri}/d.json") == {"x": 1}
    assert [info.path for info in artifacts.listing(uri)] == ["d.json", "notes"]


def test_a_model_that_mlflow_logged_through_its_server_predicts_here(
    mlflow_server: MlflowServer, mlflow: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mlflow(
        f"""
import mlflow, numpy
from sklearn.linear_model import LinearRegression
mlflow.set_tracking_uri("http://{mlflow_server.host}")
x = numpy.arange(8.0).reshape(4, 2)
model = LinearRegression().fit(x, x.sum(axis=1))
with mlflow.start_run():
    info = mlflow.sklearn.log_model(model, name="m", pip_requirements=[])
logged = mlflow.get_logged_model(info.model_id)
answer = {{"uri": logged.artifact_location, "predicted": model.predict(x).tolist()}}
"""
    )
    monkeypatch.setenv("PACK_TRACKING_URI", f"http://{mlflow_server.host}")
    model = pack.pyfunc.load_model(found["uri"])
    x = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    assert list(model.predict(x)) == pytest.approx(found["predicted"])


def test_what_is_put_through_mlflows_server_is_read_by_mlflow(
    mlflow_server: MlflowServer, mlflow: Callable[[str], Any], tmp_path: Path
) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "é.txt").write_text("hé", encoding="utf-8")
    HttpStore(f"http://{mlflow_server.host}{API}").put(tmp_path / "out", "mine")
    assert (
        mlflow(
            f"""
import mlflow
mlflow.set_tracking_uri("http://{mlflow_server.host}")
answer = mlflow.artifacts.load_text("mlflow-artifacts:/mine/deep/é.txt")
"""
        )
        == "hé"
    )
