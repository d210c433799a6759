"""`pack alias`."""

from __future__ import annotations

from dataclasses import asdict

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, moment, show, show_json
from pack.cli.words import force, reason

_name = click.argument("name")
_alias = click.argument("alias_name", metavar="ALIAS")


@click.group(cls=LazyGroup)
def alias() -> None:
    """Say which version is live, and look at which was.

    \b
    Example:
      pack alias set churn champion 3
    """


@alias.command(name="set")
@_name
@_alias
@click.argument("version", type=click.IntRange(min=1))
@reason
@click.option("--expect", metavar="VERSION|none", help="Only if it stands there now: compare and set.")
@force
@as_json
def set_alias(
    name: str, alias_name: str, version: int, reason: str | None, expect: str | None, force: bool, as_json: bool
) -> None:
    """Point an alias at a version; refused where that breaks callers of the version that is live, unless forced.

    \b
    Example:
      pack alias set churn champion 3 --expect 2 --reason "better on last week"
    """
    from pack.fluent import aliases
    from pack.registry.names import version_number

    seen = False if expect is None else None if expect.lower() == "none" else version_number(expect)
    moved = aliases.set_alias(name, alias_name, version, reason=reason, expect=seen, force=force)
    if as_json:
        show_json(asdict(moved))
        return
    click.echo(f"@{moved.alias} of {moved.name}: {_point(moved.from_version)} -> {_point(moved.to_version)}")


@alias.command(name="list")
@click.argument("name", required=False)
@as_json
def list_aliases(name: str | None, as_json: bool) -> None:
    """List the aliases of a model, or of all.

    \b
    Example:
      pack alias list churn
    """
    from pack.fluent import search, state

    found = [state.registry().get_registered_model(name)] if name else search.search_registered_models()
    rows = [(model.name, f"@{one}", version) for model in found for one, version in model.aliases.items()]
    if as_json:
        show_json([{"name": model, "alias": one[1:], "version": version} for model, one, version in rows])
        return
    show(("name", "alias", "version"), rows, empty="no aliases yet; pack alias set NAME ALIAS VERSION sets one")


@alias.command(name="history")
@_name
@click.argument("alias_name", metavar="[ALIAS]", required=False)
@as_json
def show_history(name: str, alias_name: str | None, as_json: bool) -> None:
    """Show every move of an alias, or of all of a model: when, by whom, from where, to where, and why.

    \b
    Example:
      pack alias history churn champion
    """
    from pack.fluent import aliases

    moves = aliases.alias_history(name, alias_name)
    if as_json:
        show_json([asdict(move) for move in moves])
        return
    rows = [
        (
            moment(move.timestamp),
            f"@{move.alias}",
            _point(move.from_version),
            _point(move.to_version),
            move.user_id,
            move.reason,
        )
        for move in moves
    ]
    show(("when", "alias", "from", "to", "by", "why"), rows, empty="this alias was never set")


@alias.command(name="rollback")
@_name
@_alias
@click.option("--steps", type=click.IntRange(min=1), default=1, show_default=True, help="How many moves to go back.")
@reason
@as_json
def rollback_alias(name: str, alias_name: str, steps: int, reason: str | None, as_json: bool) -> None:
    """Point an alias back at where it stood before its last move.

    \b
    Example:
      pack alias rollback churn champion --reason "complaints since noon"
    """
    from pack.fluent import aliases

    moved = aliases.rollback_alias(name, alias_name, steps=steps, reason=reason)
    if as_json:
        show_json(asdict(moved))
        return
    click.echo(f"@{moved.alias} of {moved.name}: {_point(moved.from_version)} -> {_point(moved.to_version)}")


@alias.command(name="delete")
@_name
@_alias
@reason
def delete_alias(name: str, alias_name: str, reason: str | None) -> None:
    """Remove an alias; its history stays.

    \b
    Example:
      pack alias delete churn challenger
    """
    from pack.fluent import aliases

    aliases.get_alias(name, alias_name)  # deleting one that is not there is no error, but most likely a slip of the pen
    aliases.delete_alias(name, alias_name, reason=reason)
    click.echo(f"@{alias_name} of {name} is gone; its history stays: pack alias history {name}")


def _point(version: int | None) -> str:
    return "nothing" if version is None else f"version {version}"
