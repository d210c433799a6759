"""Signatures from examples.

What is found follows MLflow (interoperability facts, signature schema, section 4), with one law on top: data that a
signature was inferred from always passes it. Data that no signature can describe is `CannotInfer`, never silence.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pack.errors import CannotInfer, InvalidValue
from pack.mlmodel.frames import as_frame, is_missing
from pack.mlmodel.nested import plain, scalar_fits
from pack.mlmodel.params import infer_params
from pack.mlmodel.schema import MAX_COLUMNS, ColSpec, Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import DTYPES, MAX_DEPTH, AnyType, Array, DataType, Object, Property, Type

# Python's types, narrow ones first: a bool is an int, too.
_KINDS: dict[type, Any] = {
    bool: DataType.boolean,
    int: DataType.long,
    float: DataType.double,
    str: DataType.string,
    bytes: DataType.binary,
    bytearray: DataType.binary,
    date: DataType.datetime,
    list: list,
    tuple: list,
    dict: dict,
    Mapping: dict,
}
_WHOLE = {DataType.integer, DataType.long}
_FRACTIONS = {DataType.float, DataType.double}


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
    data = as_frame(data)
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, (pandas.Index, pandas.api.extensions.ExtensionArray)):
        data = pandas.Series(data)
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _frame(data)
    if pandas is not None and isinstance(data, pandas.Series):
        return Schema([_column(data.name, data)])
    if type(data).__module__.startswith("scipy.sparse"):
        return Schema([TensorSpec(data.dtype, (-1, *data.shape[1:]))])
    if _is_array(data):
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
    label = None if name is None else _label(name)
    missing = bool(series.isna().any())
    if str(series.dtype) == "category":
        series = series.cat.categories.to_series()
    kind = _series_type(series, where)
    return _spec(label, kind, missing=missing or (isinstance(kind, AnyType) and not len(series)))


def _spec(name: str | int | None, kind: Type, *, missing: bool) -> ColSpec:
    """A column that may have gaps is not required; one without a name always is, and may have gaps all the same."""
    return ColSpec(kind, name, required=name is None or not missing)


def _series_type(series: Any, where: str) -> Type:
    dtype = series.dtype.subtype if type(series.dtype).__name__ == "SparseDtype" else series.dtype
    name = str(getattr(dtype, "numpy_dtype", dtype).name).lower()
    if name in {"boolean", *DTYPES}:
        return DTYPES.get(name, DataType.boolean)
    if name == "uint64":
        return _unsigned(series.dropna(), where)
    if name.startswith("datetime64"):
        return DataType.datetime
    if name in {"str", "string"} or name.startswith("string["):
        return DataType.string
    if name == "object":
        return _merged(series.tolist(), where, 0)
    raise CannotInfer(f"{where} has dtype {dtype}, which no signature type can hold", hint="convert it first")


def _unsigned(values: Any, where: str) -> Type:
    if len(values) and int(values.max()) >= 2**63:
        raise CannotInfer(f"{where} is uint64 with values of 2**63 and above, which no type holds", hint="cast it")
    return DataType.long


def _is_array(data: Any) -> bool:
    """Whether data is an array with dimensions; arrays of frameworks count, a NumPy scalar does not."""
    import numpy as np

    return isinstance(data, np.ndarray) or (hasattr(data, "dtype") and getattr(data, "shape", ()) != ())


def _tensor(array: Any, name: str | int | None) -> TensorSpec:
    import numpy as np

    try:
        array = np.asarray(array)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CannotInfer(f"{type(array).__name__} makes no array: {error}", hint="give a NumPy array") from error
    shape = (-1, *array.shape[1:]) if array.ndim else ()
    try:
        return TensorSpec(array.dtype, shape, name)
    except InvalidValue as error:
        what = "an array" if name is None else f"the array {name!r}"
        raise CannotInfer(f"{what} of dtype {array.dtype} has no tensor type", hint="convert it first") from error


def _mapping(data: Mapping[Any, Any]) -> Schema:
    if not data:
        raise CannotInfer("the dict is empty")
    pandas = sys.modules.get("pandas")
    if pandas is not None and all(isinstance(value, pandas.Series) for value in data.values()):
        return _frame(pandas.DataFrame(data))
    if all(_is_array(value) and value.shape for value in data.values()):
        return Schema([_tensor(value, _label(name)) for name, value in data.items()])
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
    return _spec(name, _merged(values, where, 0), missing=any(is_missing(value) for value in values))


def _merged(values: Sequence[Any], where: str, depth: int) -> Type:
    """The one type that holds all these values; `any` where they are of several kinds or all missing."""
    if depth > MAX_DEPTH:
        raise CannotInfer(f"{where} is nested more than {MAX_DEPTH} levels deep")
    if (alike := _alike(values)) is not None:
        return alike
    present = [_unwrapped(value) for value in values if not is_missing(value)]
    each = [_kind(value, where) for value in present or _not_numbers(values)]
    kinds = set(each)
    if kinds == {list}:
        return _items(present, where, depth)
    if kinds == {dict}:
        return _object(present, where, depth)
    if any(not -(2**63) <= value < 2**63 for value, kind in zip(present, each, strict=False) if kind in _WHOLE):
        raise CannotInfer(f"{where} holds whole numbers beyond 64 bits", hint="store them as text or doubles")
    return next(iter(kinds)) if len(kinds) == 1 else _number(kinds, present)


def _alike(values: Sequence[Any]) -> DataType | None:
    """The type of values that are all of one plain Python type, found without a look at each; None for others."""
    kinds = set(map(type, values))
    if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return DataType.long
    if kinds == {float}:
        return DataType.double
    present = kinds - {type(None)}
    plain: dict[type, DataType] = {bool: DataType.boolean, str: DataType.string, bytes: DataType.binary}
    return plain.get(present.pop()) if len(present) == 1 else None


def _not_numbers(values: Sequence[Any]) -> Sequence[Any]:
    """The values where all are NaN: that is the one missing value whose type is known."""
    return values if all(isinstance(value, float) for value in values) else []


def _number(kinds: set[Any], values: list[Any]) -> Type:
    """The wider of two kinds of numbers, where it holds them all exactly."""
    if kinds and kinds <= _WHOLE:
        return DataType.long
    if kinds and kinds <= _WHOLE | _FRACTIONS and all(scalar_fits(DataType.double, plain(value)) for value in values):
        return DataType.double
    return AnyType()


def _items(values: list[Any], where: str, depth: int) -> Type:
    """The type of lists: of arrays of one dtype from their dtype alone, else from all their items."""
    arrays = {(value.dtype, value.ndim) if _is_array(value) else None for value in values}
    found = _dtype_type(values[0].dtype) if len(arrays) == 1 and None not in arrays else None
    if found is not None:
        for value in values if values[0].dtype.name == "uint64" else ():
            _unsigned(value.ravel(), where)
        return _nest(found, values[0].ndim)
    items = [item for value in values for item in value]
    return Array(_merged(items, f"{where}: an item", depth + 1)) if items else AnyType()


def _nest(kind: Type, depth: int) -> Type:
    return kind if depth == 0 else Array(_nest(kind, depth - 1))


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


def _unwrapped(value: Any) -> Any:
    """An array without dimensions as its scalar, what other libraries make of lists and dicts as these."""
    if type(value) in _KINDS:
        return value
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        if type(value).__module__ != "numpy":
            return value.tolist()
        return value[()] if type(value).__name__ == "ndarray" and value.shape == () else value
    return value.model_dump() if hasattr(value, "model_dump") else value


def _kind(value: Any, where: str) -> Any:
    """The scalar type of a value, or `list` or `dict`."""
    found = _KINDS.get(type(value))
    if found is None and getattr(value, "shape", ()) != ():
        return list
    if found is None and hasattr(value, "dtype"):
        found = _dtype_type(value.dtype)
    if found is None:
        found = next((kind for python, kind in _KINDS.items() if isinstance(value, python)), None)
    if found is None:
        raise CannotInfer(
            f"{where} holds {type(value).__name__}, which no signature type can hold",
            hint="convert it, or give a signature of your own with AnyType for this column",
        )
    return found


def _dtype_type(dtype: Any) -> DataType | None:
    """The type of a NumPy value by its dtype alone; None where it has none."""
    if dtype.name == "uint64":
        return DataType.long
    by_kind = {"U": DataType.string, "S": DataType.binary, "M": DataType.datetime}
    return DTYPES.get(dtype.name) or by_kind.get(dtype.kind)
