"""`pack runs plot`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pack.cli.runs import named

if TYPE_CHECKING:
    from pack.tracking import Run

_MOST_POINTS = 5_000
_MOST = 1e300  # what is larger, infinities among it, has no place on an axis


@dataclass(frozen=True)
class Curve:
    """One metric of one run: where its points lie."""

    label: str
    metric: str
    xs: list[float]
    ys: list[float]


@click.command()
@click.argument("run_ids", nargs=-1, required=True, metavar="RUN_ID...")
@click.option("-m", "--metric", "metrics", multiple=True, help="A metric; may be given several times. [all]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A PNG, SVG or PDF file. [default: the terminal]",
)
@click.option(
    "-x",
    "--x-axis",
    type=click.Choice(["step", "time"]),
    default="step",
    show_default=True,
    help="What the x axis shows.",
)
@click.option("--log-y", is_flag=True, help="A logarithmic scale.")
def plot(run_ids: tuple[str, ...], metrics: tuple[str, ...], output: Path | None, x_axis: str, log_y: bool) -> None:
    """Draw the curves of metrics, a plot for each metric, a line for each run.

    \b
    Example:
      pack runs plot 0a1b2c3d 5e6f7a8b -m loss -o loss.png
    """
    from pack.errors import NotFound

    runs = [named(one) for one in run_ids]
    wanted = metrics or sorted({name for run in runs for name in run.data.metrics if not name.startswith("system/")})
    least = 0.0 if log_y else -_MOST
    plots = {metric: [curve for run in runs if (curve := _curve(run, metric, x_axis, least))] for metric in wanted}
    drawn = {metric: curves for metric, curves in plots.items() if curves}
    if not metrics:  # beside curves, a single value says nothing
        drawn = {metric: curves for metric, curves in drawn.items() if not _is_single(curves)} or drawn
    if not drawn:
        known = any(metric in run.data.metrics for metric in wanted for run in runs)
        what = f"no values{' above 0' if log_y else ''} to draw" if known else "no such metric"
        raise NotFound(f"these runs have {what}", hint="look at one: pack runs show RUN_ID")
    if output is None:
        for metric, curves in drawn.items():
            click.echo(_text(metric, curves, x_axis, log_y=log_y))
        return
    output = output if output.suffix else output.with_name(f"{output.name}.png")
    _draw(output, drawn, x_axis, log_y=log_y)
    click.echo(f"{output}: {', '.join(drawn)}")


def _curve(run: Run, metric: str, x_axis: str, least: float) -> Curve | None:
    from pack.fluent import state

    points = [
        point
        for point in state.tracking().get_metric_history(run.info.run_id, metric)
        if least < point.value < _MOST  # else a gap in the curve
    ]
    if not points:
        return None
    points = points[:: max(1, len(points) // _MOST_POINTS)]
    start = run.info.start_time
    xs = [float(point.step) if x_axis == "step" else (point.timestamp - start) / 1000 for point in points]
    return Curve(f"{run.info.run_name} ({run.info.run_id[:8]})", metric, xs, [point.value for point in points])


def _is_single(curves: Sequence[Curve]) -> bool:
    return all(len(curve.ys) == 1 for curve in curves)


def _text(metric: str, curves: Sequence[Curve], x_axis: str, *, log_y: bool) -> str:
    """A plot of characters."""
    from shutil import get_terminal_size
    from warnings import catch_warnings, simplefilter

    from pack.errors import InvalidValue
    from pack.plugins import missing

    try:
        from uniplot import plot_to_string
    except ImportError as error:
        raise missing("uniplot", "'packml[plot]', or draw into a file with -o curves.png") from error
    unit = "seconds" if x_axis == "time" else "step"
    try:
        with catch_warnings():
            simplefilter("ignore")  # of what is too far out, which the error below says
            shown = plot_to_string(
                [curve.ys for curve in curves],
                [curve.xs for curve in curves],
                lines=True,
                title=f"{metric} by {unit}",
                legend_labels=[curve.label for curve in curves],
                width=max(20, min(get_terminal_size().columns - 16, 100)),
                y_as_log=log_y,
                color=len(curves) > 1,
            )
    except (ArithmeticError, ValueError) as error:  # such as steps that are too far out for its labels
        raise InvalidValue(
            f"the curves of {metric!a} cannot be drawn here", hint="draw them into a file: -o x.png"
        ) from error
    return str(shown)


def _draw(path: Path, plots: dict[str, list[Curve]], x_axis: str, *, log_y: bool) -> None:
    """A picture with a plot for each metric."""
    from pack.errors import InvalidValue, StorageFailed
    from pack.plugins import missing

    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise missing("matplotlib", "'packml[plot]'") from error
    columns = min(2, len(plots))
    rows = math.ceil(len(plots) / columns)
    figure = Figure(figsize=(6.4 * columns, 3.6 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (metric, curves) in enumerate(plots.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.set_title(metric, loc="left")
        if _is_single(curves):
            axes.barh([curve.label for curve in curves], [curve.ys[0] for curve in curves], height=0.5)
            axes.invert_yaxis()
            continue
        for curve in curves:
            axes.plot(curve.xs, curve.ys, label=curve.label, marker="." if len(curve.xs) < 30 else "")
        axes.set_xlabel("seconds since the start of the run" if x_axis == "time" else "step")
        axes.set_yscale("log" if log_y else "linear")
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
    try:
        figure.savefig(path, dpi=120)
    except ValueError as error:
        raise InvalidValue(f"a plot cannot be written as {path.suffix or 'that'!a}", hint="name it .png") from error
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written: {error.strerror}", hint="choose another place") from error
