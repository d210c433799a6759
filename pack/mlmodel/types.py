"""The data types of a signature: eight scalars, and arrays, objects, maps and anything.

Names, JSON shapes and numeric ids are MLflow's (interoperability facts, signature schema, sections 2 and 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from pack.errors import InvalidValue

if TYPE_CHECKING:
    import numpy as np

MAX_DEPTH = 64


class DataType(Enum):
    """A scalar type, by the name that it has in JSON."""

    boolean = 1
    integer = 2
    long = 3
    float = 4
    double = 5
    string = 6
    binary = 7
    datetime = 8

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return self.name

    def to_numpy(self) -> np.dtype[Any]:
        """The NumPy dtype that holds this type: `string` is `str_`, `binary` is `bytes_`."""
        import numpy as np

        return np.dtype(_NUMPY[self.name])

    def to_pandas(self) -> np.dtype[Any]:
        """The dtype of a pandas column of this type; text and bytes are `object`."""
        import numpy as np

        return np.dtype("object" if self.name in {"string", "binary"} else _NUMPY[self.name])

    def to_python(self) -> type:
        """The Python type of one value."""
        from datetime import datetime

        return {"boolean": bool, "string": str, "binary": bytes, "datetime": datetime}.get(
            self.name, int if self.name in {"integer", "long"} else float
        )

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "long"}`."""
        return {"type": self.name}

    @classmethod
    def all_types(cls) -> list[DataType]:
        """The eight scalar types, in the order of their ids."""
        return list(cls)

    @classmethod
    def from_numpy_type(cls, np_type: Any) -> DataType | None:
        """The type whose NumPy dtype this is; None where it is nobody's, as `uint8`."""
        import numpy as np

        dtype = np.dtype(np_type)
        return next((one for one in cls if dtype == one.to_numpy() or dtype.kind in _FLEXIBLE.get(one.name, "")), None)


_FLEXIBLE = {"string": "U", "binary": "S"}
_NUMPY = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "str",
    "binary": "bytes",
    "datetime": "datetime64[ns]",
}
# The narrowest type that holds every value of a NumPy dtype; MLflow's table, and the narrow integers.
DTYPES: dict[str, DataType] = {
    "bool": DataType.boolean,
    "int8": DataType.integer,
    "int16": DataType.integer,
    "uint8": DataType.integer,
    "uint16": DataType.integer,
    "int32": DataType.integer,
    "uint32": DataType.long,
    "int64": DataType.long,
    "float16": DataType.float,
    "float32": DataType.float,
    "float64": DataType.double,
}


@dataclass(frozen=True)
class AnyType:
    """A value of which nothing is declared."""

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "any"}`."""
        return {"type": "any"}

    def __repr__(self) -> str:
        return "any"

    @classmethod
    def from_json_dict(cls, /, **_: Any) -> AnyType:
        """Read the JSON shape back."""
        return cls()


@dataclass(frozen=True)
class SparkMLVector:
    """A Spark ML vector: an array of doubles with a tag of its own."""

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "sparkml_vector"}`."""
        return {"type": "sparkml_vector"}

    def __repr__(self) -> str:
        return "sparkml_vector"

    @classmethod
    def from_json_dict(cls, /, **_: Any) -> SparkMLVector:
        """Read the JSON shape back."""
        return cls()


@dataclass(frozen=True, init=False)
class Array:
    """A list whose items all have one type; a scalar may be given by its name, as everywhere here."""

    dtype: Type

    def __init__(self, dtype: Type | str) -> None:
        object.__setattr__(self, "dtype", as_type(dtype))

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "array", "items": ...}`."""
        return {"type": "array", "items": self.dtype.to_dict()}

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"

    @classmethod
    def from_json_dict(cls, /, **fields: Any) -> Array:
        """Read the JSON shape back."""
        return _array(fields, 0)


@dataclass(frozen=True, init=False)
class Map:
    """A mapping from text to values of one type."""

    value_type: Type

    def __init__(self, value_type: Type | str) -> None:
        object.__setattr__(self, "value_type", as_type(value_type))

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "map", "values": ...}`."""
        return {"type": "map", "values": self.value_type.to_dict()}

    def __repr__(self) -> str:
        return f"Map(str -> {self.value_type!r})"

    @classmethod
    def from_json_dict(cls, /, **fields: Any) -> Map:
        """Read the JSON shape back."""
        return _map(fields, 0)


@dataclass(frozen=True, init=False)
class Property:
    """One named member of an object."""

    name: str
    dtype: Type
    required: bool

    def __init__(self, name: str, dtype: Type | str, required: bool = True) -> None:
        if not isinstance(name, str):
            raise InvalidValue(f"a property's name must be text, not {type(name).__name__}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "dtype", as_type(dtype))
        object.__setattr__(self, "required", required)

    def to_dict(self) -> dict[str, Any]:
        """`{"name": {"type": ..., "required": ...}}`."""
        return {self.name: {**self.dtype.to_dict(), "required": self.required}}

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"

    @classmethod
    def from_json_dict(cls, /, **fields: Any) -> Property:
        """Read `name={"type": ..., "required": ...}` back; `required` is true where it is missing."""
        ((name, member),) = fields.items()
        return _property(name, member, 0)


@dataclass(frozen=True, init=False)
class Object:
    """A mapping with known members, kept in the order of their names."""

    properties: tuple[Property, ...]

    def __init__(self, properties: list[Property] | tuple[Property, ...]) -> None:
        names = [member.name for member in properties]
        if not names:
            raise InvalidValue("an object needs at least one property")
        if len(set(names)) != len(names):
            raise InvalidValue(f"an object's properties need different names, not {sorted(names)}")
        object.__setattr__(self, "properties", tuple(sorted(properties, key=lambda member: member.name)))

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "object", "properties": {...}}`, sorted by name."""
        members: dict[str, Any] = {}
        for member in self.properties:
            members |= member.to_dict()
        return {"type": "object", "properties": members}

    def __repr__(self) -> str:
        return "{" + ", ".join(repr(member) for member in self.properties) + "}"

    @classmethod
    def from_json_dict(cls, /, **fields: Any) -> Object:
        """Read the JSON shape back."""
        return _object(fields, 0)


Type: TypeAlias = DataType | Array | Object | Map | AnyType | SparkMLVector


def as_type(given: Any) -> Type:
    """A type from itself or from the name of a scalar; raises `InvalidValue` for anything else."""
    if isinstance(given, (DataType, Array, Object, Map, AnyType, SparkMLVector)):
        return given
    if isinstance(given, str) and given in DataType.__members__:
        return DataType[given]
    raise InvalidValue(
        f"{str(given)[:80]!r} is not a data type",
        hint=f"use one of {', '.join(DataType.__members__)}, or Array, Object, Map, AnyType",
    )


def type_from_dict(fields: Any, depth: int = 0) -> Type:
    """Read a type from its JSON shape; raises `InvalidValue` for anything that is none, or is nested too deep."""
    if depth > MAX_DEPTH:
        raise InvalidValue(f"a type may be nested at most {MAX_DEPTH} levels deep")
    name = fields.get("type") if isinstance(fields, dict) else None
    read = _COMPLEX.get(name) if isinstance(name, str) else None
    return read(fields, depth) if read else as_type(name)


def _array(fields: dict[str, Any], depth: int) -> Array:
    return Array(type_from_dict(_member(fields, "items"), depth + 1))


def _map(fields: dict[str, Any], depth: int) -> Map:
    return Map(type_from_dict(_member(fields, "values"), depth + 1))


def _object(fields: dict[str, Any], depth: int) -> Object:
    members = _member(fields, "properties")
    if not isinstance(members, dict):
        raise InvalidValue("an object's properties must be a JSON object")
    return Object([_property(name, member, depth + 1) for name, member in members.items()])


def _property(name: str, member: Any, depth: int) -> Property:
    return Property(name, type_from_dict(member, depth), required=bool(member.get("required", True)))


def _member(fields: dict[str, Any], name: str) -> Any:
    if name not in fields:
        raise InvalidValue(f"a type of {str(fields.get('type'))!r} needs {name!r}")
    return fields[name]


_COMPLEX: dict[str, Callable[[dict[str, Any], int], Type]] = {
    "array": _array,
    "object": _object,
    "map": _map,
    "any": lambda *_: AnyType(),
    "sparkml_vector": lambda *_: SparkMLVector(),
}
