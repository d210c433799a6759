"""Environments that are kept: listed, cleaned by their age, and never while something runs in them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pack.envs import kept

HOLD = "import sys; from pathlib import Path; from pack.envs import kept; kept.hold(Path(sys.argv[1])); import os; "
HOLD += "os.execv(sys.executable, [sys.executable, '-c', 'print(1, flush=True); input()'])"


def environment(name: str, *, age: float = 0, whole: bool = True) -> Path:
    home = kept.root() / name
    (home / "lib").mkdir(parents=True)
    (home / "lib" / "module.py").write_text("x" * 1000)
    if whole:
        (home / kept.READY).write_text("python3.11-linux-amd64 by uv\n")
        os.utime(home / kept.READY, (time.time() - age, time.time() - age))
    return home


def test_they_are_listed_with_what_they_are_for() -> None:
    environment("old", age=100)
    environment("new")
    assert [one.home.name for one in kept.listed()] == ["new", "old"]
    assert kept.listed()[0].what == "python3.11-linux-amd64 by uv"
    assert kept.listed()[0].size == 1000 + len("python3.11-linux-amd64 by uv\n")


def test_what_was_not_used_for_long_and_what_is_half_made_goes() -> None:
    old, new, half = environment("old", age=100), environment("new"), environment("half", whole=False)
    removed, _ = kept.clean(older_than=50, dry_run=True)
    assert old.exists()
    assert {one.home for one in removed} == {old, half}
    kept.clean(older_than=50)
    assert (old.exists(), new.exists(), half.exists()) == (False, True, False)
    kept.clean(everything=True)
    assert kept.listed() == []


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_one_that_a_process_runs_in_stays_until_it_ends() -> None:
    home = environment("used")
    words = [sys.executable, "-c", HOLD, str(home)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        removed, in_use = kept.clean(everything=True)
        assert ([one.home for one in in_use], removed, home.exists()) == ([home], [], True)
        process.communicate("\n")
    kept.clean(everything=True)
    assert not home.exists()
