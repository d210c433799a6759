"""`pack artifacts`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, show, show_json

_source = click.argument("uri", metavar="URI")


@click.group(cls=LazyGroup)
def artifacts() -> None:
    """Files of runs and models: list them, get them.

    \b
    Example:
      pack artifacts list runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9
    """


@artifacts.command(name="list")
@_source
@as_json
def list_artifacts(uri: str, as_json: bool) -> None:
    """List what lies directly behind a URI: runs:/ID[/PATH], models:/NAME@ALIAS, a run's id, or a path.

    \b
    Example:
      pack artifacts list models:/churn@champion
    """
    from pack.artifacts import listing
    from pack.artifacts.progress import readable

    found = listing(_uri(uri))
    if as_json:
        show_json([asdict(one) for one in found])
        return
    rows = [(f"{one.path}/" if one.is_dir else one.path, readable(one.file_size or 0)) for one in found]
    shown = [(path, "" if path.endswith("/") else size) for path, size in rows]
    show(("path", "size"), shown, empty="nothing is there")


@artifacts.command(name="get")
@_source
@click.option("-o", "--output", "output", type=click.Path(path_type=Path), default=Path(), help="A folder. [.]")
@click.option("--allow", multiple=True, metavar="PATTERN", help="Only files that match, such as '*.json'.")
@click.option("--ignore", multiple=True, metavar="PATTERN", help="No files that match, such as 'data/'.")
def get_artifacts(uri: str, output: Path, allow: tuple[str, ...], ignore: tuple[str, ...]) -> None:
    """Copy a file or folder into a folder of this disk, and print where it is.

    \b
    Example:
      pack artifacts get models:/churn@champion -o churn --ignore "input_example*"
    """
    from pack.artifacts import local_path

    click.echo(local_path(_uri(uri), dst=output, allow=list(allow) or None, ignore=list(ignore) or None))


def _uri(text: str) -> str:
    """A run's id, or enough of its start, stands for its files, where there is no file of that name here."""
    if text.isalnum() and 4 <= len(text) <= 32 and not Path(text).exists():
        from pack.cli.runs import named

        return f"runs:/{named(text).info.run_id}"
    return text
