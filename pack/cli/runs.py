"""`pack runs`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, moment, show, show_facts, show_json
from pack.cli.words import force, word

if TYPE_CHECKING:
    from pack.tracking import Run

_MORE = {
    "compare": ("pack.cli.compare:compare", "Show runs side by side, what differs first."),
    "plot": ("pack.cli.plot:plot", "Draw metric curves of several runs."),
}
_VIEWS = {"active": 1, "deleted": 2, "all": 3, "active_only": 1, "deleted_only": 2}
_experiment = click.option(
    "-e", "--experiment", "--experiment-id", "--experiment-name", help="Name or id of an experiment. [default: all]"
)
_number = click.option(
    "-n", "--max-results", type=click.IntRange(1, 50_000), default=20, show_default=True, help="How many at most."
)
_view = click.option(
    "-v",
    "--view",
    type=click.Choice(list(_VIEWS)),
    default="active",
    show_default=True,
    help="Which ones: in use, in the trash, or all.",
)
run_id = word("run_id", "-r", "--run-id", metavar="RUN_ID")


@click.group(cls=LazyGroup, table=_MORE)
def runs() -> None:
    """List, search, show, compare and plot runs. A run is named by its id, or by enough of its start.

    \b
    Example:
      pack runs search "metrics.accuracy > 0.9" --order-by "metrics.accuracy DESC"
    """


@runs.command(name="list")
@_experiment
@_number
@_view
@as_json
def list_runs(experiment: str | None, max_results: int, view: str, as_json: bool) -> None:
    """List runs, the newest first.

    \b
    Example:
      pack runs list -n 5
    """
    _show(*_search(experiment, "", (), max_results, view), as_json=as_json)


@runs.command(name="search")
@click.argument("filter_string", metavar="FILTER")
@_experiment
@click.option("--order-by", multiple=True, metavar="TERM", help="Such as: metrics.loss ASC. [default: newest first]")
@click.option("-c", "--column", "columns", multiple=True, metavar="NAME", help="Such as: metrics.loss, params.lr.")
@_number
@_view
@as_json
def search_runs(
    filter_string: str,
    experiment: str | None,
    order_by: tuple[str, ...],
    columns: tuple[str, ...],
    max_results: int,
    view: str,
    as_json: bool,
) -> None:
    """Find runs by metrics, params, tags, attributes and datasets.

    \b
    Example:
      pack runs search "metrics.loss < 0.3 AND params.optimizer = 'adam'" --order-by metrics.loss -c metrics.loss
    """
    _show(*_search(experiment, filter_string, order_by, max_results, view), as_json=as_json, columns=columns)


@runs.command(name="show")
@run_id
@as_json
def show_run(run_id: str, as_json: bool) -> None:
    """Show what a run recorded.

    \b
    Example:
      pack runs show 0a1b2c3d
    """
    run = named(run_id)
    if as_json:
        show_json(run.to_dictionary())
        return
    info = run.info
    show_facts(
        {
            "run": info.run_id,
            "name": info.run_name,
            "status": info.status,
            "stage": "" if info.lifecycle_stage == "active" else info.lifecycle_stage,
            "experiment": info.experiment_id,
            "user": info.user_id,
            "started": moment(info.start_time),
            "ended": moment(info.end_time),
            "artifacts": info.artifact_uri,
        }
    )
    click.echo()
    show(("", "name", "value"), _recorded(run), empty="nothing was recorded")


@runs.command(name="describe", hidden=True)
@run_id
@click.pass_context
def describe_run(ctx: click.Context, run_id: str) -> None:
    """MLflow's spelling of `pack runs show --json`.

    \b
    Example:
      pack runs describe --run-id 0a1b2c3d
    """
    ctx.invoke(show_run, run_id=run_id, run_id_option=None, as_json=True)


@runs.command(name="delete")
@run_id
@force
def delete_run(run_id: str, force: bool) -> None:
    """Move a run to the trash; refused where an alias points at a model of it.

    \b
    Example:
      pack runs delete 0a1b2c3d
    """
    from pack.fluent import protection, state

    run = named(run_id)
    protection.delete_run(state.tracking(), state.registry(), run.info.run_id, force=force)
    click.echo(f"run {run.info.run_id} ({run.info.run_name}) is in the trash; pack gc empties it")


@runs.command(name="restore")
@run_id
def restore_run(run_id: str) -> None:
    """Take a run out of the trash.

    \b
    Example:
      pack runs restore 0a1b2c3d
    """
    from pack.fluent import state

    run = named(run_id)
    state.tracking().restore_run(run.info.run_id)
    click.echo(f"run {run.info.run_id} ({run.info.run_name}) is restored")


def named(run_id: str) -> Run:
    """The run of an id, or the only one whose id starts so."""
    from pack.errors import InvalidValue, NotFound
    from pack.fluent import state

    store = state.tracking()
    if len(run_id) < 32 and run_id.isalnum():
        everywhere = [one.experiment_id for one in store.search_experiments(view_type=3)]
        found = store.search_runs(
            everywhere, filter_string=f"run_id LIKE '{run_id}%'", view_type=3, max_results=2, select=[]
        )
        if not found:
            raise NotFound(f"no run has an id that starts with {run_id}", hint="list runs: pack runs list")
        if len(found) > 1:
            raise InvalidValue(f"several runs have an id that starts with {run_id}", hint="give more of it")
        run_id = found[0].info.run_id
    return store.get_run(run_id)


def experiment_ids(experiment: str | None) -> list[str]:
    """One experiment by name or id, or all."""
    from pack.fluent import search

    if experiment is None:
        return [one.experiment_id for one in search.search_experiments()]
    from pack.cli.experiments import named

    return [named(experiment).experiment_id]


def _search(
    experiment: str | None, filter_string: str, order_by: Sequence[str], max_results: int, view: str
) -> tuple[list[Run], int]:
    """A page of runs, and how many there are in all."""
    from pack.fluent import state

    store, ids = state.tracking(), experiment_ids(experiment)
    asked: dict[str, Any] = {"filter_string": filter_string, "view_type": _VIEWS[view]}
    found = store.search_runs(ids, max_results=max_results, order_by=list(order_by), **asked)
    return found, store.count_runs(ids, **asked) if found.token else len(found)


def _show(found: list[Run], total: int, *, as_json: bool, columns: Sequence[str] = ()) -> None:
    if as_json:
        show_json([run.to_dictionary() for run in found])
        return
    headings = columns or ("metrics",)
    rows = [
        (
            run.info.run_id,
            run.info.run_name,
            run.info.status,
            moment(run.info.start_time),
            *([_fact(run, column) for column in columns] or [_short(run.data.metrics)]),
        )
        for run in found
    ]
    show(("run", "name", "status", "started", *headings), rows, empty="no runs; pack.start_run() starts one")
    if total > len(found):
        click.echo(f"({len(found)} of {total:,}; -n shows more)")


def _fact(run: Run, column: str) -> Any:
    """What stands in a column such as `metrics.loss`."""
    part, _, key = column.partition(".")
    if part not in {"metrics", "params", "tags"}:
        return getattr(run.info, column, "")
    return getattr(run.data, part).get(key, "")


def _recorded(run: Run) -> list[tuple[str, str, Any]]:
    kinds: tuple[tuple[str, dict[str, Any]], ...] = (
        ("metric", run.data.metrics),
        ("param", run.data.params),
        ("tag", run.data.tags),
    )
    rows = [(kind, name, value) for kind, values in kinds for name, value in sorted(values.items())]
    for one in run.inputs.dataset_inputs:
        context = next((tag.value for tag in one.tags if tag.key == "mlflow.data.context"), "")
        rows.append(("data", f"{one.dataset.name} {context}".strip(), one.dataset.digest))
    rows += [("made", "model", output.model_id) for output in run.outputs.model_outputs]
    return rows


def _short(metrics: dict[str, float]) -> str:
    shown = [f"{name}={value:.4g}" for name, value in sorted(metrics.items())[:4]]
    return "  ".join(shown) + (" ..." if len(metrics) > 4 else "")
