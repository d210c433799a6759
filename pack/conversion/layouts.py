"""From a signature to the inputs of a graph: a column for each, one matrix of them, or tensors as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from pack.conversion.base import Input, Layout
from pack.conversion.source import Source
from pack.errors import InvalidValue
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.types import DataType

_COLUMNS = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "str",
}
MATRIX = "rows"


def tabular(source: Source, number: str, *, by_column: bool = False) -> Layout:
    """The layout for a model of tables, whose numbers the body takes as `number`.

    Columns that are numbers make one matrix, as do columns that are all text; with `by_column`, or where text stands
    beside numbers, each column is an input by its name.
    """
    schema = source.signature.inputs
    if schema is None or schema.is_tensor_spec():
        return Layout((_matrix(source, schema, number),))
    kinds = [_kind(spec) for spec in schema]
    alike = len({kind == "str" for kind in kinds}) == 1
    if not by_column and alike and (len(set(kinds)) == 1 or "bool" not in kinds):
        given = str(np.result_type(*kinds)) if "str" not in kinds else "str"
        return Layout((Input(MATRIX, given, _inner(given, number), (-1, len(kinds)), is_column=False),))
    if not schema.has_input_names():
        raise InvalidValue("columns of several kinds need names", hint="log the model with a frame as its example")
    names = map(str, schema.input_names())
    inputs = tuple(Input(name, kind, _inner(kind, number)) for name, kind in zip(names, kinds, strict=True))
    return Layout(inputs, joined=alike and not by_column)


def numeric(source: Source, number: str, *, library: str) -> Layout:
    """The layout for a model of numbers alone; raises `InvalidValue` naming a column of text."""
    layout = tabular(source, number)
    texts = [one.name for one in layout.inputs if one.given == "str"]
    if texts:
        schema = source.signature.inputs
        named = (
            [str(name) for name, spec in schema.input_dict().items() if spec.type is DataType.string] if schema else []
        )
        raise InvalidValue(
            f"{', '.join(named) or 'the input'} holds text, and {library} converts models of numbers only",
            hint="encode text as numbers before the model is fitted, such as in a scikit-learn pipeline",
        )
    return layout


def tensors(source: Source) -> Layout:
    """The layout for a model of arrays: each as it is declared; raises `InvalidValue` for one of columns."""
    schema = source.signature.inputs
    if schema is None or not schema.is_tensor_spec():
        raise InvalidValue(
            f"its signature has columns, and {source.flavor} models of arrays are converted",
            hint="log it with an array, or a dict of arrays, as its example",
        )
    return Layout(tuple(_tensor(spec, at) for at, spec in enumerate(schema)))


def _tensor(spec: Any, at: int) -> Input:
    name = f"input{at or ''}" if spec.name is None else str(spec.name)
    if spec.type.kind not in "fiub":
        raise InvalidValue(f"{name} is an array of {spec.type}, and arrays of numbers are converted")
    return Input(name, str(spec.type), str(spec.type), spec.shape, is_column=False)


def _matrix(source: Source, schema: Schema | None, number: str) -> Input:
    spec = schema.inputs[0] if schema is not None and len(schema) == 1 else None
    if not isinstance(spec, TensorSpec) or len(spec.shape) != 2 or not hasattr(source.example, "shape"):
        raise InvalidValue(f"a table has two dimensions, the signature says {schema}", hint="give an example of rows")
    width = int(source.example.shape[1])
    given = "str" if spec.type.kind in "UO" else str(spec.type)
    return Input(MATRIX, given, _inner(given, number), (-1, width), is_column=False)


def _kind(spec: Any) -> str:
    found = _COLUMNS.get(str(spec.type)) if isinstance(spec, ColSpec) and isinstance(spec.type, DataType) else None
    if found is None:
        raise InvalidValue(
            f"column {spec.name!r} is {spec.type!r}, which no graph takes",
            hint="convert it to numbers or text before the model, and log it so",
        )
    # Whole numbers that may be missing come as fractions.
    return "float64" if not spec.required and found in {"bool", "int32", "int64"} else found


def _inner(given: str, number: str) -> str:
    return "str" if given == "str" else number
