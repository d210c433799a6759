"""Stand-ins for what MLflow's pickles of python models refer to, so that they open without MLflow."""

from __future__ import annotations

from typing import Any


class TypeHints:
    """The hints of a predict function, as MLflow keeps them on a python model; ours come from the function itself."""

    def __init__(self, input_: Any = None, output: Any = None) -> None:
        self.input = input_
        self.output = output


class FuncInfo(tuple[Any, ...]):
    """What MLflow's wrapper around a predict function remembers of it."""

    __slots__ = ()

    def __new__(cls, *values: Any) -> FuncInfo:
        """Keep the values in order."""
        return super().__new__(cls, values)


def validate_model_input(args: Any, kwargs: Any, *_: Any) -> Any:
    """MLflow's wrapper calls this; data has passed our own check of the hints before."""
    return args, kwargs
