"""Values inside arrays, objects and maps: checked in process, decoded from JSON."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any

from pack.mlmodel.frames import is_missing
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, SparkMLVector, Type

_BITS = {DataType.integer: 31, DataType.long: 63}
_PYTHON: dict[DataType, tuple[type, ...]] = {
    DataType.boolean: (bool,),
    DataType.string: (str,),
    DataType.binary: (bytes, bytearray),
    DataType.datetime: (date,),
}


def check(declared: Type, value: Any, where: str) -> str | None:
    """What keeps `value` from being `declared`, such as `: item 3 is text, declared long`; None where nothing does."""
    value = plain(value)
    if isinstance(declared, DataType):
        return None if is_missing(value) or scalar_fits(declared, value) else _misfit(where, value, declared)
    if isinstance(declared, AnyType):
        return None
    if isinstance(declared, Object):
        return _check_object(declared, value, where)
    if isinstance(declared, Map):
        return _check_map(declared, value, where)
    return _check_array(declared, value, where)


def scalar_fits(declared: DataType, value: Any) -> bool:
    """Whether one plain value is of this type without losing anything."""
    if declared in _PYTHON:
        return isinstance(value, _PYTHON[declared])
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if declared in _BITS:
        return float_is_whole(value) and -(2 ** _BITS[declared]) <= value < 2 ** _BITS[declared]
    return isinstance(value, float) or (abs(value) < 2**1023 and int(float(value)) == value)


def plain(value: Any) -> Any:
    """A NumPy array or scalar as Python values; a datetime64 as a datetime."""
    if not hasattr(value, "dtype") or not hasattr(value, "tolist"):
        return value
    return value.astype("datetime64[us]").tolist() if value.dtype.kind == "M" else value.tolist()


def float_is_whole(value: float) -> bool:
    """Whether a number has no fraction; NaN and infinities have one."""
    return isinstance(value, int) or value.is_integer()


def kind_of(value: Any) -> str:
    """What a value is, in a word for an error message; never the value itself."""
    value = plain(value)
    if is_missing(value):
        return "a missing value"
    if isinstance(value, float) and not value.is_integer():
        return "a number with a fraction"
    words: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "a boolean"),
        (int, "a whole number"),
        (float, "a whole number written as a float"),
        (str, "text"),
        ((bytes, bytearray), "bytes"),
        (date, "a date"),
        ((list, tuple), "a list"),
        (Mapping, "an object"),
    )
    return next((word for python, word in words if isinstance(value, python)), type(value).__name__)


def decode(declared: Type, value: Any) -> Any:
    """A JSON value as the declared type: base64 text becomes bytes, ISO 8601 text a datetime; raises `ValueError`.

    The message says what is wrong without repeating the value.
    """
    if isinstance(declared, DataType):
        return _decode_scalar(declared, value)
    if isinstance(declared, Object) and isinstance(value, dict):
        types = {member.name: member.dtype for member in declared.properties}
        return {name: decode(types[name], item) if name in types else item for name, item in value.items()}
    if isinstance(declared, Map) and isinstance(value, dict):
        return {name: decode(declared.value_type, item) for name, item in value.items()}
    if isinstance(declared, Array) and isinstance(value, list):
        return [decode(declared.dtype, item) for item in value]
    return value


def _decode_scalar(declared: DataType, value: Any) -> Any:
    if value is None:
        return None
    if declared is DataType.binary:
        return _bytes(value)
    if declared is DataType.datetime:
        return _datetime(value)
    if declared is DataType.double and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if scalar_fits(declared, value) else value
    return int(value) if declared in _BITS and type(value) is float and value.is_integer() else value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"{kind_of(value)} came where base64 text is needed")
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("text came that is not base64") from error


def _datetime(value: Any) -> datetime:
    """The instant of ISO 8601 text; with an offset, the same instant in UTC, without a zone."""
    if not isinstance(value, str):
        raise ValueError(f"{kind_of(value)} came where ISO 8601 text is needed")
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return found if found.tzinfo is None else found.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise ValueError("text came that is not an ISO 8601 date") from error


def _check_object(declared: Object, value: Any, where: str) -> str | None:
    if not isinstance(value, Mapping):
        return _misfit(where, value, "object")
    members = {member.name: member for member in declared.properties}
    extra = [name for name in value if name not in members]
    if extra:
        return f"{where}: has members that are not declared: {', '.join(ascii(name) for name in extra[:5])}"
    for name, member in members.items():
        gone = name not in value or is_missing(plain(value[name]))
        if gone and member.required:
            return f"{where}: the member {name!r} is missing"
        problem = None if gone else check(member.dtype, value[name], f"{where}: {name!r}")
        if problem:
            return problem
    return None


def _check_map(declared: Map, value: Any, where: str) -> str | None:
    if not isinstance(value, Mapping):
        return _misfit(where, value, "map")
    if not all(isinstance(name, str) for name in value):
        return f"{where}: has a key that is not text"
    problems = (check(declared.value_type, item, f"{where}: a value") for item in value.values())
    return next(filter(None, problems), None)


def _check_array(declared: Array | SparkMLVector, value: Any, where: str) -> str | None:
    if not isinstance(value, (list, tuple)):
        return _misfit(where, value, "array")
    inner = declared.dtype if isinstance(declared, Array) else DataType.double
    problems = (check(inner, item, f"{where}: item {place}") for place, item in enumerate(value))
    return next(filter(None, problems), None)


def _misfit(where: str, value: Any, declared: object) -> str:
    return f"{where}: holds {kind_of(value)}, declared {declared}"
