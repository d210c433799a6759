"""The types of a signature as JSON Schema (draft 2020-12).

Names that come from a model stand here as plain data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, TypeAlias

from pack.mlmodel.params import ParamSpec
from pack.mlmodel.schema import TensorSpec
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Type

Shape: TypeAlias = dict[str, Any]
_SCALARS: dict[DataType, Shape] = {
    DataType.boolean: {"type": "boolean"},
    DataType.integer: {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    DataType.long: {"type": "integer", "format": "int64"},
    DataType.float: {"type": "number", "format": "float"},
    DataType.double: {"type": "number", "format": "double"},
    DataType.string: {"type": "string"},
    DataType.binary: {"type": "string", "contentEncoding": "base64"},
    DataType.datetime: {"type": "string", "format": "date-time"},
}
# What a date becomes in an answer: text without an offset, or whole nanoseconds, as arrays of dates are written.
_DATE_ANSWERED: Shape = {"type": ["string", "integer"], "description": "ISO 8601, or nanoseconds since 1970"}


def params_shape(params: Iterable[ParamSpec]) -> Shape:
    """The shape of `params`: each with its type and its default, and no other."""
    return {
        "type": "object",
        "properties": {param.name: param_shape(param) for param in params},
        "additionalProperties": False,
    }


def param_shape(param: ParamSpec) -> Shape:
    """The shape of one param, with its default."""
    item = or_null(type_shape(param.dtype))
    defaults = param.default if isinstance(param.default, list) else [param.default]
    if any(isinstance(default, date) and not isinstance(default, datetime) for default in defaults):
        del item["format"]  # days among the defaults: they, too, are taken
    return {**({"type": "array", "items": item} if param.shape else item), "default": told(param)}


def type_shape(kind: Type, *, is_answer: bool = False) -> Shape:
    """The shape of one value of this type."""
    if isinstance(kind, DataType):
        return dict(_DATE_ANSWERED if is_answer and kind is DataType.datetime else _SCALARS[kind])
    if isinstance(kind, AnyType):
        return {}
    if isinstance(kind, Object):
        return _object(kind, is_answer=is_answer)
    if isinstance(kind, Map):
        return {"type": "object", "additionalProperties": or_null(type_shape(kind.value_type, is_answer=is_answer))}
    inner = kind.dtype if isinstance(kind, Array) else DataType.double
    return {"type": "array", "items": or_null(type_shape(inner, is_answer=is_answer))}


def tensor_shape(spec: TensorSpec, *, is_answer: bool = False) -> Shape:
    """The shape of one tensor: lists in lists, as deep as its dimensions."""
    if spec.type.kind == "O":
        return {}
    found = _element(spec, is_answer=is_answer)
    for size in reversed(spec.shape):
        found = {"type": "array", "items": found}
        # An answer may have other rows than the example had from which its shape was learned.
        if size >= 0 and not is_answer:
            found |= {"minItems": size, "maxItems": size}
        elif len(spec.shape) > 1 and not is_answer:
            found["minItems"] = 1  # an empty list does not say how wide its rows would be
    return {**found, "description": f"{spec.type.name} of shape ({_sizes(spec)})"}


def or_null(shape: Shape) -> Shape:
    """The same shape, or null."""
    kind = shape.get("type")
    if isinstance(kind, str):
        return {**shape, "type": [kind, "null"]}
    return {**shape, "type": [*kind, "null"]} if isinstance(kind, list) else shape


def any_of(shapes: Iterable[Shape]) -> Shape:
    """Any of these shapes, each named once."""
    every = list({json.dumps(shape): shape for shape in shapes}.values())
    return every[0] if len(every) == 1 else {"anyOf": every}


def told(param: ParamSpec) -> Any:
    """The default of a param as JSON: a time, which is one in UTC, says so."""
    default = param.default
    if isinstance(default, datetime):
        return f"{default.isoformat()}Z"
    if isinstance(default, list) and any(isinstance(item, datetime) for item in default):
        return [f"{item.isoformat()}Z" if isinstance(item, datetime) else plain(item) for item in default]
    return plain(param.to_dict()["default"])


def plain(value: Any) -> Any:
    """A value as strict JSON holds it: what it has no word for, such as NaN, is null."""
    return json.loads(json.dumps(value), parse_constant=lambda _: None)


def _object(kind: Object, *, is_answer: bool) -> Shape:
    members: Shape = {}
    for member in kind.properties:
        shape = type_shape(member.dtype, is_answer=is_answer)
        members[member.name] = shape if member.required else or_null(shape)
    found: Shape = {"type": "object", "properties": members}
    required = [member.name for member in kind.properties if member.required]
    if required:
        found["required"] = required
    return found if is_answer else {**found, "additionalProperties": False}


def _element(spec: TensorSpec, *, is_answer: bool) -> Shape:
    kind, bits = spec.type.kind, 8 * spec.type.itemsize
    if kind == "i":
        limits = {"minimum": -(2 ** (bits - 1)), "maximum": 2 ** (bits - 1) - 1} if bits < 64 else {"format": "int64"}
        return {"type": "integer", **limits}
    if kind == "u":
        return {"type": "integer", "minimum": 0, **({"maximum": 2**bits - 1} if bits < 64 else {})}
    if kind in "fc":
        return {"type": "number"} if is_answer else {"type": ["number", "null"], "description": "null is NaN"}
    if kind == "M" and not is_answer:
        return dict(_SCALARS[DataType.datetime])
    return {"type": {"b": "boolean", "M": "integer", "m": "integer"}.get(kind, "string")}


def _sizes(spec: TensorSpec) -> str:
    return ", ".join("any" if size < 0 else str(size) for size in spec.shape)
