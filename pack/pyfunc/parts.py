"""Parts of messages: dataclasses that check themselves when they are made, and are JSON both ways.

What is wrong raises `ValueError` that says where and what kind of value came, never the value itself.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

_P = TypeVar("_P", bound="Part")
_WORDS: dict[Any, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


@dataclass
class Part:
    """A part of a message; dicts that are given for other parts become these."""

    def __post_init__(self) -> None:
        kind: Any = type(self)
        for name, hint in _hints(kind).items():
            value = getattr(self, name)
            fitted = fit(hint, value, name)
            if fitted is not value:
                setattr(self, name, fitted)

    @classmethod
    def from_dict(cls: type[_P], value: Mapping[str, Any]) -> _P:  # noqa: PYI019 - Self is not in Python 3.10
        """Read what `to_dict` wrote; null is as good as missing, and what is not known here travels along."""
        known = fields_of(cls)
        given = {str(name): item for name, item in value.items() if item is not None}
        missing = [name for name, field in known.items() if name not in given and _is_required(field)]
        if missing:
            raise ValueError(f"{missing[0]} is missing")
        made = cls(**{name: item for name, item in given.items() if name in known})
        unknown = {name: item for name, item in given.items() if name not in known}
        if unknown:
            vars(made)["_more"] = unknown
        return made

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, without what is None."""
        values = {name: getattr(self, name) for name in fields_of(type(self))}
        found = {name: _plain(value) for name, value in values.items() if value is not None}
        return {**found, **vars(self).get("_more", {})}


def fields_of(cls: type[Part]) -> dict[str, Field[Any]]:
    """The fields of a part by name, in order."""
    return cls.__dataclass_fields__


def fit(hint: Any, value: Any, where: str) -> Any:
    """The value as the type that a hint means; raises `ValueError` for one that is of another."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in {Union, types.UnionType}:
        return _fit_one_of(inner, value, where)
    if origin is Literal:
        if value not in inner:
            raise ValueError(f"{where} must be one of {', '.join(map(str, inner))}")
        return value
    if origin is list and isinstance(value, (list, tuple)):
        return [fit(inner[0], item, f"{where}[{place}]") for place, item in enumerate(value)]
    if origin is dict and isinstance(value, Mapping):
        return {str(name): fit(inner[1], item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(hint, type) and issubclass(hint, Part):
        return _fit_part(hint, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if hint in _WORDS and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ValueError(f"{where} must be {_word(hint)}, {_kind(value)} came")


def _fit_one_of(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in hints:
        return None
    wrong: list[ValueError] = []
    rest = [hint for hint in hints if hint is not types.NoneType]
    for hint in rest:
        try:
            return fit(hint, value, where)
        except ValueError as error:
            wrong.append(error)
    if len(rest) == 1 or isinstance(value, (list, tuple, Mapping)):
        raise wrong[-1]
    raise ValueError(f"{where} must be {' or '.join(map(_word, rest))}, {_kind(value)} came")


def _fit_part(hint: type[Part], value: Any, where: str) -> Part:
    if isinstance(value, hint):
        return value
    # MLflow's own parts, where a model was written with them, are known by what they can do.
    given = value.to_dict() if hasattr(value, "to_dict") else value
    if not isinstance(given, Mapping):
        raise ValueError(f"{where} must be an object, {_kind(value)} came")
    try:
        return hint.from_dict(given)
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from error


@cache
def _hints(cls: Any) -> dict[str, Any]:
    every = get_type_hints(cls)
    return {name: every[name] for name in fields_of(cls)}


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, dict) else value


def _word(hint: Any) -> str:
    return _WORDS.get(hint) or {list: "a list", dict: "an object"}.get(get_origin(hint), "an object")


def _kind(value: Any) -> str:
    from pack.mlmodel.nested import kind_of

    return kind_of(value)
