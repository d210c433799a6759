"""Stand-ins for what MLflow's pickles and models from code refer to, so that they open without MLflow."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from pack.errors import PackError as MlflowException

__all__ = ["FuncInfo", "MlflowException", "TypeFromExample", "check_hints", "validate_model_input"]

# MLflow's hint for "as my input example is"; the MLmodel file says so too, and that is what we go by.
TypeFromExample = TypeVar("TypeFromExample")


class FuncInfo(NamedTuple):
    """What MLflow's wrapper around a predict function remembers of it."""

    input_type_hint: Any = None
    input_param_name: str = "model_input"


def validate_model_input(args: Any, kwargs: Any, *_: Any) -> Any:
    """MLflow's wrapper calls this; data has passed our own check of the hints before."""
    return args, kwargs


def check_hints(function: Any) -> Any:
    """What MLflow puts around a hinted predict function; here the data has passed our own check."""
    return function
