"""What MLflow's stores have in common, and how older versions of MLflow wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pack.exchange.values import text

DELETED = "Deleted_Internal"
"""The stage of a version that was deleted."""

SOURCE_FIELDS = {
    "source_name": "mlflow.source.name",
    "source_version": "mlflow.source.git.commit",
    "entry_point_name": "mlflow.project.entryPoint",
}
"""What MLflow before 1.0 wrote into fields of a run, by the tag that says it now."""


def with_source_tags(tags: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a run, completed by its older fields."""
    said = {tag: text(fields.get(name), name) for name, tag in SOURCE_FIELDS.items()}
    return {**{tag: value for tag, value in said.items() if value}, **tags}
