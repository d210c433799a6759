"""`pack fetch`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from pack.cli.table import as_json, show_json
from pack.cli.words import word


@click.command()
@word("model_uri", "-m", "--model-uri", metavar="URI", help="The same, spelled as an option.")
@click.option(
    "-o",
    "--output",
    "home",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The folder that will hold the model, and nothing else.",
)
@click.option("--digest", metavar="SHA256", help="What it must be. [default: what the registry recorded]")
@click.option("--replace", is_flag=True, help="Put it in the place of a model that is there.")
@as_json
def fetch(model_uri: str, home: Path, digest: str | None, replace: bool, as_json: bool) -> None:
    """Put a model into a folder, and prove by its digest that it is the right one. Nothing of it is loaded or run.

    \b
    Example:
      pack fetch models:/churn@champion -o /opt/ml/model --digest 9f86d081884c7d65...

    It is the init container of `pack generate-k8s --fetch`. What is there already and has the digest is not fetched
    again; what differs never lies in the folder.

    Exit codes: 0 it is there, 1 it is not.
    """
    from pack.images.fetching import fetch as put

    found = put(model_uri, home, digest=digest, replace=replace)
    if as_json:
        show_json({**asdict(found), "home": str(found.home)})
        return
    was = "is there already" if found.was_there else "was fetched"
    click.echo(f"OK: {found.uri} {was}: {found.home}\n{found.digest}")
