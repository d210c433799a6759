"""Names and values that people give as a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pack.errors import InvalidValue

T = TypeVar("T")


def pairs(given: Mapping[str, T] | None, noun: str) -> Mapping[str, T]:
    """What was given, none for None; raises `InvalidValue` for what is no dict, such as a list or a namespace."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidValue(
            f"{noun} are a dict, not {type(given).__name__}", hint='write {"name": value}; vars(x) makes a dict of x'
        )
    return given


def texts(given: Mapping[str, Any] | None, noun: str) -> dict[str, str]:
    """The same with names and values as text."""
    return {str(key): str(value) for key, value in pairs(given, noun).items()}
