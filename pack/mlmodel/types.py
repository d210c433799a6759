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


@dataclass(frozen=True)
class AnyType:
    """A value of which nothing is declared."""

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "any"}`."""
        return {"type": "any"}

    def __repr__(self) -> str:
        return "any"

    @classmethod
    def from_json_dict(cls, **_: Any) -> AnyType:
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
    def from_json_dict(cls, **_: Any) -> SparkMLVector:
        """Read the JSON shape back."""
        return cls()


@dataclass(frozen=True)
class Array:
    """A list whose items all have one type."""

    dtype: Type

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", as_type(self.dtype))

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "array", "items": ...}`."""
        return {"type": "array", "items": self.dtype.to_dict()}

    def __repr__(self) -> str:
        return f"Array({self.dtype!r})"

    @classmethod
    def from_json_dict(cls, **fields: Any) -> Array:
        """Read the JSON shape back."""
        return cls(type_from_dict(_member(fields, "items")))


@dataclass(frozen=True)
class Map:
    """A mapping from text to values of one type."""

    value_type: Type

    def __post_init__(self) -> None:
        object.__setattr__(self, "value_type", as_type(self.value_type))

    def to_dict(self) -> dict[str, Any]:
        """`{"type": "map", "values": ...}`."""
        return {"type": "map", "values": self.value_type.to_dict()}

    def __repr__(self) -> str:
        return f"Map(str -> {self.value_type!r})"

    @classmethod
    def from_json_dict(cls, **fields: Any) -> Map:
        """Read the JSON shape back."""
        return cls(type_from_dict(_member(fields, "values")))


@dataclass(frozen=True)
class Property:
    """One named member of an object."""

    name: str
    dtype: Type
    required: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InvalidValue(f"a property's name must be text, not {type(self.name).__name__}")
        object.__setattr__(self, "dtype", as_type(self.dtype))

    def to_dict(self) -> dict[str, Any]:
        """`{"name": {"type": ..., "required": ...}}`."""
        return {self.name: {**self.dtype.to_dict(), "required": self.required}}

    def __repr__(self) -> str:
        return f"{self.name}: {self.dtype!r} ({'required' if self.required else 'optional'})"

    @classmethod
    def from_json_dict(cls, **fields: Any) -> Property:
        """Read `name={"type": ..., "required": ...}` back; `required` is true where it is missing."""
        ((name, member),) = fields.items()
        return cls(name, type_from_dict(member), required=bool(member.get("required", True)))


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
    def from_json_dict(cls, **fields: Any) -> Object:
        """Read the JSON shape back."""
        members = _member(fields, "properties")
        if not isinstance(members, dict):
            raise InvalidValue("an object's properties must be a JSON object")
        return cls([Property.from_json_dict(**{name: member}) for name, member in members.items()])


Type: TypeAlias = DataType | Array | Object | Map | AnyType | SparkMLVector

_COMPLEX: dict[str, Callable[..., Type]] = {
    "array": Array.from_json_dict,
    "object": Object.from_json_dict,
    "map": Map.from_json_dict,
    "any": AnyType.from_json_dict,
    "sparkml_vector": SparkMLVector.from_json_dict,
}


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


def type_from_dict(fields: Any) -> Type:
    """Read a type from its JSON shape; raises `InvalidValue` for anything that is none."""
    name = fields.get("type") if isinstance(fields, dict) else None
    if isinstance(name, str) and name in _COMPLEX:
        return _COMPLEX[name](**{key: value for key, value in fields.items() if isinstance(key, str)})
    return as_type(name)


def _member(fields: dict[str, Any], name: str) -> Any:
    if name not in fields:
        raise InvalidValue(f"a type of {str(fields.get('type'))!r} needs {name!r}")
    return fields[name]
