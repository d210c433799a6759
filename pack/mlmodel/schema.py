"""A schema: either named or unnamed columns, or tensors, in order.

JSON shapes and validity rules are MLflow's (interoperability facts, signature schema, sections 3 and 3.1).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from pack.errors import InvalidValue
from pack.mlmodel.types import MAX_DEPTH, DataType, Type, as_type, type_from_dict

if TYPE_CHECKING:
    import numpy as np

MAX_COLUMNS = 100_000
MAX_JSON_BYTES = 32 * 1024 * 1024
_MAX_BRACES = 3 * MAX_COLUMNS
_DTYPE_NAME = re.compile(r"[A-Za-z_]+[0-9]*(\[[0-9]*[A-Za-z]+\])?")


@dataclass(frozen=True, init=False)
class ColSpec:
    """One column: its type, its name (text, or an integer label), and whether it must be there."""

    type: Type
    name: str | int | None
    required: bool

    def __init__(self, type: Type | str, name: str | int | None = None, required: bool = True) -> None:  # noqa: A002
        _check_name(name)
        object.__setattr__(self, "type", as_type(type))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "required", required)

    def to_dict(self) -> dict[str, Any]:
        """MLflow's JSON shape: type, its members, name, required."""
        named = {} if self.name is None else {"name": self.name}
        return {**self.type.to_dict(), **named, "required": self.required}

    @classmethod
    def from_json_dict(cls, /, **fields: Any) -> ColSpec:
        """Read the JSON shape back; `required` is true where it is missing."""
        return cls(type_from_dict(fields), fields.get("name"), required=bool(fields.get("required", True)))

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}{self.type!r} ({'required' if self.required else 'optional'})"


@dataclass(frozen=True, init=False)
class TensorSpec:
    """One tensor: its dtype, its shape (-1 where a dimension is free), and its name if it has one."""

    type: np.dtype[Any]
    shape: tuple[int, ...]
    name: str | int | None

    def __init__(self, type: Any, shape: Sequence[int], name: str | int | None = None) -> None:  # noqa: A002
        _check_name(name)
        object.__setattr__(self, "type", _tensor_dtype(type))
        object.__setattr__(self, "shape", _tensor_shape(shape))
        object.__setattr__(self, "name", name)

    @property
    def required(self) -> bool:
        """Tensors are always required."""
        return True

    def to_dict(self) -> dict[str, Any]:
        """MLflow's JSON shape; text and bytes of any width are written `str` and `bytes`."""
        named = {} if self.name is None else {"name": self.name}
        return {**named, "type": "tensor", "tensor-spec": {"dtype": self.type.name, "shape": list(self.shape)}}

    @classmethod
    def from_json_dict(cls, /, **fields: Any) -> TensorSpec:
        """Read the JSON shape back."""
        spec = fields.get("tensor-spec")
        if not isinstance(spec, dict) or not {"dtype", "shape"} <= set(spec):
            raise InvalidValue("a tensor needs 'tensor-spec' with 'dtype' and 'shape'")
        if not isinstance(spec["dtype"], str) or not _DTYPE_NAME.fullmatch(spec["dtype"]):
            raise InvalidValue(f"{str(spec['dtype'])[:80]!r} is not the name of a NumPy dtype")
        return cls(spec["dtype"], spec["shape"], fields.get("name"))

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r}: "
        return f"{name}Tensor({self.type.name!r}, {self.shape!r})"


Spec: TypeAlias = ColSpec | TensorSpec


@dataclass(frozen=True, init=False)
class Schema:
    """The columns or tensors of a model's input or output; raises `InvalidValue` for a mixture."""

    inputs: tuple[Spec, ...]

    def __init__(self, inputs: Sequence[Spec]) -> None:
        specs = tuple(inputs)
        _check_specs(specs)
        object.__setattr__(self, "inputs", specs)

    def __iter__(self) -> Iterator[Spec]:
        return iter(self.inputs)

    def __len__(self) -> int:
        return len(self.inputs)

    def is_tensor_spec(self) -> bool:
        """Whether this schema describes tensors rather than columns."""
        return isinstance(self.inputs[0], TensorSpec)

    def has_input_names(self) -> bool:
        """Whether the members have names."""
        return self.inputs[0].name is not None

    def input_names(self) -> list[str | int]:
        """The names in order; positions where there are none."""
        return [position if spec.name is None else spec.name for position, spec in enumerate(self.inputs)]

    def required_input_names(self) -> list[str | int]:
        """The names that must be there."""
        return [name for name, spec in zip(self.input_names(), self.inputs, strict=True) if spec.required]

    def optional_input_names(self) -> list[str | int]:
        """The names that may be missing."""
        return [name for name, spec in zip(self.input_names(), self.inputs, strict=True) if not spec.required]

    def input_types(self) -> list[Any]:
        """The types in order."""
        return [spec.type for spec in self.inputs]

    def input_types_dict(self) -> dict[str | int, Any]:
        """Name → type."""
        return dict(zip(self.input_names(), self.input_types(), strict=True))

    def input_dict(self) -> dict[str | int, Spec]:
        """Name → column or tensor."""
        return dict(zip(self.input_names(), self.inputs, strict=True))

    def numpy_types(self) -> list[Any]:
        """The NumPy dtypes in order; raises `InvalidValue` where a column has none."""
        return self.input_types() if self.is_tensor_spec() else [_scalar(spec).to_numpy() for spec in self.inputs]

    def pandas_types(self) -> list[Any]:
        """The dtypes of pandas columns in order; raises `InvalidValue` for tensors and nested columns."""
        return [_scalar(spec).to_pandas() for spec in self.inputs]

    def to_dict(self) -> list[dict[str, Any]]:
        """The JSON value: a list of columns or tensors."""
        return [spec.to_dict() for spec in self.inputs]

    def to_json(self) -> str:
        """The JSON text, as an MLmodel file holds it."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_json(cls, json_str: str) -> Schema:
        """Read the JSON text back; raises `InvalidValue` for text that is no schema or is over a limit."""
        return cls([_spec(item) for item in json_list(json_str, "schema")])

    def __repr__(self) -> str:
        return "[" + ", ".join(repr(spec) for spec in self.inputs) + "]"


def json_list(text: str, what: str) -> list[Any]:
    """The JSON list in `text`, within the limits on size, depth and length."""
    if not isinstance(text, str) or len(text) > MAX_JSON_BYTES:
        raise InvalidValue(f"a {what} must be JSON text of at most {MAX_JSON_BYTES:,} bytes")
    if text.count("{") > _MAX_BRACES:
        raise InvalidValue(f"a {what} may have at most {MAX_COLUMNS:,} members, this has more")
    try:
        items = json.loads(text)
    except ValueError as error:
        raise InvalidValue(f"this {what} is not JSON: {str(error)[:200]}") from error
    except RecursionError as error:
        raise InvalidValue(f"a {what} may be nested at most {MAX_DEPTH} levels deep") from error
    if not isinstance(items, list):
        raise InvalidValue(f"a {what} must be a JSON list, not {type(items).__name__}")
    if len(items) > MAX_COLUMNS:
        raise InvalidValue(f"a {what} may have at most {MAX_COLUMNS:,} members, this has {len(items):,}")
    return items


def _spec(item: Any) -> Spec:
    if not isinstance(item, dict):
        raise InvalidValue(f"a member of a schema must be a JSON object, not {type(item).__name__}")
    fields = {str(key): value for key, value in item.items()}
    return TensorSpec.from_json_dict(**fields) if fields.get("type") == "tensor" else ColSpec.from_json_dict(**fields)


def _check_specs(specs: tuple[Spec, ...]) -> None:
    if not specs:
        raise InvalidValue("a schema needs at least one column or tensor")
    if not all(isinstance(spec, (ColSpec, TensorSpec)) for spec in specs):
        raise InvalidValue("a schema is made of ColSpec or TensorSpec")
    if len({isinstance(spec, TensorSpec) for spec in specs}) > 1:
        raise InvalidValue("a schema holds columns or tensors, not both")
    if len({spec.name is None for spec in specs}) > 1:
        raise InvalidValue("either all members of a schema have names or none has")
    if specs[0].name is None and any(not spec.required for spec in specs):
        raise InvalidValue("a column without a name cannot be optional", hint="name the columns")
    if isinstance(specs[0], TensorSpec) and specs[0].name is None and len(specs) > 1:
        raise InvalidValue("several tensors need names", hint="give each TensorSpec a name")


def _scalar(spec: Spec) -> DataType:
    if not isinstance(spec.type, DataType):
        raise InvalidValue(f"{spec!r} has no single dtype")
    return spec.type


def _check_name(name: Any) -> None:
    if name is not None and not isinstance(name, (str, int, float)):
        raise InvalidValue(f"a name must be text or a number, not {type(name).__name__}")


def _tensor_dtype(given: Any) -> np.dtype[Any]:
    """The dtype as JSON can hold it: text and bytes of any width, numbers in this machine's byte order."""
    import numpy as np

    try:
        found: np.dtype[Any] = np.dtype(given)
    except (TypeError, ValueError, SyntaxError) as error:
        raise InvalidValue(f"{str(given)[:80]!r} is not a NumPy dtype") from error
    if given is None or found.kind not in "biufcSUMmO":
        raise InvalidValue(f"a tensor cannot be of dtype {str(given)[:80]}", hint="use numbers, text, dates or objects")
    return np.dtype(found.char) if found.kind in "US" else found.newbyteorder("=")


def _tensor_shape(given: Any) -> tuple[int, ...]:
    if not isinstance(given, (list, tuple)) or len(given) > MAX_DEPTH:
        raise InvalidValue(f"a tensor's shape must be a list of at most {MAX_DEPTH} whole numbers")
    if not all(isinstance(size, int) and not isinstance(size, bool) and -1 <= size < 2**63 for size in given):
        raise InvalidValue("a tensor's shape must be whole numbers, -1 where a dimension is free")
    return tuple(given)
