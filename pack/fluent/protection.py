"""What an alias points at is not deleted by mistake: here both wings are looked at before something goes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pack.errors import InvalidState
from pack.registry import ModelVersion, RegistryStore
from pack.tracking import TrackingStore

_PAGE = 10_000


def delete_run(tracking: TrackingStore, registry: RegistryStore, run_id: str, *, force: bool) -> None:
    """Move a run to the trash; raises `InvalidState` where an alias points at a model of it, unless forced."""
    tracking.get_run(run_id)
    if not force:
        made = {model.model_id for model in tracking.models_of_run(run_id)}
        _refuse(f"the run {run_id}", (v for v in live(registry) if v.run_id == run_id or v.model_id in made))
    tracking.delete_run(run_id)


def delete_logged_model(tracking: TrackingStore, registry: RegistryStore, model_id: str, *, force: bool) -> None:
    """Move a logged model to the trash; raises `InvalidState` where an alias points at it, unless forced."""
    tracking.get_logged_model(model_id)
    if not force:
        _refuse(f"the model {model_id}", (one for one in live(registry) if one.model_id == model_id))
    tracking.delete_logged_model(model_id)


def delete_experiment(tracking: TrackingStore, registry: RegistryStore, experiment_id: str, *, force: bool) -> None:
    """Move an experiment to the trash; raises `InvalidState` where an alias points into it, unless forced."""
    location = tracking.get_experiment(experiment_id).artifact_location
    if not force:
        inside = (one for one in live(registry) if Path(one.storage_location).is_relative_to(location))
        _refuse(f"the experiment {experiment_id}", inside)
    tracking.delete_experiment(experiment_id)


def live(registry: RegistryStore) -> Iterable[ModelVersion]:
    """The versions that aliases point at."""
    token = None
    while True:
        page = registry.search_model_versions(filter_string="aliases.name != ''", max_results=_PAGE, page_token=token)
        yield from page
        token = page.token
        if token is None:
            return


def _refuse(what: str, versions: Iterable[ModelVersion]) -> None:
    held = [f"models:/{one.name}@{alias}" for one in versions for alias in one.aliases]
    if held:
        shown = ", ".join(held[:5]) + (" ..." if len(held) > 5 else "")
        raise InvalidState(f"{what} holds what {shown} stands for", hint="move the alias first, or force")
