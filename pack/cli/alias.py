"""`pack alias`."""

from __future__ import annotations

from dataclasses import asdict

import click

from pack.cli.table import as_json, show, show_json


@click.group()
def alias() -> None:
    """Say which version is live.

    \b
    Example:
      pack alias set churn champion 3
    """


@alias.command(name="set")
@click.argument("name")
@click.argument("alias_name", metavar="ALIAS")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--reason", help="Why, for the alias's history.")
@as_json
def set_alias(name: str, alias_name: str, version: int, reason: str | None, as_json: bool) -> None:
    """Point an alias at a version of a model.

    \b
    Example:
      pack alias set churn champion 3 --reason "better on last week"
    """
    from pack.fluent.models import set_alias as move

    moved = move(name, alias_name, version, reason=reason)
    if as_json:
        show_json(asdict(moved))
        return
    before = "nothing" if moved.from_version is None else f"version {moved.from_version}"
    click.echo(f"@{moved.alias} of {moved.name}: {before} -> version {moved.to_version}")


@alias.command(name="list")
@click.argument("name", required=False)
@as_json
def list_aliases(name: str | None, as_json: bool) -> None:
    """List the aliases of a model, or of all.

    \b
    Example:
      pack alias list churn
    """
    from pack.fluent import state

    registry = state.registry()
    found = [registry.get_registered_model(name)] if name else registry.search_registered_models()
    rows = [(model.name, f"@{one}", version) for model in found for one, version in model.aliases.items()]
    if as_json:
        show_json([{"name": model, "alias": one[1:], "version": version} for model, one, version in rows])
        return
    show(("name", "alias", "version"), rows, empty="no aliases yet; pack alias set NAME ALIAS VERSION sets one")
