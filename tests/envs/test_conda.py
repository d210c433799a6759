"""Environments by conda: what is passed on to it, and what is not. A stand-in takes conda's place, which tests lack."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from pack import yamls
from pack.envs import kept
from pack.envs.conda import Wanted, program, wanted
from pack.envs.making import Recipe, python_for
from pack.envs.targets import Target
from pack.errors import InvalidValue, MissingPackage

# Notes its words, and makes an environment with Python and pip, as conda does.
STAND_IN = """#!{python}
import json, subprocess, sys
json.dump(sys.argv[1:], open({noted!r}, "w"))
subprocess.run([sys.executable, "-m", "venv", sys.argv[sys.argv.index("--prefix") + 1]], check=True)
"""


def model(dependencies: Any, channels: Any = ("conda-forge",)) -> Path:
    Path("model").mkdir(exist_ok=True)
    given = {"channels": list(channels) if isinstance(channels, tuple) else channels, "dependencies": dependencies}
    Path("model/conda.yaml").write_text(yamls.dump(given))
    return Path("model")


def test_channels_and_packages_are_passed_on_and_pips_are_not() -> None:
    home = model(["python=3.11.7", "numpy = 1.26", "scipy>=1.10,<2", "pip<=25", {"pip": ["click"]}], ("nvidia", "a/b"))
    assert wanted(home, python="3.11") == Wanted(
        ("nvidia", "a/b"), ("python=3.11.7", "numpy=1.26", "scipy>=1.10,<2", "pip<=25")
    )


def test_without_a_file_there_are_python_and_pip() -> None:
    assert wanted(Path(), python="3.12") == Wanted(("conda-forge",), ("python=3.12", "pip"))


@pytest.mark.parametrize(
    "item",
    [
        "--file=/etc/passwd",
        "-y",
        "numpy; touch canary",
        "$(id)",
        "https://x.example/y.conda",
        "a b c",
        "n\nm",
        "",
        3,
        None,
    ],
)
def test_what_is_no_package_is_refused(item: object) -> None:
    with pytest.raises(InvalidValue, match="no dependency that is passed on"):
        wanted(model([item]), python="3.11")


@pytest.mark.parametrize("channel", ["https://packages.example.com/evil", "file:///x", "--override", "a/b/c", "../x"])
def test_a_channel_is_a_name(channel: str) -> None:
    with pytest.raises(InvalidValue, match="no channel that is passed on"):
        wanted(model([], (channel,)), python="3.11")


def test_without_conda_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(Path.cwd()))
    with pytest.raises(MissingPackage, match="none of conda, mamba, micromamba is on the path"):
        program()


@pytest.mark.skipif(os.name != "posix", reason="a script stands in for conda")
def test_conda_makes_the_environment_and_pip_installs_into_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = Path("bin/micromamba").absolute()
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(python=sys.executable, noted=str(Path("noted.json").absolute())))
    stand_in.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{stand_in.parent}")
    recipe = Recipe(Target.of(), "", hashed=False, conda=Wanted(("conda-forge",), ("python=3.11", "pip")))
    python = python_for(recipe, manager="conda")
    noted = Path("noted.json").read_text()
    assert '"--override-channels", "--channel", "conda-forge", "python=3.11", "pip"]' in noted
    assert (python.parent.parent / kept.READY).is_file()
    assert list(python.parent.parent.glob("lib/python*/site-packages/pack/__init__.py"))
