"""`pack db`."""

from __future__ import annotations

from dataclasses import asdict

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, show_facts, show_json

_uri = click.argument("uri", required=False, metavar="[URI]")


@click.group(cls=LazyGroup)
def db() -> None:
    """The database of the store in use, or of `sqlite:///PATH.db`.

    \b
    Example:
      pack db check
    """


@db.command(name="check")
@_uri
@as_json
def check_database(uri: str | None, as_json: bool) -> None:
    """Read every page and index, and compare with what must be there. Nothing is changed.

    \b
    Example:
      pack db check sqlite:///runs.db

    Exit codes: 0 sound, 1 something is wrong.
    """
    from pack.artifacts.progress import readable
    from pack.db import place_of
    from pack.db.check import check
    from pack.fluent import state

    health = check(place_of(uri or state.get_tracking_uri()))
    if as_json:
        show_json({**asdict(health), "sound": health.sound})
    else:
        counts = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in health.rows.items())
        show_facts(
            {
                "database": health.database,
                "schema": f"{health.schema} of {health.latest_schema}",
                "size": readable(health.bytes),
                "holds": counts,
                "sound": "yes" if health.sound else "no",
            }
        )
        for problem in health.problems:
            click.echo(f"  {problem}", err=True)
    raise SystemExit(0 if health.sound else 1)


@db.command(name="upgrade")
@_uri
def upgrade_database(uri: str | None) -> None:
    """Bring the schema up to date, after a copy of the database was made beside it.

    Opening a store does the same, without the copy.

    \b
    Example:
      pack db upgrade
    """
    from pack.db import place_of
    from pack.db.check import upgrade
    from pack.fluent import state

    before, after, copy = upgrade(place_of(uri or state.get_tracking_uri()))
    if copy is None:
        click.echo(f"schema {before}: up to date")
    else:
        click.echo(f"schema {before} -> {after}; what was there before is in {copy}")
