"""JSON read straight into the declared types, by a decoder that is made once from a model's plan.

It answers only for bodies that need no second look. What it cannot vouch for (a missing name, a name twice, null, a
number at the edge of its type, anything that is wrong) it leaves to `bodies`, which knows the whole law and names what
is at fault. Where it answers, both give the same data.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from pack.mlmodel.plan import ColumnPlan, Plan, TensorPlan
from pack.mlmodel.schema import TensorSpec
from pack.mlmodel.tables import frame_of_columns, text_of
from pack.mlmodel.types import DataType
from pack.serving.blocks import inputs_block, split_block
from pack.serving.parcels import Parcel, arrays, rows_of

Reader: TypeAlias = Callable[[bytes], "Parcel | None"]
# The end of a name: its quote and the colon. Where text ends in a colon of its own there are more of them than names.
_NAME = re.compile(rb'(?<!\\)"\s*:')
_INT32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_INT64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
# Up to here each whole number is one of the floats of so many bytes; what is beyond needs a closer look.
_EDGE = {2: 2**11, 4: 2**24, 8: 2**53}
_FLOAT = Annotated[float, msgspec.Meta(gt=-_EDGE[4], lt=_EDGE[4])]
_DOUBLE = Annotated[float, msgspec.Meta(gt=-_EDGE[8], lt=_EDGE[8])]
_NUMBER = _DOUBLE | Annotated[int, msgspec.Meta(gt=-_EDGE[8], lt=_EDGE[8])]
_TYPES: dict[DataType, Any] = {
    DataType.boolean: bool,
    DataType.integer: _INT32,
    DataType.long: _INT64,
    DataType.float: _FLOAT,
    DataType.double: _DOUBLE,
    DataType.string: str,
}
_DTYPES = {
    DataType.boolean: "bool",
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
}
_ODD = re.compile(r'[\\"\x00-\x1f]')
_WRONG = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def reader_of(plan: Plan, params: dict[str, Any]) -> Reader | None:
    """The reader of a model's bodies; None where its data needs a closer look each time.

    `params` are those of a call that gives none.
    """
    if type(plan) is ColumnPlan:
        return ColumnReader(plan, params) if _is_plain(plan) else None
    if type(plan) is TensorPlan:
        spec = plan.schema.inputs[0]
        return _tensors(spec, params) if isinstance(spec, TensorSpec) and len(plan.schema.inputs) == 1 else None
    return ArrayReader(list[list[_NUMBER]], _as_they_are, params) if type(plan) is Plan else None


class ColumnReader:
    """Bodies for columns with names, each of a plain type and required."""

    def __init__(self, plan: ColumnPlan, params: dict[str, Any]) -> None:
        self._names = [str(name) for name in plan.schema.input_names()]
        self._types: list[DataType] = [spec.type for spec in plan.schema.inputs]  # type: ignore[misc]
        self._params = params
        self._key = ("columns", repr(params))
        self._block = set(self._types) == {DataType.double}
        self._decode = msgspec.json.Decoder(_body_of_columns(self._names, self._types)).decode

    def __call__(self, body: bytes) -> Parcel | None:
        """The rows of a body; None where it needs a closer look."""
        if self._block and (block := split_block(body, self._names)) is not None:
            return self._parcel(block) if _come_once(body, 3) else None
        try:
            found = self._decode(body)
        except _WRONG:
            return None
        rows, names = self._rows(found)
        if not rows or not _come_once(body, names):
            return None
        if not self._block:
            return Parcel(rows, self._params, len(rows), self._key, self._frame)
        block = _array(rows, "float64")
        return None if block is None or block.shape[1:] != (len(self._names),) else self._parcel(block)

    def _parcel(self, block: Any) -> Parcel | None:
        if not _is_exact(block):
            return None
        return Parcel(block, self._params, len(block), self._key, self._frame_of_block)

    def _rows(self, found: Any) -> tuple[list[Any], int]:
        """The rows, and how many names stand in such a body."""
        split = found.dataframe_split
        if split is not None:
            return (split.data if split.columns == self._names else []), 3
        records = found.dataframe_records or found.inputs or found.instances or ()
        return [msgspec.structs.astuple(record) for record in records], 1 + len(records) * len(self._names)

    @cached_property
    def _labels(self) -> Any:
        import pandas as pd

        return pd.Index(self._names)

    def _frame_of_block(self, parts: Sequence[Any]) -> Any:
        import pandas as pd

        return pd.DataFrame(arrays(parts), columns=self._labels, copy=False)

    def _frame(self, parts: Sequence[list[Any]]) -> Any:
        cells = zip(*rows_of(parts), strict=True)
        columns = [_column(kind, list(values)) for kind, values in zip(self._types, cells, strict=True)]
        return frame_of_columns(self._names, columns)


class ArrayReader:
    """Bodies of one array: `inputs` or `instances` with lists of the type `nested`, of which `make` makes the array."""

    def __init__(
        self, nested: Any, make: Callable[[Any], Any], params: dict[str, Any], *, name: Any = None, width: int = 0
    ) -> None:
        fields = [(key, nested | None, None) for key in ("inputs", "instances")]
        body: Any = msgspec.defstruct("Body", fields, forbid_unknown_fields=True)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(body).decode
        self._make = make
        self._params = params
        self._shown = repr(params)
        self._name = name
        self._width = width

    def __call__(self, body: bytes) -> Parcel | None:
        """The array of a body; None where it needs a closer look."""
        value = inputs_block(body, self._width) if self._width else None
        if value is None:
            try:
                found = self._decode(body)
            except _WRONG:
                return None
            value = found.inputs or found.instances or None
        array = self._make(value) if value is not None and body.count(b":") == 1 else None
        if array is None:
            return None
        key = ("array", array.dtype, array.shape[1:], self._shown)
        return Parcel(array, self._params, len(array), key, arrays if self._name is None else self._named)

    def _named(self, parts: Sequence[Any]) -> Any:
        return {self._name: arrays(parts)}


def _is_plain(plan: ColumnPlan) -> bool:
    specs = plan.schema.inputs
    names = plan.schema.input_names()
    return (
        plan.schema.has_input_names()
        and all(isinstance(name, str) and not _ODD.search(name) for name in names)
        and all(isinstance(spec.type, DataType) and spec.type in _TYPES and spec.required for spec in specs)
    )


def _body_of_columns(names: list[str], types: list[DataType]) -> Any:
    """The type of a body whose rows hold these columns in this order."""
    kinds = [_TYPES[type_] for type_ in types]
    fields = [f"c{place}" for place in range(len(names))]
    record = msgspec.defstruct(
        "Record",
        list(zip(fields, kinds, strict=True)),
        forbid_unknown_fields=True,
        rename=dict(zip(fields, names, strict=True)),
    )
    row = list[float] if set(types) == {DataType.double} else tuple[tuple(kinds)]  # type: ignore[misc]
    split = msgspec.defstruct("Split", [("columns", list[str]), ("data", list[row])], forbid_unknown_fields=True)  # type: ignore[valid-type]
    keys = [(key, list[record] | None, None) for key in ("dataframe_records", "inputs", "instances")]  # type: ignore[valid-type]
    return msgspec.defstruct("Body", [("dataframe_split", split | None, None), *keys], forbid_unknown_fields=True)


def _come_once(body: bytes, names: int) -> bool:
    """Whether so many names stand in a body, each of which is known to stand there at least once."""
    # After the last quote, and what it names, there are but numbers.
    end = body.find(b"[", body.rfind(b'"'))
    end = len(body) if end < 0 else end
    return body.count(b":", 0, end) == names or len(_NAME.findall(body, 0, end)) == names


def _column(kind: DataType, cells: list[Any]) -> Any:
    """One column of cells that are of the declared type."""
    return text_of(cells) if kind is DataType.string else np.array(cells, dtype=_DTYPES[kind])


def _tensors(spec: TensorSpec, params: dict[str, Any]) -> Reader | None:
    kind, shape = spec.type.kind, spec.shape
    if kind not in "fiub" or not shape or shape[0] != -1 or spec.type.itemsize > 8:
        return None
    nested: Any = {"f": float, "b": bool}.get(kind, _INT64)
    for _ in shape:
        nested = list[nested]

    def make(value: Any) -> Any:
        array = _array(value, {"f": "float64", "b": "bool"}.get(kind, "int64"))
        if array is None or array.ndim != len(shape):
            return None
        fits = all(declared in {-1, came} for declared, came in zip(shape, array.shape, strict=True))
        return _narrowed(array, spec.type) if fits else None

    width = shape[1] if kind == "f" and len(shape) == 2 else 0
    return ArrayReader(nested, make, params, name=spec.name, width=max(width, 0))


def _as_they_are(value: Any) -> Any:
    """An array for a model that declares none: whole numbers stay whole, numbers of both kinds are doubles."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    return array if array.dtype in {np.dtype("int64"), np.dtype("float64")} else None


def _array(value: Any, dtype: str) -> Any:
    try:
        return np.array(value, dtype=dtype)
    except (ValueError, OverflowError):
        return None


def _narrowed(array: Any, dtype: Any) -> Any:
    """An array as its declared dtype; None where a value needs a closer look."""
    if not array.size:
        return None
    if array.dtype.kind == "f":
        return array.astype(dtype, copy=False) if _is_exact(array, dtype.itemsize) else None
    if array.dtype == dtype:
        return array
    limits = np.iinfo(dtype)
    return array.astype(dtype) if limits.min <= array.min() and array.max() <= limits.max else None


def _is_exact(array: Any, size: int = 8) -> bool:
    edge = _EDGE[size]
    return bool(array.max() < edge and array.min() > -edge)
