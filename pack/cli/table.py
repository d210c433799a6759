"""Tables for people, JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts instead of a table.")
model_uri = click.option(
    "-m", "--model-uri", required=True, help="models:/NAME@ALIAS, models:/NAME/VERSION, runs:/ID/PATH, or a path."
)
trust_option = click.option(
    "--trust", is_flag=True, help="Let this model run its own code (pickles, scripts). Default: only models of yours."
)


def show(headings: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    """Print rows under their headings, or what it means that there are none."""
    if not rows:
        click.echo(empty)
        return
    cells = [list(headings), *[[plain(cell) for cell in row] for row in rows]]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headings))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_facts(facts: dict[str, Any]) -> None:
    """Print name and value pairs, one a line; those without a value are left out."""
    kept = {name: value for name, value in facts.items() if value not in (None, "", [], {})}
    width = max(map(len, kept), default=0)
    for name, value in kept.items():
        lines = plain(value).splitlines() or [""]
        click.echo(f"{name.ljust(width)}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"{' ' * width}  {line}")


def show_json(value: Any) -> None:
    """Print JSON."""
    click.echo(json.dumps(value, indent=2, default=str))


def moment(milliseconds: int | None) -> str:
    """A time of the store in this machine's zone; empty for none."""
    if milliseconds is None:
        return ""
    seconds = milliseconds / 1000
    try:
        return datetime.fromtimestamp(seconds, tz=timezone.utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return str(milliseconds)


def plain(value: Any) -> str:
    """A value in one cell: control characters are shown, not sent to the terminal."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = "" if value is None else str(value)
    return "".join(
        character if character.isprintable() or character == "\n" else repr(character)[1:-1] for character in text
    )
