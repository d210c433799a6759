"""`pack env`."""

from __future__ import annotations

from pathlib import Path

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, model_uri, show, show_json, trust_option

# Written out here, so that `--help` needs no more than click; a test compares.
_PLATFORMS = ("linux/amd64", "linux/arm64", "macos/amd64", "macos/arm64", "windows/amd64")


@click.group(cls=LazyGroup)
def env() -> None:
    """Compare what a model needs with what is here, and lock it.

    \b
    Example:
      pack env check -m models:/churn@champion
      pack env lock -m models:/churn@champion --platform linux/arm64 -o lock.txt
    """


@env.command()
@model_uri
@as_json
def check(model_uri: str, as_json: bool) -> None:
    """Compare the installed packages and Python with what the model says it needs. Nothing of it is loaded or run.

    \b
    Example:
      pack env check -m models:/churn@champion

    Exit codes: 0 everything fits, 1 something differs.
    """
    import platform

    from pack.artifacts import local_path
    from pack.envs import mismatches, read_environment

    needed = read_environment(local_path(model_uri))
    here = platform.python_version()
    fits = needed.python.split(".")[:2] == here.split(".")[:2]
    rows = [] if fits else [("Python", needed.python, here)]
    rows += [(one.name, one.requirement, one.installed or "-") for one in mismatches(needed.requirements)]
    if as_json:
        show_json([dict(zip(("name", "needed", "installed"), row, strict=True)) for row in rows])
    else:
        show(("what", "needed", "here"), rows, empty="everything that the model needs is here")
    raise SystemExit(1 if rows else 0)


@env.command()
@model_uri
@click.option(
    "--env-manager", type=click.Choice(["uv", "virtualenv"]), default="uv", show_default=True, help="What makes it."
)
@trust_option
def create(model_uri: str, env_manager: str, trust: bool) -> None:
    """Make the environment that serves the model, and print the path of its Python. Made once, then kept.

    \b
    Example:
      pack env create -m models:/churn@champion
      pack serve -m models:/churn@champion --env-manager uv
    """
    from pack.cli.elsewhere import python_of

    click.echo(python_of(model_uri, env_manager, trust=trust))


@env.command()
@model_uri
@click.option("--python", help="The version of Python to lock for. [default: the model's]")
@click.option("--platform", type=click.Choice(_PLATFORMS), help="The platform to lock for. [default: this one]")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write. [standard output]"
)
def lock(model_uri: str, python: str | None, platform: str | None, output: Path | None) -> None:
    """Pin every package that serving the model needs, by version and hash, for a platform and a Python.

    The lock names no host: packages come from where your pip or uv configuration says. `pip install --require-hashes
    -r FILE` installs it.

    \b
    Example:
      pack env lock -m models:/churn@champion -o lock.txt
      pack env lock -m models:/churn@champion --platform linux/arm64 --python 3.12
    """
    from pack.artifacts import local_path
    from pack.envs import read_environment
    from pack.envs.serving import lock_for
    from pack.envs.targets import Target
    from pack.mlmodel import Model
    from pack.mlmodel.signature import takes_frames

    home = local_path(model_uri)
    wanted = python or ".".join(read_environment(home).python.split(".")[:2])
    found = lock_for(home, Target.of(wanted, platform), frames=takes_frames(Model.load(home).signature))
    if output is None:
        click.echo(found.text, nl=False)
        return
    output.write_text(found.text, encoding="utf-8", newline="\n")
    click.echo(f"{len(found.packages)} packages for {found.target.name}: {output}", err=True)
