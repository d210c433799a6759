"""Bodies to start from: the example that a model was saved with, else one made from its signature."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, NamedTuple

from pack.errors import PackError
from pack.mlmodel.examples import EXAMPLE, SERVING, serving_example
from pack.mlmodel.schema import ColSpec, Schema, Spec, TensorSpec
from pack.mlmodel.types import Array, DataType, Object, SparkMLVector, Type
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.bodies import parse_json
from pack.serving.encoding import encode
from pack.serving.shapes import told

MOST_BYTES = 64 * 1024
# Files beyond this are not even read.
_MOST_READ = 4 * 1024 * 1024
_MOST_ROWS = 5
_MOST_ITEMS = 1000
# What an example that lies can make its reader raise.
_DAMAGE = (PackError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, ImportError, OSError)
_ZEROS: dict[DataType, Any] = {
    DataType.boolean: False,
    DataType.integer: 0,
    DataType.long: 0,
    DataType.float: 0.0,
    DataType.double: 0.0,
    DataType.string: "",
    DataType.binary: "",
    DataType.datetime: "2026-01-01T00:00:00Z",
}


class ExampleBody(NamedTuple):
    """A JSON body for a model; `is_made` where it is but made from the signature, and its values mean nothing."""

    value: Any
    is_made: bool


def example_body(model: PyFuncModel) -> ExampleBody:
    """The body of the model's own example, its first rows where it is long; else one of zeros and empty text.

    An example that is missing, damaged or too large is passed over: this raises nothing.
    """
    for read in (_saved, _encoded):
        try:
            text = read(model)
            found = None if text is None else _first_rows(parse_json(text.encode()))
        except (*_DAMAGE, RecursionError):
            continue
        if found is not None:
            return ExampleBody(found, is_made=False)
    return ExampleBody(_made(model), is_made=True)


def _saved(model: PyFuncModel) -> str | None:
    """The text of the serving example that lies in the model's folder."""
    return serving_example(model.home, model.metadata) if _is_small(model, SERVING) else None


def _encoded(model: PyFuncModel) -> str | None:
    """The input example as a body, for a model of an MLflow that kept no serving example."""
    example = model.input_example if _is_small(model, EXAMPLE) else None
    if example is None:
        return None
    key = "dataframe_records" if hasattr(example, "columns") else "inputs"
    return f'{{"{key}": {encode(example, wrapped=False).decode()}}}'


def _is_small(model: PyFuncModel, name: str) -> bool:
    path = model.home / name
    return path.is_file() and path.stat().st_size <= _MOST_READ


def _first_rows(body: Any) -> Any:
    """The body itself where it is short, else its first rows; None where they are long, too."""
    if len(json.dumps(body)) > MOST_BYTES and isinstance(body, dict):
        split = body.get("dataframe_split")
        if isinstance(split, dict) and isinstance(split.get("data"), list):
            kept = {key: split[key] for key in ("columns", "data") if key in split}
            body = {**body, "dataframe_split": {**kept, "data": split["data"][:_MOST_ROWS]}}
        lists = {key: value[:_MOST_ROWS] for key, value in body.items() if isinstance(value, list)}
        body = {**body, **lists}
    return body if isinstance(body, dict) and len(json.dumps(body)) <= MOST_BYTES else None


def _made(model: PyFuncModel) -> dict[str, Any]:
    """A body as the signature wants it."""
    signature = model.signature
    schema = signature.inputs if signature else None
    body = {"inputs": []} if schema is None else _of_schema(schema, by_hint=model.metadata.is_signature_from_type_hint)
    if signature is not None and signature.params:
        body["params"] = {param.name: told(param) for param in signature.params}
    return body if len(json.dumps(body)) <= MOST_BYTES else {"inputs": []}


def _of_schema(schema: Schema, *, by_hint: bool) -> dict[str, Any]:
    if not schema.has_input_names():
        row = [_zero(spec) for spec in islice(schema, _MOST_ITEMS)]
        single = schema.is_tensor_spec() or by_hint
        return {"inputs": row[0] if schema.is_tensor_spec() else row if single or len(row) == 1 else [row]}
    named = {str(name): _zero(spec) for name, spec in zip(schema.input_names(), islice(schema, _MOST_ITEMS))}  # noqa: B905
    if schema.is_tensor_spec():
        return {"inputs": named}
    return {"inputs" if by_hint else "dataframe_records": [named]}


def _zero(spec: Spec) -> Any:
    return _of_type(spec.type) if isinstance(spec, ColSpec) else _zeros(spec)


def _of_type(kind: Type) -> Any:
    if isinstance(kind, DataType):
        return _ZEROS[kind]
    if isinstance(kind, Object):
        return {member.name: _of_type(member.dtype) for member in kind.properties if member.required}
    if isinstance(kind, Array):
        return [_of_type(kind.dtype)]
    return [0.0] if isinstance(kind, SparkMLVector) else {}


def _zeros(spec: TensorSpec) -> Any:
    """One item in each dimension that is free; an empty list for a tensor that is large."""
    sizes = [max(1, size) if size else 0 for size in spec.shape]
    total = 1
    for size in sizes:
        total *= size
    if total > _MOST_ITEMS:
        return []
    found: Any = {"b": False, "U": "", "S": "", "f": 0.0, "c": 0.0, "M": "2026-01-01"}.get(spec.type.kind, 0)
    for size in reversed(sizes):
        found = [found] * size
    return found
