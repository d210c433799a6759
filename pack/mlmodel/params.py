"""The params of a model: values that steer a prediction beside the data, each with a type and a default.

JSON shapes are MLflow's (interoperability facts, signature schema, sections 3 and 8).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from typing import Any

from pack.errors import CannotInfer, InvalidValue
from pack.mlmodel.schema import json_list
from pack.mlmodel.types import Array, DataType, Object, as_type, type_from_dict


@dataclass(frozen=True, init=False)
class ParamSpec:
    """One param: `shape` is None for one value and `(-1,)` for a list; raises `InvalidValue` if the default misfits."""

    name: str
    dtype: DataType | Object
    default: Any
    shape: tuple[int, ...] | None

    def __init__(
        self, name: str, dtype: DataType | Object | str, default: Any, shape: Sequence[int] | None = None
    ) -> None:
        kind = _param_type(name, dtype)
        sizes = tuple(shape) if isinstance(shape, (list, tuple)) else shape
        if sizes not in (None, (-1,)) or (sizes and isinstance(kind, Object)):
            raise InvalidValue(f"param {name!r}: the shape must be None, or (-1,) for a list of scalars")
        if sizes and default is None:
            raise InvalidValue(f"param {name!r}: a list is its default", hint="give [] where nothing is set")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "dtype", kind)
        object.__setattr__(self, "shape", sizes)
        object.__setattr__(self, "default", convert(self, default))

    def to_dict(self) -> dict[str, Any]:
        """MLflow's JSON shape: name, default, shape, type."""
        shape = None if self.shape is None else list(self.shape)
        return {"name": self.name, "default": _plain(self.default), "shape": shape, **self.dtype.to_dict()}

    @classmethod
    def from_json_dict(cls, /, **fields: Any) -> ParamSpec:
        """Read the JSON shape back; the older key `dtype` is known too."""
        if not isinstance(fields.get("name"), str) or "default" not in fields:
            raise InvalidValue("a param needs 'name' and 'default'")
        kind = type_from_dict({"type": fields.get("type", fields.get("dtype")), **fields})
        return cls(fields["name"], kind, fields["default"], fields.get("shape"))  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"{self.name!r}: {self.dtype!r}{'[]' if self.shape else ''} (default: {self.default!r})"


@dataclass(frozen=True, init=False)
class ParamSchema:
    """The params that a model takes, by different names."""

    params: tuple[ParamSpec, ...]

    def __init__(self, params: Sequence[ParamSpec]) -> None:
        names = [param.name for param in params]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InvalidValue(f"params need different names; given more than once: {twice}")
        object.__setattr__(self, "params", tuple(params))

    def __iter__(self) -> Iterator[ParamSpec]:
        return iter(self.params)

    def __len__(self) -> int:
        return len(self.params)

    def to_dict(self) -> list[dict[str, Any]]:
        """The JSON value: a list of params."""
        return [param.to_dict() for param in self.params]

    def to_json(self) -> str:
        """The JSON text, as an MLmodel file holds it."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> ParamSchema:
        """Read the JSON text back; raises `InvalidValue` for text that holds no params."""
        items = json_list(json_str, "params schema")
        if not all(isinstance(item, dict) for item in items):
            raise InvalidValue("a params schema is a list of JSON objects")
        return cls([ParamSpec.from_json_dict(**{str(key): value for key, value in item.items()}) for item in items])

    def __repr__(self) -> str:
        return "[" + ", ".join(repr(param) for param in self.params) + "]"


def infer_params(params: Mapping[str, Any]) -> ParamSchema:
    """The schema of these defaults: name → value; raises `CannotInfer` for a value that no param can hold."""
    if not isinstance(params, Mapping):
        raise CannotInfer(f"params are a dict of names and defaults, not {type(params).__name__}")
    return ParamSchema([_infer(str(name), value) for name, value in params.items()])


def convert(param: ParamSpec, value: Any) -> Any:
    """`value` as this param's type where no information is lost; raises `InvalidValue` naming the param."""
    value = _python(value)
    if value is None and param.shape is None:
        return None
    if isinstance(param.dtype, Object):
        return _object(param, value)
    if param.shape is None:
        return _scalar(param, value)
    if not isinstance(value, (list, tuple)):
        raise _misfit(param, value)
    return [None if item is None else _scalar(param, _python(item)) for item in value]


def _param_type(name: Any, dtype: Any) -> DataType | Object:
    if not isinstance(name, str):
        raise InvalidValue(f"a param's name must be text, not {type(name).__name__}")
    kind = as_type(dtype)
    if not isinstance(kind, (DataType, Object)) or kind is DataType.binary:
        raise InvalidValue(f"param {name!r}: a param is a scalar other than binary, or an object, not {kind!r}")
    return kind


def _python(value: Any) -> Any:
    """NumPy's and pandas' values as Python's, where nothing is lost: nanoseconds stay what they are."""
    if not hasattr(value, "dtype") or not hasattr(value, "tolist"):
        return value
    if getattr(value.dtype, "kind", "") == "M" and hasattr(value, "astype"):
        return value if (value.astype("datetime64[us]") != value).any() else value.astype("datetime64[us]").tolist()
    return value.tolist()


def _scalar(param: ParamSpec, value: Any) -> Any:
    kind = param.dtype
    if kind is DataType.boolean and isinstance(value, bool):
        return value
    if kind is DataType.string and isinstance(value, str):
        return value
    if kind is DataType.datetime:
        return _datetime(param, value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        found = _number(param, value)
        if found is not None:
            return found
    raise _misfit(param, value)


def _number(param: ParamSpec, value: Any) -> int | float | None:
    if param.dtype in {DataType.integer, DataType.long}:
        bits = 31 if param.dtype is DataType.integer else 63
        whole = isinstance(value, int) and -(2**bits) <= value < 2**bits
        return int(value) if whole else None
    if param.dtype in {DataType.float, DataType.double}:
        exact = isinstance(value, float) or (abs(value) < 2**1023 and float(value) == value)
        return float(value) if exact else None
    return None


def _datetime(param: ParamSpec, value: Any) -> date:
    """A date, or a datetime without zone: text is ISO 8601, and a zone means the same instant in UTC, as in MLflow."""
    if isinstance(value, str):
        try:
            text = value.replace("Z", "+00:00")
            value = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
        except ValueError as error:
            raise _misfit(param, value) from error
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    if isinstance(value, date):
        return value
    raise _misfit(param, value)


def _object(param: ParamSpec, value: Any) -> Any:
    from pack.mlmodel.nested import check

    problem = check(param.dtype, value, "")
    if problem:
        raise InvalidValue(f"param {param.name!r}{problem}")
    return value


def _infer(name: str, value: Any) -> ParamSpec:
    from pack.mlmodel.infer import infer_type

    if isinstance(value, Mapping):
        kind = infer_type(value, f"param {name!r}")
        if isinstance(kind, Object):
            return ParamSpec(name, kind, value)
        raise CannotInfer(f"param {name!r} is an object without members of its own", hint="name its members as text")
    listed = isinstance(value, (list, tuple)) or (hasattr(value, "__array__") and getattr(value, "shape", ()) != ())
    kind = infer_type(list(value), f"param {name!r}") if listed else infer_type(value, f"param {name!r}")
    item = kind.dtype if isinstance(kind, Array) else kind
    if not isinstance(item, DataType) or item is DataType.binary or isinstance(kind, Array) is not listed:
        raise CannotInfer(
            f"param {name!r}: a param cannot be {_shown(value)}",
            hint="use a boolean, a number, text, a date, a list of one of these, or a dict; or give a ParamSpec",
        )
    return ParamSpec(name, item, list(value) if listed else value, (-1,) if listed else None)


def _shown(value: Any) -> str:
    """What a value is, in words for an error message."""
    if not isinstance(value, (list, tuple)):
        return type(value).__name__
    kinds = sorted({type(item).__name__ for item in value})
    return f"a list of {', '.join(kinds)}" if kinds else "an empty list"


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    value = _python(value)
    return value.isoformat() if isinstance(value, date) else value


def _misfit(param: ParamSpec, value: Any) -> InvalidValue:
    wanted = f"a list of {param.dtype!r}" if param.shape else repr(param.dtype)
    return InvalidValue(f"param {param.name!r} is declared {wanted}: {_shown(value)} came, which does not fit")
