"""`pack cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, moment, show, show_json
from pack.cli.words import Age

if TYPE_CHECKING:
    from pack.artifacts.entries import Entry


@click.group(cls=LazyGroup)
def cache() -> None:
    """Look at what was downloaded, and clean it up.

    \b
    Example:
      pack cache list
      pack cache clean --older-than 7d
    """


@cache.command(name="list")
@as_json
def list_cache(as_json: bool) -> None:
    """List the files and folders that were downloaded, the one used last first.

    \b
    Example:
      pack cache list
    """
    from pack import settings
    from pack.artifacts.cache import listed, usage
    from pack.artifacts.progress import readable
    from pack.artifacts.shelves import shelves

    found = listed()
    if as_json:
        show_json([_facts(entry) for entry in found])
        return
    rows = [
        (readable(entry.size), len(entry.files), moment(round(entry.used * 1000)), entry.location) for entry in found
    ]
    show(("size", "files", "last used", "from"), rows, empty="nothing was downloaded yet")
    click.echo(f"\n{readable(usage())} of {readable(settings.cache_limit())} in {shelves().root}")


@cache.command(name="clean")
@click.option("--older-than", type=Age(), metavar="AGE", help="Also what was last used that long ago, such as 7d.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@as_json
def clean_cache(older_than: int | None, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what is over the limit, and what killed processes left. What a process uses stays.

    \b
    Example:
      pack cache clean --older-than 7d --dry-run
      pack cache clean --all
    """
    from pack.artifacts.cache import clean
    from pack.artifacts.progress import readable

    age = None if older_than is None else older_than / 1000
    done = clean(older_than=age, everything=everything, dry_run=dry_run)
    if as_json:
        removed, in_use = ([_facts(entry) for entry in entries] for entries in (done.removed, done.in_use))
        show_json({"dry_run": dry_run, "bytes": done.freed, "removed": removed, "in_use": in_use})
        return
    for entry in done.removed:
        click.echo(f"{readable(entry.size)}  {entry.location!a}")
    click.echo(f"{'would free' if dry_run else 'freed'} {readable(done.freed)}")
    if done.in_use:
        click.echo(f"{len(done.in_use)} in use by a process stay")


@cache.command(name="verify")
def verify_cache() -> None:
    """Compare every downloaded file with its digest; what differs is downloaded again when it is needed.

    \b
    Example:
      pack cache verify
    """
    from pack.artifacts.cache import verify

    damaged = verify()
    for path in damaged:
        click.echo(f"changed: {str(path)!a}", err=True)
    if damaged:
        raise click.exceptions.Exit(1)
    click.echo("OK")


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "location": entry.location,
        "size": entry.size,
        "files": len(entry.files),
        "last_used": round(entry.used * 1000),
        "path": str(entry.home / "files"),
    }
