"""The contract of a registry. `tests/contracts/registry.py` is the suite that each implementation passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pack.db.paging import Page
from pack.registry.entities import AliasMove, ModelVersion, RegisteredModel, Trashed
from pack.uris import ModelUri


class RegistryStore(Protocol):
    """Where models are registered. What a call wrote is durable when it returns.

    Each method raises `NotFound` for a name or version that is unknown, `InvalidValue` for a name outside the rules,
    and `StorageFailed` where the disk refuses.
    """

    uri: str

    def close(self) -> None:
        """Let go of what this thread holds open; the next call opens it again."""

    def create_registered_model(
        self, name: str, *, description: str = "", tags: Mapping[str, str] | None = None
    ) -> RegisteredModel:
        """Register a name; raises `AlreadyExists` where it is taken."""

    def get_registered_model(self, name: str) -> RegisteredModel:
        """One registered model."""

    def search_registered_models(
        self,
        *,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """A page of registered models, by name unless an order is given."""

    def update_registered_model(self, name: str, *, description: str) -> RegisteredModel:
        """Change the description (Markdown)."""

    def delete_registered_model(self, name: str, *, force: bool = False) -> None:
        """Move a model and its versions to the trash; its name is free again.

        Raises `InvalidState` where an alias points at one of them, unless forced.
        """

    def restore_registered_model(self, name: str) -> RegisteredModel:
        """Take a model out of the trash; raises `AlreadyExists` where its name was given to another."""

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Change the name; raises `AlreadyExists` where the new one is taken."""

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

    def search_model_versions(
        self,
        *,
        filter_string: str | None = None,
        max_results: int = 10_000,
        order_by: Sequence[str] | None = None,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """A page of versions, the last updated first unless an order is given."""

    def get_latest_versions(self, name: str, stages: Sequence[str] | None = None) -> list[ModelVersion]:
        """The newest version of each stage, or of those given."""

    def set_stage(self, name: str, version: int, stage: str, *, archive_existing: bool = False) -> ModelVersion:
        """Move a version to a stage (None, Staging, Production, Archived): the older way of saying what is live."""

    def update_model_version(self, name: str, version: int, *, description: str) -> ModelVersion:
        """Change the description (Markdown)."""

    def delete_model_version(self, name: str, version: int, *, force: bool = False) -> None:
        """Move a version to the trash; raises `InvalidState` where an alias points at it, unless forced."""

    def restore_model_version(self, name: str, version: int) -> ModelVersion:
        """Take a version out of the trash."""

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

    def rollback_alias(
        self, name: str, alias: str, *, steps: int = 1, user_id: str = "", reason: str | None = None
    ) -> AliasMove:
        """Point an alias back at what it pointed at before its last moves; the move is part of its history too."""

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

    def trash(self, before: int = 2**62) -> list[Trashed]:
        """What was deleted up to a time, in milliseconds since 1970."""

    def purge(self, items: Sequence[Trashed]) -> None:
        """Take deleted things out of the record for good; no file is touched."""

    def locations(self, *, without: Sequence[Trashed] = ()) -> set[str]:
        """Every folder that a version keeps its files in, those in the trash too; `without` those of some."""

    def import_registered_model(self, given: RegisteredModel, *, last_version: int = 0) -> bool:
        """Take in a name of another registry; False where it was here already.

        The next version counts on from `last_version`, or from a higher one that was given here.
        """

    def import_model_version(self, given: ModelVersion) -> bool:
        """Take in a version under its number; False where it was here, `InvalidValue` where it is another model."""

    def import_alias(
        self, name: str, alias: str, version: int, *, user_id: str, history: Sequence[AliasMove] = ()
    ) -> bool:
        """Take in an alias, with its history where that is known; False where there is one of that name here."""

    def last_version(self, name: str) -> int:
        """The highest number that a version of this name was ever given, deleted ones too."""
