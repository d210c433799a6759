"""`pack.sklearn`: scikit-learn models under their own name, with MLflow's arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pack.fluent import models
from pack.mlmodel.model import Model, ModelInfo
from pack.pyfunc import load_native

__all__ = ["get_default_pip_requirements", "load_model", "log_model", "save_model"]


def save_model(
    sk_model: Any,
    path: str | Path,
    *,
    serialization_format: str | None = None,
    pyfunc_predict_fn: str = "predict",
    skops_trusted_types: list[str] | None = None,
    **options: Any,
) -> Model:
    """Write an estimator as a model directory; `serialization_format` is skops, cloudpickle or pickle.

    `pyfunc_predict_fn` names the method that `pack.pyfunc` calls. `options` are those of `pack.log_model`.
    `skops_trusted_types` is accepted and not needed: what loads is decided by the loader (docs/trust.md).

    >>> save_model(model, "iris-model", input_example=features[:3])  # doctest: +SKIP
    """
    own = _own(serialization_format, pyfunc_predict_fn)
    return models.save_model(sk_model, path, flavor="sklearn", **own, **options)


def log_model(
    sk_model: Any,
    artifact_path: str | None = None,
    *,
    name: str | None = None,
    serialization_format: str | None = None,
    pyfunc_predict_fn: str = "predict",
    skops_trusted_types: list[str] | None = None,
    registered_model_name: str | None = None,
    **options: Any,
) -> ModelInfo:
    """Log an estimator into the store, and register it where `registered_model_name` is given; see `pack.log_model`.

    >>> log_model(model, name="iris", input_example=features[:3], registered_model_name="iris")  # doctest: +SKIP
    """
    own = _own(serialization_format, pyfunc_predict_fn)
    return models.log_model(
        sk_model,
        name or artifact_path,
        flavor="sklearn",
        registered_model_name=registered_model_name,
        **{**own, **options},
    )


def load_model(model_uri: str | Path, dst_path: str | Path | None = None, *, trust: bool | str | None = None) -> Any:
    """Load the estimator itself.

    >>> load_model("models:/iris@champion").predict(features)  # doctest: +SKIP
    """
    return load_native(model_uri, flavor="sklearn", dst_path=dst_path, trust=trust)


def get_default_pip_requirements(include_cloudpickle: bool = False, include_skops: bool = False) -> list[str]:
    """The requirements of an estimator whose own could not be inferred."""
    from pack.envs import infer_requirements

    modules = (
        {"sklearn"} | ({"cloudpickle"} if include_cloudpickle else set()) | ({"skops"} if include_skops else set())
    )
    return infer_requirements(modules)


def _own(serialization_format: str | None, predict_fn: str) -> dict[str, str]:
    return {
        "predict_fn": predict_fn,
        **({"serialization_format": serialization_format} if serialization_format else {}),
    }
