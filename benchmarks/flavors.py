"""Every flavor beside MLflow's, in one environment: `make benchmarks-flavors`.

The models are those of the flavors' own tests. Each is saved with its example, its requirements inferred, and loaded as
a python function, by both libraries in turn; a figure is the median over the turns. `--write` puts the table, the JSON
and the plot into docs/benchmarks/.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib
import io
import logging
import math
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pack
from benchmarks import report
from pack.flavors.catalog import FACTS
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop

ROOT = Path(__file__).parents[1]
PEER = "MLflow 3.17.2"


class Figures(NamedTuple):
    """Bytes of a model directory, and the seconds to save and to load it."""

    size: float
    save: float
    load: float


NONE = Figures(math.nan, math.nan, math.nan)


class Line(NamedTuple):
    """One row of the table: what is kept how, whether reading it runs code, and both libraries' figures."""

    model: str
    flavor: str
    format: str
    code: str
    ours: Figures
    theirs: Figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="turns of each model (default 3)")
    parser.add_argument("--only", help="flavors, e.g. xgboost,onnx")
    parser.add_argument("--write", type=Path, help="a folder for flavors.md, flavors.json and flavors.png")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    lines = list(_lines(options.repeat, set(options.only.split(",")) if options.only else set(FACTS)))
    shown = _table(lines)
    print(shown)
    if options.write:
        report.page(options.write, "flavors", "Flavors beside MLflow's", _text(shown), {"models": _facts(lines)})
        _plot(options.write / "flavors.png", lines)


def _lines(repeat: int, flavors: set[str]) -> Iterator[Line]:
    import mlflow

    # Spark and H2O predict in a process of their own, which their tests know how to start. It stays to the end, since
    # MLflow remembers the first one that it saw.
    started: set[str] = set()
    with contextlib.ExitStack() as engines:
        for case in _cases():
            if case.flavor not in flavors:
                continue
            print(f"\r{type(case).__name__[4:]:50}", end="", file=sys.stderr, flush=True)
            module = type(case).__module__
            if module not in started:
                started.add(module)
                engines.enter_context(getattr(sys.modules[module], "running", contextlib.nullcontext)())
            with tempfile.TemporaryDirectory() as folder, _elsewhere(Path(folder)), _quiet():
                yield _measured(case, mlflow, Path(folder), repeat)
    print("\r" + " " * 50 + "\r", end="", file=sys.stderr)


def _cases() -> Iterator[FlavorInterop]:
    """The test classes of all flavors that are installed; each makes a model and rows for it."""
    for path in sorted((ROOT / "tests" / "flavors").glob("test_*.py")):
        try:
            module = importlib.import_module(f"tests.flavors.{path.stem}")
        except BaseException as error:
            if type(error).__name__ != "Skipped":
                raise
            continue
        for name, one in vars(module).items():
            if name.startswith("Test") and isinstance(one, type) and issubclass(one, FlavorInterop):
                yield one()


def _measured(case: FlavorInterop, mlflow: Any, folder: Path, repeat: int) -> Line:
    runs: dict[str, list[Figures]] = {"pack": [], "mlflow": []}
    for turn in range(repeat + 1):
        for side in runs:
            home = folder / f"{side}{turn}"
            figures = _peer_turn(case, mlflow, home) if side == "mlflow" else _turn(case, home)
            if turn:  # the first warms up
                runs[side].append(figures)
    described = Model.load(folder / "pack1")
    ours, peer = (Figures(*map(statistics.median, zip(*found, strict=True))) for found in runs.values())
    flavor = pack.flavors.get(case.flavor, **case.options)
    code = "no" if flavor.runs_code(described.flavors[case.flavor]) is None else "yes"
    return Line(type(case).__name__[4:], case.flavor, _format(case, described), code, ours, peer)


def _turn(case: FlavorInterop, home: Path) -> Figures:
    """One save and one load of ours."""
    model, rows = case.model(), case.rows()
    save = _seconds(lambda: pack.save_model(model, home, flavor=case.flavor, input_example=rows, **case.options))
    return Figures(save=save, load=_seconds(lambda: pack.pyfunc.load_model(home)), size=_size(home))


def _peer_turn(case: FlavorInterop, mlflow: Any, home: Path) -> Figures:
    """One save and one load of MLflow's, given less where it fails; no figures where it does not take the model."""
    signature = mlflow.pyfunc.load_model(str(home.with_name(home.name.replace("mlflow", "pack")))).metadata.signature
    save = getattr(mlflow, case.flavor).save_model
    less = {"signature": signature}
    for given in ({"input_example": case.rows()}, less, {**less, "pip_requirements": ["numpy"]}):
        model, options = case.model(), {**given, **case.mlflow_options}
        shutil.rmtree(home, ignore_errors=True)
        try:
            took = _seconds(functools.partial(save, model, str(home), **options))
            return Figures(save=took, load=_seconds(lambda: mlflow.pyfunc.load_model(str(home))), size=_size(home))
        except Exception as error:  # noqa: BLE001 - whatever it fails with is a figure that there is not
            print(f"{type(case).__name__}: {type(error).__name__}", file=sys.stderr)
    return NONE


def _format(case: FlavorInterop, described: Model) -> str:
    config = described.flavors[case.flavor]
    data = config.get("data") or config.get("pickled_model") or config.get("model_data") or config.get("model_binary")
    return str(case.options.get("serialization_format") or data)


def _seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _size(home: Path) -> int:
    return sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


@contextlib.contextmanager
def _elsewhere(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.environ["PACK_STATE_DIR"] = str(folder / "state")
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _table(lines: list[Line]) -> str:
    heads = ("model", "flavor", "format", "reading runs code", "size, KB", "save, s", "load, s", "size, KB", "save, s")
    rows = [
        f"| {' | '.join(heads)} | load, s |",
        "|---" * (len(heads) + 1) + "|",
        *(
            f"| {one.model} | {one.flavor} | {one.format} | {one.code} | " + " | ".join(map(_shown, one[-2:])) + " |"
            for one in lines
        ),
    ]
    return "\n".join(rows)


def _shown(side: Figures) -> str:
    if math.isnan(side.size):
        return "– | – | –"
    return f"{side.size / 1000:,.0f} | {side.save:.3f} | {side.load:.3f}"


def _text(shown: str) -> str:
    names = sorted({name for facts in FACTS.values() for name in facts.distributions} | {"mlflow", "numpy", "pandas"})
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    return (
        "by `make benchmarks-flavors`; medians, both libraries in turn in one process. A save has an input example and "
        "infers its requirements; a load is one as a python function.\n\nThe first three figures are ours, the last "
        f"three {PEER}'s. Where it fails on the example it has the signature in its place, and where it "
        "fails on inferring its requirements, those too, which spares it most of the work; "
        "– is a model that it does not take either way.\n\n"
        f"Sizes are those of the whole directory; the models are tiny.\n\n{shown}\n\n"
        f"On {platform.machine()} with {versions}."
    )


def _facts(lines: list[Line]) -> list[dict[str, Any]]:
    return [{**one._asdict(), "ours": _plain(one.ours), "theirs": _plain(one.theirs)} for one in lines]


def _plain(side: Figures) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in side._asdict().items()}


def _plot(path: Path, lines: list[Line]) -> None:
    """Seconds to save and to load, ours and MLflow's, on a log scale."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, both = plt.subplots(1, 2, figsize=(12, 1.2 + 0.3 * len(lines)), sharey=True, layout="constrained")
    shown = list(reversed(lines))
    for axes, what in zip(both, ("save", "load"), strict=True):
        for side, colour, label in (("ours", "#2a78b8", "pack"), ("theirs", "#c0392b", PEER)):
            seconds = [getattr(getattr(one, side), what) for one in shown]
            axes.scatter(seconds, [f"{one.model} ({one.flavor})" for one in shown], color=colour, label=label)
        axes.set_xscale("log")
        axes.set_xlabel(f"seconds to {what}; less is better")
        axes.grid(axis="y", alpha=0.3)
    both[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
