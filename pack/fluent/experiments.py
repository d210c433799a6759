"""Experiments: choose one, make one, describe it, let it go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pack.errors import AlreadyExists, InvalidState, InvalidValue
from pack.fluent import protection, state
from pack.fluent.pairs import pairs
from pack.tracking import Experiment


def set_experiment(experiment_name: str | None = None, experiment_id: str | None = None) -> Experiment:
    """Choose the experiment of the runs that follow, by name (made where it is missing) or by id.

    Raises `InvalidState` where it is deleted, `NotFound` where there is no such id.

    >>> set_experiment("churn")  # doctest: +SKIP
    """
    if (experiment_name is None) == (experiment_id is None):
        raise InvalidValue("set_experiment needs a name or an id", hint='call set_experiment("churn")')
    store = state.tracking()
    found = _named(experiment_name) if experiment_id is None else store.get_experiment(str(experiment_id))
    if found.lifecycle_stage != "active":
        raise InvalidState(f"the experiment {found.name!r} is deleted", hint="restore it, or use another name")
    state.use_experiment(found.experiment_id)
    return found


def create_experiment(name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None) -> str:
    """Make an experiment and answer its id; raises `AlreadyExists` where the name is taken.

    >>> create_experiment("churn")  # doctest: +SKIP
    """
    return state.tracking().create_experiment(name, artifact_location=artifact_location, tags=pairs(tags, "tags"))


def get_experiment(experiment_id: str) -> Experiment:
    """One experiment by id.

    >>> get_experiment("0").name  # doctest: +SKIP
    'Default'
    """
    return state.tracking().get_experiment(str(experiment_id))


def get_experiment_by_name(name: str) -> Experiment | None:
    """One experiment by name; None where there is none.

    >>> get_experiment_by_name("churn")  # doctest: +SKIP
    """
    return state.tracking().get_experiment_by_name(name)


def delete_experiment(experiment_id: str, *, force: bool = False) -> None:
    """Move an experiment to the trash, with its runs and models.

    Raises `InvalidState` where an alias points at a model of it, unless forced.

    >>> delete_experiment("3")  # doctest: +SKIP
    """
    protection.delete_experiment(state.tracking(), state.registry(), str(experiment_id), force=force)


def restore_experiment(experiment_id: str) -> None:
    """Take an experiment out of the trash, with what went there together with it.

    >>> restore_experiment("3")  # doctest: +SKIP
    """
    state.tracking().restore_experiment(str(experiment_id))


def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag of the experiment in use.

    >>> set_experiment_tag("team", "growth")  # doctest: +SKIP
    """
    state.tracking().set_experiment_tag(_current(), key, str(value))


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set several tags of the experiment in use.

    >>> set_experiment_tags({"team": "growth"})  # doctest: +SKIP
    """
    for key, value in pairs(tags, "tags").items():
        set_experiment_tag(key, value)


def delete_experiment_tag(key: str) -> None:
    """Remove a tag of the experiment in use.

    >>> delete_experiment_tag("team")  # doctest: +SKIP
    """
    state.tracking().delete_experiment_tag(_current(), key)


def _current() -> str:
    runs = state.open_runs()
    return runs[-1].info.experiment_id if runs else state.experiment_id()


def _named(name: Any) -> Experiment:
    """The experiment of a name, made where it is missing; raises `InvalidValue` for what is no text."""
    if not isinstance(name, str):
        raise InvalidValue(
            f"the name of an experiment is text, not {type(name).__name__}",
            hint="an experiment that exists is chosen by id too: set_experiment(experiment_id=ID)",
        )
    return state.tracking().get_experiment_by_name(name) or _made(name)


def _made(name: str) -> Experiment:
    """A new experiment; where another process was faster, the one that it made."""
    store = state.tracking()
    try:
        return store.get_experiment(store.create_experiment(name))
    except AlreadyExists:
        found = store.get_experiment_by_name(name)
        if found is None:
            raise
        return found
