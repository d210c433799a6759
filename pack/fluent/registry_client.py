"""The half of a client that holds registered models, their versions and aliases, with MLflow's method names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pack import uris
from pack.artifacts import local_path
from pack.db.paging import Page
from pack.errors import InvalidValue
from pack.fluent import aliases, context, state, versions
from pack.fluent.locations import path_in
from pack.fluent.pairs import texts
from pack.fluent.stages import move_to_stage, newest_in, stages_of, warn_of_stages
from pack.registry import AliasMove, ModelVersion, RegisteredModel, open_registry
from pack.registry.names import version_number as number
from pack.tracking import open_tracking


class RegistryClient:
    """Reads and writes a registry; without a URI, the one in use."""

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        self._tracking = open_tracking(tracking_uri) if tracking_uri else state.tracking()
        own = registry_uri or tracking_uri
        self._registry = open_registry(own) if own else state.registry()

    @property
    def registry_uri(self) -> str:
        """The URI of the registry."""
        return self._registry.uri

    # -- registered models

    def create_registered_model(
        self,
        name: str,
        tags: Mapping[str, Any] | None = None,
        description: str | None = None,
        deployment_job_id: str | None = None,
    ) -> RegisteredModel:
        """Register a name."""
        return self._registry.create_registered_model(name, description=description or "", tags=texts(tags, "tags"))

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One registered model."""
        return self._registry.get_registered_model(name)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """A page of registered models; its `token` is what the next page starts from."""
        return self._registry.search_registered_models(
            filter_string=filter_string, max_results=max_results, order_by=order_by, page_token=page_token
        )

    def update_registered_model(
        self, name: str, description: str | None = None, deployment_job_id: str | None = None
    ) -> RegisteredModel:
        """Change a model's description (Markdown)."""
        return self._registry.update_registered_model(name, description=description or "")

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Change a model's name; versions, aliases and their history stay with it."""
        return self._registry.rename_registered_model(name, new_name)

    def delete_registered_model(self, name: str, *, force: bool = False) -> None:
        """Move a model and its versions to the trash; refused where an alias points at one."""
        self._registry.delete_registered_model(name, force=force)

    def restore_registered_model(self, name: str) -> RegisteredModel:
        """Take a model and its versions out of the trash."""
        return self._registry.restore_registered_model(name)

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        """Set a tag of a model."""
        self._registry.set_registered_model_tag(name, key, str(value))

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model."""
        self._registry.delete_registered_model_tag(name, key)

    # -- versions

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        await_creation_for: int | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Register the model at `source`, a URI or path, as the next version of a name that exists."""
        self._registry.get_registered_model(name)
        return versions.register(
            self._tracking,
            self._registry,
            source,
            name,
            tags=tags,
            description=description,
            run_id=run_id,
            run_link=run_link,
            model_id=model_id,
        )

    def copy_model_version(self, src_model_uri: str, dst_name: str) -> ModelVersion:
        """Register a version once more under another name; no bytes are copied."""
        return versions.copy(self._registry, src_model_uri, dst_name)

    def get_model_version(self, name: str, version: int | str) -> ModelVersion:
        """One version."""
        return self._registry.get_model_version(name, number(version))

    def get_model_version_download_uri(self, name: str, version: int | str) -> str:
        """Where the files of a version lie."""
        return self.get_model_version(name, version).storage_location

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 10_000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """A page of versions; its `token` is what the next page starts from."""
        return self._registry.search_model_versions(
            filter_string=filter_string, max_results=max_results, order_by=order_by, page_token=page_token
        )

    def update_model_version(self, name: str, version: int | str, description: str | None = None) -> ModelVersion:
        """Change a version's description (Markdown)."""
        return self._registry.update_model_version(name, number(version), description=description or "")

    def delete_model_version(self, name: str, version: int | str, *, force: bool = False) -> None:
        """Move a version to the trash; refused where an alias points at it."""
        self._registry.delete_model_version(name, number(version), force=force)

    def restore_model_version(self, name: str, version: int | str) -> ModelVersion:
        """Take a version out of the trash."""
        return self._registry.restore_model_version(name, number(version))

    def set_model_version_tag(
        self, name: str, version: int | str | None = None, key: str = "", value: Any = None, stage: str | None = None
    ) -> None:
        """Set a tag of a version, or of the newest in a stage."""
        self._registry.set_model_version_tag(name, self._which(name, version, stage), key, str(value))

    def delete_model_version_tag(
        self, name: str, version: int | str | None = None, key: str = "", stage: str | None = None
    ) -> None:
        """Remove a tag of a version, or of the newest in a stage."""
        self._registry.delete_model_version_tag(name, self._which(name, version, stage), key)

    # -- stages, the older way of saying what is live

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """The newest version of each stage; deprecated, aliases say which version is live."""
        warn_of_stages()
        return self._registry.get_latest_versions(name, stages)

    def get_model_version_stages(self, name: str, version: int | str) -> list[str]:
        """The stages that a version may be moved to; deprecated."""
        return stages_of(self._registry, name, number(version))

    def transition_model_version_stage(
        self, name: str, version: int | str, stage: str, archive_existing_versions: bool = False
    ) -> ModelVersion:
        """Move a version to a stage; deprecated, aliases say which version is live."""
        return move_to_stage(self._registry, name, number(version), stage, archive_existing=archive_existing_versions)

    # -- aliases

    def set_registered_model_alias(
        self,
        name: str,
        alias: str,
        version: int | str,
        *,
        reason: str | None = None,
        expect: int | bool | None = False,
        force: bool = False,
    ) -> AliasMove:
        """Point an alias at a version; see `pack.set_alias`."""
        return aliases.move(self._registry, name, alias, version, reason=reason, expect=expect, force=force)

    def rollback_registered_model_alias(
        self, name: str, alias: str, *, steps: int = 1, reason: str | None = None
    ) -> AliasMove:
        """Point an alias back at where it stood before its last moves."""
        return self._registry.rollback_alias(name, alias, steps=steps, user_id=context.user(), reason=reason)

    def get_registered_model_alias_history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Every move of an alias, the oldest first."""
        return self._registry.alias_history(name, alias)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Remove an alias."""
        self._registry.delete_alias(name, alias, user_id=context.user())

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at."""
        return self._registry.get_model_version_by_alias(name, alias)

    def _which(self, name: str, version: int | str | None, stage: str | None) -> int:
        """The version that is meant, by number or by stage."""
        if (version is None) == (stage is None):
            raise InvalidValue("a version or a stage is needed", hint="pass version=3")
        return number(version) if stage is None else newest_in(self._registry, name, stage)

    def _path(self, uri: str, dst: str | Path | None = None) -> Path:
        """What a URI stands for in this client's stores; with `dst`, a copy of it in that folder."""
        return local_path(path_in(self._tracking, self._registry, uris.parse(uri)) or uri, dst=dst)
