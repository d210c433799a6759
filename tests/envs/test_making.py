"""Environments of a model's own: made by uv from a lock, once for all processes, and never from another file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pack
from pack.cli import main
from pack.envs import making
from pack.envs.locking import Lock, Pin, lock
from pack.envs.making import Recipe
from pack.envs.targets import Target
from pack.envs.wheels import wheel_of_pack
from pack.errors import Damaged, InvalidState, Unavailable
from pack.version import __version__
from tests import models

MAKE = """
import sys
from pack.envs.locking import read_lock
from pack.envs.making import Recipe, python_for
print(python_for(Recipe.of(read_lock(open(sys.argv[1]).read())), say=lambda text: print(text, file=sys.stderr)))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PACK_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "environments-v1"


@pytest.fixture(scope="module")
def small() -> Lock:
    """What pack's command line needs, and no more."""
    try:
        return lock(["click", "numpy", "packaging", "platformdirs", "pyyaml"], Target.of())
    except Unavailable as error:
        pytest.skip(f"no index of packages answers: {error}")


def begin(found: Lock, folder: Path) -> subprocess.Popen[str]:
    (folder / "lock.txt").write_text(found.text)
    words = [sys.executable, "-c", MAKE, str(folder / "lock.txt")]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_wheel_of_pack_is_the_same_each_time_and_installs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = wheel_of_pack(tmp_path / "one"), wheel_of_pack(tmp_path / "two")
    assert one.read_bytes() == two.read_bytes()
    with zipfile.ZipFile(one) as archive:
        assert "pack/cli/serve.py" in archive.namelist()
        assert not [name for name in archive.namelist() if "__pycache__" in name]


def test_an_environment_has_this_pack_and_nothing_of_ours(small: Lock, cache: Path) -> None:
    python = making.python_for(Recipe.of(small))
    asked = "import pack, sys; print(pack.__version__); import click; import starlette"
    done = subprocess.run([python, "-I", "-c", asked], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == __version__
    assert "No module named 'starlette'" in done.stderr
    assert cache.stat().st_mode & 0o077 == 0


def test_two_that_begin_at_once_make_one(small: Lock, tmp_path: Path, cache: Path) -> None:
    both = [begin(small, tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert said[0][0] == said[1][0]
    assert Path(said[0][0].strip()).is_file()
    assert sum(err.count("making an environment") for _, err in said) == 1
    assert len([one for one in cache.iterdir() if one.is_dir()]) == 1


def test_what_a_killed_process_left_is_made_again(small: Lock, tmp_path: Path, cache: Path) -> None:
    process = begin(small, tmp_path)
    while not list(cache.glob("*/pyvenv.cfg")):
        assert process.poll() is None
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert not list(cache.glob("*/pack-ready"))
    done = subprocess.run([making.python_for(Recipe.of(small)), "-c", "import yaml"], timeout=60)
    assert done.returncode == 0


def test_a_file_with_another_hash_is_refused(small: Lock, cache: Path) -> None:
    others = tuple(Pin(one.name, one.version, ("0" * 64,)) for one in small.packages)
    with pytest.raises(Damaged, match=r"(?i)hash"):
        making.python_for(Recipe.of(Lock(small.target, small.source, others)))
    assert not list(cache.glob("*/pack-ready"))


@pytest.mark.parametrize("manager", ["uv", "virtualenv"])
def test_a_model_predicts_in_an_environment_without_pandas(tmp_path: Path, small: Lock, manager: str) -> None:
    rows = np.random.default_rng(0).normal(size=(5, 4))
    home = tmp_path / "model"
    pack.save_model(models.classifier(), home, input_example=rows)
    expected = [float(one) for one in pack.pyfunc.load_model(home).predict(rows)]
    words = [sys.executable, "-m", "pack", "predict", "-m", str(home), "--env-manager", manager, "-t", "json"]
    body = json.dumps({"inputs": rows.tolist()})
    done = subprocess.run(words, input=body, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [float(one) for one in json.loads(done.stdout)["predictions"]] == expected
    assert not list((tmp_path / "cache").rglob("site-packages/pandas"))


def test_no_environment_is_made_for_a_model_of_a_stranger(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.save_model(models.classifier(), tmp_path / "model", pip_requirements=["click"])
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "another user"))
    done = CliRunner().invoke(main, ["env", "create", "-m", str(tmp_path / "model")])
    assert done.exit_code == 1
    assert "not trusted" in done.output
    assert "PACK_TRUST_DIGESTS=" in done.output
    assert not cache.exists()


def test_a_python_that_is_not_here_is_named(cache: Path) -> None:
    with pytest.raises(InvalidState, match=r"no Python 3\.99 here"):
        making.python_for(Recipe(Target("3.99", Target.of().platform), "click\n", hashed=False), manager="virtualenv")
    assert not list(cache.glob("*/pack-ready"))
