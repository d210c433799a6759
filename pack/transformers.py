"""`pack.transformers`: pipelines of transformers under their own name, with MLflow's arguments."""

from __future__ import annotations

from typing import Any

from pack.fluent.doors import Door
from pack.mlmodel.model import Model, ModelInfo

__all__ = ["get_default_pip_requirements", "load_model", "log_model", "save_model"]

_door = Door("transformers", "transformers_model", loads=("device", "return_type"))
load_model = _door.load_model
get_default_pip_requirements = _door.requirements


def save_model(*given: Any, **options: Any) -> Model:
    """Write a pipeline as a directory at `path`; `options` are those of `pack.save_model`, and the flavor's own.

    >>> save_model(pipeline, "sentiment", task="text-classification")  # doctest: +SKIP
    """
    return _door.save_model(*given, **_described(options))


def log_model(*given: Any, **options: Any) -> ModelInfo:
    """Log a pipeline into the store; `options` are those of `pack.log_model`, and the flavor's own.

    >>> log_model(pipeline, name="sentiment")  # doctest: +SKIP
    """
    return _door.log_model(*given, **_described(options))


def _described(options: dict[str, Any]) -> dict[str, Any]:
    """With the prompt template in the metadata, where MLflow looks for it."""
    template = options.get("prompt_template")
    if template is None:
        return options
    return {**options, "metadata": {**(options.get("metadata") or {}), "prompt_template": template}}
