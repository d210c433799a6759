"""`pack runs`."""

from __future__ import annotations

from typing import Any

import click

from pack.cli.table import as_json, moment, show, show_facts, show_json


@click.group()
def runs() -> None:
    """List and show runs.

    \b
    Example:
      pack runs list --experiment churn
    """


@runs.command(name="list")
@click.option("-e", "--experiment", help="Name or id of an experiment. [default: all]")
@click.option("-n", "--max-results", type=click.IntRange(1, 50_000), default=20, show_default=True)
@as_json
def list_runs(experiment: str | None, max_results: int, as_json: bool) -> None:
    """List runs, the newest first.

    \b
    Example:
      pack runs list -n 5
    """
    from pack.fluent import state

    store = state.tracking()
    found = store.search_runs(_experiments(store, experiment), max_results=max_results)
    if as_json:
        show_json([run.to_dictionary() for run in found])
        return
    rows = [
        (run.info.run_id, run.info.run_name, run.info.status, moment(run.info.start_time), _short(run.data.metrics))
        for run in found
    ]
    show(("run", "name", "status", "started", "metrics"), rows, empty="no runs yet; pack.start_run() starts one")


@runs.command(name="show")
@click.argument("run_id")
@as_json
def show_run(run_id: str, as_json: bool) -> None:
    """Show what a run recorded.

    \b
    Example:
      pack runs show 0a1b2c3d4e5f60718293a4b5c6d7e8f9
    """
    from pack.fluent import state

    run = state.tracking().get_run(run_id)
    if as_json:
        show_json(run.to_dictionary())
        return
    info = run.info
    show_facts(
        {
            "run": info.run_id,
            "name": info.run_name,
            "status": info.status,
            "experiment": info.experiment_id,
            "user": info.user_id,
            "started": moment(info.start_time),
            "ended": moment(info.end_time),
            "artifacts": info.artifact_uri,
        }
    )
    rows = [
        (kind, name, value)
        for kind, values in (("metric", run.data.metrics), ("param", run.data.params), ("tag", run.data.tags))
        for name, value in sorted(values.items())
    ]
    click.echo()
    show(("", "name", "value"), rows, empty="nothing was recorded")


def _experiments(store: Any, experiment: str | None) -> list[str]:
    if experiment is None:
        return [one.experiment_id for one in store.search_experiments()]
    found = store.get_experiment_by_name(experiment) or store.get_experiment(experiment)
    return [found.experiment_id]


def _short(metrics: dict[str, float]) -> str:
    shown = [f"{name}={value:.4g}" for name, value in sorted(metrics.items())[:4]]
    return "  ".join(shown) + (" ..." if len(metrics) > 4 else "")
