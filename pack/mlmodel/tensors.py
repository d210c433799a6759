"""Tensors against their declared dtype and shape: exact conversions pass, anything else is `SchemaMismatch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pack.errors import SchemaMismatch
from pack.mlmodel.columns import first_changed
from pack.mlmodel.frames import column_array, foreign_columns, is_frame
from pack.mlmodel.nested import listed
from pack.mlmodel.schema import Schema, TensorSpec
from pack.mlmodel.texts import check_texts, together

_NUMBERS = "iufc"


def fit_tensors(schema: Schema, data: Any) -> Any:
    """`data` as the declared tensors: an array (or sparse matrix) for one without a name, else a dict of arrays."""
    specs: tuple[TensorSpec, ...] = schema.inputs  # type: ignore[assignment]
    if specs[0].name is None:
        if isinstance(data, Mapping):
            raise refused(specs[0], f"a dict with {len(data)} names came", "give the array itself")
        return fit_tensor(specs[0], data)
    by_name = _by_name(data)
    if by_name is None:
        if len(specs) == 1:
            return {specs[0].name: fit_tensor(specs[0], data)}
        raise SchemaMismatch(f"the model takes tensors by name: {_names(specs)}", hint="give a dict of arrays")
    missing = [spec.name for spec in specs if spec.name not in by_name]
    if missing:
        raise SchemaMismatch(f"tensors are missing: {listed(missing)}", hint=f"the model takes: {_names(specs)}")
    fitted = {spec.name: fit_tensor(spec, by_name[spec.name]) for spec in specs if _is_array(by_name[spec.name])}
    made = ((spec.name, fit_tensor(spec, by_name[spec.name])) for spec in specs if spec.name not in fitted)
    fitted |= together(made)
    return {spec.name: fitted[spec.name] for spec in specs}


def fit_tensor(spec: TensorSpec, data: Any) -> Any:
    """`data` itself where dtype and shape match, or an exact conversion of it."""
    import numpy as np

    if type(data).__module__.startswith("scipy.sparse"):
        return _fit_sparse(spec, data)
    array = data if isinstance(data, np.ndarray) else _array(spec, data)
    array = _fit_dtype(spec, array)
    _check_shape(spec, array.shape)
    return array


def array_of(spec: TensorSpec, value: Any) -> Any:
    """An array of nested lists, each value as it is; raises `SchemaMismatch` where NumPy would change one.

    Raises `TooLarge` for texts of very different lengths.
    """
    import numpy as np

    kinds = kinds_in(value)
    if len(kinds - {float, int}) > 1 or (kinds & {bool, str, bytes} and kinds & {int, float}):
        raise refused(spec, "values of several kinds came", "give values of one kind")
    if kinds == {int, float} or (spec.type.kind in "fc" and kinds <= {int, float}):
        return _floats(spec, value, kinds)
    if kinds in ({str}, {bytes}):
        check_texts(name_of(spec), list(flat(value)))
    try:
        array = np.array(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise refused(spec, "the lists are not of one length", "give rows of the declared shape") from error
    if kinds == {int} and array.dtype.kind in "fO":
        array = whole_array(value)
        if array.dtype.kind == "O" and spec.type.kind in "iu":
            raise refused(spec, "a whole number came that it cannot hold exactly", "cast it")
    return array


def whole_array(value: Any) -> Any:
    """Whole numbers of which NumPy would make doubles: as uint64 where that holds each of them, else as objects."""
    import numpy as np

    found = list(flat(value))
    fits = min(found) >= 0 and max(found) < 2**64
    return np.array(value, dtype=np.uint64 if fits else object)


def kinds_in(value: Any) -> set[type]:
    """The Python types of the values inside nested lists."""
    if not isinstance(value, (list, tuple)):
        return {type(value)}
    found: set[type] = set()
    waiting = [value]
    while waiting:
        items = waiting.pop()
        kinds = set(map(type, items))
        found |= kinds - {list, tuple}
        waiting += [item for item in items if isinstance(item, (list, tuple))] if kinds & {list, tuple} else []
    return found


def flat(value: Any) -> Iterator[Any]:
    """The values inside nested lists, in no order."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, (list, tuple)):
            waiting += item
        else:
            yield item


def refused(spec: TensorSpec, why: str, hint: str | None = None) -> SchemaMismatch:
    """The error for this tensor."""
    dtype = {"U": "str", "S": "bytes"}.get(spec.type.kind, spec.type)
    return SchemaMismatch(f"{name_of(spec)} is declared {dtype} of shape {list(spec.shape)}: {why}", hint=hint)


def name_of(spec: TensorSpec) -> str:
    """A tensor as errors name it."""
    return "the input" if spec.name is None else f"input {spec.name!r}"


def _is_array(data: Any) -> bool:
    import numpy as np

    return isinstance(data, np.ndarray)


def _by_name(data: Any) -> Mapping[Any, Any] | None:
    """Arrays by name from a dict, a frame, or a Polars or Arrow table; None for an array alone."""
    if isinstance(data, Mapping):
        return data
    if is_frame(data):
        return {name: data[name] for name in data.columns}
    columns = foreign_columns(data)
    return None if columns is None else dict(zip(*columns, strict=True))


def _array(spec: TensorSpec, data: Any) -> Any:
    """An array from a frame, a column, a Polars or Arrow table, or nested lists."""
    import numpy as np

    columns = foreign_columns(data)
    if columns is not None:
        return _from_columns(spec, [_column(spec, column) for column in columns[1]])
    if is_frame(data):
        return _from_frame(spec, data)
    if isinstance(data, (list, tuple)):
        return _ragged(data) if spec.type.kind == "O" else array_of(spec, data)
    return _column(spec, data) if hasattr(data, "to_numpy") else np.asarray(data)


def _column(spec: TensorSpec, column: Any) -> Any:
    """One column as an array; a column of lists as an array of rows."""
    values = column_array(column)
    if values.dtype.kind != "O" or not values.size or not isinstance(values[0], (list, tuple)):
        nested = values.dtype.kind == "O" and values.size and hasattr(values[0], "tolist")
        return array_of(spec, [cell.tolist() for cell in values]) if nested else values
    return array_of(spec, values.tolist())


def _from_frame(spec: TensorSpec, frame: Any) -> Any:
    if frame.shape[1] > 1 and len(set(frame.dtypes)) == 1 and frame.dtypes.iloc[0].kind != "O":
        return frame.to_numpy()
    return _from_columns(spec, [_column(spec, frame.iloc[:, place]) for place in range(frame.shape[1])])


def _from_columns(spec: TensorSpec, columns: Sequence[Any]) -> Any:
    """Columns side by side, each fitted on its own so that a float beside it changes no whole number."""
    import numpy as np

    if len(columns) == 1 and (spec.shape != (-1, 1) or columns[0].ndim > 1):
        return columns[0]
    if not columns or any(column.ndim > 1 for column in columns):
        raise refused(spec, f"a table of {len(columns)} columns came", "give one column of lists, or plain columns")
    if spec.type.kind == "U":
        # Each column has its own width, all of them together that of the widest: they are looked at as a whole.
        return np.column_stack([column.astype(object) for column in columns])
    return np.column_stack([_fit_dtype(spec, column) for column in columns])


def _ragged(data: Sequence[Any]) -> Any:
    import numpy as np

    try:
        return np.array(data, dtype=object)
    except ValueError:
        rows = np.empty(len(data), dtype=object)
        rows[:] = data
        return rows


def _floats(spec: TensorSpec, value: Any, kinds: set[type]) -> Any:
    """Numbers as doubles; whole ones among them only where a double holds them exactly."""
    import numpy as np

    try:
        array = np.array(value, dtype=np.complex128 if spec.type.kind == "c" else np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise refused(spec, "the lists are not of one length, or a number is beyond its range") from error
    real = spec.type if spec.type.kind == "f" else np.dtype(np.float64)
    # At the limit a float may be the neighbour of the number that came: each is then looked at by itself.
    if int in kinds and array.size and (np.abs(array[np.isfinite(array)]) >= 2.0 ** (np.finfo(real).nmant + 1)).any():
        _check_whole(spec, value, real)
    return array


def _check_whole(spec: TensorSpec, value: Any, real: Any) -> None:
    import numpy as np

    for item in flat(value):
        if type(item) is int:
            with np.errstate(over="ignore"):
                found = real.type(float(item))
            if not np.isfinite(found) or int(found) != item:
                raise refused(spec, "a whole number came that it cannot hold exactly", "cast it")


def _fit_dtype(spec: TensorSpec, array: Any) -> Any:
    import numpy as np

    declared, came = spec.type, array.dtype
    same = came == declared or came.newbyteorder("=") == declared.newbyteorder("=")
    if same or (declared.kind in "US" and came.kind == declared.kind) or declared.kind == "O":
        return array
    if array.size == 0 and came == np.float64:
        return array.astype(declared)
    if came.kind == "O" and array.size:
        return _fit_dtype(spec, _unboxed(spec, array))
    numbers = declared.kind in _NUMBERS and came.kind in _NUMBERS and (came.kind != "c" or declared.kind == "c")
    if not numbers and not (declared.kind == "M" and came.kind == "M"):
        raise refused(spec, f"an array of {came} came", "convert it before the call")
    changed = first_changed(array, declared)
    if changed is not None:
        place = [int(index) for index in np.unravel_index(changed, array.shape)]
        raise refused(spec, f"the value at {place} of the {came} that came cannot be held exactly", "cast it")
    return array.astype(declared)


def _unboxed(spec: TensorSpec, array: Any) -> Any:
    """An array of objects as one of plain values, where all are of one kind."""
    values = array.tolist()
    kinds = kinds_in(values)
    if kinds == {str} and spec.type.kind == "U":
        check_texts(name_of(spec), list(flat(values)))
        return array.astype(str)
    found = array_of(spec, values)
    if found.dtype.kind in "OUS":
        raise refused(spec, "an array of objects came", "convert it before the call")
    return found


def _check_shape(spec: TensorSpec, shape: tuple[int, ...]) -> None:
    pairs = zip(shape, spec.shape, strict=False)
    ragged = spec.type.kind == "O" and spec.shape[:1] == (-1,) and all(size == -1 for size in spec.shape[1:])
    if ragged or (len(shape) == len(spec.shape) and all(want in {-1, size} for size, want in pairs)):
        return
    wanted = "(" + ", ".join("any" if size == -1 else str(size) for size in spec.shape) + ")"
    raise refused(spec, f"the shape {shape} came, {wanted} is declared", "reshape the data")


def _fit_sparse(spec: TensorSpec, matrix: Any) -> Any:
    if matrix.dtype != spec.type:
        raise refused(spec, f"a sparse matrix of {matrix.dtype} came", f"use .astype('{spec.type}')")
    _check_shape(spec, matrix.shape)
    return matrix


def _names(specs: Sequence[TensorSpec]) -> str:
    return listed([spec.name for spec in specs], most=20)
