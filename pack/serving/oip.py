"""The Open Inference Protocol, version 2, without HTTP: requests into data, predictions into answers, descriptions.

Sources: the protocol's description at kserve.github.io ("V2 inference protocol", "Binary tensor data extension"). A
column is described with the shape [-1, 1], as MLServer describes the columns of MLflow's models: a request's first
dimension is its rows, and a client that fills in -1 sends what is taken. [rows] is taken as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pack.errors import BadRequest
from pack.mlmodel.nested import kind_of, listed
from pack.mlmodel.plan import Plan
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.types import DataType
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.alike import read_json
from pack.serving.bodies import parse_json
from pack.serving.encoding import json_of
from pack.serving.feeding import data_of, label_of
from pack.serving.parcels import Parcel, parcel_of
from pack.serving.predicted import tensors_of
from pack.serving.tensors import BYTES, DTYPES, NAMES, Tensor, binary_values, from_bytes, from_json, json_values

EXTENSIONS = ("binary_tensor_data",)
# What clients of the protocol put beside a model's own params; none of it changes an answer here.
_RESERVED = {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers", "content_type"}
_COLUMNS = {
    DataType.boolean: "BOOL",
    DataType.integer: "INT32",
    DataType.long: "INT64",
    DataType.float: "FP32",
    DataType.double: "FP64",
}
_CONTENT_TYPES: dict[Any, str | None] = {
    DataType.string: None,
    DataType.binary: "base64",
    DataType.datetime: "datetime",
}


class Wish(NamedTuple):
    """What a request wants to hear: the outputs by name (None: all of them), each as bytes or not, under which id."""

    outputs: dict[str, bool] | None
    binary: bool
    id: str | None


class Reply:
    """Makes the answer to one request of its predictions; `header_length` is the length of the JSON before the bytes.

    It is None until the answer was made, and where all of it is JSON.
    """

    def __init__(self, wish: Wish, names: Mapping[str, str], schema: Schema | None) -> None:
        self.header_length: int | None = None
        self._wish = wish
        self._names = names
        self._schema = schema

    def __call__(self, predictions: Any) -> bytes:
        """The body; raises `BadRequest` for an output that the model does not have."""
        outputs: list[dict[str, Any]] = []
        parts: list[bytes] = []
        for tensor, binary in _wanted(tensors_of(predictions, self._schema), self._wish):
            outputs.append(_written(tensor, parts if binary else None))
        asked = {} if self._wish.id is None else {"id": self._wish.id}
        header = msgspec.json.encode({**self._names, **asked, "outputs": outputs})
        self.header_length = len(header) if parts else None
        return b"".join([header, *parts]) if parts else header

    def values(self, body: bytes) -> list[Any]:
        """What the answer that this has made says: the name, the shape and the values of each output."""
        place = len(body) if self.header_length is None else self.header_length
        found = []
        for output in read_json(body[:place])["outputs"]:
            name, shape, data = output["name"], output["shape"], output.get("data")
            if data is None:
                end = place + output["parameters"]["binary_data_size"]
                data = json_values(from_bytes(name, output["datatype"], shape, memoryview(body)[place:end]))
                place = end
            found.append([name, shape, data])
        return found


def read(body: bytes, header_length: int | None, model: PyFuncModel, names: Mapping[str, str]) -> tuple[Parcel, Reply]:
    """The parcel of a request, and what makes its answer; `names` go into the answer: the model's and its version's.

    `header_length` is what the request's header says of the length of the JSON. Raises `BadRequest`, `SchemaMismatch`
    or `InvalidValue` naming the tensor, the column or the param.
    """
    if header_length is not None and header_length > len(body):
        raise BadRequest("the JSON is announced to be longer than the body", hint="see Inference-Header-Content-Length")
    value = parse_json(body if header_length is None else body[:header_length])
    if not isinstance(value, dict):
        raise BadRequest(f"the body is {kind_of(value)}, an object is needed", hint='give {"inputs": [...]}')
    tensors = _inputs(value.get("inputs"), None if header_length is None else memoryview(body)[header_length:])
    outputs = model.signature.outputs if model.signature else None
    given = _object(value.get("parameters"), "parameters")
    reply = Reply(_wish(value, given, outputs), names, outputs)
    params = model.plan.params(_params(given, model.plan))
    return parcel_of(data_of(tensors, model), params, wrapped=True)._replace(encode=reply), reply


def described(model: PyFuncModel, name: str, version: str) -> dict[str, Any]:
    """The description of a model: its inputs and outputs from its signature, none where it has none."""
    signature = model.signature
    return {
        "name": name,
        "versions": [version],
        "platform": f"pack_{model.flavor}",
        "inputs": _described(signature.inputs if signature else None, "input"),
        "outputs": _described(signature.outputs if signature else None, "output"),
    }


def _described(schema: Schema | None, prefix: str) -> list[dict[str, Any]]:
    return [
        {"name": label_of(spec, place, prefix), **(_tensor(spec) if isinstance(spec, TensorSpec) else _column(spec))}
        for place, spec in enumerate(schema or ())
    ]


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"datatype": NAMES.get((spec.type.kind, spec.type.itemsize), BYTES), "shape": list(spec.shape)}


def _column(spec: ColSpec) -> dict[str, Any]:
    """A column; what the BYTES of bytes, dates and nested values are is said in MLServer's words."""
    if isinstance(spec.type, DataType) and spec.type in _COLUMNS:
        return {"datatype": _COLUMNS[spec.type], "shape": [-1, 1]}
    word = _CONTENT_TYPES[spec.type] if isinstance(spec.type, DataType) else "pd_json"
    return {"datatype": BYTES, "shape": [-1, 1], **({} if word is None else {"parameters": {"content_type": word}})}


def _inputs(value: Any, rest: memoryview | None) -> list[Tensor]:
    """The tensors; `rest` holds the values of those that are sent as bytes, one behind the other."""
    if not isinstance(value, list) or not value:
        raise BadRequest("inputs must be a list of tensors", hint='give [{"name", "shape", "datatype", "data"}]')
    found: dict[str, Tensor] = {}
    place = 0
    for item in value:
        name = _name(item, "an input")
        if name in found:
            raise BadRequest(f"tensor {name!r} came twice")
        datatype, parameters = _datatype(name, item), _object(item.get("parameters"), f"parameters of {name!r}")
        content_type = "base64" if parameters.get("content_type") == "base64" else None
        size = _size(name, item, parameters, 0 if rest is None else len(rest) - place)
        if rest is None or size is None:
            found[name] = from_json(name, datatype, item.get("shape"), item.get("data"), content_type=content_type)
            continue
        found[name] = from_bytes(name, datatype, item.get("shape"), rest[place : place + size])
        place += size
    if rest is not None and place != len(rest):
        raise BadRequest(f"{len(rest) - place:,} bytes behind the JSON belong to no tensor")
    return list(found.values())


def _name(item: Any, what: str) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise BadRequest(f"{what} has no name", hint='each is an object with a "name"')
    return name


def _object(value: Any, what: str) -> dict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"{what} is {kind_of(value)}, an object is needed")
    return value or {}


def _datatype(name: str, item: dict[str, Any]) -> str:
    datatype = item.get("datatype")
    if not isinstance(datatype, str) or (datatype != BYTES and datatype not in DTYPES):
        raise BadRequest(
            f"the datatype of tensor {name!r} is none that is known", hint=f"known: {', '.join([*DTYPES, BYTES])}"
        )
    return datatype


def _size(name: str, item: dict[str, Any], parameters: dict[str, Any], left: int) -> int | None:
    """How many bytes behind the JSON are this tensor's; None where its values stand in the JSON."""
    if "shared_memory_region" in parameters:
        raise BadRequest(f"tensor {name!r} lies in shared memory, which is not read here", hint="send its values")
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise BadRequest(f"the binary_data_size of tensor {name!r} is not a number of bytes")
    if "data" in item:
        raise BadRequest(f"tensor {name!r} has both data and binary_data_size")
    if size > left:
        raise BadRequest(
            f"tensor {name!r} announces {size:,} bytes, {left:,} are left behind the JSON",
            hint="the header Inference-Header-Content-Length says where the JSON ends",
        )
    return size


def _wish(value: dict[str, Any], parameters: dict[str, Any], schema: Schema | None) -> Wish:
    asked, outputs = value.get("id"), value.get("outputs")
    if asked is not None and not isinstance(asked, str):
        raise BadRequest(f"id is {kind_of(asked)}, text is needed")
    binary = _flag(parameters.get("binary_data_output"), "binary_data_output")
    if not outputs:
        if outputs not in (None, []):
            raise BadRequest("outputs must be a list of objects with a name")
        return Wish(None, binary, asked)
    if not isinstance(outputs, list):
        raise BadRequest(f"outputs is {kind_of(outputs)}, a list is needed")
    found: dict[str, bool] = {}
    for item in outputs:
        name = _name(item, "an output")
        if name in found:
            raise BadRequest(f"output {name!r} is asked for twice")
        found[name] = _output(name, _object(item.get("parameters"), f"parameters of {name!r}"), binary)
    if schema is not None and schema.has_input_names():
        _check_known(found, [str(spec.name) for spec in schema])
    return Wish(found, binary, asked)


def _output(name: str, parameters: dict[str, Any], binary: bool) -> bool:
    other = {"classification", "shared_memory_region"} & parameters.keys()
    if other:
        raise BadRequest(f"output {name!r}: {min(other)} is not supported here")
    return _flag(parameters["binary_data"], "binary_data") if "binary_data" in parameters else binary


def _flag(value: Any, what: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{what} is {kind_of(value)}, true or false is needed")
    return bool(value)


def _check_known(wanted: Mapping[str, bool], names: Sequence[str]) -> None:
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise BadRequest(f"the model has no output {listed(unknown)}", hint=f"it has: {listed(names, most=20)}")


def _params(parameters: dict[str, Any], plan: Plan) -> dict[str, Any]:
    """What is left for the model: its declared params, and whatever the protocol does not know, to be refused."""
    declared = {param.name for param in plan.declared_params}
    known = _RESERVED | {"binary_data_output"}
    return {
        name: value
        for name, value in parameters.items()
        if name in declared or not (name in known or name.startswith("triton_"))
    }


def _wanted(tensors: list[Tensor], wish: Wish) -> list[tuple[Tensor, bool]]:
    if wish.outputs is None:
        return [(tensor, wish.binary) for tensor in tensors]
    by_name = {tensor.name: tensor for tensor in tensors}
    _check_known(wish.outputs, list(by_name))
    return [(by_name[name], binary) for name, binary in wish.outputs.items()]


def _written(tensor: Tensor, parts: list[bytes] | None) -> dict[str, Any]:
    """A tensor of an answer; its bytes go behind the other `parts`, without which its values stand in the JSON."""
    found: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.values.shape)}
    # What bytes are is known only where JSON shows them as text.
    word = tensor.content_type if parts is None or tensor.content_type != "base64" else None
    parameters: dict[str, Any] = {} if word is None else {"content_type": word}
    if parts is None:
        found["data"] = msgspec.Raw(json_of(json_values(tensor), quick=_is_plain(tensor.values)))
    else:
        parts.append(binary_values(tensor))
        parameters["binary_data_size"] = len(parts[-1])
    return {**found, "parameters": parameters} if parameters else found


def _is_plain(values: Any) -> bool:
    """Whether the quick encoder of JSON, which has no words for NaN and infinities, writes each value as it should."""
    return values.dtype.kind in "biu" or (values.dtype.kind == "f" and bool(np.isfinite(values).all()))
