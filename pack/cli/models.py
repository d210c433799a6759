"""`pack models`, and MLflow's spelling of the commands around a model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pack.cli import LazyGroup
from pack.cli.table import as_json, moment, show, show_facts, show_json
from pack.cli.words import Pair, force

if TYPE_CHECKING:
    from pack.registry import ModelVersion

_SAME = {
    "serve": ("pack.cli.serve:serve", "The same as pack serve."),
    "predict": ("pack.cli.predict:predict", "The same as pack predict."),
}
_target = click.argument("target", metavar="NAME[/VERSION|@ALIAS]")


@click.group(cls=LazyGroup, table=_SAME)
def models() -> None:
    """Registered models: list, show, register, tag, describe, copy, rename, delete, restore them.

    \b
    Example:
      pack models show churn
    """


@models.command(name="list")
@click.option("--filter", "filter_string", metavar="FILTER", help="Such as: name LIKE 'churn%' AND tags.team = 'x'.")
@click.option(
    "-n", "--max-results", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many at most."
)
@as_json
def list_models(filter_string: str | None, max_results: int, as_json: bool) -> None:
    """List the registered models.

    \b
    Example:
      pack models list --filter "tags.team = 'growth'" --json
    """
    from pack.fluent import state

    found = state.registry().search_registered_models(filter_string=filter_string, max_results=max_results)
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
    if found.token:
        click.echo(f"(the first {len(found)}; -n shows more)")


@models.command(name="show")
@_target
@as_json
def show_model(target: str, as_json: bool) -> None:
    """Show a registered model and its versions, or one version.

    \b
    Example:
      pack models show churn
      pack models show churn/3
    """
    name, version = parted(target)
    if version is None:
        _show_model(name, as_json=as_json)
    else:
        _show_version(name, version, as_json=as_json)


@models.command(name="register")
@click.argument("uri", metavar="URI")
@click.argument("name")
@click.option("-t", "--tag", "tags", type=Pair(), multiple=True, metavar="KEY=VALUE", help="Tags of the version.")
@click.option("-d", "--description", help="What it is, in Markdown.")
@as_json
def register_model(
    uri: str, name: str, tags: tuple[tuple[str, str], ...], description: str | None, as_json: bool
) -> None:
    """Register a model as the next version of a name. No bytes are copied; every file is read and compared first.

    \b
    Example:
      pack models register runs:/0a1b2c3d4e5f60718293a4b5c6d7e8f9/model churn --tag validation=approved
    """
    from pack.fluent import state, versions

    made = versions.register(
        state.tracking(), state.registry(), uri, name, tags=dict(tags), description=description, make_name=True
    )
    if as_json:
        show_json(asdict(made))
        return
    click.echo(f"models:/{made.name}/{made.version}  {made.digest}")


@models.command(name="tag")
@_target
@click.argument("tags", type=Pair(), nargs=-1, metavar="KEY=VALUE...")
@click.option("-d", "--delete", "gone", multiple=True, metavar="KEY", help="Remove a tag.")
def tag_model(target: str, tags: tuple[tuple[str, str], ...], gone: tuple[str, ...]) -> None:
    """Set tags of a model or of a version, or remove some.

    \b
    Example:
      pack models tag churn/3 validation=approved --delete draft
    """
    from pack.fluent import state

    registry, (name, version) = state.registry(), parted(target)
    for key, value in tags:
        if version is None:
            registry.set_registered_model_tag(name, key, value)
        else:
            registry.set_model_version_tag(name, version, key, value)
    for key in gone:
        if version is None:
            registry.delete_registered_model_tag(name, key)
        else:
            registry.delete_model_version_tag(name, version, key)


@models.command(name="describe")
@_target
@click.argument("text", required=False)
@click.option("-f", "--file", "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A text file.")
def describe_model(target: str, text: str | None, file: Path | None) -> None:
    """Set the description of a model or of a version, in Markdown.

    \b
    Example:
      pack models describe churn/3 "Trained on **October**."
      pack models describe churn --file card.md
    """
    from pack.fluent import state

    if (text is None) == (file is None):
        raise click.UsageError("Give the text, or a file that holds it.")
    registry, (name, version) = state.registry(), parted(target)
    words = str(text) if file is None else _text_of(file)
    if version is None:
        registry.update_registered_model(name, description=words)
    else:
        registry.update_model_version(name, version, description=words)


@models.command(name="copy")
@click.argument("uri", metavar="models:/NAME/VERSION")
@click.argument("name")
@as_json
def copy_model(uri: str, name: str, as_json: bool) -> None:
    """Register a version once more under another name. No bytes are copied.

    \b
    Example:
      pack models copy models:/churn@champion churn-production
    """
    from pack.fluent import state, versions

    made = versions.copy(state.registry(), uri, name)
    if as_json:
        show_json(asdict(made))
        return
    click.echo(f"models:/{made.name}/{made.version}")


@models.command(name="rename")
@click.argument("name")
@click.argument("new_name")
def rename_model(name: str, new_name: str) -> None:
    """Change the name of a model; versions, aliases and their history stay with it.

    \b
    Example:
      pack models rename churn churn-2026
    """
    from pack.fluent import state

    state.registry().rename_registered_model(name, new_name)
    click.echo(f"{name} -> {new_name}")


@models.command(name="delete")
@_target
@force
def delete_model(target: str, force: bool) -> None:
    """Move a model or a version to the trash; refused where an alias points at it.

    \b
    Example:
      pack models delete churn/2
    """
    from pack.fluent import state

    registry, (name, version) = state.registry(), parted(target)
    if version is None:
        registry.delete_registered_model(name, force=force)
    else:
        registry.delete_model_version(name, version, force=force)
    click.echo(f"{target} is in the trash; pack gc empties it, pack models restore brings it back")


@models.command(name="restore")
@_target
def restore_model(target: str) -> None:
    """Take a model or a version out of the trash.

    \b
    Example:
      pack models restore churn/2
    """
    from pack.fluent import state

    registry, (name, version) = state.registry(), parted(target)
    if version is None:
        registry.restore_registered_model(name)
    else:
        registry.restore_model_version(name, version)
    click.echo(f"{target} is restored")


def parted(target: str) -> tuple[str, int | None]:
    """The name and the version in `churn`, `churn/3`, `churn@champion` or `models:/churn/3`."""
    from pack import uris
    from pack.fluent import state

    bare = target.removeprefix("models:/")
    if "/" not in bare and "@" not in bare:
        return bare, None
    uri = uris.parse(f"models:/{bare}")
    if not isinstance(uri, uris.ModelUri) or uri.path:
        raise click.UsageError(f"{target!r} is not NAME, NAME/VERSION or NAME@ALIAS.")
    return uri.name, uri.version or state.registry().resolve(uri).version


def _text_of(file: Path) -> str:
    from pack.errors import InvalidValue

    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"{file} is no text in UTF-8", hint="give a Markdown file") from error


def _show_model(name: str, *, as_json: bool) -> None:
    from pack.db.grammar import quoted
    from pack.fluent import state

    registry = state.registry()
    model = registry.get_registered_model(name)
    versions = registry.search_model_versions(filter_string=f"name = {quoted(name)}", order_by=["version_number DESC"])
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
            "" if version.current_stage == "None" else version.current_stage,
            moment(version.creation_timestamp),
            version.user_id,
            version.source,
            (version.digest or "")[:12],
        )
        for version in versions
    ]
    show(("version", "aliases", "stage", "registered", "by", "source", "digest"), rows, empty="no versions")


def _show_version(name: str, version: int, *, as_json: bool) -> None:
    from pack.fluent import state

    found: ModelVersion = state.registry().get_model_version(name, version)
    if as_json:
        show_json(asdict(found))
        return
    show_facts(
        {
            "model": f"models:/{found.name}/{found.version}",
            "aliases": " ".join(f"@{alias}" for alias in found.aliases),
            "stage": "" if found.current_stage == "None" else found.current_stage,
            "registered": moment(found.creation_timestamp),
            "updated": moment(found.last_updated_timestamp),
            "by": found.user_id,
            "run": found.run_id,
            "logged model": found.model_id,
            "source": found.source,
            "files": found.storage_location,
            "digest": found.digest,
            "tags": "\n".join(f"{key}={value}" for key, value in sorted(found.tags.items())),
            "description": found.description,
        }
    )
