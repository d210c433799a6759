"""Scoring servers beside each other, in one run: `make benchmarks-serving`, or `python -m benchmarks.serving`.

Each turn starts each server alone, in turn: time to the first answer, a warm-up, the load, one client, a steady rate,
memory, and whether the answer is still right. A figure is the median over the turns. `--write` puts the tables, the
JSON and the plot into a folder.
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.serving import load, page
from benchmarks.serving.servers import ROOT, SERVERS, Launch, Running, Server, ask, free_port, predictions, running

MODELS = Path(__file__).parent / "models.py"
WORKLOADS = ("S0", "S1", "S2", "S3")
SUMS = ("failed", "wrong")
SHARE = 0.8
# What HTTP alone costs is asked of these, unless servers are named: the run is to end within a quarter of an hour.
CONSTANT = ("pack", "hand", "mlflow")


@dataclass
class Bench:
    """One run: what is measured, how long, and what has been found so far."""

    options: argparse.Namespace
    folder: Path
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def body(self, workload: str) -> Path:
        """The file with the request; all servers' Pythons made the same one."""
        return self.folder / next(iter(self.facts)) / f"{workload}.json"


def main() -> None:
    options = _options()
    load.need_wrk()
    signal.signal(signal.SIGTERM, _interrupted)  # so that what was started is ended
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(options, Path(folder))
        _make_models(bench)
        for workload in options.only:
            _measure_all(bench, workload)
        if "S1" in options.only:
            _measure_all(bench, "S1", workers=2)
    _say("")
    found = page.Found(_figures(bench), bench.runs, bench.facts, bench.failures, _how(options))
    print(page.text(found))
    print(f"{time.perf_counter() - start:,.0f} s in all", file=sys.stderr)
    if options.write:
        page.write(options.write, found)
    if options.strict and not page.all_well(found):
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="turns of each measurement (default 3)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of each load (default 3)")
    parser.add_argument("--random", action="store_true", help="the steady rate at random times, not at even ones")
    parser.add_argument("--only", type=_listed(WORKLOADS), default=WORKLOADS, help="workloads, e.g. S1,S3")
    parser.add_argument("--servers", type=_listed(SERVERS), help=f"some of: {', '.join(SERVERS)}")
    parser.add_argument("--write", type=Path, help="a folder for serving.md, serving.json and serving.png")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a goal is not reached")
    return parser.parse_args()


def _listed(known: Any) -> Any:
    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not one of {', '.join(known)}")
        return names

    return read


def _interrupted(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _make_models(bench: Bench) -> None:
    """Each Python makes the models of its servers; one that is not there leaves its servers out, and says so."""
    for name in bench.options.servers or SERVERS:
        server = SERVERS[name]
        home = bench.folder / _home(server)
        if home.name in bench.facts:
            continue
        _say(f"models for {name}")
        home.mkdir()
        try:
            _run_models(server, home)
        except OSError as error:
            bench.failures.append(_named(server, "no models", error))
            continue
        bench.facts[home.name] = json.loads((home / "facts.json").read_text())
    if not bench.facts:
        sys.exit("\n".join(["no server can be measured", *bench.failures]))
    for workload in WORKLOADS:
        bodies = {(bench.folder / side / f"{workload}.json").read_bytes() for side in bench.facts}
        if len(bodies) > 1:
            sys.exit(f"{workload}: the servers' Pythons made different bodies")


def _run_models(server: Server, home: Path) -> None:
    if not server.python.exists():
        raise OSError("its environment is not there; make benchmarks-serving sets it up")
    words = [str(server.python), str(MODELS), server.side, str(home)]
    environment = server.environment(Launch("S0", home, 0))
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd=home)
    if done.returncode:
        raise OSError("\n".join(reversed(done.stderr.strip().splitlines()[-20:])))  # what was raised comes last


def _measure_all(bench: Bench, workload: str, *, workers: int = 1) -> None:
    """Every server in every turn, each turn beginning with another one."""
    asked = bench.options.servers or (CONSTANT if workload == "S0" else tuple(SERVERS))
    names = [name for name in asked if _home(SERVERS[name]) in bench.facts]
    row = workload if workers == 1 else f"{workload} with {workers} workers"
    found = bench.runs.setdefault(row, {})
    for turn in range(bench.options.repeat):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            _say(f"{row}, turn {turn + 1} of {bench.options.repeat}: {name}")
            try:
                figures = _measure(bench, SERVERS[name], workload, workers)
            except OSError as error:
                bench.failures.append(_named(SERVERS[name], row, error))
                continue
            for figure, value in figures.items():
                found.setdefault(name, defaultdict(list))[figure].append(value)


def _measure(bench: Bench, server: Server, workload: str, workers: int) -> dict[str, float]:
    """Seconds, requests a second, and bytes of one server from its start to its end."""
    home = bench.folder / _home(server)
    launch = Launch(workload, home, free_port(), workers)
    body = bench.body(workload)
    with running(server, launch, body.read_bytes(), home / "log.txt") as live:
        load.wrk(live.url, body, connections=load.CONNECTIONS, seconds=1)
        full = load.wrk(live.url, body, connections=load.CONNECTIONS, seconds=bench.options.seconds)
        figures = {"started": live.started, "rate": full.rate, "p50": full.p50, "p99": full.p99}
        failed = full.failed
        if workers == 1 and workload != "S0":
            alone, steady = _slowly(bench, live, body, full.rate)
            figures |= {"alone_p50": alone.p50, "alone_p99": alone.p99}
            figures |= {"steady_rate": steady.rate, "steady_p50": steady.p50, "steady_p99": steady.p99}
            failed += alone.failed + steady.failed
        figures["memory"] = live.memory()
        status, answer = ask(live.port, live.path, body.read_bytes())
    expected = bench.facts[_home(server)]["expected"][workload]
    wrong = status != 200 or predictions(answer) != expected
    return {**figures, "failed": failed, "wrong": float(wrong)}


def _slowly(bench: Bench, live: Running, body: Path, rate: float) -> tuple[load.Load, load.Load]:
    """One client at a time, and a steady rate below what the server takes, each for half of the seconds."""
    half = bench.options.seconds / 2
    alone = load.wrk(live.url, body, connections=1, seconds=max(1, int(half)))
    asked = load.request(live.path, body.read_bytes())
    steady = load.at_rate(live.port, asked, rate=SHARE * rate, seconds=half, evenly=not bench.options.random)
    return alone, steady


def _figures(bench: Bench) -> dict[str, dict[str, dict[str, float]]]:
    """Medians over the turns; failed requests and wrong answers are added up."""

    def one(name: str, values: list[float]) -> float:
        return sum(values) if name in SUMS else statistics.median(values)

    return {
        row: {server: {name: one(name, values) for name, values in runs.items()} for server, runs in servers.items()}
        for row, servers in bench.runs.items()
    }


def _how(options: argparse.Namespace) -> str:
    times = "random times" if options.random else "even times"
    return (
        f"medians of {options.repeat} turns of {options.seconds} s, the servers in turn in one run; "
        f"80 % of capacity at {times}"
    )


def _home(server: Server) -> str:
    return str(server.python.parent.parent.name)


def _named(server: Server, what: str, error: OSError) -> str:
    text = str(error).strip()
    print(f"\n{server.title}, {what}: {text}", file=sys.stderr)
    lines = text.replace(f"{ROOT}/", "").splitlines()
    return f"{server.title}, {what}: {lines[0] if lines else 'no reason was given'}"


def _say(text: str) -> None:
    print(f"\r{text:<60}", end="" if text else "\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
