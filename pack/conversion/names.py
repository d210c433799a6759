"""XGBoost's models without the names of their columns, which onnxmltools does not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any


@contextmanager
def nameless(models: Sequence[Any]) -> Iterator[None]:
    """Take the names of columns off XGBoost's models, and give them back at the end."""
    with ExitStack() as stack:
        for model in models:
            booster = model.get_booster() if hasattr(model, "get_booster") else model
            if type(booster).__module__.startswith("xgboost"):
                stack.callback(_name, booster, booster.feature_names, booster.feature_types)
                _name(booster, None, None)
        yield


def _name(booster: Any, names: Any, types: Any) -> None:
    booster.feature_names = names
    booster.feature_types = types
