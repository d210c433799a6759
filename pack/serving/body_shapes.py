"""The bodies of requests and answers as JSON Schema, from a model's signature.

The forms of bodies are MLflow's (interoperability facts, scoring protocol, section 2); what is said here is what the
model's plan takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pack.mlmodel.params import ParamSpec
from pack.mlmodel.schema import Schema, Spec, TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import Array, DataType, Object
from pack.serving.shapes import Shape, any_of, or_null, param_shape, params_shape, tensor_shape, type_shape

# A body with one of these is taken as language models take it: without one of the four keys around the data.
LLM_KEYS = frozenset({"input", "messages", "prompt"})
# Types of which a missing value is one, whether or not the column must be there.
_WITH_GAPS = {DataType.float, DataType.double, DataType.string, DataType.binary, DataType.datetime}
# With more columns than this each is told once, in the row, so that the description stays one that can be loaded.
MOST_TOLD = 1000


def shapes_of(signature: ModelSignature | None, prefix: str, *, by_hint: bool = False) -> dict[str, Shape]:
    """The named shapes of one model: `Body` and `Answer`, and what they refer to, each name behind the prefix.

    With `by_hint` the model takes but a list of what its type hints say.
    """
    inputs = signature.inputs if signature else None
    params = signature.params if signature else None
    found: dict[str, Shape] = {}
    if params:
        found[f"{prefix}.Params"] = params_shape(params)
    if inputs is not None and not inputs.is_tensor_spec():
        found[f"{prefix}.Row"] = _row(inputs)
    keys = _hinted(inputs, prefix) if by_hint and inputs else _keys(inputs, prefix)
    bare = _bare(inputs, params or ())
    found[f"{prefix}.Body"] = _body(keys, _ref(prefix, "Params") if params else None, bare)
    found[f"{prefix}.Answer"] = _answer(signature.outputs if signature else None, is_bare=bare is not None)
    return found


def _ref(prefix: str, name: str) -> Shape:
    return {"$ref": f"#/components/schemas/{prefix}.{name}"}


def _body(keys: Mapping[str, Shape], params: Shape | None, bare: Shape | None) -> Shape:
    beside = {} if params is None else {"params": params}
    forms: list[Shape] = [
        {"title": key, "type": "object", "properties": {key: shape, **beside}, "required": [key]}
        for key, shape in keys.items()
    ]
    return {"oneOf": forms if bare is None else [*forms, bare]}


def _keys(inputs: Schema | None, prefix: str) -> dict[str, Shape]:
    """What may stand under each of the four keys of a body."""
    if inputs is None:
        lists: Shape = {"type": ["array", "object"]}
        return {**_tables(), "instances": lists, "inputs": {}}
    if inputs.is_tensor_spec():
        specs = [spec for spec in inputs if isinstance(spec, TensorSpec)]
        values = _tensors(specs)
        return {
            **(_tables_of(specs) if all(len(spec.shape) <= 2 for spec in specs) else {}),
            "instances": values,
            "inputs": values,
        }
    values = _columns(inputs, prefix) if inputs.has_input_names() else _unnamed(inputs)
    records = _records(inputs, prefix)
    return {"dataframe_split": _split(inputs), "dataframe_records": records, "instances": values, "inputs": values}


def _hinted(inputs: Schema, prefix: str) -> dict[str, Shape]:
    single = not inputs.has_input_names() and len(inputs) == 1
    return {"inputs": {"type": "array", "items": _value(inputs.inputs[0]) if single else _ref(prefix, "Row")}}


def _tables() -> dict[str, Shape]:
    """Tables of which nothing is declared."""
    rows: Shape = {"type": "array", "items": {"type": "array"}}
    names: Shape = {"type": ["array", "null"], "items": {"type": ["string", "integer"]}, "uniqueItems": True}
    split: Shape = {
        "type": "object",
        "properties": {"columns": names, "data": rows, "index": {}},
        "required": ["data"],
        "additionalProperties": False,
    }
    return {"dataframe_split": split, "dataframe_records": {"type": "array", "items": {"type": "object"}}}


def _tables_of(specs: list[TensorSpec]) -> dict[str, Shape]:
    """Tables whose columns are the tensors, or those of the one tensor that has no name."""
    found = _tables()
    width = len(specs) if specs[0].name is not None else specs[0].shape[-1] if len(specs[0].shape) == 2 else 1
    if width >= 0:
        bounds = {"minItems": width, "maxItems": width}
        found["dataframe_split"]["properties"]["columns"] |= bounds
        found["dataframe_split"]["properties"]["data"]["items"] |= bounds
        found["dataframe_records"] |= {"minItems": 1}
        found["dataframe_records"]["items"] |= {"minProperties": width, "maxProperties": width}
    return found


def _records(schema: Schema, prefix: str) -> Shape:
    """A list of records; one without any would name no columns."""
    found: Shape = {"type": "array", "items": _ref(prefix, "Row")}
    return {**found, "minItems": 1} if schema.required_input_names() else found


def _row(schema: Schema) -> Shape:
    """One record: each column under its name; a gap is null."""
    found: Shape = {
        "type": "object",
        "properties": {str(name): _value(spec) for name, spec in zip(schema.input_names(), schema, strict=True)},
        "additionalProperties": False,
    }
    required = list(dict.fromkeys(str(name) for name in schema.required_input_names()))
    return {**found, "required": required} if required else found


def _split(schema: Schema) -> Shape:
    names = schema.input_names()
    listed = [*names, *(str(name) for name in names if not isinstance(name, str) and str(name) not in names)]
    least = len(schema.required_input_names())
    row: Shape = {"type": "array", "minItems": least, "maxItems": len(names), "items": any_of(map(_value, schema))}
    columns: Shape = {"type": "array", "items": {"enum": listed}, "uniqueItems": True, "minItems": least}
    if len(names) > MOST_TOLD:
        columns["items"] = {"type": ["string", "integer"]}
    return {
        "type": "object",
        "properties": {
            "columns": columns,
            "data": {"type": "array", "items": row, "description": "Rows, their values in the order of `columns`."},
            "index": {},
        },
        "required": ["columns", "data"] if schema.has_input_names() else ["data"],
        "additionalProperties": False,
    }


def _columns(schema: Schema, prefix: str) -> Shape:
    """Columns with names: records, or an object of columns; where lists are values, an object is one record."""
    records = _records(schema, prefix)
    if any(isinstance(spec.type, (Array, Object)) for spec in schema):
        return {"anyOf": [records, _ref(prefix, "Row")]}
    if len(schema) > MOST_TOLD:
        return {"anyOf": [records, {"type": "object", "description": "The columns by name, as in a record."}]}
    columns = {
        str(name): {"anyOf": [_value(spec), {"type": "array", "items": _value(spec)}]}
        for name, spec in zip(schema.input_names(), schema, strict=True)
    }
    required = list(dict.fromkeys(str(name) for name in schema.required_input_names()))
    by_name: Shape = {"type": "object", "properties": columns, "additionalProperties": False}
    return {"anyOf": [records, {**by_name, "required": required} if required else by_name]}


def _unnamed(schema: Schema) -> Shape:
    """Columns without names: a list of values for one, of rows for several."""
    values = [_value(spec) for spec in schema]
    if len(values) == 1:
        return {"type": "array", "items": values[0]}
    row: Shape = {"type": "array", "prefixItems": values, "minItems": len(values), "maxItems": len(values)}
    return {"type": "array", "items": row}


def _value(spec: Spec) -> Shape:
    """The shape of one value of a column: null where it may have gaps, or where its type has a word for them."""
    if isinstance(spec, TensorSpec):
        return tensor_shape(spec)
    shape = type_shape(spec.type)
    if not spec.required or spec.name is None or spec.type in _WITH_GAPS:
        return or_null(shape)
    return shape or {"type": ["boolean", "number", "string", "array", "object"]}


def _tensors(specs: list[TensorSpec]) -> Shape:
    if specs[0].name is None:
        return tensor_shape(specs[0])
    required = list(dict.fromkeys(str(spec.name) for spec in specs))

    def named(shapes: Iterable[Shape]) -> Shape:
        properties = {str(spec.name): shape for spec, shape in zip(specs, shapes, strict=True)}
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    forms = [named(map(tensor_shape, specs))]
    if all(spec.shape for spec in specs):
        rows = (TensorSpec(spec.type, spec.shape[1:]) for spec in specs)
        forms.append({"type": "array", "items": named(map(tensor_shape, rows))})
    return {"anyOf": [*forms, tensor_shape(specs[0])] if len(specs) == 1 else forms}


def _bare(inputs: Schema | None, params: Iterable[ParamSpec]) -> Shape | None:
    """A body as language models take it; None for a model that takes none of its keys."""
    found: Shape = {"title": "bare", "type": "object"}
    if inputs is None:
        keys = sorted(LLM_KEYS)
    elif inputs.is_tensor_spec():
        return None
    else:
        keys = sorted(LLM_KEYS & {str(name) for name in inputs.input_names()})
        found["properties"] = {str(name): _value(spec) for name, spec in zip(inputs.input_names(), inputs, strict=True)}
        found["properties"] |= {param.name: param_shape(param) for param in params}
    return {**found, "anyOf": [{"required": [key]} for key in keys]} if keys else None


def _answer(outputs: Schema | None, *, is_bare: bool) -> Shape:
    predictions = {} if outputs is None else _predictions(outputs)
    wrapped: Shape = {"type": "object", "properties": {"predictions": predictions}, "required": ["predictions"]}
    if not is_bare:
        return wrapped
    what = "A body with messages, prompt or input is answered without the wrapper."
    return {"anyOf": [wrapped, predictions], "description": what}


def _predictions(outputs: Schema) -> Shape:
    if outputs.is_tensor_spec():
        tensors = {spec.name: tensor_shape(spec, is_answer=True) for spec in outputs if isinstance(spec, TensorSpec)}
        named = {str(name): shape for name, shape in tensors.items()}
        return tensors.get(None, {"type": "object", "properties": named})
    values = {
        str(name): or_null(type_shape(spec.type, is_answer=True))  # type: ignore[arg-type]
        for name, spec in zip(outputs.input_names(), outputs, strict=True)
    }
    records: Shape = {"type": "array", "items": {"type": "object", "properties": values}}
    if outputs.has_input_names():
        by_name = {name: any_of([shape, {"type": "array", "items": shape}]) for name, shape in values.items()}
        return any_of([records, {"type": "object", "properties": by_name}])
    first = values["0"]
    rows: Shape = {"type": "array", "items": first if len(values) == 1 else {"type": "array"}}
    return any_of([rows, records, first])
