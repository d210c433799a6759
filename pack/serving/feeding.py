"""Tensors of a request as the data that a model takes: one array, arrays by name, or columns.

Values go through the model's own plan, so what would change one is refused here as it is in process.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pack.errors import BadRequest, SchemaMismatch
from pack.mlmodel import wire
from pack.mlmodel.nested import decode, listed
from pack.mlmodel.plan import ColumnPlan, Plan, TensorPlan
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.tables import frame_of_columns, text_of
from pack.mlmodel.texts import text_array, together
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, SparkMLVector
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.bodies import parse_json
from pack.serving.tensors import BYTES, Tensor, objects_of, texts_of

_NESTED = (Array, Object, Map, AnyType, SparkMLVector)


def data_of(tensors: Sequence[Tensor], model: PyFuncModel) -> Any:
    """The data that the model is called with; raises `SchemaMismatch` or `BadRequest` naming the tensor or column."""
    plan = model.plan
    if isinstance(plan, ColumnPlan):
        if len(tensors) == 1 and _is_block(tensors[0], plan.schema):
            return array_data(plan, tensors[0].values, f"tensor {tensors[0].name!r}")
        return plan.wire_table(_frame(tensors, plan.schema))
    if isinstance(plan, TensorPlan):
        return plan.data(_declared(tensors, plan.schema))
    if model.metadata.is_signature_from_type_hint:
        return plan.data(_items(tensors, model.signature.inputs if model.signature else None))
    arrays = together((tensor.name, _plain(tensor)) for tensor in tensors)
    return plan.data(arrays if len(tensors) > 1 else arrays[tensors[0].name])


def array_data(plan: Plan, array: Any, what: str = "the array") -> Any:
    """One array as the data that a plan gives the model: for declared columns it holds them side by side, in order."""
    if not isinstance(plan, ColumnPlan):
        return plan.data(array)
    import pandas as pd

    width = array.shape[1] if array.ndim == 2 else 1
    names = plan.schema.input_names()
    if array.ndim not in {1, 2} or width != len(names):
        shape = list(array.shape)
        raise SchemaMismatch(f"{what} has the shape {shape}, [rows, {len(names)}] is needed for the declared columns")
    return plan.data(pd.DataFrame(array.reshape(-1, width), columns=pd.Index(names, tupleize_cols=False)))


def label_of(spec: ColSpec | TensorSpec, place: int, prefix: str) -> str:
    """The name of a column or tensor in the protocol: `input-0` and so on where it has none, as MLServer says it."""
    return f"{prefix}-{place}" if spec.name is None else str(spec.name)


def _is_block(tensor: Tensor, schema: Schema) -> bool:
    """Whether one tensor holds all columns side by side."""
    if tensor.datatype == BYTES or tensor.values.ndim != 2:
        return False
    if len(schema) == tensor.values.shape[1] > 1:
        return True
    return tensor.name not in {label_of(spec, place, "input") for place, spec in enumerate(schema)}


def _frame(tensors: Sequence[Tensor], schema: Schema) -> Any:
    """A frame of one column for each tensor, under the declared names; the plan says what is missing or too much."""
    names = {label_of(spec, place, "input"): name for place, (spec, name) in enumerate(_named(schema))}
    if len(tensors) == 1 and len(schema) == 1 and not schema.has_input_names():
        names[tensors[0].name] = 0
    specs = {name: spec for spec, name in _named(schema)}
    labels = [names.get(tensor.name, tensor.name) for tensor in tensors]
    columns = [_column(specs.get(label), label, tensor) for label, tensor in zip(labels, tensors, strict=True)]
    return frame_of_columns(labels, columns)


def _named(schema: Schema) -> list[tuple[ColSpec, str | int]]:
    return list(zip(schema.inputs, schema.input_names(), strict=True))  # type: ignore[arg-type]


def _column(spec: ColSpec | None, label: str | int, tensor: Tensor) -> Any:
    """A tensor of shape [rows] or [rows, 1] as a column; a declared list may have its items in further dimensions."""
    values = tensor.values
    if (
        spec is not None
        and isinstance(spec.type, (Array, SparkMLVector))
        and values.ndim > 1
        and tensor.datatype != BYTES
    ):
        return _objects(values.tolist())
    if values.ndim != 1 and values.shape[1:] != (1,):
        shape = list(values.shape)
        raise BadRequest(f"tensor {tensor.name!r} is a column: its shape is {shape}, [rows] or [rows, 1] is needed")
    if tensor.datatype != BYTES:
        return values.ravel()
    cells = values.ravel().tolist()
    if spec is not None and spec.type is DataType.binary and all(isinstance(cell, bytes) for cell in cells):
        return _objects(cells)
    cells = _json_cells(tensor) if spec is not None and isinstance(spec.type, _NESTED) else texts_of(tensor)
    if spec is None or (spec.type is DataType.string and None not in cells):
        return text_of(cells)
    return wire.frame_of({label: spec}, [label], [[cell] for cell in cells]).iloc[:, 0]


def _json_cells(tensor: Tensor) -> list[Any]:
    """Nested values: each is the text of a JSON value."""
    found: list[Any] = []
    for text in texts_of(tensor):
        try:
            found.append(None if text is None else parse_json(text.encode()))
        except BadRequest as error:
            raise BadRequest(f"tensor {tensor.name!r}: value {len(found)} is not JSON text") from error
    return found


def _objects(cells: list[Any]) -> Any:
    import pandas as pd

    return pd.Series(cells, dtype=object)


def _declared(tensors: Sequence[Tensor], schema: Schema) -> Any:
    """The declared tensors: one without a name under any name, or each under its own."""
    specs: tuple[TensorSpec, ...] = schema.inputs  # type: ignore[assignment]
    if specs[0].name is None:
        if len(tensors) != 1:
            raise SchemaMismatch(f"the model takes one tensor, {len(tensors)} came")
        return _array(specs[0], tensors[0])
    known = {str(spec.name): spec for spec in specs}
    extra = [tensor.name for tensor in tensors if tensor.name not in known]
    if extra:
        raise SchemaMismatch(
            f"tensors are not declared: {listed(extra)}", hint=f"the model takes: {listed(known, most=20)}"
        )
    return together((known[tensor.name].name, _array(known[tensor.name], tensor)) for tensor in tensors)


def _array(spec: TensorSpec, tensor: Tensor) -> Any:
    """A tensor as an array; BYTES as text, bytes, dates or objects, whichever is declared."""
    if tensor.datatype != BYTES:
        return tensor.values
    shape = tensor.values.shape
    if spec.type.kind == "O":
        return objects_of(texts_of(tensor), shape)
    if spec.type.kind == "S":
        encoded = [value.encode() if isinstance(value, str) else value for value in tensor.values.ravel().tolist()]
        return text_array(f"tensor {tensor.name!r}", encoded, "S").reshape(shape)
    if spec.type.kind == "M":
        return np.array([_date(tensor.name, text) for text in texts_of(tensor)], spec.type).reshape(shape)
    return text_array(f"tensor {tensor.name!r}", texts_of(tensor)).reshape(shape)


def _date(name: str, text: str | None) -> Any:
    try:
        value = decode(DataType.datetime, text)
    except ValueError as error:
        raise BadRequest(f"tensor {name!r} {error}") from error
    return value.to_datetime64() if hasattr(value, "to_datetime64") else np.datetime64(value)


def _plain(tensor: Tensor) -> Any:
    """A tensor for a model that declares nothing: BYTES are text."""
    if tensor.datatype != BYTES:
        return tensor.values
    return text_array(f"tensor {tensor.name!r}", texts_of(tensor)).reshape(tensor.values.shape)


def _items(tensors: Sequence[Tensor], schema: Schema | None) -> list[Any]:
    """The list that a model with type hints takes: the values of one tensor, or one object for each row."""
    specs = {} if schema is None else {label_of(spec, 0, "input"): spec for spec in schema}
    if len(tensors) == 1 and (schema is None or not schema.has_input_names()):
        return _cells(None if schema is None else schema.inputs[0], tensors[0])
    columns = {tensor.name: _cells(specs.get(tensor.name), tensor) for tensor in tensors}
    lengths = sorted({len(cells) for cells in columns.values()})
    if len(lengths) > 1:
        raise BadRequest(f"the tensors are of different lengths: {lengths[:5]}")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _cells(spec: Any, tensor: Tensor) -> list[Any]:
    if tensor.datatype == BYTES:
        return _json_cells(tensor) if spec is not None and isinstance(spec.type, _NESTED) else texts_of(tensor)
    values = tensor.values.ravel() if tensor.values.shape[1:] == (1,) else np.atleast_1d(tensor.values)
    found: list[Any] = values.tolist()
    return found
