"""Tensors against their declared dtype and shape: exact conversions pass, anything else is `SchemaMismatch`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from pack.errors import SchemaMismatch
from pack.mlmodel.schema import Schema, TensorSpec


def fit_tensors(schema: Schema, data: Any) -> Any:
    """`data` as the declared tensors: an array (or sparse matrix) for one without a name, else a dict of arrays."""
    specs: tuple[TensorSpec, ...] = schema.inputs  # type: ignore[assignment]
    if specs[0].name is None:
        if isinstance(data, Mapping):
            raise _refused(specs[0], f"a dict with {len(data)} names came", "give the array itself")
        return fit_tensor(specs[0], data)
    if not isinstance(data, Mapping) and not _is_frame(data):
        if len(specs) == 1:
            return {specs[0].name: fit_tensor(specs[0], data)}
        names = ", ".join(repr(spec.name) for spec in specs)
        raise SchemaMismatch(f"the model takes tensors by name: {names}", hint="give a dict of arrays")
    missing = [spec.name for spec in specs if spec.name not in data]
    if missing:
        raise SchemaMismatch(f"tensors are missing: {', '.join(repr(name) for name in missing)}")
    return {spec.name: fit_tensor(spec, data[spec.name]) for spec in specs}


def fit_tensor(spec: TensorSpec, data: Any) -> Any:
    """`data` itself where dtype and shape match, or an exact conversion of it."""
    import numpy as np

    if type(data).__module__.startswith("scipy.sparse"):
        return _fit_sparse(spec, data)
    array = data if isinstance(data, np.ndarray) else _array(spec, data)
    array = _fit_dtype(spec, array)
    _check_shape(spec, array.shape)
    return array


def _array(spec: TensorSpec, data: Any) -> Any:
    """An array from a frame, a series, or nested lists."""
    import numpy as np

    if _is_frame(data):
        return _from_frame(spec, data)
    if hasattr(data, "to_numpy"):
        return data.to_numpy()
    try:
        return np.array(data)
    except (ValueError, TypeError) as error:
        if spec.type == np.dtype(object):
            return _ragged(data)
        raise _refused(spec, "the rows are not of one length", "give rows of the declared shape") from error


def _ragged(data: Any) -> Any:
    import numpy as np

    rows = np.empty(len(data), dtype=object)
    rows[:] = data
    return rows


def _from_frame(spec: TensorSpec, frame: Any) -> Any:
    import numpy as np

    if frame.shape[1] == 1 and spec.shape != (-1, 1):
        cells = frame.iloc[:, 0].tolist()
        if cells and isinstance(cells[0], (list, tuple, np.ndarray)):
            return _array(spec, [np.asarray(cell).tolist() for cell in cells])
        return frame.iloc[:, 0].to_numpy()
    return frame.to_numpy()


def _fit_dtype(spec: TensorSpec, array: Any) -> Any:
    import numpy as np

    declared, came = spec.type, array.dtype
    if came == declared or came.name == declared.name or came.kind == declared.kind in "US" or declared.kind == "O":
        return array
    if array.size == 0 and came == np.float64:
        return array.astype(declared)
    if declared.kind == "U" and came.kind == "O" and all(isinstance(item, str) for item in array.flat):
        return array
    numbers = declared.kind in "iufc" and came.kind in "iufc"
    if came.kind == "O" and array.size:
        return _fit_dtype(spec, _unboxed(spec, array))
    if not numbers and not (declared.kind == "M" and came.kind == "M"):
        raise _refused(spec, f"an array of {came} came", "convert it before the call")
    return _exact(spec, array)


def _unboxed(spec: TensorSpec, array: Any) -> Any:
    """An array of objects as one of numbers, where all are numbers."""
    import numpy as np

    found = np.array(array.tolist())
    if found.dtype.kind in "OUS" or (found.dtype.kind == "b") != (spec.type.kind == "b"):
        raise _refused(spec, "an array of objects came", "convert it before the call")
    return found


def _exact(spec: TensorSpec, array: Any) -> Any:
    import numpy as np

    if np.can_cast(array.dtype, spec.type, "safe") and not _loses_whole_numbers(array.dtype, spec.type):
        return array.astype(spec.type)
    with np.errstate(all="ignore"):
        values = array.astype(spec.type)
        back = values.astype(array.dtype)
        same = (back == array) | ((back != back) & (array != array))
        if array.dtype.kind in "iu" and spec.type.kind == "f":
            same &= np.abs(values) < 2.0**63  # beyond it, the way back overflows
        elif array.dtype.kind in "iu" and spec.type.kind in "iu":
            same &= (values < 0) == (array < 0)
    if not same.all():
        place = tuple(int(index) for index in np.argwhere(~same)[0])
        raise _refused(spec, f"the number at {list(place)} of the {array.dtype} that came would change", "cast it")
    return values


def _loses_whole_numbers(came: Any, declared: Any) -> bool:
    """NumPy calls int64 to float64 safe, though it is not exact beyond 2**53."""
    import numpy as np

    return came.kind in "iu" and declared.kind == "f" and came.itemsize * 8 - 1 > np.finfo(declared).nmant


def _check_shape(spec: TensorSpec, shape: tuple[int, ...]) -> None:
    pairs = zip(shape, spec.shape, strict=False)
    ragged = spec.type.kind == "O" and spec.shape[:1] == (-1,)
    if ragged or (len(shape) == len(spec.shape) and all(want in {-1, size} for size, want in pairs)):
        return
    wanted = "(" + ", ".join("any" if size == -1 else str(size) for size in spec.shape) + ")"
    raise _refused(spec, f"the shape {shape} came, {wanted} is declared", "reshape the data")


def _fit_sparse(spec: TensorSpec, matrix: Any) -> Any:
    if matrix.dtype != spec.type:
        raise _refused(spec, f"a sparse matrix of {matrix.dtype} came", f"use .astype('{spec.type}')")
    _check_shape(spec, matrix.shape)
    return matrix


def _is_frame(data: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(data, pandas.DataFrame)


def _refused(spec: TensorSpec, why: str, hint: str | None = None) -> SchemaMismatch:
    name = "the input" if spec.name is None else f"input {spec.name!r}"
    return SchemaMismatch(f"{name} is declared {spec.type} of shape {list(spec.shape)}: {why}", hint=hint)
