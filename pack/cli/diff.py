"""`pack diff`."""

from __future__ import annotations

import click

from pack.cli.table import as_json, show, show_json


@click.command()
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="AFTER")
@as_json
def diff(before: str, after: str, as_json: bool) -> None:
    """Compare the signatures of two models: compatible, widening or breaking, by column. Nothing is loaded or run.

    \b
    Example:
      pack diff models:/churn/3 models:/churn/4

    Exit codes: 0 callers of BEFORE may call AFTER, 1 some call or answer breaks.
    """
    from pack.fluent import aliases
    from pack.mlmodel.compare import Verdict

    found = aliases.diff(before, after)
    if as_json:
        changes = [
            {
                "part": change.part,
                "name": change.name,
                "verdict": str(change.verdict),
                "before": change.before,
                "after": change.after,
                "why": change.why,
            }
            for change in found.changes
        ]
        shown = {"before": before, "after": after, "verdict": str(found.verdict), "alike": found.alike}
        show_json({**shown, "changes": changes})
    else:
        click.echo(f"{found.verdict}: {found.alike} columns and params are alike, {len(found.changes)} differ")
        rows = [
            (change.verdict, change.part, change.name, change.before or "-", change.after or "-", change.why)
            for change in sorted(found.changes, key=lambda change: -change.verdict)
        ]
        if rows:
            click.echo()
            show(("verdict", "part", "column", "before", "after", ""), rows, empty="")
    raise SystemExit(1 if found.verdict is Verdict.breaking else 0)
