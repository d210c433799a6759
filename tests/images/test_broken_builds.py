"""Builds that cannot be: no engine, no space, broken off; each is said plainly, and leaves nothing behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import pack
import pack.images
from pack.cli import main
from tests import models
from tests.faults.disks import needs_root, small_disk
from tests.images.engine import Engine
from tests.images.plans import put_lock

pytestmark = pytest.mark.sklearn
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def build(*words: str) -> Result:
    return run("build-docker", "-m", "model", "-n", "test-broken:1", *words)


@pytest.fixture(autouse=True)
def model() -> None:
    pack.save_model(models.classifier(), "model", input_example=np.zeros((2, 4)))


@pytest.fixture
def locked() -> None:
    """The lock in the model, so that no index is asked."""
    put_lock(Path("model"), python=PYTHON)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Docker's SDK leaves its socket open
def test_without_an_engine_it_says_what_to_do(locked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{Path('nowhere.sock').absolute()}")
    done = build()
    assert done.exit_code == 1
    assert "no Docker engine answers" in done.output
    assert "pack build-image makes the same image" in done.output
    del done
    gc.collect()


def test_without_the_sdk_the_install_command_is_said(locked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pack.images.engine", raising=False)
    monkeypatch.delattr(pack.images, "engine", raising=False)
    monkeypatch.setitem(sys.modules, "docker", None)
    done = build()
    assert done.exit_code == 1
    assert "pip install 'packml[images]'" in done.output


@pytest.mark.parametrize("name", ["x; id", "-t", "--build-arg=a", "Upper", "a" * 600, "a b", "a\nb", "$(id)"])
def test_a_name_that_is_none_is_refused(locked: None, name: str) -> None:
    done = run("build-docker", "-m", "model", f"--name={name}")
    assert done.exit_code == 1
    assert "cannot be the name of an image" in done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--install-mlserver"], "/v2"),
        (["--enable-mlserver"], "/v2"),
        (["--install-java"], "a base that has Java"),
        (["--mlflow-home", "x"], "no MLflow in it"),
        (["--env-manager", "conda"], "not for images"),
    ],
)
def test_an_option_of_mlflow_that_is_not_followed_says_why(words: list[str], said: str) -> None:
    done = build(*words)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    "line", ["numpy; touch canary", "$(touch canary)", "`touch canary`", "-r /etc/passwd", "a && b"]
)
def test_a_line_of_requirements_that_is_more_is_refused_before_anything_is_built(line: str) -> None:
    pack.save_model(models.classifier(), "other", input_example=np.zeros((2, 4)))
    Path("other/requirements.txt").write_text(f"{line}\n")
    done = run("generate-dockerfile", "-m", "other", "-d", "context", "--trust")
    assert done.exit_code == 1
    assert not Path("canary").exists()
    assert not Path("context").exists()


@pytest.mark.docker
@needs_root
def test_a_full_disk_is_said_and_nothing_is_left(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk", "20m") as disk:
        monkeypatch.setenv("PACK_CACHE_DIR", str(disk))
        done = build("--base-image", engine.base)
        assert done.exit_code == 1
        assert "No space left on device" in done.output
        assert "Traceback" not in done.output
        assert not [path for path in disk.rglob(".*") if path.is_file()]
    assert "test-broken" not in engine.docker("images").stdout


@pytest.mark.docker
def test_a_build_that_is_broken_off_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    world = {**os.environ, "PACK_CACHE_DIR": str(tmp_path / "new"), "TMPDIR": str(tmp_path / "tmp")}
    command = [sys.executable, "-m", "pack", "build-docker", "-m", "model", "-n", "test-broken:2"]
    command += ["--base-image", engine.base]
    with subprocess.Popen(command, env=world, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("reading "):
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode == 1
    assert "Traceback" not in said
    assert not list((tmp_path / "tmp").iterdir())
    assert "test-broken" not in engine.docker("images").stdout
