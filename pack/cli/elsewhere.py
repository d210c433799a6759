"""Running a command again, in an environment that is made for its model."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pack.envs.making import Recipe
    from pack.mlmodel.digests import Report

# What would bring this environment's packages into the other.
_OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")


def python_of(model_uri: str, manager: str, *, trust: bool) -> Path:
    """The Python of an environment that serves the model, made where there is none yet; says so on stderr.

    Raises `Untrusted` for a model that may not run code: the packages that it names run theirs when Python starts.
    """
    from pack.artifacts import local_path
    from pack.envs.making import python_for
    from pack.mlmodel import digests

    home = local_path(model_uri)
    report = digests.check(home)
    report.raise_if_damaged()
    _check_trusted(report, trust=trust)
    recipe = _recipe(report, manager)
    return python_for(recipe, manager=manager, say=partial(click.echo, err=True))


def _check_trusted(report: Report, *, trust: bool) -> None:
    from pack.errors import Untrusted
    from pack.trust import policy_for

    if not policy_for(trust or None).may_run(report.home, report.digest):
        raise Untrusted(
            "no environment was made: it would hold packages that the model names, and this model is not trusted",
            hint=f"if you trust it: pass --trust, set PACK_TRUST=all, or pin it: PACK_TRUST_DIGESTS={report.digest}",
        )


def _recipe(report: Report, manager: str) -> Recipe:
    """What is installed: the lock in the model, or one that is solved now; without uv, the lines as they are."""
    from pack.envs import read_environment
    from pack.envs.locking import FOLDER, read_lock
    from pack.envs.making import Recipe
    from pack.envs.serving import lines_for, lock_for
    from pack.envs.targets import Target
    from pack.mlmodel.signature import takes_frames

    home = report.home
    target = Target.of(".".join(read_environment(home).python.split(".")[:2]))
    path = home / FOLDER / f"{target.name}.txt"
    if path.is_file():
        return Recipe.of(read_lock(path.read_text(encoding="utf-8"), shown=f"{FOLDER}/{path.name}"))
    frames = takes_frames(report.model.signature)
    if manager == "uv":
        return Recipe.of(lock_for(home, target, frames=frames))
    return Recipe(target, "\n".join(lines_for(home, frames=frames)) + "\n", hashed=False)


def run_again(model_uri: str, manager: str, *, trust: bool) -> None:
    """Replace this process by the same command in the model's environment, where it runs with `--env-manager local`."""
    python = python_of(model_uri, manager, trust=trust)
    words = _without_choice(sys.argv[1:])
    world = {name: value for name, value in os.environ.items() if name not in _OURS}
    os.execve(python, [str(python), "-m", "pack", *words], world)  # noqa: S606 - an argument list, no shell


def _without_choice(words: list[str]) -> list[str]:
    kept, skip = [], False
    for word in words:
        if skip or word.startswith("--env-manager="):
            skip = False
        elif word == "--env-manager":
            skip = True
        else:
            kept.append(word)
    return kept
