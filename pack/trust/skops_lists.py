"""skops without the lists of what it trusts by itself, until someone looks at them.

To make its lists skops imports all of scikit-learn, which takes several times as long as reading a model does. What may
be read is decided here by a list of our own before skops sees the file, so while we read, its lists may stay empty.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, local
from types import ModuleType
from typing import Any

from pack.errors import MissingPackage

_LISTS = "skops.io._trusted_types"
_lock = Lock()
_state = local()


class _Later(list[Any]):
    """A list that is filled when it is first looked at, but for those who read what was judged before."""

    def __add__(self, other: Any) -> Any:
        return list.__add__(self._full(), other)

    def __radd__(self, other: Any) -> Any:
        return list.__add__(other, self._full())

    def __contains__(self, one: object) -> bool:
        return list.__contains__(self._full(), one)

    def __iter__(self) -> Iterator[Any]:
        return list.__iter__(self._full())

    def __len__(self) -> int:
        return list.__len__(self._full())

    def _full(self) -> _Later:
        if not getattr(_state, "is_reading", False):
            _fill()
        return self


class _Lists(ModuleType):
    """A module in which each name is such a list."""

    def __getattr__(self, name: str) -> list[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        made = _Later()
        setattr(self, name, made)
        return made


@contextmanager
def reading() -> Iterator[Any]:
    """`skops.io`, for a file whose every type has been judged."""
    found = skops()
    _state.is_reading = True
    try:
        yield found
    finally:
        _state.is_reading = False


def skops() -> Any:
    """`skops.io`; raises `MissingPackage` where it is not installed."""
    with _lock:
        if "skops.io" not in sys.modules:
            sys.modules[_LISTS] = _Lists(_LISTS)
        try:
            return importlib.import_module("skops.io")
        except ModuleNotFoundError as error:
            sys.modules.pop(_LISTS, None)
            raise MissingPackage(
                "the Python module 'skops' is not installed", hint="install it: pip install skops"
            ) from error


def _fill() -> None:
    with _lock:
        later = sys.modules[_LISTS]
        if not isinstance(later, _Lists):
            return
        del sys.modules[_LISTS]
        lists = importlib.import_module(_LISTS)
        for name, made in vars(later).items():
            if isinstance(made, _Later):
                made[:] = getattr(lists, name)
