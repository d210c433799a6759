"""Versions of registered models: registered from where a model lies, copied under another name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pack import uris
from pack.artifacts import local_path
from pack.db.grammar import quoted
from pack.errors import AlreadyExists, InvalidValue, NotFound, StorageFailed, Unavailable
from pack.fluent import context, state
from pack.fluent.locations import path_in
from pack.fluent.pairs import texts
from pack.mlmodel import digests
from pack.mlmodel.model import MLMODEL
from pack.registry import ModelVersion, RegistryStore
from pack.registry.names import version_number
from pack.tracking import TrackingStore
from pack.uris import ModelUri, PathUri, RunUri

_VERSIONS = "mlflow.modelVersions"


def register(
    tracking: TrackingStore,
    registry: RegistryStore,
    model_uri: str | Path,
    name: str,
    *,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    run_id: str | None = None,
    run_link: str | None = None,
    model_id: str | None = None,
    make_name: bool = False,
) -> ModelVersion:
    """Register the model at a URI as the next version of a name; every file is read and compared first.

    The name must exist, or is made with `make_name`.
    """
    uri = uris.parse(model_uri)
    found = path_in(tracking, registry, uri)
    home = (local_path(model_uri) if found is None else _home(found)).absolute()
    report = digests.check(home)
    report.raise_if_damaged()
    if make_name:
        with suppress(AlreadyExists):  # then it is the next version
            registry.create_registered_model(name)
    made = registry.create_model_version(
        name,
        source=_source(uri, report.model.model_id),
        storage_location=str(home),
        user_id=context.user(),
        run_id=run_id or report.model.run_id,
        model_id=model_id or report.model.model_id,
        digest=report.digest,
        description=description or "",
        run_link=run_link,
        tags=texts(tags, "tags"),
    )
    _refuse_removed(tracking, registry, made)
    _tell_logged_model(tracking, registry, made)
    return made


def copy(registry: RegistryStore, source_uri: str, name: str) -> ModelVersion:
    """Register a version once more under another name, which is made where it is missing; no bytes are copied."""
    uri = uris.parse(source_uri)
    if not isinstance(uri, ModelUri) or uri.path:
        raise InvalidValue(f"{source_uri[:100]!a} is no registered version", hint="give models:/NAME/VERSION or @ALIAS")
    found = registry.resolve(uri)
    with suppress(AlreadyExists):
        registry.create_registered_model(name)
    return registry.create_model_version(
        name,
        source=f"models:/{found.name}/{found.version}",
        storage_location=found.storage_location,
        user_id=context.user(),
        run_id=found.run_id,
        run_link=found.run_link,
        model_id=found.model_id,
        digest=found.digest,
        description=found.description,
        tags=found.tags,
    )


def _home(path: Path) -> Path:
    return path.parent if path.name == "MLmodel" and path.is_file() else path


def _source(uri: uris.Uri, model_id: str | None) -> str:
    """What a version says of where it came from: of what a run logged, the logged model."""
    if isinstance(uri, PathUri):
        return str(uri.path.absolute())
    return f"models:/{model_id}" if model_id and isinstance(uri, RunUri) else str(uri)


def _refuse_removed(tracking: TrackingStore, registry: RegistryStore, version: ModelVersion) -> None:
    """Take back a version whose files `gc` was removing while they were read."""
    home = Path(version.storage_location)
    doomed = any(home.is_relative_to(folder) for folder in tracking.doomed())
    if doomed or not (home / MLMODEL).is_file():
        registry.delete_model_version(version.name, version.version)
        raise NotFound("the model was deleted while it was registered", hint="log it again")


def _tell_logged_model(tracking: TrackingStore, registry: RegistryStore, version: ModelVersion) -> None:
    """A logged model knows the versions that were made of it, under MLflow's tag; others may tell it too just now."""
    if not version.model_id:
        return
    # A model that this store does not know can be registered too, and the version is there without the tag.
    with suppress(NotFound, StorageFailed, Unavailable):
        while True:
            told = _told(tracking.get_logged_model(version.model_id).tags.get(_VERSIONS, "[]"))
            made = registry.search_model_versions(
                filter_string=f"model_id = {quoted(version.model_id)}", order_by=["creation_timestamp", "version"]
            )
            new = [one for one in ({"name": v.name, "version": v.version} for v in made) if one not in told]
            if not new:
                return
            tracking.set_logged_model_tags(version.model_id, {_VERSIONS: json.dumps([*told, *new])})


def _told(text: str) -> list[Any]:
    """The versions that a tag lists; none where someone wrote something else into it."""
    with suppress(ValueError, RecursionError):
        found = json.loads(text)
        return found if isinstance(found, list) else []
    return []


def set_model_version_tag(name: str, version: int | str | None = None, key: str = "", value: Any = None) -> None:
    """Set a tag of a version, of the newest where none is given.

    >>> set_model_version_tag("churn", 3, "validation", "approved")  # doctest: +SKIP
    """
    registry = state.registry()
    which = registry.resolve(ModelUri(name, latest=True)).version if version is None else version_number(version)
    registry.set_model_version_tag(name, which, key, str(value))
