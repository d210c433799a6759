"""Values inside arrays, objects and maps: checked in process, decoded from JSON.

Nothing here repeats a caller's value: errors say where it stands and what kind it is.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timezone
from typing import Any

from pack.mlmodel.frames import is_missing
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Property, SparkMLVector, Type

_BITS = {DataType.integer: 31, DataType.long: 63}
_FLOATS = {DataType.float, DataType.double}
_PYTHON: dict[DataType, tuple[type, ...]] = {
    DataType.boolean: (bool,),
    DataType.string: (str,),
    DataType.binary: (bytes, bytearray),
    DataType.datetime: (date,),
}
# Values of these Python types fit without a look at each; the other types of a list are looked at one by one.
_SURE: dict[DataType, frozenset[type]] = {
    DataType.boolean: frozenset({bool}),
    DataType.integer: frozenset(),
    DataType.long: frozenset(),
    DataType.float: frozenset(),
    DataType.double: frozenset({float}),
    DataType.string: frozenset({str}),
    DataType.binary: frozenset({bytes, bytearray}),
    DataType.datetime: frozenset({datetime, date}),
}
_ISO = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<minute>[0-9]{2}:[0-9]{2})(?P<second>:[0-9]{2})?(?:[.,](?P<fraction>[0-9]{1,9}))?"
    r"(?:[Zz]|(?P<hours>[+-][0-9]{2}):?(?P<minutes>[0-9]{2})?)?)?"
)


def check(declared: Type, value: Any, where: str) -> str | None:
    """What keeps `value` from being `declared`, such as `: item 3: holds text, declared long`; None if nothing does."""
    problem = _problem(declared, value)
    return None if problem is None else f"{where}{problem}"


def all_fit(declared: DataType, values: Sequence[Any]) -> bool:
    """Whether all these values are of this type or missing; quick where their Python types settle it."""
    kinds = set(map(type, values))
    if kinds <= _SURE[declared]:
        return True
    if kinds == {int} and declared in _BITS:
        return scalar_fits(declared, min(values)) and scalar_fits(declared, max(values))
    if kinds <= {int, float} and declared is DataType.double:
        return all(abs(value) <= 2**53 or scalar_fits(declared, value) for value in values if type(value) is int)
    return all(is_missing(value) or scalar_fits(declared, plain(value)) for value in values)


def scalar_fits(declared: DataType, value: Any) -> bool:
    """Whether one plain value is of this type without losing anything; NaN is a number, None is not."""
    if declared in _PYTHON:
        return isinstance(value, _PYTHON[declared]) and not is_missing(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if declared in _BITS:
        return float_is_whole(value) and -(2 ** _BITS[declared]) <= value < 2 ** _BITS[declared]
    if declared is DataType.float:
        narrow = single(value)
        return narrow is not None and (narrow == value or value != value)
    return isinstance(value, float) or (abs(value) < 2**1023 and int(float(value)) == value)


def single(value: float) -> float | None:
    """The nearest number that 32 bits hold; None where that would be an infinity."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return None


def float_is_whole(value: float) -> bool:
    """Whether a number has no fraction; NaN and infinities have one."""
    return isinstance(value, int) or value.is_integer()


def kind_of(value: Any) -> str:
    """What a value is, in a word for an error message; never the value itself."""
    value = plain(value)
    if is_missing(value):
        return "a missing value"
    if isinstance(value, float) and not value.is_integer():
        return "a number with a fraction" if abs(value) != float("inf") else "an infinite number"
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


def plain(value: Any) -> Any:
    """NumPy arrays and scalars as Python values, a datetime64 as a datetime, a pydantic object as a dict."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if not hasattr(value, "dtype") or not hasattr(value, "tolist"):
        return value
    return value.astype("datetime64[us]").tolist() if value.dtype.kind == "M" else value.tolist()


def decode(declared: Type, value: Any) -> Any:
    """A JSON value as the declared type: base64 text becomes bytes, ISO 8601 text a datetime; raises `ValueError`.

    The message says what is wrong without repeating the value. What needs no decoding stays as it is, for `check`.
    """
    if isinstance(declared, DataType):
        return _decode_scalar(declared, value)
    if isinstance(declared, Object) and isinstance(value, dict):
        types = {member.name: member.dtype for member in declared.properties}
        return {name: decode(types[name], item) if name in types else item for name, item in value.items()}
    if isinstance(declared, Map) and isinstance(value, dict):
        return {name: decode(declared.value_type, item) for name, item in value.items()}
    if isinstance(declared, (Array, SparkMLVector)) and isinstance(value, list):
        inner = declared.dtype if isinstance(declared, Array) else DataType.double
        return [decode(inner, item) for item in value]
    return value


def to_bytes(value: Any) -> bytes:
    """The bytes of base64 text, which may be wrapped in lines; raises `ValueError` for text that is not base64."""
    if not isinstance(value, str):
        raise ValueError(f"holds {kind_of(value)}, base64 text is needed")
    text = "".join(value.split())
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("holds text that is not base64") from error
    if base64.b64encode(found).decode() != text:
        raise ValueError("holds text that is base64 with bits left over")
    return found


def to_datetime(value: Any) -> datetime:
    """The instant of ISO 8601 text; with an offset, the same instant in UTC, without a zone.

    Up to nine digits of a second are kept: a pandas Timestamp where there are more than six. Raises `ValueError`.
    """
    if not isinstance(value, str):
        raise ValueError(f"holds {kind_of(value)}, ISO 8601 text is needed")
    parts = _ISO.fullmatch(value)
    if parts is None or (parts["fraction"] and not parts["second"]):
        raise ValueError("holds text that is not an ISO 8601 date")
    try:
        return _instant({name: part or "" for name, part in parts.groupdict().items()})
    except (ValueError, OverflowError) as error:
        raise ValueError("holds text that is not an ISO 8601 date") from error


def _instant(parts: dict[str, str]) -> datetime:
    hours, minutes = parts["hours"] or "+00", parts["minutes"] or "00"
    digits = parts["fraction"].ljust(9, "0")
    text = f"{parts['day']}T{parts['minute'] or '00:00'}{parts['second'] or ':00'}.{digits[:6]}{hours}:{minutes}"
    found = datetime.fromisoformat(text).astimezone(timezone.utc).replace(tzinfo=None)
    if digits[6:] == "000":
        return found
    import pandas as pd

    fine: datetime = pd.Timestamp(found).as_unit("ns") + pd.Timedelta(int(digits[6:]), unit="ns")
    return fine


def _decode_scalar(declared: DataType, value: Any) -> Any:
    if value is None:
        return None
    if declared is DataType.binary:
        return to_bytes(value)
    if declared is DataType.datetime:
        return to_datetime(value)
    if type(value) is int and declared in _FLOATS and scalar_fits(declared, value):
        return float(value)
    if type(value) is float and declared is DataType.float:
        return value if single(value) is None else single(value)
    return int(value) if declared in _BITS and type(value) is float and value.is_integer() else value


def _problem(declared: Type, value: Any) -> str | None:
    value = plain(value)
    if isinstance(declared, DataType):
        return None if is_missing(value) or scalar_fits(declared, value) else _misfit(value, declared)
    if isinstance(declared, AnyType):
        return None
    if isinstance(declared, Object):
        return _object_problem(declared, value)
    if isinstance(declared, Map):
        return _map_problem(declared, value)
    return _array_problem(declared, value)


def _object_problem(declared: Object, value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return _misfit(value, "object")
    members = {member.name: member for member in declared.properties}
    extra = [name for name in value if name not in members]
    if extra:
        return f": has members that are not declared: {listed(extra)}"
    for name, member in members.items():
        problem = _member_problem(member, value)
        if problem:
            return f": {name!r}{problem}"
    return None


def _member_problem(member: Property, value: Mapping[str, Any]) -> str | None:
    if member.name not in value:
        return ": is missing" if member.required else None
    item = plain(value[member.name])
    if is_missing(item):
        # NaN is a number; None, NaT and NA are gaps.
        number = isinstance(item, float) and member.dtype in _FLOATS
        return ": holds a missing value" if member.required and not number else None
    return _problem(member.dtype, item)


def _map_problem(declared: Map, value: Any) -> str | None:
    if not isinstance(value, Mapping):
        return _misfit(value, "map")
    if not all(isinstance(name, str) for name in value):
        return ": has a key that is not text"
    problem = _first_problem(declared.value_type, list(value.values()))
    return None if problem is None else f": a value{problem[1]}"


def _array_problem(declared: Array | SparkMLVector, value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return _misfit(value, "array")
    problem = _first_problem(declared.dtype if isinstance(declared, Array) else DataType.double, value)
    return None if problem is None else f": item {problem[0]}{problem[1]}"


def _first_problem(declared: Type, values: Sequence[Any]) -> tuple[int, str] | None:
    if isinstance(declared, DataType) and all_fit(declared, values):
        return None
    for place, item in enumerate(values):
        problem = None if is_missing(item) else _problem(declared, item)
        if problem:
            return place, problem
    return None


def _misfit(value: Any, declared: object) -> str:
    return f": holds {kind_of(value)}, declared {declared}"


def listed(names: Iterable[Any], most: int = 5) -> str:
    """Names for an error message: the first few, each cut to a bearable length, and how many more there are."""
    every = list(names)
    shown = [ascii(name if len(str(name)) <= 60 else f"{str(name)[:60]}...") for name in every[:most]]
    more = [f" and {len(every) - most:,} more"] if len(every) > most else []
    return f"[{', '.join(shown)}]" + "".join(more)
