"""Models: log one, save one, load one; register versions and point aliases at them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from pack import flavors
from pack.artifacts import local_path
from pack.errors import AlreadyExists
from pack.flavors.shell import Extras, save
from pack.fluent import context, state
from pack.mlmodel import digests
from pack.mlmodel.model import Model, ModelInfo
from pack.pyfunc import load_native
from pack.registry import AliasMove, ModelVersion
from pack.tracking import LoggedModel

_EXTRAS = {item.name for item in fields(Extras)} - {"run_id", "model_id", "artifact_path"}
# Arguments of MLflow's verbs that change nothing here.
_IGNORED = {"await_registration_for", "mlflow_model"}


def log_model(
    model: Any,
    name: str | None = None,
    *,
    artifact_path: str | None = None,
    flavor: str | None = None,
    registered_model_name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    step: int = 0,
    **options: Any,
) -> ModelInfo:
    """Write a model into the store, with the open run as its source where there is one, and register it if asked.

    The flavor is detected. `options` are `signature`, `input_example`, `pip_requirements`, `extra_pip_requirements`,
    `conda_env`, `code_paths`, `extra_files`, `metadata`, and the flavor's own. Raises `CannotInfer` where the example
    has no signature, `StorageFailed` where the disk refuses; a model that failed is never READY.

    >>> info = log_model(model, "churn", input_example=frame[:3])  # doctest: +SKIP
    >>> info.model_uri  # doctest: +SKIP
    'models:/m-...'
    """
    extras, own = _split(options)
    made = flavors.get(flavor or flavors.detect(model), **own)
    logged = _pending(name or artifact_path, params=params, tags=tags, model_type=model_type, step=step)
    home = Path(logged.artifact_location)
    try:
        written = save(
            model,
            home,
            flavor=made,
            extras=Extras(
                **extras, run_id=logged.source_run_id, model_id=logged.model_id, artifact_path=logged.artifact_location
            ),
        )
    except BaseException as error:
        state.tracking().finalize_logged_model(logged.model_id, "FAILED", message=f"{type(error).__name__}: {error}")
        raise
    logged = state.tracking().finalize_logged_model(logged.model_id, "READY")
    version = register_model(logged.model_uri, registered_model_name).version if registered_model_name else None
    return _info(logged, written, version)


def save_model(model: Any, path: str | Path, *, flavor: str | None = None, **options: Any) -> Model:
    """Write a model as a directory at `path`, which must not exist or be empty; see `log_model` for the options.

    >>> save_model(model, "churn-model", input_example=frame[:3])  # doctest: +SKIP
    """
    extras, own = _split(options)
    return flavors.save_model(model, path, flavor=flavor, extras=Extras(**extras), **own)


def load_model(model_uri: str | Path, *, trust: bool | str | None = None, dst_path: str | Path | None = None) -> Any:
    """Load a model as its framework knows it; `pack.pyfunc.load_model` gives one with a uniform `predict`.

    >>> load_model("models:/churn@champion")  # doctest: +SKIP
    """
    return load_native(model_uri, trust=trust, dst_path=dst_path)


def register_model(
    model_uri: str | Path,
    name: str,
    await_registration_for: int | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Register a model as the next version under a name, which is made where it is missing; no bytes are copied.

    Raises `NotFound` where there is no model at the URI, `Damaged` where its files differ from their digests.

    >>> register_model(info.model_uri, "churn").version  # doctest: +SKIP
    1
    """
    home = local_path(model_uri).absolute()
    report = digests.check(home)
    report.raise_if_damaged()
    registry = state.registry()
    with suppress(AlreadyExists):  # then it is the next version
        registry.create_registered_model(name)
    model_id = report.model.model_id
    return registry.create_model_version(
        name,
        source=f"models:/{model_id}" if model_id else str(model_uri),
        storage_location=str(home),
        user_id=context.user(),
        run_id=report.model.run_id,
        model_id=model_id,
        digest=report.digest,
        tags={str(key): str(value) for key, value in (tags or {}).items()},
    )


def set_alias(name: str, alias: str, version: int | str, *, reason: str | None = None) -> AliasMove:
    """Point an alias at a version: `models:/NAME@ALIAS` means that version from now on.

    >>> set_alias("churn", "champion", 3, reason="better on last week")  # doctest: +SKIP
    """
    return state.registry().set_alias(name, alias, int(version), user_id=context.user(), reason=reason)


def get_alias(name: str, alias: str) -> ModelVersion:
    """The version that an alias points at.

    >>> get_alias("churn", "champion").version  # doctest: +SKIP
    3
    """
    return state.registry().get_model_version_by_alias(name, alias)


def delete_alias(name: str, alias: str) -> None:
    """Remove an alias.

    >>> delete_alias("churn", "challenger")  # doctest: +SKIP
    """
    state.registry().delete_alias(name, alias, user_id=context.user())


def get_model_info(model_uri: str | Path) -> ModelInfo:
    """What a model's MLmodel file says; nothing is loaded or run.

    >>> get_model_info("models:/churn@champion").signature  # doctest: +SKIP
    """
    home = local_path(model_uri)
    return ModelInfo(str(model_uri), Model.load(home))


def _split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of the save shell, and those of the flavor."""
    options = {key: value for key, value in options.items() if key not in _IGNORED}
    extras = {key: value for key, value in options.items() if key in _EXTRAS}
    return extras, {key: value for key, value in options.items() if key not in _EXTRAS}


def _pending(name: str | None, *, params: Any, tags: Any, model_type: str | None, step: int) -> LoggedModel:
    runs = state.open_runs()
    run = runs[-1].info if runs else None
    label = (name or "model").strip("/").replace("/", "-")
    return state.tracking().create_logged_model(
        run.experiment_id if run else state.experiment_id(),
        name=label,
        source_run_id=run.run_id if run else None,
        params={str(key): str(value) for key, value in (params or {}).items()},
        tags={str(key): str(value) for key, value in (tags or {}).items()},
        model_type=model_type,
        step=step,
    )


def _info(logged: LoggedModel, written: Model, version: int | None) -> ModelInfo:
    return ModelInfo(
        logged.model_uri,
        written,
        name=logged.name,
        params=logged.params,
        tags=logged.tags,
        creation_timestamp=logged.creation_timestamp,
        registered_model_version=version,
    )
