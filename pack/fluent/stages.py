"""Stages, the older way of saying which version is live: kept for programs that use them, with a warning."""

from __future__ import annotations

import warnings

from pack.errors import NotFound
from pack.registry import ModelVersion, RegistryStore
from pack.registry.names import STAGES, check_stage

_TEXT = "stages are deprecated; aliases say which version is live: pack.set_alias(NAME, ALIAS, VERSION)"


def warn_of_stages() -> None:
    """Say that stages are deprecated, at the line that called the verb."""
    warnings.warn(_TEXT, FutureWarning, stacklevel=3)


def move_to_stage(
    registry: RegistryStore, name: str, version: int, stage: str, *, archive_existing: bool
) -> ModelVersion:
    """Move a version to a stage: None, Staging, Production or Archived, in any case."""
    warnings.warn(_TEXT, FutureWarning, stacklevel=3)
    return registry.set_stage(name, version, stage, archive_existing=archive_existing)


def stages_of(registry: RegistryStore, name: str, version: int) -> list[str]:
    """The stages that a version may be moved to."""
    warnings.warn(_TEXT, FutureWarning, stacklevel=3)
    registry.get_model_version(name, version)
    return list(STAGES)


def newest_in(registry: RegistryStore, name: str, stage: str) -> int:
    """The newest version in a stage."""
    warnings.warn(_TEXT, FutureWarning, stacklevel=4)
    found = registry.get_latest_versions(name, [check_stage(stage)])
    if not found:
        raise NotFound(f"{name!r} has no version in stage {stage!a}", hint=f"list them: pack models show {name}")
    return found[0].version
