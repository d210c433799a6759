"""Schemas from type hints: `list[...]` of a type that signatures know.

The table of types follows MLflow (interoperability facts, flavors, section 14.4). Beyond it, bare `dict` and `list`
mean `any`, `Literal` the type of its values, and a pydantic field with a default is not required.
"""

from __future__ import annotations

import sys
import types
from datetime import datetime
from typing import Any, Literal, Union, get_args, get_origin

from pack.errors import InvalidValue
from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Property, Type

_SCALARS: dict[Any, DataType] = {
    int: DataType.long,
    str: DataType.string,
    bool: DataType.boolean,
    float: DataType.double,
    bytes: DataType.binary,
    datetime: DataType.datetime,
}
_ANY = (Any, dict, list)


def schema_from_hint(hint: Any) -> Schema | None:
    """The schema of `list[...]`: one column without a name; None for any other hint, which says nothing about rows.

    Raises `InvalidValue` for `list[...]` of something that no signature can describe.
    """
    if get_origin(hint) is not list or not get_args(hint):
        return None
    return Schema([ColSpec(type_from_hint(get_args(hint)[0])[0])])


def type_from_hint(hint: Any, inside: tuple[Any, ...] = ()) -> tuple[Type, bool]:
    """The type that a hint means, and whether it is required; raises `InvalidValue` for a hint that means none.

    `inside` holds the pydantic models on the way to this hint: one that contains itself has no type.
    """
    if isinstance(hint, type) and hint in _SCALARS:
        return _SCALARS[hint], True
    if is_pydantic(hint):
        return _pydantic(hint, inside), True
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, types.UnionType}:
        return _union(inner, inside)
    if origin is Literal:
        return _literal(inner)
    if origin is list and inner:
        return Array(type_from_hint(inner[0], inside)[0]), True
    if origin is dict and len(inner) == 2 and inner[0] is str:
        return Map(type_from_hint(inner[1], inside)[0]), True
    if any(hint is known for known in _ANY):
        return AnyType(), True
    raise InvalidValue(
        f"the type hint {hint!r} has no signature type",
        hint="use list[...] of str, int, float, bool, bytes, datetime, dict[str, ...], list[...] or a pydantic model",
    )


def is_pydantic(hint: Any) -> bool:
    """Whether a hint is a pydantic model; where pydantic isn't imported, none is."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(hint, type) and issubclass(hint, pydantic.BaseModel)


def _union(members: tuple[Any, ...], inside: tuple[Any, ...]) -> tuple[Type, bool]:
    rest = [one for one in members if one is not type(None)]
    required = len(rest) == len(members)
    return (type_from_hint(rest[0], inside)[0] if len(rest) == 1 else AnyType()), required


def _literal(values: tuple[Any, ...]) -> tuple[Type, bool]:
    kinds = {_SCALARS.get(type(value)) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else None
    return kind or AnyType(), None not in values


def _pydantic(model: Any, inside: tuple[Any, ...]) -> Object:
    if model in inside:
        raise InvalidValue(f"the type hint {model.__name__} contains itself", hint="use Any where it does")
    members = []
    for name, field in model.model_fields.items():
        kind, required = type_from_hint(field.annotation, (*inside, model))
        members.append(Property(name, kind, required=required and field.is_required()))
    return Object(members)
