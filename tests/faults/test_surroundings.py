"""Whatever the surroundings are, the results are the same; or one clear line says what is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import FULL
from tests.faults.disks import needs_root

pytestmark = [pytest.mark.faults, pytest.mark.skipif(sys.platform != "linux", reason="mounts and locales of Linux")]
ROOT = Path(__file__).parent.parent.parent
# Mounted before the root becomes read-only, so that the world at /mnt stays writable.
HERE = "mount --make-rprivate / && mount --bind {world} /mnt && "
READ_ONLY = HERE + "mount -o remount,ro,bind / && mount -t tmpfs -o ro tmpfs /dev/shm && cd /mnt && exec {command}"
# What lies in /tmp stays to be read: this repository may be there.
NO_TEMPORARY_FILES = HERE + "mount --bind /tmp /tmp && mount -o remount,ro,bind /tmp && cd /mnt && exec {command}"


def travel(
    world: Path,
    *,
    options: Sequence[str] = (),
    env: Mapping[str, str | None] | None = None,
    mounts: str = "",
    umask: int = 0o022,
) -> Any:
    """What the journey tells, in surroundings of its own."""
    world.mkdir()
    command = [sys.executable, *options, str(ROOT / "tests" / "faults" / "journey.py")]
    given = {**os.environ, "PYTHONPATH": str(ROOT), "PACK_STATE_DIR": str(world / "state"), **(env or {})}
    if mounts:
        command = ["unshare", "-m", "sh", "-c", mounts.format(world=world, command=" ".join(command))]
        given["PACK_STATE_DIR"] = "/mnt/state"
    kept = {key: value for key, value in given.items() if value is not None}
    done = subprocess.run(command, cwd=world, env=kept, capture_output=True, text=True, check=False, umask=umask)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the journey tells where nothing is odd."""
    return travel(tmp_path_factory.mktemp("plain") / "world")


ODD: dict[str, dict[str, Any]] = {
    "locale C": {"env": {"LC_ALL": "C", "LANG": None}},
    "a time zone of 45 minutes": {"env": {"TZ": "Asia/Kathmandu"}},
    "a time zone that does not exist": {"env": {"TZ": "Mars/Olympus"}},
    "umask 000": {"umask": 0o000},
    "umask 077": {"umask": 0o077},
    "hash seed 0": {"env": {"PYTHONHASHSEED": "0"}},
    "hash seed 4242": {"env": {"PYTHONHASHSEED": "4242"}},
    "-O": {"options": ["-O"]},
    "-OO": {"options": ["-OO"]},
    "-W error": {"options": ["-W", "error", "-W", "ignore::DeprecationWarning:joblib"]},
    "-X dev": {"options": ["-X", "dev"]},
    "no home": {"env": {"HOME": None, "XDG_STATE_HOME": None, "PACK_STATE_DIR": None}},
    "a home that is missing": {"env": {"HOME": "/nowhere", "PACK_STATE_DIR": None}},
    "TMPDIR that is missing": {"env": {"TMPDIR": "/nowhere"}},
}
OFTEN = ["locale C", "a time zone of 45 minutes", "umask 077", "-OO", "-W error", "no home"]
MOUNTED = {"a read-only root, no /dev/shm": READ_ONLY, "a read-only /tmp": NO_TEMPORARY_FILES}


@pytest.mark.parametrize("odd", ODD if FULL else OFTEN)
def test_the_results_are_the_same(odd: str, told: Any, tmp_path: Path) -> None:
    assert travel(tmp_path / "there", **ODD[odd]) == told


@needs_root
@pytest.mark.parametrize("mounts", MOUNTED)
def test_the_results_are_the_same_where_little_can_be_written(mounts: str, told: Any, tmp_path: Path) -> None:
    assert travel(tmp_path / "there", mounts=MOUNTED[mounts]) == told


ODD_NAME = """
import pack
try:
    pack.log_text("x", "\\u00e9.txt")
except pack.PackError as error:
    print(ascii(str(error)))
"""


def test_a_name_that_the_file_system_cannot_spell_is_a_clear_error(tmp_path: Path) -> None:
    env = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ODD_NAME]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert "cannot be a file name here" in done.stdout
    assert "PYTHONUTF8=1" in done.stdout


@needs_root
@pytest.mark.parametrize("words", ["runs list", "alias set churn champion 1", *(["models list", "gc"] if FULL else [])])
def test_a_folder_that_cannot_be_written_is_one_clear_line(words: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m pack {words}"
    script = f"mount --make-rprivate / && mount -o remount,ro,bind / && cd {tmp_path} && exec {command}"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode not in {0, 120}, done.stdout
    assert "Traceback" not in done.stderr
    assert 1 <= len(done.stderr.strip().splitlines()) <= 2, done.stderr
