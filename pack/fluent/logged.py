"""Logged models as records: made, described, measured, without a model of any framework."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pack import settings
from pack.artifacts.local import LocalStore
from pack.db.grammar import quoted
from pack.errors import InvalidState, InvalidValue
from pack.fluent import state
from pack.fluent.pairs import pairs, texts
from pack.tracking import LoggedModel, TrackingStore

# MLflow's spellings of the two ends
_ENDS = {"READY": "READY", "FAILED": "FAILED", "UPLOAD_FAILED": "FAILED", "LOGGED_MODEL_READY": "READY"}
_EXTERNAL = {"mlflow.model.isExternal": "true"}


def initialize_logged_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Make a logged model, PENDING until `finalize_logged_model` is called.

    >>> initialize_logged_model("checkpoint", params={"lr": 0.1})  # doctest: +SKIP
    """
    runs = state.open_runs()
    run = runs[-1].info if runs else None
    where = experiment_id or (run.experiment_id if run else state.experiment_id())
    run_id = source_run_id or (run.run_id if run else None)
    return create(state.tracking(), str(where), name, run_id=run_id, tags=tags, params=params, kind=model_type)


def create_external_model(
    name: str | None = None,
    source_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    model_type: str | None = None,
    experiment_id: str | None = None,
) -> LoggedModel:
    """Make a record of a model whose files are kept elsewhere, so that metrics can be linked with it.

    >>> create_external_model("vendor-model")  # doctest: +SKIP
    """
    made = initialize_logged_model(
        name, source_run_id, {**pairs(tags, "tags"), **_EXTERNAL}, params, model_type, experiment_id
    )
    return state.tracking().finalize_logged_model(made.model_id, "READY")


def finalize_logged_model(model_id: str, status: str) -> LoggedModel:
    """Say that a logged model is complete (READY) or that it failed (FAILED).

    >>> finalize_logged_model(model.model_id, "READY")  # doctest: +SKIP
    """
    return state.tracking().finalize_logged_model(model_id, final(status))


def get_logged_model(model_id: str) -> LoggedModel:
    """One logged model, with its params, tags and metrics.

    >>> get_logged_model(info.model_id).metrics  # doctest: +SKIP
    """
    return state.tracking().get_logged_model(model_id)


def last_logged_model() -> LoggedModel | None:
    """The model that this process logged last; None where it logged none.

    >>> last_logged_model()  # doctest: +SKIP
    """
    model_id = state.last_model_id()
    return get_logged_model(model_id) if model_id else None


def set_logged_model_tags(model_id: str, tags: Mapping[str, Any]) -> None:
    """Set tags of a logged model.

    >>> set_logged_model_tags(info.model_id, {"reviewed": "yes"})  # doctest: +SKIP
    """
    state.tracking().set_logged_model_tags(model_id, texts(tags, "tags"))


def delete_logged_model_tag(model_id: str, key: str) -> None:
    """Remove a tag of a logged model.

    >>> delete_logged_model_tag(info.model_id, "reviewed")  # doctest: +SKIP
    """
    state.tracking().delete_logged_model_tag(model_id, key)


def log_model_params(params: Mapping[str, Any], model_id: str | None = None) -> None:
    """Record params of a logged model, of the active one where none is given.

    >>> log_model_params({"depth": 3}, info.model_id)  # doctest: +SKIP
    """
    found = model_id or get_active_model_id()
    if found is None:
        raise InvalidValue("no model is active", hint="pass model_id, or call set_active_model first")
    state.tracking().log_model_params(found, texts(params, "params"))


def set_active_model(*, name: str | None = None, model_id: str | None = None) -> LoggedModel:
    """Choose the model that metrics are linked with from now on, by id, or by a name of this experiment.

    >>> set_active_model(name="churn")  # doctest: +SKIP
    """
    if (name is None) == (model_id is None):
        raise InvalidValue("set_active_model needs a name or a model_id", hint='call set_active_model(name="churn")')
    found = get_logged_model(model_id) if model_id else _named(str(name))
    state.use_model(found.model_id)
    return found


def get_active_model_id() -> str | None:
    """The model that metrics are linked with; None where none was chosen.

    >>> get_active_model_id()  # doctest: +SKIP
    """
    return state.active_model_id() or settings.active_model_id()


def clear_active_model() -> None:
    """Link metrics with no model any more.

    >>> clear_active_model()  # doctest: +SKIP
    """
    state.use_model(None)


def create(
    tracking: TrackingStore,
    experiment_id: str,
    name: str | None,
    *,
    run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    kind: str | None = None,
    step: int = 0,
    owner: str | None = None,
) -> LoggedModel:
    """Make a logged model in a store; keys and values become text."""
    if name and not isinstance(name, str):
        raise InvalidValue(f"the name of a model is text, not {type(name).__name__}", hint="give one like 'churn'")
    return tracking.create_logged_model(
        experiment_id,
        name=(name or "model").strip("/").replace("/", "-"),
        source_run_id=run_id,
        tags=texts(tags, "tags"),
        params=texts(params, "params"),
        model_type=kind,
        step=step,
        owner=owner,
    )


def store_of(tracking: TrackingStore, model_id: str) -> LocalStore:
    """The files of a logged model that is still being made; a finished one keeps the digests it was finished with."""
    found = tracking.get_logged_model(model_id)
    if found.status != "PENDING":
        raise InvalidState(f"the model {model_id} is {found.status}", hint="a finished model is not written into")
    return LocalStore(Path(found.artifact_location))


def final(status: str) -> str:
    """A final status in our spelling; raises `InvalidValue` for another."""
    word = str(getattr(status, "value", status)).upper()
    if word not in _ENDS:
        raise InvalidValue(f"{word[:40]!a} is no final status of a model", hint="use READY or FAILED")
    return _ENDS[word]


def _named(name: str) -> LoggedModel:
    found = state.tracking().search_logged_models(
        [state.experiment_id()], filter_string=f"name = {quoted(name)}", max_results=1
    )
    return found[0] if found else initialize_logged_model(name)
