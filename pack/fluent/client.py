"""A client object for those who would rather hold one than use the verbs, with MLflow's method names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pack.artifacts import local_path
from pack.artifacts.local import LocalStore
from pack.artifacts.store import FileInfo
from pack.fluent import context, models, state
from pack.registry import ModelVersion, RegisteredModel, open_registry
from pack.tracking import Experiment, LoggedModel, Metric, Param, Run, RunTag, open_tracking


class Client:
    """Reads and writes a store without an open run; `tracking_uri=None` is the store in use.

    >>> Client().set_registered_model_alias("churn", "champion", 3)  # doctest: +SKIP
    """

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        self._tracking = open_tracking(tracking_uri) if tracking_uri else state.tracking()
        self._registry = (
            open_registry(registry_uri or tracking_uri) if registry_uri or tracking_uri else state.registry()
        )

    @property
    def tracking_uri(self) -> str:
        """The URI of the tracking store."""
        return self._tracking.uri

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        """Make an experiment and answer its id."""
        return self._tracking.create_experiment(name, artifact_location=artifact_location, tags=tags)

    def get_experiment(self, experiment_id: str) -> Experiment:
        """One experiment by id."""
        return self._tracking.get_experiment(experiment_id)

    def get_experiment_by_name(self, name: str) -> Experiment | None:
        """One experiment by name; None where there is none."""
        return self._tracking.get_experiment_by_name(name)

    def create_run(
        self,
        experiment_id: str,
        start_time: int | None = None,
        tags: Mapping[str, Any] | None = None,
        run_name: str | None = None,
    ) -> Run:
        """Start a run that no process owns."""
        return self._tracking.create_run(
            experiment_id,
            user_id=context.user(),
            start_time=state.now() if start_time is None else start_time,
            run_name=run_name or context.run_name(),
            tags=[RunTag(key, str(value)) for key, value in (tags or {}).items()],
        )

    def get_run(self, run_id: str) -> Run:
        """One run with what it recorded."""
        return self._tracking.get_run(run_id)

    def update_run(self, run_id: str, status: str | None = None, name: str | None = None) -> None:
        """Change a run's status or name."""
        self._tracking.update_run(run_id, status=status, run_name=name)

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run."""
        when = state.now() if end_time is None else end_time
        self._tracking.update_run(run_id, status=status or "FINISHED", end_time=when)

    def delete_run(self, run_id: str) -> None:
        """Move a run to the trash."""
        self._tracking.delete_run(run_id)

    def restore_run(self, run_id: str) -> None:
        """Take a run out of the trash."""
        self._tracking.restore_run(run_id)

    def log_param(self, run_id: str, key: str, value: Any) -> Any:
        """Record a param."""
        self._tracking.log_batch(run_id, params=[Param(key, str(value))])
        return value

    def log_metric(
        self, run_id: str, key: str, value: float, timestamp: int | None = None, step: int | None = None
    ) -> None:
        """Record a point of a metric."""
        when = state.now() if timestamp is None else timestamp
        self._tracking.log_batch(run_id, metrics=[Metric(key, value, when, step or 0)])

    def set_tag(self, run_id: str, key: str, value: Any) -> None:
        """Set a tag of a run."""
        self._tracking.log_batch(run_id, tags=[RunTag(key, str(value))])

    def delete_tag(self, run_id: str, key: str) -> None:
        """Remove a tag of a run."""
        self._tracking.delete_tag(run_id, key)

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric] = (), params: Sequence[Param] = (), tags: Sequence[RunTag] = ()
    ) -> None:
        """Record metrics, params and tags, all or none."""
        self._tracking.log_batch(run_id, metrics=metrics, params=params, tags=tags)

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Every point of one metric."""
        return self._tracking.get_metric_history(run_id, key)

    def log_artifact(self, run_id: str, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Copy a file or folder into a run's artifacts."""
        name = Path(local_path).name
        self._artifacts(run_id).put(Path(local_path), f"{artifact_path}/{name}" if artifact_path else name)

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """The files and folders of a run."""
        return self._artifacts(run_id).list(path or "")

    def download_artifacts(self, run_id: str, path: str, dst_path: str | None = None) -> str:
        """The path on this disk of a run's file or folder; with `dst_path`, of a copy there."""
        return str(local_path(f"runs:/{run_id}/{path}", dst=dst_path))

    def get_logged_model(self, model_id: str) -> LoggedModel:
        """One logged model."""
        return self._tracking.get_logged_model(model_id)

    def create_registered_model(
        self, name: str, tags: Mapping[str, str] | None = None, description: str | None = None
    ) -> RegisteredModel:
        """Register a name."""
        return self._registry.create_registered_model(name, description=description or "", tags=tags)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One registered model."""
        return self._registry.get_registered_model(name)

    def search_registered_models(self) -> list[RegisteredModel]:
        """All registered models."""
        return self._registry.search_registered_models()

    def update_registered_model(self, name: str, description: str | None = None) -> RegisteredModel:
        """Change a model's description."""
        return self._registry.update_registered_model(name, description=description or "")

    def delete_registered_model(self, name: str) -> None:
        """Delete a model and its versions; refused where an alias points at one."""
        self._registry.delete_registered_model(name)

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
    ) -> ModelVersion:
        """Register the model at `source` as the next version."""
        self._registry.get_registered_model(name)
        version = models.register_model(source, name, tags=tags)
        return self.update_model_version(name, version.version, description) if description else version

    def get_model_version(self, name: str, version: int | str) -> ModelVersion:
        """One version."""
        return self._registry.get_model_version(name, int(version))

    def search_model_versions(self, name: str | None = None) -> list[ModelVersion]:
        """The versions of a model, or of all, the newest first."""
        return self._registry.search_model_versions(name)

    def update_model_version(self, name: str, version: int | str, description: str | None = None) -> ModelVersion:
        """Change a version's description."""
        return self._registry.update_model_version(name, int(version), description=description or "")

    def delete_model_version(self, name: str, version: int | str) -> None:
        """Delete a version; refused where an alias points at it."""
        self._registry.delete_model_version(name, int(version))

    def set_registered_model_alias(self, name: str, alias: str, version: int | str) -> None:
        """Point an alias at a version."""
        self._registry.set_alias(name, alias, int(version), user_id=context.user())

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias."""
        self._registry.delete_alias(name, alias, user_id=context.user())

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at."""
        return self._registry.get_model_version_by_alias(name, alias)

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """Set a tag of a model."""
        self._registry.set_registered_model_tag(name, key, str(value))

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model."""
        self._registry.delete_registered_model_tag(name, key)

    def set_model_version_tag(self, name: str, version: int | str, key: str, value: Any) -> None:
        """Set a tag of a version."""
        self._registry.set_model_version_tag(name, int(version), key, str(value))

    def delete_model_version_tag(self, name: str, version: int | str, key: str) -> None:
        """Remove a tag of a version."""
        self._registry.delete_model_version_tag(name, int(version), key)

    def _artifacts(self, run_id: str) -> LocalStore:
        return LocalStore(Path(self._tracking.get_run(run_id).info.artifact_uri))
