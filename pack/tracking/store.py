"""The contract of a tracking store. `tests/contracts/tracking.py` is the suite that each implementation passes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from pack.db.paging import Page
from pack.errors import InvalidValue
from pack.tracking.entities import (
    DatasetInput,
    Experiment,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunInfo,
    RunTag,
    Taken,
    Trashed,
    ViewType,
)

# told what part of an import cannot be kept, and why
Refused: TypeAlias = Callable[[str, InvalidValue], None]


class TrackingStore(Protocol):
    """Where runs are recorded. What a call wrote is durable when it returns.

    Each method raises `NotFound` for an id that is unknown, `InvalidValue` for a value over a limit or of the wrong
    kind, `Deleted` for something in the trash, and `StorageFailed` where the disk refuses. Searches answer a page: a
    list with a `token` for the next one. Filters and orders are those of `pack.db.grammar`.
    """

    uri: str

    def close(self) -> None:
        """Let go of what this thread holds open; the next call opens it again."""

    def create_experiment(
        self, name: str, *, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and answer its id; raises `AlreadyExists` where the name is taken."""

    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment by id, deleted ones too."""

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """One experiment by name, deleted ones too; None where there is none."""

    def search_experiments(
        self,
        *,
        filter_string: str | None = None,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """A page of experiments, the newest first unless an order is given."""

    def rename_experiment(self, experiment_id: str, name: str) -> None:
        """Change the name; raises `AlreadyExists` where it is taken."""

    def delete_experiment(self, experiment_id: str) -> None:
        """Move an experiment to the trash, with its runs and models."""

    def restore_experiment(self, experiment_id: str) -> None:
        """Take an experiment out of the trash, with what went there together with it."""

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        """Set a tag of an experiment."""

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an experiment."""

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

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str | None = None,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        select: Sequence[str] | None = None,
    ) -> Page[Run]:
        """A page of runs, the newest first unless an order is given.

        `select` loads only some of what they recorded, such as `["metrics.loss", "params"]`.
        """

    def count_runs(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str | None = None,
        view_type: int = ViewType.ACTIVE_ONLY,
    ) -> int:
        """How many runs a search finds; none of them is loaded."""

    def update_run(
        self, run_id: str, *, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        """Change a run's status, end or name; what is None stays."""

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash."""

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash."""

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

    def get_metric_history(
        self, run_id: str, key: str, *, max_results: int | None = None, page_token: str | None = None
    ) -> Page[Metric]:
        """The points of one metric, by step and time: all of them, or a page of at most 25,000."""

    def log_inputs(
        self, run_id: str, *, datasets: Sequence[DatasetInput] = (), models: Sequence[LoggedModelInput] = ()
    ) -> None:
        """Link a run with the data and models that it used."""

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        """Link a run with the models that it made."""

    def fail_orphans(self) -> list[str]:
        """Mark as FAILED the runs and models of this machine whose process is gone; answers their ids."""

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
        owner: str | None = None,
    ) -> LoggedModel:
        """Make a logged model, PENDING until it is finalized; its `artifact_location` is where its directory goes.

        `owner` names the process that makes it; see `fail_orphans`.
        """

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model."""

    def models_of_run(self, run_id: str, name: str | None = None) -> list[LoggedModel]:
        """The READY models of a run, the newest first."""

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        *,
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        """A page of logged models, the newest first; with `datasets` only what was measured on one of them counts."""

    def finalize_logged_model(self, model_id: str, status: str, *, message: str | None = None) -> LoggedModel:
        """Set the status: READY or FAILED."""

    def delete_logged_model(self, model_id: str) -> None:
        """Move a logged model to the trash."""

    def restore_logged_model(self, model_id: str) -> None:
        """Take a logged model out of the trash."""

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a logged model."""

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag of a logged model."""

    def log_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Record params of a logged model; one that has another value already is `InvalidValue`."""

    def trash(self, before: int = 2**62) -> list[Trashed]:
        """What was deleted up to a time, in milliseconds since 1970."""

    def purge(self, items: Sequence[Trashed]) -> None:
        """Take deleted things out of the record for good; their folders are doomed from then on."""

    def doomed(self) -> Sequence[str]:
        """Folders whose record is gone and which can be removed."""

    def forget(self, location: str) -> None:
        """A doomed folder has been removed."""

    def import_experiment(self, given: Experiment, *, origin: str, refused: Refused | None = None) -> str:
        """Take in an experiment of another store, by name; answers its id here.

        Like each of the imports, it tells `refused` of each part that cannot be kept; without it, it raises.
        """

    def import_run(
        self,
        given: Run,
        *,
        experiment_id: str,
        history: Iterable[Metric],
        artifact_uri: str,
        refused: Refused | None = None,
    ) -> Taken:
        """Take in a run of another store; one that is here already is completed."""

    def import_logged_model(
        self, given: LoggedModel, *, experiment_id: str, artifact_location: str, refused: Refused | None = None
    ) -> Taken:
        """Take in a logged model of another store; one that is here already is completed."""

    def export_logged_models(self, experiment_id: str) -> list[str]:
        """The ids of every logged model of an experiment, deleted ones too."""

    def export_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model, a deleted one too."""
