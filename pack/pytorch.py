"""`pack.pytorch`: PyTorch modules under their own name, with MLflow's arguments."""

from __future__ import annotations

import inspect
from typing import Any

from pack.fluent.doors import Door

__all__ = ["get_default_pip_requirements", "load_model", "log_model", "save_model"]


class _PyTorch(Door):
    """The door, which takes examples as MLflow does: tensors, and several of them in order."""

    def _taken(self, second: str, given: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
        model, path, own = super()._taken(second, given, options)
        if own.get("input_example") is not None:
            own["input_example"] = _example(model, own["input_example"])
        return model, path, own


_door = _PyTorch("pytorch", "pytorch_model", loads=("device", "map_location"))
save_model, log_model, load_model = _door.verbs()
get_default_pip_requirements = _door.requirements


def _example(model: Any, example: Any) -> Any:
    """An example of arrays: one, or a dict of them by the names of forward's parameters."""
    if isinstance(example, tuple) and len(example) == 2 and isinstance(example[1], dict):
        return _example(model, example[0]), example[1]
    if isinstance(example, (list, tuple)) and example and all(map(_is_tensor, example)):
        if len(example) == 1:
            return _array(example[0])
        names = list(inspect.signature(getattr(model, "forward", model)).parameters)
        return dict(zip(names, map(_array, example), strict=False))
    if isinstance(example, dict):
        return {name: _array(one) for name, one in example.items()}
    return _array(example)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _array(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
