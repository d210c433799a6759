"""Tensors as the Open Inference Protocol writes them: as lists in JSON, and as bytes behind the JSON.

Sources: the protocol's description at kserve.github.io ("V2 inference protocol", "Binary tensor data extension"). What
a tensor announces is compared with what came before anything is made of it.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from pack.errors import BadRequest, ModelFailed
from pack.mlmodel import wire
from pack.mlmodel.nested import kind_of, to_bytes
from pack.mlmodel.schema import TensorSpec

BYTES = "BYTES"
# Multi-byte values are little-endian on the wire.
DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
NAMES: dict[tuple[str, int], str] = {(dtype.kind, dtype.itemsize): name for name, dtype in DTYPES.items()}
MAX_DIMENSIONS = 32
# The lengths behind a first dimension of 0 cost no bytes; together they may be no more than this.
MAX_EMPTY = 1_000_000


class Tensor(NamedTuple):
    """An array under a name. Values of BYTES are objects: text, bytes, or None where JSON said null.

    `content_type` says what the BYTES are where they are not plain text: `base64`, `datetime` or `pd_json`, the words
    that MLServer has for it.
    """

    name: str
    datatype: str
    values: Any
    content_type: str | None = None


def elements_of(shape: Any, what: str) -> int:
    """How many values a shape announces; raises `BadRequest` naming `what` for a shape that no array here has."""
    if not isinstance(shape, (list, tuple)) or len(shape) > MAX_DIMENSIONS:
        raise BadRequest(f"the shape of {what} must be a list of at most {MAX_DIMENSIONS} whole numbers")
    if not all(type(size) is int and 0 <= size < 2**63 for size in shape):
        raise BadRequest(f"the shape of {what} must be whole numbers, none negative", hint="give the shape of the data")
    count = math.prod(shape)
    if count == 0 and (shape[0] != 0 or math.prod(size or 1 for size in shape) > MAX_EMPTY):
        raise BadRequest(f"the shape of {what} announces rows without values", hint="give 0 as the first dimension")
    return count


def from_json(name: str, datatype: str, shape: Any, data: Any, *, content_type: str | None = None) -> Tensor:
    """A tensor whose values stand in JSON, flat or nested as its shape; raises `BadRequest` or `SchemaMismatch`."""
    count = elements_of(shape, f"tensor {name!r}")
    if not isinstance(data, list):
        raise BadRequest(f"the data of tensor {name!r} is {kind_of(data)}, a list is needed")
    flat = _flat(name, shape, data)
    if len(flat) != count:
        raise BadRequest(f"tensor {name!r} announces {count:,} values by its shape, {len(flat):,} came")
    if datatype != BYTES:
        return Tensor(name, datatype, _numbers(TensorSpec(DTYPES[datatype], (-1,), name), flat).reshape(shape))
    return Tensor(name, BYTES, objects_of(_texts(name, flat, content_type), shape), content_type)


def from_bytes(name: str, datatype: str, shape: Any, raw: memoryview, *, content_type: str | None = None) -> Tensor:
    """A tensor whose values came as bytes; raises `BadRequest` where there are more or fewer than its shape says."""
    count = elements_of(shape, f"tensor {name!r}")
    if datatype == BYTES:
        return Tensor(name, BYTES, objects_of(_pieces(name, count, raw), shape), content_type)
    dtype = DTYPES[datatype]
    if count * dtype.itemsize != len(raw):
        raise BadRequest(f"tensor {name!r} needs {count * dtype.itemsize:,} bytes by its shape, {len(raw):,} came")
    if datatype == "BOOL" and bytes(raw).translate(None, b"\0\1"):
        raise BadRequest(f"tensor {name!r} is of BOOL: each byte must be 0 or 1")
    # A copy: in the machine's byte order, aligned, and the model's own to write on.
    values = np.frombuffer(raw, dtype).astype(dtype.newbyteorder("="), copy=True)
    return Tensor(name, datatype, values.reshape(shape))


def objects_of(values: Sequence[Any], shape: Any) -> Any:
    """An array of objects of this shape, each value as it is."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array.reshape(shape)


def texts_of(tensor: Tensor) -> list[str | None]:
    """The values of a BYTES tensor as text, in order; raises `BadRequest` for bytes that are not UTF-8."""
    found: list[str | None] = []
    for value in tensor.values.ravel().tolist():
        try:
            found.append(value.decode("utf-8") if isinstance(value, bytes) else value)
        except UnicodeDecodeError as error:
            raise BadRequest(f"tensor {tensor.name!r}: value {len(found)} is not UTF-8 text") from error
    return found


def json_values(tensor: Tensor) -> list[Any]:
    """The values for JSON, flat: bytes as base64."""
    values: list[Any] = tensor.values.ravel().tolist()
    if tensor.datatype != BYTES:
        return values
    return [base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value for value in values]


def binary_values(tensor: Tensor) -> bytes:
    """The values as bytes; raises `BadRequest` for missing values, for which there are none."""
    values = tensor.values
    if values.dtype.kind != "O":
        found: bytes = values.astype(DTYPES[tensor.datatype], copy=False).tobytes()
        return found
    cells = values.ravel().tolist()
    if any(cell is None for cell in cells):
        raise BadRequest(
            f"output {tensor.name!r} has missing values, which cannot be sent as bytes", hint="ask for it as JSON"
        )
    if tensor.datatype != BYTES:
        return np.array(cells, DTYPES[tensor.datatype]).tobytes()
    pieces = [cell if isinstance(cell, bytes) else _utf8(tensor.name, cell) for cell in cells]
    return b"".join(chain.from_iterable((struct.pack("<I", len(piece)), piece) for piece in pieces))


def _utf8(name: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ModelFailed(f"output {name!r} holds text that UTF-8 has no bytes for") from error


def _flat(name: str, shape: Any, data: list[Any]) -> list[Any]:
    """The values of flat data, or of lists nested exactly as the shape says."""
    if not any(isinstance(item, list) for item in data):
        return data
    level = [data]
    for place, size in enumerate(shape):
        if not all(isinstance(item, list) and len(item) == size for item in level):
            raise BadRequest(f"the data of tensor {name!r} is not nested as its shape says, in dimension {place}")
        level = list(chain.from_iterable(level))
    if any(isinstance(item, list) for item in level):
        raise BadRequest(f"the data of tensor {name!r} is nested deeper than its shape says")
    return level


def _numbers(spec: TensorSpec, flat: list[Any]) -> Any:
    """Numbers or booleans as an array of the declared dtype, each as it came, decimal numbers at their nearest."""
    if spec.type.kind in "iu" and set(map(type, flat)) == {int}:
        limits = np.iinfo(spec.type)
        if limits.min <= min(flat) and max(flat) <= limits.max:
            return np.array(flat, dtype=spec.type)
    return wire.tensor_of(spec, flat)


def _texts(name: str, flat: list[Any], content_type: str | None) -> list[Any]:
    for place, value in enumerate(flat):
        if value is not None and not isinstance(value, str):
            raise BadRequest(f"tensor {name!r} is of BYTES, which are text in JSON: value {place} is {kind_of(value)}")
    if content_type != "base64":
        return flat
    try:
        return [None if value is None else to_bytes(value) for value in flat]
    except ValueError as error:
        raise BadRequest(f"tensor {name!r} {error}") from error


def _pieces(name: str, count: int, raw: memoryview) -> list[bytes]:
    """The values of BYTES: each behind its length in 4 bytes."""
    if count * 4 > len(raw):
        raise BadRequest(
            f"tensor {name!r} announces {count:,} values by its shape, {len(raw):,} bytes cannot hold them"
        )
    found: list[bytes] = []
    place = 0
    for _ in range(count):
        end = place + 4
        if end <= len(raw):
            end += int.from_bytes(raw[place:end], "little")
        if end > len(raw) or end < place + 4:
            raise BadRequest(f"tensor {name!r} ends inside its value {len(found)}")
        found.append(bytes(raw[place + 4 : end]))
        place = end
    if place != len(raw):
        raise BadRequest(f"tensor {name!r} has {len(raw) - place:,} bytes behind its last value")
    return found
