"""skops is imported without its own lists, and nobody else notices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pack
from tests import models


def run(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    pack.save_model(models.classifier(), tmp_path / "model")
    return tmp_path


def test_loading_a_model_does_not_import_all_of_scikit_learn(home: Path) -> None:
    shown = run("import pack, sys; pack.load_model('model'); print('sklearn.gaussian_process' in sys.modules)", home)
    assert shown == "False"


@pytest.mark.parametrize("first", ["pack.load_model('model')", "pack.save_model(made, 'again')", "None"])
def test_skops_itself_trusts_what_it_does_without_us(home: Path, first: str) -> None:
    code = (
        "import sys, pack\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "made = LogisticRegression().fit([[0], [1]], [0, 1])\n"
        f"{first}\n"
        "import skops.io, skops.io._general as general\n"
        "data = skops.io.dumps(made)\n"
        "print(skops.io.get_untrusted_types(data=data), len(general.SKLEARN_ESTIMATOR_TYPE_NAMES) > 100)\n"
    )
    assert run(code, home) == "[] True"


def test_random_generators_are_read(tmp_path: Path) -> None:
    code = (
        "import pack, numpy as np\n"
        "from sklearn.linear_model import SGDClassifier\n"
        "made = SGDClassifier(random_state=0).fit([[0], [1]], [0, 1])\n"
        "made.generator_ = np.random.default_rng(3)\n"
        "pack.save_model(made, 'model')\n"
    )
    run(code, tmp_path)
    shown = run("import pack; print(pack.sklearn.load_model('model').generator_.integers(1000))", tmp_path)
    import numpy as np

    assert int(shown) == np.random.default_rng(3).integers(1000)
