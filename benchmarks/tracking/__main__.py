"""Recording and searching beside MLflow and bare sqlite3: `python -m benchmarks.tracking --peer PATH/TO/python`.

Each measurement is a process of its own, the sides in turn; a figure is the median over the repetitions. MLflow takes
minutes to make ten thousand runs, so it makes them once. `--write` puts the table, the JSON and the plot into a folder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from benchmarks import report
from benchmarks.report import Row

HERE = Path(__file__).parent
# measurement → calls, batches, runs or points for each side
SIZES = {
    "log_metric": {"bare": 5_000, "pack": 5_000, "mlflow": 400},
    "log_batch": {"bare": 60, "pack": 60, "mlflow": 8},
    "create_runs": {"bare": 10_000, "pack": 10_000, "mlflow": 10_000},
    "search": {"bare": 10_000, "pack": 10_000, "mlflow": 10_000},
    "history": {"bare": 100_000, "pack": 100_000, "mlflow": 100_000},
}
ONCE = {"create_runs"}
PAGES = 100_000


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        figures = _measure(options, Path(folder))
        pages = _first_pages(options, Path(folder))
    rows = _rows(figures)
    shown = report.table(rows, "MLflow 3.17.2")
    print(shown)
    print(f"first page over {_size(options, PAGES):,} runs: {_ms(pages)}; goal: p99 at most 500 ms")
    if options.write:
        text = (
            f"by `make benchmarks`; medians, the sides in turn in one run. Bare sqlite3 writes the same rows with "
            f"`synchronous=FULL`.\n\n{shown}\n\nThe first page of 200 searches over {_size(options, PAGES):,} runs: "
            f"{_ms(pages)}. The goal is a p99 of at most 500 ms."
        )
        facts = {"figures": figures, "first_pages": pages}
        report.write(options.write, "tracking", "Tracking beside MLflow", text, rows, facts)
    if options.strict and not (all(row.reached for row in rows) and pages["first_page_p99"] <= 0.5):
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a Python that has mlflow==3.17.2")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions of each measurement (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes, for a quick look")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure (default: the temporary one)")
    parser.add_argument("--write", type=Path, help="a folder for tracking.md, tracking.json and tracking.png")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a goal is not reached")
    return parser.parse_args()


def _measure(options: argparse.Namespace, folder: Path) -> dict[str, dict[str, float]]:
    runs: dict[str, dict[str, list[float]]] = {side: defaultdict(list) for side in ("bare", "pack", "mlflow")}
    homes = {side: folder / side for side in runs}
    for measurement, sizes in SIZES.items():
        for turn in range(options.repeat):
            for side, size in sizes.items():
                if turn and measurement in ONCE and side == "mlflow":
                    continue
                _say(f"{measurement} {turn + 1}/{options.repeat}: {side}")
                # What searches look through is made in the last turn; everything else starts from an empty store.
                home = homes[side]
                if measurement != "search":
                    home = folder / f"{side}-{measurement}-{turn}"
                    homes[side] = home if measurement == "create_runs" else homes[side]
                for name, value in _run(options, side, measurement, _size(options, size), home).items():
                    runs[side][name].append(value)
    _say("")
    medians = {
        side: {name: statistics.median(values) for name, values in found.items()} for side, found in runs.items()
    }
    for name in ("found_filter_order", "found_order"):
        ours, theirs = medians["pack"].pop(name), medians["mlflow"].pop(name)
        if abs(ours - theirs) > 1e-9:
            sys.exit(f"{name}: the two libraries found different runs ({ours} and {theirs})")
    return medians


def _first_pages(options: argparse.Namespace, folder: Path) -> dict[str, float]:
    size = _size(options, PAGES)
    _say(f"first pages: making {size:,} runs")
    _run(options, "pack", "create_runs", size, folder / "pages")
    found = _run(options, "pack", "first_pages", size, folder / "pages")
    _say("")
    return found


def _run(options: argparse.Namespace, side: str, measurement: str, size: int, home: Path) -> dict[str, float]:
    home.mkdir(exist_ok=True)
    python = options.peer.absolute() if side == "mlflow" else Path(sys.executable)
    words = [HERE / "bare.py", measurement] if side == "bare" else [HERE / "workload.py", side, measurement]
    command = [str(word) for word in (python, *words, size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=home)
    if done.returncode:
        sys.exit(f"{side} {measurement} failed:\n{done.stderr[-3000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _rows(figures: Mapping[str, Mapping[str, float]]) -> list[Row]:
    ours, theirs, bare = figures["pack"], figures["mlflow"], figures["bare"]

    def rate(name: str, key: str, goal: float | None) -> Row:
        times = ours[key] / theirs[key]
        return Row(name, ours[key], theirs[key], "/s", times, goal, more_is_better=True, limit=bare.get(key))

    def time(name: str, key: str, goal: float | None, *, unit: str = "ms", scale: float = 1e3) -> Row:
        limit = bare[key] * scale if key in bare else None
        times = theirs[key] / ours[key]
        return Row(name, ours[key] * scale, theirs[key] * scale, unit, times, goal, more_is_better=True, limit=limit)

    return [
        rate("log_metric, calls", "log_metric_calls", 10),
        rate("log_metric of a client, calls", "client_log_metric_calls", 10),
        rate("log_batch of 1,000 metrics, points", "log_batch_points", 20),
        time("log_batch of 100 params, with its run", "log_params_100", None),
        time("10,000 runs: create, batch, end", "create_runs", 15, unit="s", scale=1),
        time("search: metric and param, ordered, 100", "search_filter_order", 20),
        time("search: ordered by a metric, 100", "search_order", 100),
        time("search: 5,000 runs into a DataFrame", "search_frame_5000", 10),
        time("history of 100,000 points", "history", 10),
        time("size of the database", "database_bytes", None, unit="MB", scale=1e-6),
    ]


def _size(options: argparse.Namespace, size: int) -> int:
    scale: float = options.scale
    return max(1_000 if size >= 10_000 else 5, round(size * scale))


def _ms(pages: Mapping[str, float]) -> str:
    named = {"first_page_median": "median", "first_page_p99": "p99", "first_page_worst": "slowest"}
    return ", ".join(f"{word} {pages[key] * 1e3:,.3g} ms" for key, word in named.items())


def _say(text: str) -> None:
    print(f"\r{text:<60}", end="" if text else "\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
