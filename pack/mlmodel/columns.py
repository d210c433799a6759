"""One column of a frame against its declared type.

The law: what keeps every value passes, and what matches passes as it is; what would lose or guess is `SchemaMismatch`.
"""

from __future__ import annotations

from typing import Any

from pack.errors import SchemaMismatch
from pack.mlmodel.frames import is_missing
from pack.mlmodel.nested import check, kind_of, scalar_fits
from pack.mlmodel.schema import ColSpec
from pack.mlmodel.types import AnyType, DataType

_INTS = ("int8", "int16", "uint8", "uint16", "int32")
# Dtypes that hold nothing but values of the declared type: no look at the values is needed.
EXACT: dict[DataType, frozenset[str]] = {
    DataType.boolean: frozenset({"bool"}),
    DataType.integer: frozenset(_INTS),
    DataType.long: frozenset({*_INTS, "uint32", "int64"}),
    DataType.float: frozenset({"float16", "float32"}),
    DataType.double: frozenset({"float64"}),
    DataType.string: frozenset({"str", "string"}),
    DataType.binary: frozenset(),
    DataType.datetime: frozenset(),
}
_NEEDS_ALL = {DataType.boolean, DataType.integer, DataType.long}
_FLOATS = {DataType.float: "float32", DataType.double: "float64"}


def is_exact(spec: ColSpec, dtype: Any) -> bool:
    """Whether any column of this dtype passes as it is, whatever its values."""
    if isinstance(spec.type, AnyType):
        return True
    if not isinstance(spec.type, DataType):
        return False
    name = str(getattr(dtype, "subtype", dtype)) if type(dtype).__name__ == "SparseDtype" else str(dtype)
    return name in EXACT[spec.type] or (spec.type is DataType.datetime and name.startswith("datetime64"))


def fit(spec: ColSpec, series: Any) -> Any:
    """`series` itself where it fits, or an exact conversion; raises `SchemaMismatch` naming the column."""
    if is_exact(spec, series.dtype):
        return series
    if not isinstance(spec.type, DataType):
        return _nested(spec, series)
    if str(series.dtype) == "category":
        return _category(spec, series)
    _check_missing(spec, series)
    name = str(getattr(series.dtype, "numpy_dtype", series.dtype)).lower()
    if name in {"object", "str"} or name.startswith("string"):
        return _objects(spec, series)
    if spec.type is DataType.datetime and name.startswith("datetime64"):
        return series
    return _numbers(spec, series, name)


def refused(spec: ColSpec, why: str, hint: str | None = None) -> SchemaMismatch:
    """The error for this column."""
    name = "the column" if spec.name is None else f"column {spec.name!r}"
    return SchemaMismatch(f"{name} is declared {spec.type!r}: {why}", hint=hint, column=spec.name)


def _check_missing(spec: ColSpec, series: Any) -> None:
    if spec.type not in _NEEDS_ALL or not spec.required:
        return
    missing = series.isna()
    if missing.any():
        row = int(missing.to_numpy().argmax())
        raise refused(spec, f"row {row} holds a missing value", "a column that may have gaps is declared not required")


def _objects(spec: ColSpec, series: Any) -> Any:
    for row, value in enumerate(series.tolist()):
        if not is_missing(value) and not _fits(spec.type, value):
            raise refused(spec, f"row {row} holds {kind_of(value)}")
    return series


def _fits(declared: Any, value: Any) -> bool:
    value = value.item() if hasattr(value, "dtype") and getattr(value, "shape", None) == () else value
    return scalar_fits(declared, value)


def _numbers(spec: ColSpec, series: Any, name: str) -> Any:
    kind = _kind(name)
    if spec.type is DataType.boolean and kind == "bool":
        return series
    if kind in {"", "bool"} or spec.type not in {*_NEEDS_ALL, *_FLOATS} or spec.type is DataType.boolean:
        raise refused(spec, f"it came as {series.dtype}", "convert it before the call, where that is what you mean")
    if spec.type in _FLOATS:
        return _to_float(spec, series, kind)
    return _to_whole(spec, series, kind, name)


def _kind(name: str) -> str:
    if name in {"bool", "boolean"}:
        return "bool"
    return next((kind for kind in ("uint", "int", "float") if name.startswith(kind)), "")


def _to_float(spec: ColSpec, series: Any, kind: str) -> Any:
    import numpy as np

    target = _FLOATS[spec.type]  # type: ignore[index]
    if str(getattr(series.dtype, "numpy_dtype", series.dtype)) == target:  # nullable floats of pandas and Arrow
        return series
    with np.errstate(over="ignore"):
        values = (
            series.to_numpy(dtype=target, na_value=np.nan) if series.isna().any() else series.to_numpy(dtype=target)
        )
    changed = _changed(series, values, kind)
    if changed is not None:
        raise refused(
            spec, f"row {changed} holds a number that {target} cannot hold exactly ({series.dtype} came)", "cast it"
        )
    return series if series.dtype == target else _like(series, values)


def _changed(series: Any, values: Any, kind: str) -> int | None:
    """The first row whose number is another one after the conversion; None where all are the same."""
    import numpy as np

    present = series.notna().to_numpy()
    if not present.any():
        return None
    before = series[present].to_numpy()
    after = values[present]
    if kind == "float":
        same = after.astype(before.dtype) == before
    else:
        limit = 2.0 ** (53 if values.dtype == np.float64 else 24)
        near = np.abs(after) < limit
        same = near if near.all() else _same_whole(before, after)
    return None if same.all() else int(np.flatnonzero(present)[int(np.argmin(same))])


def _same_whole(before: Any, after: Any) -> Any:
    import numpy as np

    return np.array([int(one) == int(other) for one, other in zip(before.tolist(), after.tolist(), strict=True)])


def _to_whole(spec: ColSpec, series: Any, kind: str, name: str) -> Any:
    import numpy as np

    low, high = (-(2**31), 2**31 - 1) if spec.type is DataType.integer else (-(2**63), 2**63 - 1)
    present = series.dropna()
    values = present.to_numpy()
    if kind == "float":
        bad = (values != np.floor(values)) | np.isinf(values) | (values < low) | (values >= float(high) + 1)
    else:
        bad = np.array([not low <= value <= high for value in (values.min(), values.max())]) if len(values) else values
    if len(values) and bad.any():
        raise refused(spec, f"{series.dtype} came with a number that it cannot hold exactly", "round or cast it first")
    if len(present) < len(series) or name in EXACT[spec.type] or name == "uint64":  # type: ignore[index]
        return series
    return _like(series, values.astype("int32" if spec.type is DataType.integer else "int64"))


def _like(series: Any, values: Any) -> Any:
    return type(series)(values, index=series.index, name=series.name)


def _category(spec: ColSpec, series: Any) -> Any:
    """A category fits where its categories do; it stays a category."""
    _check_missing(spec, series)
    fit(ColSpec(spec.type, spec.name, required=False), series.cat.categories.to_series())
    return series


def _nested(spec: ColSpec, series: Any) -> Any:
    for row, value in enumerate(series.tolist()):
        if is_missing(value):
            problem = ": holds a missing value" if spec.required else None
        else:
            problem = check(spec.type, value, "")
        if problem:
            raise refused(spec, f"row {row}{problem}")
    return series
