"""The contract of a registry. `tests/contracts/registry.py` is the suite that each implementation passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from pack.registry.entities import AliasMove, ModelVersion, RegisteredModel
from pack.uris import ModelUri


class RegistryStore(Protocol):
    """Where models are registered. What a call wrote is durable when it returns.

    Each method raises `NotFound` for a name or version that is unknown, `InvalidValue` for a name outside the rules,
    and `StorageFailed` where the disk refuses.
    """

    uri: str

    def create_registered_model(
        self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Register a name; raises `AlreadyExists` where it is taken."""

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One registered model."""

    def search_registered_models(self) -> list[RegisteredModel]:
        """All registered models, by name."""

    def update_registered_model(self, name: str, *, description: str) -> RegisteredModel:
        """Change the description (Markdown)."""

    def delete_registered_model(self, name: str, *, force: bool = False) -> None:
        """Delete a model and its versions; raises `InvalidState` where an alias points at one, unless forced."""

    def create_model_version(
        self,
        name: str,
        *,
        source: str,
        storage_location: str,
        user_id: str = "",
        run_id: str | None = None,
        model_id: str | None = None,
        digest: str | None = None,
        description: str = "",
        run_link: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> ModelVersion:
        """Add the next version; versions count up without a gap, whoever asks at the same time."""

    def get_model_version(self, name: str, version: int) -> ModelVersion:
        """One version."""

    def search_model_versions(self, name: str | None = None) -> list[ModelVersion]:
        """The versions of a model, or of all, the newest first."""

    def update_model_version(self, name: str, version: int, *, description: str) -> ModelVersion:
        """Change the description (Markdown)."""

    def delete_model_version(self, name: str, version: int, *, force: bool = False) -> None:
        """Delete a version; raises `InvalidState` where an alias points at it, unless forced."""

    def set_alias(
        self,
        name: str,
        alias: str,
        version: int,
        *,
        user_id: str = "",
        reason: str | None = None,
        expect: int | bool | None = False,
    ) -> AliasMove:
        """Point an alias at a version. With `expect` (a version, or None for no alias yet) only if it stands there now,
        else `InvalidState`: compare and set."""

    def delete_alias(self, name: str, alias: str, *, user_id: str = "", reason: str | None = None) -> None:
        """Remove an alias; nothing happens where there is none."""

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version that an alias points at."""

    def alias_history(self, name: str, alias: str | None = None) -> list[AliasMove]:
        """Every move of an alias, the oldest first."""

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of a model."""

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Remove a tag of a model."""

    def set_model_version_tag(self, name: str, version: int, key: str, value: str) -> None:
        """Set a tag of a version."""

    def delete_model_version_tag(self, name: str, version: int, key: str) -> None:
        """Remove a tag of a version."""

    def resolve(self, uri: ModelUri) -> ModelVersion:
        """The version that a `models:/` URI means: a number, `latest`, an alias, or the newest of a stage."""
