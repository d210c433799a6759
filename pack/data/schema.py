"""The schema of a dataset, as stores record it; data that no schema can describe has none."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pack.errors import PackError
from pack.mlmodel import Schema, infer_schema

# MLflow's column (interoperability facts, stores).
MAX_SCHEMA = 1_048_575
# The shortest that one column can be.
_COLUMN = len('{"type": "any", "name": 0, "required": true}')


@dataclass(frozen=True)
class TensorDatasetSchema:
    """The tensors of a dataset's features, and of its targets where it has some."""

    features: Schema
    targets: Schema | None = None

    def to_dict(self) -> dict[str, Any]:
        """MLflow's JSON shape: `{"mlflow_tensorspec": {"features": TEXT, "targets": TEXT or null}}`."""
        targets = None if self.targets is None else self.targets.to_json()
        return {"mlflow_tensorspec": {"features": self.features.to_json(), "targets": targets}}


def columns_text(columns: int, schema: Callable[[], Schema | None]) -> str | None:
    """MLflow's JSON text for the columns of a table; None, without a look, where so many cannot fit into a store."""
    if columns * _COLUMN > MAX_SCHEMA:
        return None
    found = schema()
    return None if found is None else json.dumps({"mlflow_colspec": found.to_dict()})


def schema_of(data: Any) -> Schema | None:
    """The schema of data; None where none can describe it: a missing schema must not stop a training."""
    try:
        return infer_schema(data)
    except (PackError, TypeError, ValueError, ArithmeticError, RecursionError):
        return None
