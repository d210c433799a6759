"""The init container of `pack generate-k8s --fetch`, run here word for word against a real MLflow server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import pack
from pack import artifacts
from pack.errors import NotFound
from pack.images.workload import MODEL_HOME, PYTHON
from pack.mlmodel import digests
from tests import models
from tests.images.manifests import generate, objects
from tests.interop.conftest import MlflowServer, interpreter

pytestmark = [pytest.mark.sklearn, pytest.mark.mlflow]
LOG = """
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
for strength in (1, 2):
    model = LogisticRegression(C=strength, max_iter=200).fit(*load_iris(return_X_y=True))
    mlflow.sklearn.log_model(model, name="model", registered_model_name="churn")
"""


@pytest.fixture(scope="module")
def two_versions(mlflow_process: MlflowServer) -> MlflowServer:
    """A server on which MLflow has logged and registered two versions of `churn`."""
    world = {**os.environ, "MLFLOW_TRACKING_URI": f"http://{mlflow_process.host}", "PYTHONPATH": ""}
    subprocess.run([interpreter(), "-W", "ignore", "-c", LOG], check=True, env=world, capture_output=True)
    return mlflow_process


@pytest.fixture
def server(two_versions: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> MlflowServer:
    """The same, with the alias `champion` at version 1."""
    pack.set_tracking_uri(None)
    pack.set_registry_uri(None)
    monkeypatch.setenv("PACK_TRACKING_URI", f"http://{two_versions.host}")
    move_alias(two_versions, "1")
    return two_versions


def move_alias(server: MlflowServer, version: str) -> None:
    tell(server, "registered-models/alias", name="churn", alias="champion", version=version)


def tell(server: MlflowServer, call: str, **said: str) -> None:
    """A call of MLflow's REST API."""
    address, head = f"http://{server.host}/api/2.0/mlflow/{call}", {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(address, json.dumps(said).encode(), head), timeout=30) as answer:
        assert answer.status == 200


def init_container(*words: str, uri: str = "models:/churn@champion") -> dict[str, Any]:
    spec = objects("--fetch", *words, uri=uri)["Deployment"]["spec"]["template"]["spec"]
    found: dict[str, Any] = spec["initContainers"][0]
    return found


def run(container: dict[str, Any], home: Path) -> subprocess.CompletedProcess[str]:
    """Run the container's command with its environment; only Python and the place are those of this machine."""
    here = {PYTHON: sys.executable, MODEL_HOME: str(home)}
    command = [here.get(word, word) for word in container["command"]]
    world = {each["name"]: each["value"] for each in container["env"]}
    return subprocess.run(command, capture_output=True, text=True, cwd=home.parent, env=world, check=False)


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Serve what lies in a folder; gives the address."""
    command = [sys.executable, "-m", "pack", "serve", "-m", f"churn={home}", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[-1]
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0


def test_what_the_init_container_fetches_is_served(server: MlflowServer, tmp_path: Path) -> None:
    done = run(init_container(), tmp_path / "model")
    assert done.returncode == 0, done.stderr
    assert "models:/churn/1 was fetched" in done.stdout
    with serving(tmp_path / "model") as address:
        body = json.dumps({"inputs": models.iris()[0][::50].tolist()}).encode()
        request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.loads(answer.read())["predictions"] == [0, 1, 2]
        with urllib.request.urlopen(f"{address}/v2/models/churn/ready", timeout=30) as answer:
            assert json.loads(answer.read())["ready"] is True


def test_a_second_start_finds_the_model_there_and_asks_nobody(server: MlflowServer, tmp_path: Path) -> None:
    container = init_container()
    assert run(container, tmp_path / "model").returncode == 0
    container["env"] = [each for each in container["env"] if each["name"] != "PACK_TRACKING_URI"]
    done = run(container, tmp_path / "model")
    assert (done.returncode, "is there already" in done.stdout) == (0, True)


def test_a_model_that_was_changed_on_the_server_is_not_taken(server: MlflowServer, tmp_path: Path) -> None:
    container = init_container()
    first = artifacts.local_path("models:/churn/1")
    file = next(
        each for each in server.folder.rglob("MLmodel") if each.read_bytes() == (first / "MLmodel").read_bytes()
    )
    before = file.read_bytes()
    file.write_bytes(before + b"\n")
    try:
        done = run(container, tmp_path / "model")
    finally:
        file.write_bytes(before)
    assert done.returncode == 1
    assert "was expected" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((tmp_path / "model").iterdir()) == []


def test_a_pinned_pod_keeps_its_version_when_the_alias_moves(server: MlflowServer, tmp_path: Path) -> None:
    container = init_container()
    move_alias(server, "2")
    assert "models:/churn/1 was fetched" in run(container, tmp_path / "model").stdout


def test_a_pod_that_follows_takes_only_what_the_registry_recorded(server: MlflowServer, tmp_path: Path) -> None:
    assert "pack.digest" in generate("--fetch", "--follow", code=1).stderr
    first, second = (digests.check(artifacts.local_path(f"models:/churn/{version}")).digest for version in (1, 2))
    tell(server, "model-versions/set-tag", name="churn", version="1", key="pack.digest", value=first)
    container = init_container("--follow")
    assert first not in container["command"]
    assert run(container, tmp_path / "model").returncode == 0

    move_alias(server, "2")
    done = run(container, tmp_path / "model")
    assert (done.returncode, "no digest of models:/churn/2" in done.stderr) == (1, True)
    tell(server, "model-versions/set-tag", name="churn", version="2", key="pack.digest", value=second)
    assert run(container, tmp_path / "model").returncode == 0
    assert digests.check(tmp_path / "model").digest == second != first


def test_each_form_of_a_uri_leads_to_its_version(server: MlflowServer) -> None:
    found = [str(artifacts.pinned(f"models:/churn{which}")) for which in ("@champion", "/latest", "/2")]
    assert found == ["models:/churn/1", "models:/churn/2", "models:/churn/2"]
    for which in ("@none", "/9", "/Production"):
        with pytest.raises(NotFound):
            artifacts.pinned(f"models:/churn{which}")
    assert artifacts.local_path("models:/churn/1/MLmodel").is_dir()  # the file stands for its model
