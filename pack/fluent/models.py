"""Models: log one, save one, load one, register one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from pack import flavors
from pack.artifacts import local_path
from pack.errors import NotFound, StorageFailed, Unavailable
from pack.flavors.shell import Extras, save
from pack.fluent import state, versions
from pack.fluent.logged import create
from pack.mlmodel.model import Model, ModelInfo
from pack.pyfunc import load_native
from pack.registry import ModelVersion
from pack.tracking import LoggedModel
from pack.tracking.owner import this_process

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
        with suppress(StorageFailed, Unavailable, NotFound):  # what went wrong first is what is told
            message = f"{type(error).__name__}: {error}"
            state.tracking().finalize_logged_model(logged.model_id, "FAILED", message=message)
        raise
    logged = state.tracking().finalize_logged_model(logged.model_id, "READY")
    state.logged(logged.model_id)
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
    return versions.register(state.tracking(), state.registry(), model_uri, name, tags=tags, make_name=True)


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
    return create(
        state.tracking(),
        run.experiment_id if run else state.experiment_id(),
        name,
        run_id=run.run_id if run else None,
        params=params,
        tags=tags,
        kind=model_type,
        step=step,
        owner=this_process(),
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
