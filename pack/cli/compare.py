"""`pack runs compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pack.cli.runs import named
from pack.cli.table import as_json, show, show_json

if TYPE_CHECKING:
    from pack.tracking import Run

_PARTS = ("params", "metrics", "tags")


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID RUN_ID...")
@click.option("--all", "everything", is_flag=True, help="Show what is the same in all of them too.")
@as_json
def compare(run_ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Show runs side by side: a column for each, what differs between them first.

    \b
    Example:
      pack runs compare 0a1b2c3d 5e6f7a8b
    """
    runs = [named(one) for one in run_ids]
    rows = [row for row in _rows(runs) if everything or not row["same"]]
    if as_json:
        ids = [run.info.run_id for run in runs]
        keyed = [{**row, "values": dict(zip(ids, row["values"], strict=True))} for row in rows]
        show_json({"runs": ids, "rows": keyed})
        return
    headings = ("", "name", *(f"{run.info.run_name} ({run.info.run_id[:8]})" for run in runs))
    cells = [(row["part"], row["name"], *("-" if one is None else one for one in row["values"])) for row in rows]
    show(headings, cells, empty="these runs recorded the same; --all shows it")


def _rows(runs: list[Run]) -> list[dict[str, Any]]:
    """One row for each thing that any of the runs recorded."""
    rows = [_row("status", "", [run.info.status for run in runs]), _row("seconds", "", [_seconds(run) for run in runs])]
    for part in _PARTS:
        recorded = [getattr(run.data, part) for run in runs]
        for name in sorted({name for one in recorded for name in one if not name.startswith("mlflow.")}):
            rows.append(_row(part[:-1], name, [one.get(name) for one in recorded]))  # noqa: PERF401 - reads better
    return sorted(rows, key=lambda row: row["same"])


def _row(part: str, name: str, values: list[Any]) -> dict[str, Any]:
    same = all(repr(value) == repr(values[0]) for value in values)
    return {"part": part, "name": name, "values": values, "same": same}


def _seconds(run: Run) -> float | None:
    return None if run.info.end_time is None else max(0, run.info.end_time - run.info.start_time) / 1000
