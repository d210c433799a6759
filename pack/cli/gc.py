"""`pack gc`."""

from __future__ import annotations

from dataclasses import asdict

import click

from pack.cli.table import as_json, moment, show, show_json
from pack.cli.words import Age


@click.command()
@click.option("--older-than", type=Age(), metavar="AGE", help="Such as 7d or 12h. [default: 30d, or PACK_TRASH_DAYS]")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@as_json
def gc(older_than: int | None, dry_run: bool, as_json: bool) -> None:
    """Remove for good what was deleted long enough ago, with its files. What a version needs stays.

    \b
    Example:
      pack gc --dry-run
      pack gc --older-than 7d
    """
    from pack import settings
    from pack.artifacts.progress import readable
    from pack.fluent import state, trash

    age = settings.trash_days() * 86_400_000 if older_than is None else older_than
    found = trash.collect(state.tracking(), state.registry(), older_than=age, dry_run=dry_run)
    if as_json:
        show_json({"dry_run": dry_run, "bytes": trash.total(found), "items": [asdict(one) for one in found]})
        return
    rows = [
        (
            one.kind,
            one.id,
            one.name,
            moment(one.deleted_time or None),
            readable(one.bytes),
            f"stays: {one.kept_by}" if one.kept_by else "",
        )
        for one in found
    ]
    show(("what", "id", "name", "deleted", "size", ""), rows, empty="nothing in the trash is old enough")
    if found:
        going = sum(not one.kept_by for one in found)
        word = "would go" if dry_run else "gone"
        click.echo(f"{word}: {going} of {len(found)}, {readable(trash.total(found))}")
