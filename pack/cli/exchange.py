"""`pack import` and `pack export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pack.cli.table import as_json, plain, show_json
from pack.cli.words import Pair

if TYPE_CHECKING:
    from pack.exchange import Report


@click.command(name="import")
@click.argument("source")
@click.option(
    "--artifacts-root",
    "roots",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    help="Folder that files may be read from, besides the source's own. Can be given several times.",
)
@click.option(
    "--rename",
    type=Pair(),
    multiple=True,
    metavar="OLD=NEW",
    help="Register the versions of a model under another name here. Can be given several times.",
)
@click.option("--strict", is_flag=True, help="Stop at the first thing that cannot be taken.")
@as_json
def import_(
    source: str, roots: tuple[Path, ...], rename: tuple[tuple[str, str], ...], strict: bool, as_json: bool
) -> None:
    """Bring runs, files and models of another store into this one.

    SOURCE is MLflow's mlruns folder, its mlflow.db (also as sqlite:///mlflow.db), a folder that pack export wrote, or
    another store of pack's. What is here stays. Started again, it goes on where it was stopped; done again, it adds
    nothing. At the end both sides are read and compared.

    \b
    Example:
      pack import ./mlruns
      pack import sqlite:///mlflow.db --artifacts-root /srv/mlartifacts

    Exit codes: 0 everything is here and the same, 1 something was left out or differs, 2 the command was misspelled.
    """
    from pack.exchange import import_from

    _show(import_from(source, artifacts_roots=roots, rename=dict(rename), strict=strict), as_json=as_json)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("-e", "--experiment", "experiments", multiple=True, help="Only this experiment, with its runs.")
@click.option("--run", "runs", multiple=True, help="Only this run, with the models that it logged.")
@click.option("--model", "models", multiple=True, help="Only this registered model, with what its versions came from.")
@as_json
def export(
    folder: Path, experiments: tuple[str, ...], runs: tuple[str, ...], models: tuple[str, ...], as_json: bool
) -> None:
    """Write the store into a folder of plain files that can be copied, merged and imported elsewhere.

    Without options everything is written. Each option can be given several times. What has not changed since an
    earlier export into the same folder is not written again; at the end both sides are read and compared.

    \b
    Example:
      pack export handover --model churn
      rsync -a handover/ cluster:handover/

    Exit codes: 0 everything is there and the same, 1 something was left out or differs, 2 the command was misspelled.
    """
    from pack.cli.runs import named
    from pack.exchange import export_to

    run_ids = [named(one).info.run_id for one in runs]
    _show(export_to(folder, experiments=experiments, runs=run_ids, models=models), as_json=as_json)


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        show_json(report.to_dictionary())
    else:
        click.echo("\n".join(map(plain, str(report).splitlines())))
    raise SystemExit(0 if report.complete else 1)
