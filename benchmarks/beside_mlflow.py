"""Packaging beside MLflow, in one run: `python -m benchmarks.beside_mlflow --peer PATH/TO/python/with/mlflow`.

Each measurement is a process of its own, the two libraries in turn; a row is the median over the repetitions and the
ratio of the medians, beside its goal. `--write` puts the table, the JSON and the plot into docs/benchmarks/.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from benchmarks import report
from benchmarks.report import Row

HERE = Path(__file__).parent
MEASUREMENTS = ("import", "first_run", "log_model", "load", "predict")


def main() -> None:
    options = _options()
    figures = {side: _medians(runs) for side, runs in _measure(options.peer, options.repeat).items()}
    rows = _rows(figures["pack"], figures["mlflow"])
    shown = report.table(rows, "MLflow 3.17.2")
    print(shown)
    if options.write:
        text = f"by `make benchmarks`; medians, both libraries in turn in one run.\n\n{shown}"
        facts = {"figures": figures}
        report.write(options.write, "packaging", "Packaging beside MLflow", text, rows, facts)
    if options.strict and not all(row.reached for row in rows):
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="a Python that has mlflow==3.17.2")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions of each measurement (default 5)")
    parser.add_argument("--write", type=Path, help="a folder for packaging.md, packaging.json and packaging.png")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a goal is not reached")
    return parser.parse_args()


def _measure(peer: Path, repeat: int) -> dict[str, dict[str, list[float]]]:
    sides = {"pack": Path(sys.executable), "mlflow": peer.absolute()}
    runs: dict[str, dict[str, list[float]]] = {side: defaultdict(list) for side in sides}
    for measurement in MEASUREMENTS:
        for turn in range(repeat + 1):
            print(f"\r{measurement}: {turn}/{repeat}   ", end="", file=sys.stderr, flush=True)
            for side, python in sides.items():
                figures = _run(python, side, measurement)
                for name, value in figures.items() if turn else ():  # the first turn warms the disk
                    runs[side][name].append(value)
    print("\r" + " " * 30 + "\r", end="", file=sys.stderr)
    return runs


def _run(python: Path, side: str, measurement: str) -> dict[str, float]:
    command = [str(python), str(HERE / "workload.py"), side, measurement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{side} {measurement} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _medians(runs: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in runs.items()}


def _rows(ours: dict[str, float], theirs: dict[str, float]) -> list[Row]:
    def plain(name: str, key: str, goal: float | None, *, unit: str = "ms", scale: float = 1e3) -> Row:
        return Row(name, ours[key] * scale, theirs[key] * scale, unit, ours[key] / theirs[key], goal)

    many, their_many = ours["predict_many_rows_times_native"], theirs["predict_many_rows_times_native"]
    return [
        plain("import, time", "import", 1 / 20),
        plain("import, peak memory", "import_peak_bytes", 1 / 5, unit="MB", scale=1e-6),
        plain("log_model, signature and example, requirements inferred", "log_model", 1 / 50),
        plain("first log_model of a process", "log_model_first", None),
        plain("first start_run on a fresh default store", "first_start_run", 1 / 20),
        plain("pyfunc.load_model", "load_model", 1 / 5),
        plain(
            "predict, 1 row × 20 columns: overhead over native",
            "predict_one_row_overhead",
            1 / 10,
            unit="µs",
            scale=1e6,
        ),
        Row("predict, 100,000 × 20: times native", many, their_many, "×", many, 1.05),
    ]


if __name__ == "__main__":
    main()
