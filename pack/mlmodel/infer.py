"""Signatures from examples.

What is found follows MLflow (interoperability facts, signature schema, section 4), with one law on top: data that a
signature was inferred from always passes it. Data that no signature can describe is `CannotInfer`, never silence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from pack.errors import CannotInfer
from pack.mlmodel.frames import as_frame, is_missing
from pack.mlmodel.nested import scalar_fits
from pack.mlmodel.params import infer_params
from pack.mlmodel.schema import MAX_COLUMNS, ColSpec, Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import MAX_DEPTH, AnyType, Array, DataType, Object, Property, Type

_DTYPES = {
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


def infer_signature(model_input: Any = None, model_output: Any = None, params: Any = None) -> ModelSignature:
    """The signature of an example input, the predictions for it, and the params with their defaults.

    `model_input` and `model_output`: a DataFrame, Series, array of shape (rows, ...), sparse matrix, dict or list of
    these, a Polars or Arrow table, or plain values. Raises `CannotInfer` where no signature can describe the data.

    >>> signature = infer_signature(frame, model.predict(frame))  # doctest: +SKIP
    """
    return ModelSignature(
        inputs=None if model_input is None else infer_schema(model_input),
        outputs=None if model_output is None else infer_schema(model_output, what="output"),
        params=infer_params(params) if params else None,
    )


def infer_schema(data: Any, *, what: str = "input") -> Schema:
    """The schema of one example; raises `CannotInfer` saying which column and why."""
    pandas = sys.modules.get("pandas")
    data = as_frame(data)
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _frame(data)
    if pandas is not None and isinstance(data, pandas.Series):
        return Schema([_column(data.name, data)])
    if pandas is not None and isinstance(data, pandas.Index):
        return infer_schema(data.to_series(), what=what)
    if type(data).__module__.startswith("scipy.sparse"):
        return Schema([TensorSpec(data.dtype, (-1, *data.shape[1:]))])
    if hasattr(data, "dtype") and hasattr(data, "shape"):
        return Schema([_tensor(data, None)])
    if isinstance(data, Mapping):
        return _mapping(data)
    if isinstance(data, (list, tuple)):
        return _list(data)
    return Schema([_value_column(None, [data], what)])


def infer_type(value: Any, where: str) -> Type:
    """The type of one plain value; raises `CannotInfer` naming where it stands."""
    return _merged([value], where, 0)


def _frame(frame: Any) -> Schema:
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].unique().tolist()
        raise CannotInfer(f"columns stand more than once: {twice[:5]}", hint="give each column a name of its own")
    if len(frame.columns) > MAX_COLUMNS:
        raise CannotInfer(
            f"a signature describes at most {MAX_COLUMNS:,} columns, this frame has {len(frame.columns):,}"
        )
    if not len(frame.columns):
        raise CannotInfer("the frame has no columns")
    return Schema([_column(_label(name), frame[name]) for name in frame.columns])


def _label(name: Any) -> str | int:
    """A column's name as JSON can hold it: text and whole numbers stay what they are."""
    if isinstance(name, str):
        return name
    if hasattr(name, "item"):
        name = name.item()
    if isinstance(name, int) and not isinstance(name, bool):
        return name
    raise CannotInfer(f"a column is named by {type(name).__name__}", hint="name columns by text or whole numbers")


def _column(name: Any, series: Any) -> ColSpec:
    where = f"column {name!r}"
    dtype = series.dtype
    if name is not None:
        name = _label(name)
    if str(dtype) == "category":
        series = series.astype(series.cat.categories.dtype)
        dtype = series.dtype
    missing = bool(series.isna().any())
    required = name is None or not missing
    return ColSpec(_dtype_type(dtype, series, where), name, required=required)


def _dtype_type(dtype: Any, series: Any, where: str) -> Type:
    name = str(getattr(dtype, "numpy_dtype", None) or dtype).lower()
    if name in _DTYPES:
        return _DTYPES[name]
    if name == "boolean":
        return DataType.boolean
    if name == "uint64":
        return _unsigned(series, where)
    if name.startswith("datetime64"):
        return DataType.datetime
    if name in {"str", "string"} or name.startswith("string["):
        return DataType.string
    if name == "object":
        return _merged(series.tolist(), where, 0)
    raise CannotInfer(f"{where} has dtype {dtype}, which no signature type can hold", hint="convert it first")


def _unsigned(series: Any, where: str) -> Type:
    if len(series.dropna()) and int(series.max()) >= 2**63:
        raise CannotInfer(f"{where} is uint64 with values of 2**63 and above, which no type holds", hint="cast it")
    return DataType.long


def _tensor(array: Any, name: str | None) -> TensorSpec:
    import numpy as np

    array = np.asarray(array)
    if array.dtype.kind not in "biufcSUMO":
        raise CannotInfer(f"an array of dtype {array.dtype} has no tensor type", hint="convert it first")
    shape = (-1, *array.shape[1:]) if array.ndim else ()
    return TensorSpec(array.dtype, shape, name)


def _mapping(data: Mapping[Any, Any]) -> Schema:
    if not data:
        raise CannotInfer("the dict is empty")
    arrays = [hasattr(value, "dtype") and hasattr(value, "shape") and value.shape != () for value in data.values()]
    if all(arrays):
        return Schema([_tensor(value, str(name)) for name, value in data.items()])
    if any(arrays):
        raise CannotInfer("the dict mixes arrays and other values", hint="give arrays for all names or for none")
    return Schema([_value_column(_label(name), [value], f"column {name!r}") for name, value in data.items()])


def _list(data: Sequence[Any]) -> Schema:
    if not data:
        return Schema([ColSpec(DataType.string)])
    if all(isinstance(item, Mapping) for item in data):
        names = list(dict.fromkeys(name for item in data for name in item))
        if not names:
            raise CannotInfer("the dicts in the list are empty")
        return Schema([_records_column(name, data) for name in names])
    return Schema([_value_column(None, data, "the list")])


def _records_column(name: Any, rows: Sequence[Mapping[Any, Any]]) -> ColSpec:
    spec = _value_column(_label(name), [row[name] for row in rows if name in row], f"column {name!r}")
    everywhere = all(name in row for row in rows)
    return ColSpec(spec.type, spec.name, required=spec.required and everywhere)


def _value_column(name: str | int | None, values: Sequence[Any], where: str) -> ColSpec:
    present = not any(is_missing(value) for value in values)
    return ColSpec(_merged(values, where, 0), name, required=name is None or present)


def _merged(values: Iterable[Any], where: str, depth: int) -> Type:
    """The one type that holds all these values; `any` where they are of several kinds or all missing."""
    if depth > MAX_DEPTH:
        raise CannotInfer(f"{where} is nested more than {MAX_DEPTH} levels deep")
    present = [_plain(value) for value in values if not is_missing(value)]
    kinds = {_kind(value, where) for value in present}
    if len(kinds) != 1:
        numbers = kinds == {DataType.long, DataType.double} and all(
            scalar_fits(DataType.double, one) for one in present
        )
        return DataType.double if numbers else AnyType()
    kind = kinds.pop()
    if kind is list:
        items = [item for value in present for item in value]
        return Array(_merged(items, f"{where}: an item", depth + 1)) if items else AnyType()
    if kind is dict:
        return _object(present, where, depth)
    if kind is DataType.long and not all(-(2**63) <= value < 2**63 for value in present):
        raise CannotInfer(f"{where} holds whole numbers beyond 64 bits", hint="store them as text or doubles")
    return kind  # type: ignore[no-any-return]


def _object(values: list[Any], where: str, depth: int) -> Type:
    names = list(dict.fromkeys(name for value in values for name in value))
    if not names or not all(isinstance(name, str) for name in names):
        return AnyType()
    members = []
    for name in names:
        found = [value[name] for value in values if name in value]
        required = len(found) == len(values) and not any(is_missing(item) for item in found)
        members.append(Property(name, _merged(found, f"{where}: {name!r}", depth + 1), required=required))
    return Object(members)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return value.tolist() if not str(value.dtype).startswith("datetime64") else _dates(value)
    return value.model_dump() if hasattr(value, "model_dump") else value


def _dates(value: Any) -> Any:
    """Dates as Python has them; only their kind matters here."""
    return value.astype("datetime64[us]").tolist()


def _kind(value: Any, where: str) -> Any:
    if isinstance(value, (list, tuple)):
        return list
    if isinstance(value, Mapping):
        return dict
    kinds = ((bool, DataType.boolean), (int, DataType.long), (float, DataType.double), (str, DataType.string))
    binary = ((bytes, DataType.binary), (bytearray, DataType.binary), (date, DataType.datetime))
    for python, kind in (*kinds, *binary):
        if isinstance(value, python):
            return kind
    raise CannotInfer(
        f"{where} holds {type(value).__name__}, which no signature type can hold",
        hint="convert it, or give a signature of your own with AnyType for this column",
    )
