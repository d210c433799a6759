"""A client object for those who would rather hold one than use the verbs, with MLflow's method names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any

from pack.artifacts.local import LocalStore
from pack.artifacts.store import FileInfo
from pack.db.paging import Page
from pack.fluent import artifacts, context, files, logged, protection, recording, runs, search, tables
from pack.fluent.pairs import texts
from pack.fluent.registry_client import RegistryClient
from pack.tracking import (
    DatasetInput,
    Experiment,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)

if TYPE_CHECKING:
    import pandas as pd


class Client(RegistryClient):
    """Reads and writes a store without an open run; without a URI, the store in use.

    >>> Client().set_registered_model_alias("churn", "champion", 3)  # doctest: +SKIP
    """

    @property
    def tracking_uri(self) -> str:
        """The URI of the tracking store."""
        return self._tracking.uri

    # -- experiments

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and answer its id."""
        return self._tracking.create_experiment(name, artifact_location=artifact_location, tags=tags)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment by id."""
        return self._tracking.get_experiment(str(experiment_id))

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """One experiment by name; None where there is none."""
        return self._tracking.get_experiment_by_name(name)

    def search_experiments(
        self,
        view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int | None = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[Experiment]:
        """A page of experiments; its `token` is what the next page starts from."""
        return self._tracking.search_experiments(
            view_type=view_type,
            max_results=1000 if max_results is None else max_results,
            filter_string=filter_string,
            order_by=order_by,
            page_token=page_token,
        )

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        """Change the name of an experiment."""
        self._tracking.rename_experiment(str(experiment_id), new_name)

    def delete_experiment(self, experiment_id: str, *, force: bool = False) -> None:
        """Move an experiment to the trash; refused where an alias points at a model of it."""
        protection.delete_experiment(self._tracking, self._registry, str(experiment_id), force=force)

    def restore_experiment(self, experiment_id: str) -> None:
        """Take an experiment out of the trash."""
        self._tracking.restore_experiment(str(experiment_id))

    def set_experiment_tag(self, experiment_id: str, key: str, value: Any) -> None:
        """Set a tag of an experiment."""
        self._tracking.set_experiment_tag(str(experiment_id), key, str(value))

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        """Remove a tag of an experiment."""
        self._tracking.delete_experiment_tag(str(experiment_id), key)

    # -- runs

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Start a run that no process owns."""
        given = texts(tags, "tags")
        return self._tracking.create_run(
            str(experiment_id),
            user_id=given.get("mlflow.user") or context.user(),
            start_time=recording.moment(start_time),
            run_name=run_name or given.get("mlflow.runName") or context.run_name(),
            tags=[RunTag(key, value) for key, value in given.items()],
        )

    def get_run(self, run_id: str) -> Run:
        """One run with what it recorded."""
        return self._tracking.get_run(run_id)

    def get_parent_run(self, run_id: str) -> Run | None:
        """The run inside of which a nested run was started; None where it has none."""
        return runs.parent_of(self._tracking, run_id)

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str = "",
        run_view_type: int = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
        *,
        select: Sequence[str] | None = None,
    ) -> Page[Run]:
        """A page of runs; its `token` is what the next page starts from. `select` loads only some of their facts."""
        return self._tracking.search_runs(
            search.experiment_ids_of(experiment_ids),
            filter_string=filter_string,
            view_type=run_view_type,
            max_results=max_results,
            order_by=order_by,
            page_token=page_token,
            select=search.listed(select),
        )

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change a run's status or name."""
        self._tracking.update_run(run_id, status=status and runs.status_name(status), run_name=name)

    def set_terminated(self, run_id: str, status: str | int | None = None, end_time: int | None = None) -> None:
        """End a run."""
        self._tracking.update_run(
            run_id, status=runs.status_name(status or "FINISHED"), end_time=recording.moment(end_time)
        )

    def delete_run(self, run_id: str, *, force: bool = False) -> None:
        """Move a run to the trash; refused where an alias points at a model of it."""
        protection.delete_run(self._tracking, self._registry, run_id, force=force)

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash."""
        self._tracking.restore_run(run_id)

    # -- what runs record

    def log_param(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> Any:
        """Record a param; answers its value."""
        self._tracking.log_batch(run_id, params=[Param(key, str(value))])
        return recording.answer(synchronous) or value

    def log_metric(
        self,
        run_id: str,
        key: str,
        value: float,
        timestamp: int | None = None,
        step: int | None = None,
        synchronous: bool | None = None,
        dataset_name: str | None = None,
        dataset_digest: str | None = None,
        model_id: str | None = None,
    ) -> recording.Recorded | None:
        """Record a point of a metric."""
        when = recording.moment(timestamp)
        at = 0 if step is None else recording.whole(step)
        self._tracking.log_batch(run_id, metrics=[Metric(key, value, when, at, model_id, dataset_name, dataset_digest)])
        return recording.answer(synchronous)

    def set_tag(self, run_id: str, key: str, value: Any, synchronous: bool | None = None) -> recording.Recorded | None:
        """Set a tag of a run."""
        self._tracking.log_batch(run_id, tags=[RunTag(key, str(value))])
        return recording.answer(synchronous)

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag of a run."""
        self._tracking.delete_tag(run_id, key)

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
        synchronous: bool | None = None,
    ) -> recording.Recorded | None:
        """Record metrics, params and tags, all or none; what is more than a batch holds goes in several."""
        for batch in recording.batches(metrics=metrics, params=params, tags=tags):
            self._tracking.log_batch(run_id, **batch)
        return recording.answer(synchronous)

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Every point of one metric."""
        return self._tracking.get_metric_history(run_id, key)

    def log_inputs(
        self,
        run_id: str,
        datasets: Sequence[DatasetInput] | None = None,
        models: Sequence[LoggedModelInput] | None = None,
    ) -> None:
        """Link a run with the data and models that it used."""
        self._tracking.log_inputs(run_id, datasets=list(datasets or ()), models=list(models or ()))

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        """Link a run with the models that it made."""
        self._tracking.log_outputs(run_id, list(models))

    # -- files of runs

    def log_artifact(self, run_id: str, local_path: str | Path, artifact_path: str | PurePath | None = None) -> None:
        """Copy a file or folder into a run's artifacts."""
        files.log_artifact(self._files(run_id), local_path, artifact_path)

    def log_artifacts(self, run_id: str, local_dir: str | Path, artifact_path: str | PurePath | None = None) -> None:
        """Copy everything in a folder into a run's artifacts."""
        files.log_artifacts(self._files(run_id), local_dir, artifact_path)

    def log_text(self, run_id: str, text: str, artifact_file: str | PurePath) -> None:
        """Write text as a file of a run."""
        files.log_text(self._files(run_id), text, artifact_file)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str | PurePath) -> None:
        """Write a dict as a JSON or YAML file of a run."""
        files.log_dict(self._files(run_id), dictionary, artifact_file)

    def log_stream(self, run_id: str, stream: IO[bytes] | IO[str], artifact_file: str | PurePath) -> None:
        """Write what a stream holds as a file of a run."""
        files.log_stream(self._files(run_id), stream, artifact_file)

    def log_figure(
        self, run_id: str, figure: Any, artifact_file: str | PurePath, *, save_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Write a figure of matplotlib or plotly as a file of a run."""
        files.log_figure(self._files(run_id), figure, artifact_file, save_kwargs)

    def log_image(
        self,
        run_id: str,
        image: Any,
        artifact_file: str | PurePath | None = None,
        key: str | None = None,
        step: int | None = None,
        timestamp: int | None = None,
        synchronous: bool | None = None,
    ) -> None:
        """Write an image as a file of a run, or with `key` as one of a series."""
        artifacts.put_image(self._tracking, run_id, image, artifact_file, key, step, timestamp)

    def log_table(self, run_id: str, data: Any, artifact_file: str | PurePath) -> None:
        """Write rows as a table of a run, after those that it has already."""
        tables.log_table(self._tracking, run_id, data, artifact_file)

    def load_table(
        self,
        experiment_id: str,
        artifact_file: str | PurePath,
        run_ids: Sequence[str] | None = None,
        extra_columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The rows of a table over the runs of an experiment."""
        return tables.load_table(
            self._tracking, str(experiment_id), artifact_file, run_ids=run_ids, extra_columns=extra_columns
        )

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """The files and folders of a run."""
        return files.store_of(self._tracking, run_id).list(path or "")

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        """The path on this disk of a run's file or folder; with `dst_path`, of a copy there."""
        return str(self._path(f"runs:/{run_id}/{path}" if path else f"runs:/{run_id}", dst_path))

    # -- logged models

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        model_type: str | None = None,
    ) -> LoggedModel:
        """Make a logged model, PENDING until it is finalized."""
        return logged.create(
            self._tracking, str(experiment_id), name, run_id=source_run_id, tags=tags, params=params, kind=model_type
        )

    def finalize_logged_model(self, model_id: str, status: str) -> LoggedModel:
        """Say that a logged model is complete (READY) or that it failed (FAILED)."""
        return self._tracking.finalize_logged_model(model_id, logged.final(status))

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model."""
        return self._tracking.get_logged_model(model_id)

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] | None = None,
        max_results: int | None = None,
        order_by: Sequence[Mapping[str, Any]] | None = None,
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        """A page of logged models; its `token` is what the next page starts from."""
        terms, measured = search.orders_of_models(order_by, datasets)
        return self._tracking.search_logged_models(
            search.experiment_ids_of(experiment_ids),
            filter_string=filter_string,
            datasets=measured,
            max_results=100 if max_results is None else max_results,
            order_by=terms,
            page_token=page_token,
        )

    def delete_logged_model(self, model_id: str, *, force: bool = False) -> None:
        """Move a logged model to the trash; refused where an alias points at it."""
        protection.delete_logged_model(self._tracking, self._registry, model_id, force=force)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, Any]) -> None:
        """Set tags of a logged model."""
        self._tracking.set_logged_model_tags(model_id, texts(tags, "tags"))

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        """Remove a tag of a logged model."""
        self._tracking.delete_logged_model_tag(model_id, key)

    def log_model_params(self, model_id: str, params: Mapping[str, Any]) -> None:
        """Record params of a logged model."""
        self._tracking.log_model_params(model_id, texts(params, "params"))

    def log_model_artifact(
        self, model_id: str, local_path: str | Path, artifact_path: str | PurePath | None = None
    ) -> None:
        """Copy a file or folder into a logged model that is not finalized yet."""
        files.log_artifact(logged.store_of(self._tracking, model_id), local_path, artifact_path)

    def log_model_artifacts(
        self, model_id: str, local_dir: str | Path, artifact_path: str | PurePath | None = None
    ) -> None:
        """Copy everything in a folder into a logged model that is not finalized yet."""
        files.log_artifacts(logged.store_of(self._tracking, model_id), local_dir, artifact_path)

    def list_logged_model_artifacts(self, model_id: str, path: str | None = None) -> list[FileInfo]:
        """The files and folders of a logged model."""
        return LocalStore(Path(self._tracking.get_logged_model(model_id).artifact_location)).list(path or "")

    def _files(self, run_id: str) -> LocalStore:
        return files.store_of(self._tracking, run_id, write=True)
