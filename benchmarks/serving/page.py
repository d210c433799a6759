"""What was found, as tables, JSON and a plot, beside what must be reached."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import report
from benchmarks.report import Row
from benchmarks.serving.load import CONNECTIONS, STEADY_CONNECTIONS
from benchmarks.serving.servers import SERVERS

TWO = "S1 with 2 workers"
WHAT = {
    "S0": "a model that returns a constant",
    "S1": "logistic regression, one row of 4 numbers",
    "S2": "scaler and logistic regression, 1,000 rows of 20 named doubles",
    "S3": "column transformer and logistic regression, one row of mixed types",
}
# workload → how many times the hand-written app and MLflow must be reached
TIMES: dict[str, tuple[float | None, float | None]] = {
    "S0": (0.7, None),
    "S1": (2.5, 10),
    "S2": (1, 8),
    "S3": (8, 25),
    TWO: (None, None),
}
PEERS = {"hand": "the hand-written app", "mlflow": "MLflow", "mlflow-tuned": "MLflow, tuned"}
Figures = Mapping[str, Mapping[str, Mapping[str, float]]]


class Found(NamedTuple):
    """One run: row → server → figure, every turn's figures, what is installed where, what failed, how it was done."""

    figures: Figures
    runs: Mapping[str, Any]
    facts: Mapping[str, Mapping[str, Any]]
    failures: list[str]
    how: str


class Column(NamedTuple):
    """Figures of one workload; of all, added up, where there is no row."""

    row: str | None
    figures: tuple[str, ...]
    scale: float = 1
    form: str = ",.0f"

    def of(self, figures: Figures, server: str) -> str:
        """What a table shows for a server."""
        if self.row is None:
            values = [sum(servers[server][self.figures[0]] for servers in figures.values() if server in servers)]
        else:
            found = figures[self.row].get(server, {})
            values = [found[figure] for figure in self.figures if figure in found]
        return " / ".join(f"{value * self.scale:{self.form}}" for value in values) or "–"


def text(found: Found) -> str:
    """Everything but the plot, in Markdown."""
    figures = found.figures
    parts = [
        "## Requests a second",
        _rates(figures),
        *(["## Milliseconds, p50 / p99", _times(figures)] if set(figures) - {"S0"} else []),
        "## Start and memory",
        _starts(figures),
        "## Goals",
        report.table(goals(figures), "beside"),
    ]
    failures = list(dict.fromkeys(found.failures))
    if failures:
        parts += ["## What could not be measured", "\n".join(f"- {line}" for line in failures)]
    return "\n\n".join(parts)


def goals(figures: Figures) -> list[Row]:
    """Our figures beside the others', and what their ratio must reach, where both were measured."""
    rows = [row for workload, times in TIMES.items() for row in _rate_goals(figures, workload, times)]
    limits = [("one client: p50", "alone_p50", "ms", 1e3, 1.15)]
    limits += [("start to first answer", "started", "s", 1, 1.3), ("memory", "memory", "MB", 1e-6, 1.2)]
    ours, hand = figures.get("S1", {}).get("pack", {}), figures.get("S1", {}).get("hand", {})
    for name, figure, unit, scale, goal in limits:
        if figure in ours and figure in hand:
            ratio = ours[figure] / hand[figure]
            label = f"S1, {name}: beside the hand-written app"
            rows.append(Row(label, ours[figure] * scale, hand[figure] * scale, unit, ratio, goal))
    for workload in ("S1", "S2", "S3"):
        steady = figures.get(workload, {}).get("pack", {})
        if "steady_p99" in steady:
            p50, p99 = steady["steady_p50"] * 1e3, steady["steady_p99"] * 1e3
            rows.append(Row(f"{workload}, at 80 % of capacity: p99 beside p50", p99, p50, "ms", p99 / p50, 3))
    return rows


def all_well(found: Found) -> bool:
    """Whether every goal is reached, every answer was right, and nothing failed."""
    measured = [one for servers in found.figures.values() for one in servers.values()]
    clean = not found.failures and all(not one["failed"] and not one["wrong"] for one in measured)
    return clean and all(row.reached for row in goals(found.figures))


def write(folder: Path, found: Found) -> None:
    """`serving.md`, `serving.json` and `serving.png`."""
    facts = {
        "machine": machine(),
        "how": found.how,
        "figures": found.figures,
        "goals": [{**asdict(row), "reached": row.reached} for row in goals(found.figures)],
        "failures": list(dict.fromkeys(found.failures)),
        "turns": found.runs,
        "installed": {name: {"python": one["python"], **one["packages"]} for name, one in found.facts.items()},
    }
    report.page(folder, "serving", "Scoring servers beside each other", _intro(found) + text(found), facts)
    plot(folder / "serving.png", found.figures)


def machine() -> dict[str, Any]:
    """The processor and the number of cores that this process may use."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
    }


def plot(path: Path, figures: Figures) -> None:
    """Requests a second, a panel for each workload; marks where our bar must end."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in (*WHAT, TWO) if figures.get(row)]
    figure, panels = plt.subplots(len(rows), 1, figsize=(9, 0.6 + 2.2 * len(rows)), layout="constrained", squeeze=False)
    for panel, row in zip(panels[:, 0], rows, strict=True):
        _panel(panel, row, figures[row])
    panels[-1, 0].set_xlabel(f"requests a second, {CONNECTIONS} connections; more is better")
    figure.savefig(path, dpi=110)


def _panel(panel: Any, row: str, servers: Mapping[str, Mapping[str, float]]) -> None:
    names = [name for name in reversed(SERVERS) if name in servers]
    rates = [servers[name]["rate"] for name in names]
    colours = ["#2a78b8" if name == "pack" else "#b4bcc4" for name in names]
    panel.barh([_title(row, name) for name in names], rates, color=colours)
    for at, name in enumerate(names):  # at the foot of a bar, where no mark can be
        where, colour = panel.get_yaxis_transform(), "white" if name == "pack" else "black"
        rate = f"{servers[name]['rate']:,.0f}"
        panel.text(0.01, at, rate, transform=where, va="center", fontsize=8, color=colour)
    aims = zip(("hand", "mlflow"), TIMES[row], ("#c0392b", "#8e44ad"), strict=True)
    for peer, times, colour in aims:
        if times is not None and peer in servers and "pack" in servers:
            aim, label = servers[peer]["rate"] * times, f"goal: {times:g} × {_title(row, peer)}"
            panel.scatter([aim], ["pack"], marker="|", s=330, linewidths=2.5, color=colour, label=label, zorder=3)
    panel.set_xscale("log")
    panel.set_xlim(min(rates) / 3, max(rates) * 6)
    panel.set_title(f"{row}: {WHAT[row]}" if row in WHAT else row, loc="left", fontsize=10)
    panel.spines[["top", "right"]].set_visible(False)
    if panel.get_legend_handles_labels()[0]:
        panel.legend(loc="lower right", frameon=False, fontsize=8)


def _intro(found: Found) -> str:
    """What was run, on what, in which versions."""
    here = machine()
    main = ("packml", "mlflow", "bentoml", "litserve", "scikit-learn", "numpy", "uvicorn", "starlette")
    shown = []
    for one in found.facts.values():
        packages = {name.lower(): version for name, version in one["packages"].items()}
        shown.append(", ".join(f"{name} {packages[name]}" for name in main if name in packages))
    versions = "\n".join(f"- {line}" for line in shown)
    return f"""by `make benchmarks-serving` on {here["cores"]} cores ({here["processor"]}); {found.how}.
wrk sends the load from the same machine over {CONNECTIONS} connections. Absolute figures drift with the machine; ratios
in one run count.

{_workloads()}

The **hand-written** app is what an engineer writes in twenty lines: Starlette on uvicorn with uvloop and httptools,
orjson, the body straight into an array (S3: a data frame), the model called in the loop, no schema, no checks, no
batching; in S0 it is bare Starlette. `pack serve` runs with its default options. **MLflow** runs as installed, and
**tuned** with uvloop, httptools and no access log. BentoML and LitServe run in their plain form with one worker; both
gather requests only where they are told to, so here they do not. All take the same bodies.

One client: wrk with one connection. At 80 %: a client asks at the given rate whatever the server does, over
{STEADY_CONNECTIONS} connections, and counts from the time at which a request was due. wrk's percentiles count the
requests that a slow answer kept it from sending. Start: from the command to the first prediction. Memory: the
proportional set size of all processes, after the load. Every server runs alone; its answer is compared with what the
model itself predicts.

Installed, each list an environment of its own ([all packages](serving.json)):

{versions}

"""


def _workloads() -> str:
    return "\n".join(f"- **{name}**: {what}" for name, what in WHAT.items())


def _rates(figures: Figures) -> str:
    columns = {row: Column(row, ("rate",)) for row in (*WHAT, TWO)}
    columns["failed requests"] = Column(None, ("failed",))
    columns["wrong answers"] = Column(None, ("wrong",))
    return _table(figures, columns)


def _times(figures: Figures) -> str:
    kinds = {
        f"{CONNECTIONS} connections": ("p50", "p99"),
        "one client": ("alone_p50", "alone_p99"),
        "at 80 %": ("steady_p50", "steady_p99"),
    }
    columns = {
        f"{row}, {kind}": Column(row, shown, 1e3, ",.3g") for row in ("S1", "S2", "S3") for kind, shown in kinds.items()
    }
    return _table(figures, columns)


def _starts(figures: Figures) -> str:
    rows = (*WHAT, TWO)
    starts = {f"{row}, start, s": Column(row, ("started",), form=".2f") for row in rows}
    memory = {f"{row}, MB": Column(row, ("memory",), 1e-6) for row in rows}
    return _table(figures, {**starts, **memory})


def _table(figures: Figures, columns: Mapping[str, Column]) -> str:
    """A line for each server, a column for each workload that was measured."""
    shown = {head: column for head, column in columns.items() if column.row is None or figures.get(column.row)}
    lines = [f"| server | {' | '.join(shown)} |", "|---" * (len(shown) + 1) + "|"]
    for name, server in SERVERS.items():
        if any(name in servers for servers in figures.values()):
            lines.append(f"| {server.title} | {' | '.join(column.of(figures, name) for column in shown.values())} |")
    return "\n".join(lines)


def _rate_goals(figures: Figures, workload: str, times: tuple[float | None, float | None]) -> list[Row]:
    servers = figures.get(workload, {})
    aims = {"hand": times[0], "mlflow": times[1], "mlflow-tuned": None}
    return [
        Row(
            f"{workload}, requests: beside {_beside(workload, peer)}",
            servers["pack"]["rate"],
            servers[peer]["rate"],
            "/s",
            servers["pack"]["rate"] / servers[peer]["rate"],
            goal,
            more_is_better=True,
        )
        for peer, goal in aims.items()
        if "pack" in servers and peer in servers
    ]


def _title(row: str, name: str) -> str:
    return "bare Starlette" if row == "S0" and name == "hand" else SERVERS[name].title


def _beside(workload: str, peer: str) -> str:
    return "bare Starlette" if workload == "S0" and peer == "hand" else PEERS[peer]
