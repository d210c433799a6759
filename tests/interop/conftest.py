"""A real MLflow in an environment of its own, driven as a separate program."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def mlflow(tmp_path: Path) -> Callable[[str], Any]:
    """Run a script in MLflow's interpreter and answer what it assigned to `answer`, through JSON."""
    python = interpreter()

    def run(script: str) -> Any:
        path = tmp_path / "script.py"
        # The tests' models live in this repository, which MLflow's interpreter may read; pack itself stays hidden.
        head = f"import json, sys, warnings\nwarnings.simplefilter('ignore')\nsys.path.append({str(tmp_path)!r})\n"
        path.write_text(f"{head}{script}\nprint(json.dumps(answer))\n", encoding="utf-8")
        world = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db", "PYTHONPATH": ""}
        done = subprocess.run(
            [str(python), str(path)], capture_output=True, text=True, cwd=tmp_path, env=world, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


@dataclass(frozen=True)
class MlflowServer:
    """The address of a real MLflow server, and the folder that its artifacts lie in."""

    host: str
    folder: Path


@pytest.fixture(scope="module")
def mlflow_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    python = interpreter()
    home = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = f"--host 127.0.0.1 --port {port} --workers 1 --artifacts-destination {home / 'files'}"
    world = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PACK_", "MLFLOW_"))},
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONPATH": "",
    }
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [python, "-m", "mlflow", "server", *given.split()],
            cwd=home, env=world, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", server, home / "log")
        yield MlflowServer(f"127.0.0.1:{port}", home / "files")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


@pytest.fixture
def mlflow_server(mlflow_process: MlflowServer) -> MlflowServer:
    """A real MLflow server, without artifacts."""
    shutil.rmtree(mlflow_process.folder, ignore_errors=True)
    mlflow_process.folder.mkdir()
    return mlflow_process


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1800):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"MLflow's server did not start:\n{log.read_text(encoding='utf-8')[-3000:]}")


def interpreter() -> Path:
    """The Python that has MLflow; a test is skipped where there is none."""
    python = Path(os.environ.get("PACK_TEST_MLFLOW_PYTHON", ROOT / ".venv-mlflow/bin/python"))
    if not python.exists():
        pytest.skip("no environment with MLflow: make .venv-mlflow/.done, or set PACK_TEST_MLFLOW_PYTHON")
    return python
