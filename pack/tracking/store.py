"""The contract of a tracking store. `tests/contracts/tracking.py` is the suite that each implementation passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pack.tracking.entities import Experiment, LoggedModel, Metric, Page, Param, Run, RunInfo, RunTag


class TrackingStore(Protocol):
    """Where runs are recorded. What a call wrote is durable when it returns.

    Each method raises `NotFound` for an id that is unknown, `InvalidValue` for a value over a limit or of the wrong
    kind, `InvalidState` for something deleted, and `StorageFailed` where the disk refuses.
    """

    uri: str

    def create_experiment(
        self, name: str, *, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and answer its id; raises `AlreadyExists` where the name is taken."""

    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment by id, deleted ones too."""

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """One experiment by name, deleted ones too; None where there is none."""

    def search_experiments(self, *, deleted: bool = False) -> list[Experiment]:
        """The active experiments (or the deleted ones), newest first."""

    def create_run(
        self,
        experiment_id: str,
        *,
        user_id: str,
        start_time: int,
        run_name: str,
        tags: Sequence[RunTag] = (),
        owner: str | None = None,
    ) -> Run:
        """Start a run. `owner` names the process that records it; see `fail_orphans`."""

    def get_run(self, run_id: str) -> Run:
        """One run with what it recorded, deleted ones too."""

    def update_run(
        self, run_id: str, *, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        """Change a run's status, end or name; what is None stays."""

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash."""

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash."""

    def search_runs(
        self, experiment_ids: Sequence[str], *, max_results: int = 1000, page_token: str | None = None
    ) -> Page:
        """A page of active runs, the newest first."""

    def log_batch(
        self,
        run_id: str,
        *,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        """Record metrics, params and tags, all or none; a param that has another value already is `InvalidValue`."""

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag."""

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Every point of one metric, by step and time."""

    def fail_orphans(self) -> list[str]:
        """Mark as FAILED the runs of this machine whose process is gone; answers their ids."""

    def create_logged_model(
        self,
        experiment_id: str,
        *,
        name: str,
        source_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model_type: str | None = None,
        step: int = 0,
    ) -> LoggedModel:
        """Make a logged model, PENDING until it is finalized; its `artifact_location` is where its directory goes."""

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model."""

    def search_logged_models(self, *, source_run_id: str, name: str | None = None) -> list[LoggedModel]:
        """The READY models of a run, the newest first."""

    def finalize_logged_model(self, model_id: str, status: str, *, message: str | None = None) -> LoggedModel:
        """Set the status: READY or FAILED."""

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a logged model."""
