"""Columnar bodies: Arrow streams (`application/vnd.apache.arrow.stream`) and NumPy arrays (`application/x-npy`).

Reading them runs no code: objects, pickles and extension types are refused before anything is built. The format of
arrays: numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import ast
import io
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from pack.errors import BadRequest, TooLarge
from pack.mlmodel.frames import as_frame, is_frame
from pack.mlmodel.plan import Plan
from pack.mlmodel.schema import Schema
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.texts import text_array
from pack.serving.arrow_stream import need_pyarrow, read_table
from pack.serving.bodies import Decoded
from pack.serving.feeding import array_data
from pack.serving.parcels import Encode
from pack.serving.predicted import tensors_of
from pack.serving.tensors import BYTES, elements_of

ARROW, NPY = "application/vnd.apache.arrow.stream", "application/x-npy"
HAS_PYARROW = find_spec("pyarrow") is not None
_MAX_NPY_HEADER = 10_000
_MAX_EMPTY_ITEM = 1024


class NotAcceptable(BadRequest):
    """The predictions cannot be written in the type that the Accept header asks for."""

    http_status = 406


def decode_arrow(body: bytes, plan: Plan) -> Decoded:
    """The rows of an Arrow stream; raises `BadRequest` for what cannot be read, `TooLarge` for what would grow."""
    pa = need_pyarrow()
    table = read_table(body)
    try:
        return plan.wire_table(table), None, False
    except (pa.ArrowException, ValueError, OverflowError) as error:
        # What Arrow has no objection to may still be no value of Python's: a time zone that nobody knows, a far date.
        raise BadRequest("the stream's columns hold what cannot be read", hint="cast them first") from error


def decode_npy(body: bytes, plan: Plan) -> Decoded:
    """The array of a `.npy` body; raises what `array_of` does, and where it does not fit the signature."""
    return array_data(plan, array_of(body)), None, False


def array_of(body: bytes) -> Any:
    """The array of `.npy` bytes; raises `BadRequest` for objects, and where the header does not fit what follows."""
    dtype, shape, order, start = _npy_header(body)
    count = elements_of(shape, "the array")
    if count * dtype.itemsize != len(body) - start:
        raise BadRequest(f"the array needs {count * dtype.itemsize:,} bytes by its header, {len(body) - start:,} came")
    array = np.frombuffer(body, dtype, count, start)
    _check_values(array)
    # A copy: in the machine's byte order, aligned, and the model's own to write on.
    return array.astype(dtype.newbyteorder("="), copy=True).reshape(shape, order=order)


class Asked(NamedTuple):
    """The content type that an answer is asked for in, and what writes predictions so."""

    content_type: str
    encode: Encode


def encoder_of(accept: str, signature: ModelSignature | None) -> Asked | None:
    """What an Accept header asks for; None for JSON, which a client gets that takes it as gladly.

    Columns get the names of the output in the `signature`.
    """
    given = accept.lower()
    if ARROW not in given and NPY not in given:
        return None
    wanted = dict(map(_weighed, given.split(",")))
    weight, kind = max((wanted.get(kind, 0.0), kind) for kind in (ARROW, NPY))
    if weight <= wanted.get("application/json", 0.0):
        return None
    if kind == NPY:
        return Asked(NPY, encode_npy)
    if not HAS_PYARROW:
        raise NotAcceptable("this server writes no Arrow streams", hint=f"ask for {NPY}, or for application/json")
    outputs = signature.outputs if signature else None
    return Asked(ARROW, lambda predictions: encode_arrow(predictions, outputs))


def encode_arrow(predictions: Any, schema: Schema | None = None) -> bytes:
    """Predictions as an Arrow stream of one table; raises `NotAcceptable` for those that make none.

    A frame keeps its columns, a dict of lists is one. An array or list is a column named by the output signature, or
    `predictions`; an array of two dimensions has a column for each place, `0` and so on.
    """
    pa = need_pyarrow()
    try:
        columns = _columns(as_frame(predictions), schema)
        table = pa.table({name: pa.array(values, from_pandas=_is_pandas(values)) for name, values in columns.items()})
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise _not_acceptable("an Arrow table") from error
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def encode_npy(predictions: Any) -> bytes:
    """Predictions as a `.npy` array; raises `NotAcceptable` for those that are no array of numbers, text or dates."""
    array = _as_array(as_frame(predictions))
    if array is None or array.dtype.hasobject or array.dtype.kind not in "biufcUSM":
        raise _not_acceptable("an array of one type")
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


def _npy_header(body: bytes) -> tuple[np.dtype[Any], Any, Any, int]:
    """The dtype, the shape, the order of the values, and where they begin."""
    wide = body[6:7] == b"\2"
    if body[:6] != b"\x93NUMPY" or body[6:8] not in (b"\1\0", b"\2\0"):
        raise BadRequest("the body is not a .npy array of version 1 or 2")
    start = 12 if wide else 10
    end = start + int.from_bytes(body[8:start], "little")
    if end > len(body) or end - start > _MAX_NPY_HEADER:
        raise BadRequest("the header of the array is longer than the body, or than an array of one type needs")
    try:
        header = ast.literal_eval(body[start:end].decode("latin-1").strip())
        descr, order, shape = header["descr"], header["fortran_order"], header["shape"]
    except (ValueError, SyntaxError, TypeError, KeyError, RecursionError, MemoryError) as error:
        raise BadRequest("the header of the array cannot be read") from error
    dtype = _dtype(descr)
    if not isinstance(order, bool) or not isinstance(shape, tuple):
        raise BadRequest("the header of the array cannot be read")
    if not dtype.itemsize or (0 in shape and dtype.itemsize > _MAX_EMPTY_ITEM):
        raise BadRequest("the values of the array have no size")
    return dtype, shape, "F" if order else "C", end


def _dtype(descr: Any) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] | None = np.dtype(descr) if isinstance(descr, str) else None
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.hasobject or dtype.subdtype or dtype.kind not in "biufcUSM":
        raise BadRequest(
            "the array must be of numbers, booleans, text, bytes or dates, not of objects or fields",
            hint="convert it to one of these first",
        )
    return dtype


def _check_values(array: Any) -> None:
    """Refuse bytes that no value of the dtype has: they would be anything to the code that reads them."""
    if array.dtype.kind == "b" and bool((array.view("u1") > 1).any()):
        raise BadRequest("the array is of booleans: each byte must be 0 or 1")
    if array.dtype.kind != "U":
        return
    points = array.view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
    if bool(((points > 0x10FFFF) | ((points >= 0xD800) & (points < 0xE000))).any()):
        raise BadRequest("the array holds text that is not Unicode")


def _weighed(part: str) -> tuple[str, float]:
    """A content type of an Accept header, and its weight."""
    kind, *options = (piece.strip() for piece in part.split(";"))
    try:
        return kind, next((float(option[2:]) for option in options if option.startswith("q=")), 1.0)
    except ValueError:
        return kind, 0.0


def _columns(value: Any, schema: Schema | None) -> dict[str, Any]:
    names = [str(name) for name in schema.input_names()] if schema is not None and schema.has_input_names() else []
    if is_frame(value):
        return _unique([(str(name), value.iloc[:, place]) for place, name in enumerate(value.columns)])
    if isinstance(value, Mapping):
        return _unique([(str(name), item) for name, item in value.items()])
    if hasattr(value, "iloc"):
        return {str(names[0] if len(names) == 1 else "0") if value.name is None else str(value.name): value}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return _columns({name: [item.get(name) for item in value] for name in value[0]}, None)
    if getattr(value, "ndim", 1) == 2 and hasattr(value, "dtype"):
        width = value.shape[1]
        return {
            name: value[:, place] for place, name in enumerate(names if len(names) == width else map(str, range(width)))
        }
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise _not_acceptable("an Arrow table")
    return {names[0] if len(names) == 1 else "predictions": value}


def _unique(columns: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(columns)
    if len(found) < len(columns) or not found:
        raise _not_acceptable("an Arrow table")
    return found


def _is_pandas(values: Any) -> bool:
    """Whether NaN means missing: in a column of text or whole numbers with gaps, not in one of floats."""
    return hasattr(values, "iloc") and getattr(values.dtype, "kind", "O") != "f"


def _as_array(value: Any) -> Any:
    if is_frame(value):
        return value.to_numpy() if len(set(value.dtypes)) == 1 else None
    if isinstance(value, (list, tuple)):
        return _list_array(value)
    return (
        value.to_numpy() if hasattr(value, "iloc") else value if isinstance(value, (np.ndarray, np.generic)) else None
    )


def _list_array(values: Any) -> Any:
    """A list of numbers or of text as an array that holds each as it is; None for any other."""
    (tensor,) = tensors_of(values, None)
    array, cells = tensor.values, tensor.values.ravel().tolist()
    if tensor.datatype != BYTES or tensor.content_type is not None:
        return array
    try:
        return text_array("the predictions", cells).reshape(array.shape)
    except (BadRequest, TooLarge):
        return array


def _not_acceptable(what: str) -> NotAcceptable:
    return NotAcceptable(f"these predictions do not make {what}", hint="ask for application/json")
