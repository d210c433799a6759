"""`pack.pyfunc.save_model` and `pack.pyfunc.log_model`, with MLflow's argument names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pack.fluent import models
from pack.mlmodel.model import Model, ModelInfo


def save_python_model(
    path: str | Path,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    *,
    python_model: Any = None,
    **options: Any,
) -> Model:
    """Write a `PythonModel`, a function, or a models-from-code script (its path) as a model directory.

    `options`: `artifacts`, `model_config`, `code_paths`, `signature`, `input_example`, `pip_requirements`, ...
    With `loader_module` (and `data_path`) a module of your own loads the model: it defines `_load_pyfunc(path)`.

    >>> save_python_model("doubler", python_model=Doubler())  # doctest: +SKIP
    """
    given = _loader(loader_module, data_path)
    return models.save_model(python_model, path, flavor="python_function", **given, **options)


def log_python_model(
    artifact_path: str | None = None,
    loader_module: str | None = None,
    data_path: str | Path | None = None,
    *,
    python_model: Any = None,
    name: str | None = None,
    **options: Any,
) -> ModelInfo:
    """Log a `PythonModel`, a function, or a models-from-code script; see `save_model` and `pack.log_model`.

    >>> log_python_model(name="doubler", python_model=Doubler(), input_example=frame)  # doctest: +SKIP
    """
    given = _loader(loader_module, data_path)
    return models.log_model(python_model, name or artifact_path, flavor="python_function", **given, **options)


def _loader(loader_module: str | None, data_path: str | Path | None) -> dict[str, Any]:
    given = {"loader_module": loader_module, "data_path": data_path}
    return {key: value for key, value in given.items() if value is not None}
