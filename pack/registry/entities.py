"""What the registry holds, under MLflow's attribute names; times are milliseconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model. `digest` is the digest of its directory when it was registered."""

    name: str
    version: int
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    user_id: str = ""
    current_stage: str = "None"
    source: str = ""
    storage_location: str = ""
    run_id: str | None = None
    run_link: str | None = None
    model_id: str | None = None
    digest: str | None = None
    status: str = "READY"
    status_message: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    aliases: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RegisteredModel:
    """A name under which versions are registered; `aliases` maps each alias to a version."""

    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str = ""
    latest_versions: list[ModelVersion] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AliasMove:
    """One entry of an alias's history: from which version to which, by whom, when, and why."""

    name: str
    alias: str
    from_version: int | None
    to_version: int | None
    user_id: str
    timestamp: int
    reason: str | None = None


@dataclass(frozen=True)
class Trashed:
    """Something deleted: a `registered model` or a `version` of one, and when."""

    kind: str
    name: str
    version: int | None
    deleted_time: int
    storage_location: str = ""
    # What the store knows it by; a deleted model has given its name back.
    number: int = 0
