"""Locks: pinned by hash, for any target, without a host in them; and what an environment is short of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import pack
from pack.cli import main
from pack.cli.env import _PLATFORMS
from pack.envs import indexes
from pack.envs.locking import Lock, Pin, lock, read_lock
from pack.envs.serving import serving_lines
from pack.envs.targets import PLATFORMS, Target
from pack.errors import InvalidValue, Unavailable
from tests import models

HERE = Target.of()
PIN = Pin("click", "8.2.0", ("ab" * 32,))


@pytest.fixture(scope="module")
def solve() -> Callable[..., Lock]:
    """The solver, where an index answers."""
    try:
        lock(["click"], HERE)
    except Unavailable as error:
        pytest.skip(f"no index of packages answers: {error}")
    return lock


def test_a_lock_pins_what_a_package_needs_by_hash(solve: Callable[..., Lock]) -> None:
    found = solve(["starlette"], HERE)
    assert {"starlette", "anyio"} <= {pin.name for pin in found.packages}
    assert all(pin.hashes for pin in found.packages)
    assert "://" not in found.text


def test_a_lock_is_the_same_each_time_and_reads_back(solve: Callable[..., Lock]) -> None:
    found = solve(["starlette"], HERE)
    assert solve(["starlette"], HERE).text == found.text
    assert read_lock(found.text) == found
    assert found.fits(["starlette"])
    assert not found.fits(["starlette", "click"])


def test_another_platform_has_a_lock_of_its_own(solve: Callable[..., Lock]) -> None:
    windows = solve(["tqdm"], Target("3.11", "windows/amd64"))
    linux = solve(["tqdm"], Target("3.11", "linux/arm64"))
    assert {pin.name for pin in windows.packages} - {pin.name for pin in linux.packages} == {"colorama"}


def test_what_no_wheel_fulfils_is_said(solve: Callable[..., Lock]) -> None:
    with pytest.raises(InvalidValue, match="no set of wheels fulfils this"):
        solve(["click==0.0.1"], HERE)


def test_a_lock_installs_and_a_file_with_another_hash_does_not(solve: Callable[..., Lock], tmp_path: Path) -> None:
    good = solve(["click"], HERE)
    bad = Lock(good.target, good.source, tuple(Pin(one.name, one.version, ("0" * 64,)) for one in good.packages))
    for found, code in ((good, 0), (bad, 1)):
        (tmp_path / "lock.txt").write_text(found.text)
        words = ["-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-r", str(tmp_path / "lock.txt")]
        done = subprocess.run(
            [sys.executable, *words, "-d", str(tmp_path)], capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stderr
    assert "DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "numpy; touch canary",
        "numpy $(touch canary)",
        "numpy`touch canary`",
        "numpy\ntouch",
        "numpy && touch canary",
        "numpy | sh",
        "-r /etc/passwd",
        "--index-url https://example.invalid/simple",
        "--extra-index-url https://example.invalid/simple",
        "numpy @ https://example.invalid/numpy.whl",
        "./numpy.whl",
        "numpy\0",
    ],
)
def test_lines_that_are_more_than_requirements_are_refused_before_anything_runs(line: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue):
        lock([line], HERE)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "text",
    [
        "click==8.2.0\n",
        Lock(HERE, "0" * 64, (PIN,)).text + "numpy==1.0\n",
        Lock(HERE, "0" * 64, (PIN,)).text + "--index-url https://example.invalid\n",
        Lock(HERE, "0" * 64, (PIN,)).text.replace("8.2.0", "8.2.0 --no-deps"),
    ],
)
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        read_lock(text)


def test_a_lock_of_a_later_format_asks_for_a_newer_pack() -> None:
    with pytest.raises(InvalidValue, match="format 2") as raised:
        read_lock(Lock(HERE, "0" * 64, (PIN,)).text.replace("lock 1", "lock 2"))
    assert "newer pack" in str(raised.value.hint)


@pytest.mark.parametrize(
    ("python", "platform"), [("2.7", "linux/amd64"), ("3.11", "plan9/mips"), ("3.11; x", "linux/amd64")]
)
def test_what_is_no_target_is_refused(python: str, platform: str) -> None:
    with pytest.raises(InvalidValue):
        Target(python, platform)


def test_serving_needs_neither_mlflow_nor_a_database_nor_always_pandas() -> None:
    lines = serving_lines(["mlflow==3.1", "scikit-learn==1.9.1"], frames=False)
    named = {line.split(" ")[0].rstrip("=<>0123456789.") for line in lines}
    assert {"scikit-learn", "numpy", "starlette", "uvicorn"} <= named
    assert not {"mlflow", "pandas", "sqlalchemy", "packml"} & {name.lower() for name in named}
    assert "pandas>=2.2" in serving_lines([], frames=True)


def test_pips_configuration_is_told_to_uv_unless_uv_is_told_itself(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(
        "[global]\nindex-url = https://one.invalid/simple\nextra-index-url =\n  https://a.invalid\n  https://b.invalid\n"
    )
    world = {"PIP_CONFIG_FILE": str(config), "PIP_FIND_LINKS": "/wheels /more"}
    told = indexes.environment(world)
    assert told["UV_DEFAULT_INDEX"] == "https://one.invalid/simple"
    assert told["UV_INDEX"] == "https://a.invalid https://b.invalid"
    assert told["UV_FIND_LINKS"] == "/wheels,/more"
    assert indexes.environment({**world, "UV_DEFAULT_INDEX": "https://mine.invalid"})["UV_DEFAULT_INDEX"].endswith(
        "mine.invalid"
    )


def test_a_model_is_saved_with_its_lock(solve: Callable[..., Lock], tmp_path: Path) -> None:
    pack.save_model(
        models.classifier(), tmp_path / "m", input_example=np.zeros((2, 4)), lock=True, pip_requirements=["click"]
    )
    found = read_lock((tmp_path / "m" / "locks" / f"{HERE.name}.txt").read_text())
    assert {"click", "numpy", "starlette"} <= {pin.name for pin in found.packages}
    assert "pandas" not in {pin.name for pin in found.packages}
    assert CliRunner().invoke(main, ["verify", str(tmp_path / "m")]).exit_code == 0


def test_a_lock_is_printed_for_a_model(solve: Callable[..., Lock], tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "m", input_example=np.zeros((2, 4)), pip_requirements=["click"])
    done = CliRunner().invoke(main, ["env", "lock", "-m", str(tmp_path / "m")])
    assert done.exit_code == 0, done.output
    assert {"click", "numpy", "uvicorn"} <= {pin.name for pin in read_lock(done.output).packages}


def test_what_differs_here_is_named(tmp_path: Path) -> None:
    here = f"click=={version('click')}"
    pack.save_model(models.classifier(), tmp_path / "fits", pip_requirements=[here])
    pack.save_model(models.classifier(), tmp_path / "differs", pip_requirements=[here, "click-that-is-not-there==1"])
    assert CliRunner().invoke(main, ["env", "check", "-m", str(tmp_path / "fits")]).exit_code == 0
    done = CliRunner().invoke(main, ["env", "check", "-m", str(tmp_path / "differs"), "--json"])
    assert done.exit_code == 1
    assert [row["name"] for row in json.loads(done.output)] == ["click-that-is-not-there"]


def test_the_command_knows_every_platform() -> None:
    assert set(_PLATFORMS) == set(PLATFORMS)
