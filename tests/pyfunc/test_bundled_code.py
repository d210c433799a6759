"""Code that travels with a model is found wherever the model refers to it, and nowhere else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.errors import InvalidValue, ModelFailed, Untrusted
from tests import models

ROOT = Path(__file__).parent.parent.parent
TRANSFORMER = """
from sklearn.base import BaseEstimator, TransformerMixin

class Halver(TransformerMixin, BaseEstimator):
    def fit(self, rows, classes=None):
        return self
    def transform(self, rows):
        return rows / 2

def halve(rows):
    return rows / 2
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder that can be imported from while a model is saved, and not any more when it is loaded."""
    folder = tmp_path / "project"
    folder.mkdir()
    sys.path.insert(0, str(folder))
    yield folder
    forget(folder)


def forget(folder: Path) -> None:
    if str(folder) in sys.path:
        sys.path.remove(str(folder))
    for path in folder.rglob("*.py"):
        sys.modules.pop(path.stem, None)


def in_another_process(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_imported_helper_is_found_at_module_level_and_inside_functions(project: Path, tmp_path: Path) -> None:
    (project / "helping.py").write_text("VALUE = 7\n", encoding="utf-8")
    scope: dict[str, Any] = {"__name__": "__main__"}
    source = "import helping\ndef early(model_input):\n    return helping.VALUE\n"
    exec(source + "def late(model_input):\n    import helping as one\n    return one.VALUE\n", scope)
    for name in ("early", "late"):
        pack.save_model(scope[name], tmp_path / name, code_paths=[project / "helping.py"])
    forget(project)
    assert [pack.pyfunc.load_model(tmp_path / name).predict(0) for name in ("early", "late")] == [7, 7]
    assert "helping" not in sys.modules


def test_a_script_is_run_with_the_code_that_travels_along_when_it_is_saved(tmp_path: Path) -> None:
    (tmp_path / "helping.py").write_text("VALUE = 3\n", encoding="utf-8")
    (tmp_path / "model.py").write_text(
        "import helping\nfrom mlflow.models import set_model\nset_model(lambda model_input: helping.VALUE)\n",
        encoding="utf-8",
    )
    with pytest.raises(ModelFailed, match="No module named 'helping'"):
        pack.save_model(str(tmp_path / "model.py"), tmp_path / "m")
    pack.save_model(str(tmp_path / "model.py"), tmp_path / "m", code_paths=[tmp_path / "helping.py"])
    assert pack.pyfunc.load_model(tmp_path / "m").predict(0) == 3


def test_a_notebook_is_a_script_without_its_magic(tmp_path: Path) -> None:
    import json

    cells = [
        {"cell_type": "markdown", "source": ["# not code"]},
        {"cell_type": "code", "source": ["%load_ext x\n", "!pip install y\n", "factor = 4"]},
        {"cell_type": "code", "source": "import pack\npack.models.set_model(lambda model_input: model_input * factor)"},
    ]
    (tmp_path / "model.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    pack.save_model(str(tmp_path / "model.ipynb"), tmp_path / "m")
    assert pack.pyfunc.load_model(tmp_path / "m").predict(2) == 8
    (tmp_path / "broken.ipynb").write_text("[]", encoding="utf-8")
    with pytest.raises(InvalidValue, match="not a notebook"):
        pack.save_model(str(tmp_path / "broken.ipynb"), tmp_path / "n")


@pytest.mark.sklearn
@pytest.mark.parametrize("serialization_format", ["skops", "cloudpickle", "pickle"])
def test_an_estimator_of_ones_own_loads_where_only_the_model_has_its_code(
    project: Path, tmp_path: Path, serialization_format: str
) -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    (project / "halving.py").write_text(TRANSFORMER, encoding="utf-8")
    import halving  # type: ignore[import-not-found]

    features, classes = models.iris()
    model = make_pipeline(halving.Halver(), FunctionTransformer(halving.halve), models.classifier())
    model.fit(features, classes)
    home = tmp_path / "m"
    pack.save_model(
        model, home, code_paths=[project / "halving.py"], serialization_format=serialization_format, signature=False
    )
    forget(project)
    script = (
        "import sys, pack\nfrom tests import models\n"
        f"loaded = pack.pyfunc.load_model({str(home)!r}, trust=True)\n"
        "print(loaded.predict(models.iris()[0][::30]).tolist(), 'halving' in sys.modules)"
    )
    assert in_another_process(script) == f"{model.predict(features[::30]).tolist()} False"
    with pytest.raises(Untrusted):
        pack.pyfunc.load_model(home, trust="safe")


@pytest.mark.sklearn
def test_a_skops_file_that_no_other_program_could_open_is_not_written(tmp_path: Path) -> None:
    from sklearn.preprocessing import FunctionTransformer

    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def mine(rows):\n    return rows", scope)
    with pytest.raises(InvalidValue, match=r"__main__\.mine") as error:
        pack.save_model(FunctionTransformer(scope["mine"]), tmp_path / "m")
    assert "code_paths" in (error.value.hint or "")
    assert not (tmp_path / "m").exists()


@pytest.mark.sklearn
def test_ones_own_types_load_for_the_one_who_saved_them_and_not_for_others(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "halving.py").write_text(TRANSFORMER, encoding="utf-8")
    import halving

    pack.save_model(halving.Halver(), tmp_path / "m", code_paths=[project / "halving.py"])
    forget(project)
    assert type(pack.load_model(tmp_path / "m")).__name__ == "Halver"
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "someone-else"))
    with pytest.raises(Untrusted, match=r"halving\.Halver"):
        pack.load_model(tmp_path / "m")
