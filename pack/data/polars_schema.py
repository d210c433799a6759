"""The schema of a Polars table, from its dtypes alone: no value is looked at but for the largest of a UInt64."""

from __future__ import annotations

from typing import Any

from pack.errors import CannotInfer, InvalidValue
from pack.mlmodel import AnyType, Array, ColSpec, DataType, Object, Property, Schema
from pack.mlmodel.types import DTYPES, Type

_TYPES: dict[str, DataType] = {
    **DTYPES,
    "boolean": DataType.boolean,
    "string": DataType.string,
    "categorical": DataType.string,
    "enum": DataType.string,
    "binary": DataType.binary,
    "date": DataType.datetime,
    "datetime": DataType.datetime,
}


def polars_schema(frame: Any) -> Schema | None:
    """The columns of a Polars table as `infer_signature` has them; None where a column has no type."""
    try:
        return Schema([_column(series) for series in frame.iter_columns()])
    except InvalidValue:
        return None


def _column(series: Any) -> ColSpec:
    return ColSpec(_type(series.dtype, series), series.name, required=not series.null_count())


def _type(dtype: Any, series: Any = None) -> Type:
    name = dtype.base_type().__name__
    if name in {"List", "Array"}:
        return Array(_type(dtype.inner))
    if name == "Struct":
        return Object([Property(field.name, _type(field.dtype)) for field in dtype.fields])
    if name == "Null":
        return AnyType()
    if name == "UInt64" and series is not None and (series.max() or 0) < 2**63:
        return DataType.long
    found = _TYPES.get(name.lower())
    if found is None:
        raise CannotInfer(f"a Polars column of {dtype} has no type")
    return found
