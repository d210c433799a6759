"""Where a framework is not installed, its flavor says which command installs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pack.flavors import FLAVORS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAMES = sorted(name for name, row in FLAVORS.items() if row.guest is None and name != "python_function")
PROJECT = Path(__file__).parents[2] / "pyproject.toml"
# A Python in which none of the frameworks can be found.
SCRIPT = """
import json, sys
from importlib.abc import MetaPathFinder

class Nowhere(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FRAMEWORKS:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

FRAMEWORKS = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Nowhere())
from pack.errors import MissingPackage
from pack.flavors import FLAVORS
said = {}
for name in sys.argv[2].split(","):
    try:
        FLAVORS.load(name)
    except MissingPackage as error:
        said[name] = error.hint
from pack.trust import skops_lists
try:
    skops_lists.skops()
except MissingPackage as error:
    said["sklearn"] = error.hint
print(json.dumps(said))
"""
FRAMEWORKS = (
    "catboost,h2o,keras,lightgbm,onnx,onnxruntime,pmdarima,prophet,sentence_transformers,torch,sklearn,skops,spacy,"
    "pyspark,statsmodels,tensorflow,transformers,xgboost"
)


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    words = [sys.executable, "-W", "error", "-c", SCRIPT, FRAMEWORKS, ",".join(NAMES)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


# scikit-learn's models are read by skops, which is asked for when a file is opened.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "sklearn"])
def test_a_missing_framework_gives_the_install_command(name: str, said: dict[str, str]) -> None:
    assert said[name] == f"install it: pip install {FLAVORS[name].needs}"


def test_a_missing_reader_of_estimators_gives_the_install_command(said: dict[str, str]) -> None:
    assert said["sklearn"] == "install it: pip install skops"


@pytest.mark.parametrize("name", NAMES)
def test_the_install_command_names_an_extra_that_there_is(name: str) -> None:
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = re.match(r"'packml\[(\w+)\]'", str(FLAVORS[name].needs))
    assert named is not None
    assert named[1] in extras
