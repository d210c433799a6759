"""`pack cache`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, moment, show, show_json
from pack.cli.words import Age

if TYPE_CHECKING:
    from pathlib import Path

    from pack.artifacts.entries import Entry
    from pack.envs.kept import Kept
    from pack.images.oci.kept import Stored


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
    """List what was downloaded, and the environments and layers of images that were made; what was used last first.

    \b
    Example:
      pack cache list
    """
    from pack import settings
    from pack.artifacts.cache import listed, usage
    from pack.artifacts.progress import readable
    from pack.artifacts.shelves import shelves
    from pack.envs import kept
    from pack.images.oci.kept import Shelf

    every = [*map(_download, listed()), *map(_environment, kept.listed()), *map(_layer, Shelf.mine().listed())]
    found = sorted(every, key=lambda one: one["last_used"], reverse=True)
    if as_json:
        show_json(found)
        return
    rows = [(readable(one["size"]), one["files"], moment(one["last_used"]), one["location"]) for one in found]
    show(("size", "files", "last used", "what"), rows, empty="nothing is kept yet")
    click.echo(f"\n{readable(usage())} of {readable(settings.cache_limit())} in {shelves().root}")


@cache.command(name="clean")
@click.option("--older-than", type=Age(), metavar="AGE", help="Also what was last used that long ago, such as 7d.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@as_json
def clean_cache(older_than: int | None, everything: bool, dry_run: bool, as_json: bool) -> None:
    """Remove what is over the limit, and what killed processes left. What a process uses stays.

    Environments and layers of images have no limit; they go by their age, or with --all.

    \b
    Example:
      pack cache clean --older-than 7d --dry-run
      pack cache clean --all
    """
    from pack.artifacts.cache import clean
    from pack.artifacts.progress import readable
    from pack.envs import kept
    from pack.images.oci.kept import Shelf

    chosen: dict[str, Any] = {
        "older_than": None if older_than is None else older_than / 1000,
        "everything": everything,
        "dry_run": dry_run,
    }
    downloads, environments, layers = clean(**chosen), kept.clean(**chosen), Shelf.mine().clean(**chosen)
    made = [*map(_environment, environments[0]), *map(_layer, layers[0])]
    removed = [*map(_download, downloads.removed), *made]
    in_use = [*map(_download, downloads.in_use), *map(_environment, environments[1]), *map(_layer, layers[1])]
    freed = downloads.freed + sum(one["size"] for one in made)
    if as_json:
        show_json({"dry_run": dry_run, "bytes": freed, "removed": removed, "in_use": in_use})
        return
    for one in removed:
        click.echo(f"{readable(one['size'])}  {one['location']!a}")
    click.echo(f"{'would free' if dry_run else 'freed'} {readable(freed)}")
    if in_use:
        click.echo(f"{len(in_use)} in use by a process stay")


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


def _download(entry: Entry) -> dict[str, Any]:
    return _facts(entry.location, entry.home / "files", entry.size, len(entry.files), entry.used)


def _environment(one: Kept) -> dict[str, Any]:
    return _facts(f"environment of {one.what}", one.home, one.size, None, one.used)


def _layer(one: Stored) -> dict[str, Any]:
    return _facts(f"image {one.path.parent.name} {one.path.name[:19]}", one.path, one.size, 1, one.used)


def _facts(location: str, path: Path, size: int, files: int | None, used: float) -> dict[str, Any]:
    return {
        "location": location,
        "size": size,
        "files": files,
        "last_used": round(used * 1000),
        "path": str(path),
    }
