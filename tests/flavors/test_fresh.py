"""What a model says it requires is enough: installed in a fresh environment, it loads there and predicts the same."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.flavors.catalog import FACTS
from tests.contracts.flavor import FlavorContract
from tests.flavors.fresh import MARK, plain

pytest.importorskip("mlflow", reason="only where every framework is installed: make test-flavors")
pytestmark = [pytest.mark.fresh, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parents[2]


def cases() -> dict[str, FlavorContract]:
    """One case for each flavor, the first of its tests."""
    found: dict[str, FlavorContract] = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.stem in {"test_fresh", "test_guest"}:
            continue
        try:
            module = importlib.import_module(f"tests.flavors.{path.stem}")
        except pytest.skip.Exception:
            continue
        for name, one in vars(module).items():
            if name.startswith("Test") and isinstance(one, type) and issubclass(one, FlavorContract):
                found.setdefault(one.flavor, one())
    return found


@pytest.mark.parametrize("flavor", sorted(FACTS.keys() - {"python_function"}))
def test_in_a_fresh_environment_it_predicts_the_same(tmp_path: Path, flavor: str) -> None:
    case = cases().get(flavor)
    if case is None:
        pytest.skip(f"the framework of {flavor} is not installed")
    engine = getattr(sys.modules[type(case).__module__], "running", nullcontext)
    with engine():
        check(case, tmp_path)


def check(case: FlavorContract, tmp_path: Path) -> None:
    home = tmp_path / "model"
    pack.save_model(case.model(), home, flavor=case.flavor, input_example=case.rows(), **case.options)
    python = tmp_path / "fresh" / "bin" / "python"
    run("uv", "venv", "--quiet", "--python", sys.executable, str(tmp_path / "fresh"))
    wanted = ["-r", str(home / "requirements.txt"), str(ROOT)]
    run("uv", "pip", "install", "--quiet", "--python", str(python), *wanted)
    said = run(str(python), str(ROOT / "tests" / "flavors" / "fresh.py"), str(home)).splitlines()
    answer = json.loads(next(line for line in said if line.startswith(MARK)).removeprefix(MARK))
    loaded = pack.pyfunc.load_model(home)
    assert answer == json.loads(json.dumps(plain(loaded.predict(loaded.input_example))))


def run(*words: str, **variables: Any) -> str:
    """What a program says; it finds packages where pip does."""
    world = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if "PIP_FIND_LINKS" in world:
        world["UV_FIND_LINKS"] = world["PIP_FIND_LINKS"]
    done = subprocess.run(words, env=world | variables, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
