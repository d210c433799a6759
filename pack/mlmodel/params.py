"""The params of a model: values that steer a prediction beside the data, each with a type and a default.

JSON shapes are MLflow's (interoperability facts, signature schema, sections 3 and 8).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from pack.errors import InvalidValue
from pack.mlmodel.schema import json_list
from pack.mlmodel.types import DataType, Object, as_type, type_from_dict


@dataclass(frozen=True)
class ParamSpec:
    """One param: `shape` is None for one value and `(-1,)` for a list; raises `InvalidValue` if the default misfits."""

    name: str
    dtype: DataType | Object
    default: Any
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        kind = as_type(self.dtype)
        if not isinstance(kind, (DataType, Object)) or kind is DataType.binary:
            raise InvalidValue(
                f"param {self.name!r}: a param is a scalar other than binary, or an object, not {kind!r}"
            )
        shape = None if self.shape is None else tuple(self.shape)
        if shape not in {None, (-1,)} or (shape and isinstance(kind, Object)):
            raise InvalidValue(f"param {self.name!r}: the shape must be None, or (-1,) for a list of scalars")
        object.__setattr__(self, "dtype", kind)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "default", convert(self, self.default))

    def to_dict(self) -> dict[str, Any]:
        """MLflow's JSON shape: name, default, shape, type."""
        shape = None if self.shape is None else list(self.shape)
        return {"name": self.name, "default": _plain(self.default), "shape": shape, **self.dtype.to_dict()}

    @classmethod
    def from_json_dict(cls, **fields: Any) -> ParamSpec:
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
    """The schema of these defaults: name → value; raises `InvalidValue` for a value that no param can hold."""
    return ParamSchema([_infer(str(name), value) for name, value in params.items()])


def convert(param: ParamSpec, value: Any) -> Any:
    """`value` as this param's type where no information is lost; raises `InvalidValue` naming the param."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if value is None:
        return None
    if isinstance(param.dtype, Object):
        return _object(param, value)
    if param.shape is None:
        return _scalar(param, value)
    if not isinstance(value, (list, tuple)):
        raise _misfit(param, value)
    return [_scalar(param, item.tolist() if hasattr(item, "tolist") else item) for item in value]


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


def _datetime(param: ParamSpec, value: Any) -> Any:
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            pass
    raise _misfit(param, value)


def _object(param: ParamSpec, value: Any) -> Any:
    from pack.mlmodel.nested import check

    problem = check(param.dtype, value, "")
    if problem:
        raise InvalidValue(f"param {param.name!r}{problem}")
    return value


def _infer(name: str, value: Any) -> ParamSpec:
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, dict):
        from pack.mlmodel.infer import infer_type

        kind = infer_type(value, f"param {name!r}")
        if isinstance(kind, Object):
            return ParamSpec(name, kind, value)
        raise InvalidValue(f"param {name!r}: an object of one kind is needed, not {kind!r}")
    if isinstance(value, (list, tuple)):
        kinds = {_scalar_type(name, item) for item in value}
        if kinds == {DataType.long, DataType.double}:
            kinds = {DataType.double}
        if len(kinds) != 1:
            raise InvalidValue(f"param {name!r}: a list needs items of one kind, this has {len(kinds)} kinds")
        return ParamSpec(name, kinds.pop(), list(value), (-1,))
    return ParamSpec(name, _scalar_type(name, value), value)


def _scalar_type(name: str, value: Any) -> DataType:
    value = value.item() if hasattr(value, "item") else value
    kinds = ((bool, DataType.boolean), (int, DataType.long), (float, DataType.double), (str, DataType.string))
    for python, kind in (*kinds, (date, DataType.datetime)):
        if isinstance(value, python):
            return kind
    raise InvalidValue(
        f"param {name!r}: a param cannot be {type(value).__name__}",
        hint="use a boolean, a number, text, a date, a list of one of these, or a dict",
    )


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _misfit(param: ParamSpec, value: Any) -> InvalidValue:
    wanted = f"a list of {param.dtype!r}" if param.shape else repr(param.dtype)
    came = f"a list of {len(value)}" if isinstance(value, (list, tuple)) else type(value).__name__
    return InvalidValue(f"param {param.name!r} is declared {wanted}, but {came} came that is not one")
