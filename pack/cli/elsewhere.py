"""Running a command again, in an environment that is made for its model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
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


def settle(model_uris: Sequence[str], manager: str, *, trust: bool) -> None:
    """Return where the models are to be run here; else run this command in an environment of theirs, and never return.

    `auto` is here where everything that the models ask for is installed, else an environment by uv, where there is uv
    and the model may have one made. What differs from the models' requirements is said on standard error where they
    are run here all the same.
    """
    if manager in {"auto", "local"}:
        differs = list(dict.fromkeys(line for uri in model_uris for line in _differences(uri)))
        if not differs:
            return
        if manager == "local" or len(model_uris) > 1 or not _may_have_one(model_uris[0], trust=trust):
            _say_what_differs(differs)
            return
    if len(model_uris) > 1:
        raise click.BadParameter("an environment is made for one model; serve each by itself", param_hint="-m")
    _run_again(model_uris[0], "uv" if manager == "auto" else manager, trust=trust)


def _differences(model_uri: str) -> list[str]:
    """What is installed here and is not what the model asks for; what cannot be read is for loading to refuse."""
    import platform

    from pack.artifacts import local_path
    from pack.envs import mismatches, read_environment
    from pack.envs.serving import needed_lines
    from pack.errors import PackError

    try:
        wanted = read_environment(local_path(model_uri))
        lines = [str(one) for one in mismatches(needed_lines(wanted.requirements))]
    except PackError:
        return []
    here = platform.python_version()
    fits = wanted.python.split(".")[:2] == here.split(".")[:2]
    return lines if fits else [f"Python {wanted.python} is asked for, {here} is running", *lines]


def _may_have_one(model_uri: str, *, trust: bool) -> bool:
    """Whether an environment may be made unasked: uv is there, and the packages that the model names may run code."""
    from pack.artifacts import local_path
    from pack.envs.locking import uv_program
    from pack.errors import PackError
    from pack.mlmodel import digests
    from pack.trust import policy_for

    try:
        uv_program()
        return policy_for(trust or None).may_run(digests.check(local_path(model_uri)))
    except PackError:
        return False


def _say_what_differs(differs: Sequence[str]) -> None:
    import warnings

    click.echo("warning: what is installed here is not what the model asks for:", err=True)
    for line in differs:
        click.echo(f"  {line}", err=True)
    click.echo("  --env-manager uv runs it in an environment of its own; pack env create makes one", err=True)
    warnings.filterwarnings("ignore", message="the model was saved in another environment")  # said above


def _check_trusted(report: Report, *, trust: bool) -> None:
    from pack.errors import Untrusted
    from pack.trust import policy_for

    if not policy_for(trust or None).may_run(report):
        raise Untrusted(
            "no environment was made: it would hold packages that the model names, and this model is not trusted",
            hint=f"if you trust it: pass --trust, set PACK_TRUST=all, or pin it: PACK_TRUST_DIGESTS={report.digest}",
        )


def _recipe(report: Report, manager: str) -> Recipe:
    """What is installed: the lock in the model, or one that is solved now; without uv, the lines as they are."""
    from pack.envs import read_environment
    from pack.envs.conda import wanted
    from pack.envs.locking import FOLDER, read_lock
    from pack.envs.making import Recipe
    from pack.envs.serving import lines_for, lock_for
    from pack.envs.targets import Target
    from pack.mlmodel.signature import takes_frames

    home = report.home
    target = Target.of(".".join(read_environment(home).python.split(".")[:2]))
    path = home / FOLDER / f"{target.name}.txt"
    frames = takes_frames(report.model.signature)
    if manager == "conda":  # which packages are there already is for conda to say
        lines = "\n".join(lines_for(home, frames=frames)) + "\n"
        return Recipe(target, lines, hashed=False, conda=wanted(home, python=target.python))
    if path.is_file():
        return Recipe.of(read_lock(path.read_text(encoding="utf-8"), shown=f"{FOLDER}/{path.name}"))
    if manager == "uv":
        return Recipe.of(lock_for(home, target, frames=frames))
    return Recipe(target, "\n".join(lines_for(home, frames=frames)) + "\n", hashed=False)


def _run_again(model_uri: str, manager: str, *, trust: bool) -> None:
    """Replace this process by the same command in the model's environment, where it runs with `--env-manager local`."""
    from pack.envs import kept

    python = python_of(model_uri, manager, trust=trust)
    kept.hold(python.parent.parent)
    given = click.get_current_context().find_root().meta.get("pack.arguments")
    words = [str(python), "-m", "pack", *_without_choice(sys.argv[1:] if given is None else given)]
    words += ["--env-manager", "local"]
    world = {name: value for name, value in os.environ.items() if name not in _OURS}
    if given is None:
        os.execve(python, words, world)  # noqa: S606 - an argument list, no shell
    sys.exit(subprocess.call(words, env=world))  # called by a program, which is not replaced


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
