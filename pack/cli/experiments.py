"""`pack experiments`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, moment, show, show_facts, show_json
from pack.cli.words import Pair, force, word

if TYPE_CHECKING:
    from pack.tracking import Experiment

_VIEWS = {"active": 1, "deleted": 2, "all": 3, "active_only": 1, "deleted_only": 2}
_which = word("experiment", "-x", "--experiment-id", "-n", "--experiment-name", metavar="EXPERIMENT")


@click.group(cls=LazyGroup)
def experiments() -> None:
    """Groups of runs: list, show, make, rename, delete, restore them.

    \b
    Example:
      pack experiments list
    """


@experiments.command(name="list")
@click.option("--filter", "filter_string", metavar="FILTER", help="Such as: name LIKE 'churn%' AND tags.team = 'x'.")
@click.option("--order-by", multiple=True, metavar="TERM", help="Such as: name ASC. [default: newest first]")
@click.option(
    "-v",
    "--view",
    type=click.Choice(list(_VIEWS)),
    default="active",
    show_default=True,
    help="Which ones: in use, in the trash, or all.",
)
@click.option(
    "-n", "--max-results", type=click.IntRange(1, 50_000), default=100, show_default=True, help="How many at most."
)
@as_json
def list_experiments(
    filter_string: str | None, order_by: tuple[str, ...], view: str, max_results: int, as_json: bool
) -> None:
    """List experiments, with how many runs each has.

    \b
    Example:
      pack experiments list --filter "name LIKE 'churn%'"
    """
    from pack.fluent import state

    store = state.tracking()
    found = store.search_experiments(
        filter_string=filter_string, view_type=_VIEWS[view], order_by=list(order_by), max_results=max_results
    )
    counts = {one.experiment_id: store.count_runs([one.experiment_id], view_type=_VIEWS[view]) for one in found}
    if as_json:
        show_json([{**asdict(one), "runs": counts[one.experiment_id]} for one in found])
        return
    rows = [
        (one.experiment_id, one.name, counts[one.experiment_id], one.lifecycle_stage, moment(one.last_update_time))
        for one in found
    ]
    show(("id", "name", "runs", "stage", "updated"), rows, empty="no such experiment; pack.set_experiment makes one")


@experiments.command(name="search", hidden=True)
@click.option(
    "-v",
    "--view",
    type=click.Choice(list(_VIEWS)),
    default="active_only",
    help="Which ones: in use, in the trash, or all.",
)
@click.option("--max-results", type=click.IntRange(1, 50_000), default=100, help="How many at most.")
@click.pass_context
def search_experiments(ctx: click.Context, view: str, max_results: int) -> None:
    """MLflow's spelling of `pack experiments list`.

    \b
    Example:
      pack experiments search --view all
    """
    ctx.invoke(list_experiments, view=view, max_results=max_results)


@experiments.command(name="show")
@_which
@as_json
def show_experiment(experiment: str, as_json: bool) -> None:
    """Show an experiment, by name or id.

    \b
    Example:
      pack experiments show churn
    """
    from pack.fluent import state

    found = named(experiment)
    active = state.tracking().count_runs([found.experiment_id])
    if as_json:
        show_json({**asdict(found), "runs": active})
        return
    show_facts(
        {
            "experiment": found.experiment_id,
            "name": found.name,
            "stage": found.lifecycle_stage,
            "runs": active,
            "created": moment(found.creation_time),
            "updated": moment(found.last_update_time),
            "artifacts": found.artifact_location,
            "tags": "\n".join(f"{key}={value}" for key, value in sorted(found.tags.items())),
        }
    )


@experiments.command(name="create")
@word("name", "-n", "--experiment-name", metavar="NAME")
@click.option("-l", "--artifact-location", help="A folder for its files. [default: beside the store]")
@click.option(
    "-t", "--tag", "tags", type=Pair(), multiple=True, metavar="KEY=VALUE", help="A tag; may be given several times."
)
def create_experiment(name: str, artifact_location: str | None, tags: tuple[tuple[str, str], ...]) -> None:
    """Make an experiment, and print its id.

    \b
    Example:
      pack experiments create churn --tag team=growth
    """
    from pack.fluent import state

    click.echo(state.tracking().create_experiment(name, artifact_location=artifact_location, tags=dict(tags)))


@experiments.command(name="rename")
@_which
@word("new_name", "--new-name", metavar="NEW_NAME")
def rename_experiment(experiment: str, new_name: str) -> None:
    """Change the name of an experiment.

    \b
    Example:
      pack experiments rename churn churn-2026
    """
    from pack.fluent import state

    found = named(experiment)
    state.tracking().rename_experiment(found.experiment_id, new_name)
    click.echo(f"experiment {found.experiment_id}: {found.name} -> {new_name}")


@experiments.command(name="tag")
@click.argument("experiment")
@click.argument("tags", type=Pair(), nargs=-1, metavar="KEY=VALUE...")
@click.option("-d", "--delete", "gone", multiple=True, metavar="KEY", help="Remove a tag.")
def tag_experiment(experiment: str, tags: tuple[tuple[str, str], ...], gone: tuple[str, ...]) -> None:
    """Set tags of an experiment, or remove some.

    \b
    Example:
      pack experiments tag churn team=growth --delete draft
    """
    from pack.fluent import state

    store, found = state.tracking(), named(experiment)
    for key, value in tags:
        store.set_experiment_tag(found.experiment_id, key, value)
    for key in gone:
        store.delete_experiment_tag(found.experiment_id, key)


@experiments.command(name="delete")
@_which
@force
def delete_experiment(experiment: str, force: bool) -> None:
    """Move an experiment to the trash, with its runs and models; refused where an alias points at one of them.

    \b
    Example:
      pack experiments delete churn-old
    """
    from pack.fluent import protection, state

    found = named(experiment)
    protection.delete_experiment(state.tracking(), state.registry(), found.experiment_id, force=force)
    click.echo(f"experiment {found.experiment_id} ({found.name}) is in the trash; pack gc empties it")


@experiments.command(name="restore")
@_which
def restore_experiment(experiment: str) -> None:
    """Take an experiment out of the trash, with what went there together with it.

    \b
    Example:
      pack experiments restore churn-old
    """
    from pack.fluent import state

    found = named(experiment)
    state.tracking().restore_experiment(found.experiment_id)
    click.echo(f"experiment {found.experiment_id} ({found.name}) is restored")


def named(experiment: str) -> Experiment:
    """An experiment by its name, else by its id."""
    from pack.errors import NotFound
    from pack.fluent import state

    store = state.tracking()
    found = store.get_experiment_by_name(experiment)
    if found is None and not experiment.isdecimal():
        raise NotFound(f"there is no experiment named {experiment[:100]!a}", hint="list them: pack experiments list")
    return found or store.get_experiment(experiment)
