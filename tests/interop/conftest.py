"""A real MLflow in an environment of its own, driven as a separate program."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def mlflow(tmp_path: Path) -> Callable[[str], Any]:
    """Run a script in MLflow's interpreter and answer what it assigned to `answer`, through JSON."""
    python = Path(os.environ.get("PACK_TEST_MLFLOW_PYTHON", ROOT / ".venv-mlflow/bin/python"))
    if not python.exists():
        pytest.skip("no environment with MLflow: make .venv-mlflow/.done, or set PACK_TEST_MLFLOW_PYTHON")

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
