"""`pack models`, and MLflow's spelling of the commands around a model."""

from __future__ import annotations

from dataclasses import asdict

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, moment, show, show_facts, show_json

_SAME = {
    "serve": ("pack.cli.serve:serve", "The same as pack serve."),
    "predict": ("pack.cli.predict:predict", "The same as pack predict."),
}


@click.group(cls=LazyGroup, table=_SAME)
def models() -> None:
    """List and show registered models.

    \b
    Example:
      pack models show churn
    """


@models.command(name="list")
@as_json
def list_models(as_json: bool) -> None:
    """List the registered models.

    \b
    Example:
      pack models list --json
    """
    from pack.fluent import state

    found = state.registry().search_registered_models()
    if as_json:
        show_json([asdict(model) for model in found])
        return
    rows = [
        (
            model.name,
            model.latest_versions[0].version if model.latest_versions else "",
            "  ".join(f"@{alias}={version}" for alias, version in model.aliases.items()),
            moment(model.last_updated_timestamp),
        )
        for model in found
    ]
    show(
        ("name", "latest", "aliases", "updated"),
        rows,
        empty="no models are registered yet; pack.register_model does it",
    )


@models.command(name="show")
@click.argument("name")
@as_json
def show_model(name: str, as_json: bool) -> None:
    """Show a registered model and its versions.

    \b
    Example:
      pack models show churn
    """
    from pack.fluent import state

    registry = state.registry()
    model, versions = registry.get_registered_model(name), registry.search_model_versions(filter_string=f"name = {quoted(name)}", order_by=["version_number DESC"])
    if as_json:
        show_json({**asdict(model), "versions": [asdict(version) for version in versions]})
        return
    tags = ", ".join(f"{key}={value}" for key, value in model.tags.items())
    show_facts({"name": model.name, "description": model.description, "tags": tags})
    click.echo()
    rows = [
        (
            version.version,
            " ".join(f"@{alias}" for alias in version.aliases),
            moment(version.creation_timestamp),
            version.user_id,
            version.source,
            (version.digest or "")[:12],
        )
        for version in versions
    ]
    show(("version", "aliases", "registered", "by", "source", "digest"), rows, empty="no versions")
