"""Figures of two libraries as a table, a JSON file and a plot."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line: both figures, their ratio, what it must reach, and what the machine itself allows (`limit`)."""

    name: str
    ours: float
    theirs: float | None
    unit: str
    ratio: float
    goal: float | None
    more_is_better: bool = False
    limit: float | None = None

    @property
    def reached(self) -> bool:
        return self.goal is None or (self.ratio >= self.goal if self.more_is_better else self.ratio <= self.goal)

    @property
    def aim(self) -> str:
        """What the ratio must reach, in words."""
        return "none" if self.goal is None else f"{'≥' if self.more_is_better else '≤'} {self.goal:.3g}"


def table(rows: Sequence[Row], peer: str) -> str:
    """The rows in Markdown."""
    limits = any(row.limit is not None for row in rows)
    heads = ["operation", "pack", peer, *(["bare sqlite3"] if limits else []), "ratio", "goal", "reached"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        figures = [row.ours, row.theirs, *([row.limit] if limits else [])]
        shown = ["–" if one is None else f"{one:,.4g} {row.unit}" for one in figures]
        reached = "–" if row.goal is None else "yes" if row.reached else "no"
        lines.append(f"| {' | '.join([row.name, *shown, f'{row.ratio:.3g}', row.aim, reached])} |")
    return "\n".join(lines)


def write(folder: Path, name: str, title: str, text: str, rows: Sequence[Row], facts: dict[str, Any]) -> None:
    """`NAME.md` with the table and the plot, `NAME.json` with every figure, `NAME.png`."""
    page(folder, name, title, text, facts)
    plot(folder / f"{name}.png", rows)


def page(folder: Path, name: str, title: str, text: str, facts: dict[str, Any]) -> None:
    """`NAME.md`, which shows `NAME.png`, and `NAME.json`; the one who calls draws the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    when = datetime.now(timezone.utc).date().isoformat()
    where = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    shown = f"# {title}\n\nMeasured on {when} ({where}) {text}\n\n![ratios]({name}.png)\n"
    (folder / f"{name}.md").write_text(shown, "utf-8")
    (folder / f"{name}.json").write_text(json.dumps({"date": when, **facts}, indent=2) + "\n", "utf-8")


def plot(path: Path, rows: Sequence[Row]) -> None:
    """Ratios as bars, goals as marks."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.42 * len(rows)), layout="constrained")
    shown = list(reversed(rows))
    axes.barh([row.name for row in shown], [row.ratio for row in shown], color="#2a78b8", label="measured")
    more = rows[0].more_is_better
    aimed = [(row.goal, row.name) for row in shown if row.goal is not None]
    goals, labels = zip(*aimed, strict=True)
    word = "at least" if more else "at most"
    axes.scatter(goals, labels, color="#c0392b", marker="|", s=220, label=f"goal: {word}")
    axes.set_xscale("log")
    axes.axvline(1.0, color="grey", linewidth=0.8)
    what = "times as fast as MLflow 3.17.2; more is better" if more else "ratio to MLflow 3.17.2; less is better"
    axes.set_xlabel(what)
    axes.legend(loc="lower right" if more else "upper right", frameon=False)
    figure.savefig(path, dpi=110)
