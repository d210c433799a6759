"""One column of a frame against its declared type.

The law: what keeps every value passes, and what matches passes as it is; what would lose or guess is `SchemaMismatch`.
A column matches when its signature could have been inferred from it, so an object column of whole numbers is a `long`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pack.errors import SchemaMismatch
from pack.mlmodel.frames import is_missing
from pack.mlmodel.nested import all_fit, check, kind_of, plain, scalar_fits
from pack.mlmodel.schema import ColSpec
from pack.mlmodel.types import AnyType, DataType

_INTS = ("int8", "int16", "uint8", "uint16", "int32")
# How values lie in a column that holds nothing but values of the declared type.
_MATCHES: dict[DataType, frozenset[str]] = {
    DataType.boolean: frozenset({"bool"}),
    DataType.integer: frozenset(_INTS),
    DataType.long: frozenset({*_INTS, "uint32", "int64"}),
    DataType.float: frozenset({"float16", "float32"}),
    DataType.double: frozenset({"float64"}),
    DataType.string: frozenset({"string"}),
    DataType.binary: frozenset(),
    DataType.datetime: frozenset({"datetime64"}),
}
_GAPLESS = {DataType.boolean, DataType.integer, DataType.long}
_FLOATS = {DataType.float, DataType.double}
_NUMBERS = {
    DataType.integer: "int32",
    DataType.long: "int64",
    DataType.float: "float32",
    DataType.double: "float64",
}
_NEVER_MISSING = {bool, int, str, bytes, bytearray, date, datetime}
_PLAIN = {*_NEVER_MISSING, float}
_ROUND = "round or cast it before the call, where that is what you mean"


def storage(dtype: Any) -> str:
    """How a pandas dtype holds its values: `float64` for float64, Float64 and double[pyarrow] alike."""
    inner = getattr(dtype, "numpy_dtype", dtype)
    kind = getattr(inner, "kind", "")
    if kind == "M":
        return "datetime64"
    if kind == "U" or str(inner) == "str" or str(inner).startswith("string"):
        return "string"
    return inner.name if type(inner).__module__.startswith("numpy") else str(inner).lower()


def always_fits(spec: ColSpec, dtype: Any) -> bool:
    """Whether every column of this dtype passes as it is, whatever its values."""
    if isinstance(spec.type, AnyType):
        return True
    if not isinstance(spec.type, DataType) or storage(dtype) not in _MATCHES[spec.type]:
        return False
    gaps = type(dtype).__module__.startswith("pandas")
    return not (gaps and _needs_all(spec))


def fit(spec: ColSpec, series: Any) -> Any:
    """`series` itself where it matches, or an exact conversion; raises `SchemaMismatch` naming the column."""
    if always_fits(spec, series.dtype):
        return series
    if not isinstance(spec.type, DataType):
        return _nested(spec, series)
    name = storage(series.dtype)
    if name == "category" or name.startswith("sparse["):
        return _packed(spec, series)
    if name == "object":
        return _objects(spec, spec.type, series)
    _check_missing(spec, series)
    if name in _MATCHES[spec.type]:
        return series
    return _numbers(spec, spec.type, series)


def block_dtype(specs: Sequence[ColSpec], dtypes: Sequence[Any]) -> str | None:
    """The dtype that a whole frame is converted to at once: columns of one NumPy dtype, all declared as one number."""
    declared, came = specs[0].type, dtypes[0]
    alike = all(spec.type is declared for spec in specs) and all(dtype == came for dtype in dtypes)
    if not alike or declared not in _NUMBERS or storage(came) == "uint64" or not _is_gapless(came, declared):
        return None
    return _NUMBERS[declared]


def refused(spec: ColSpec, why: str, hint: str | None = None) -> SchemaMismatch:
    """The error for this column."""
    name = "the column" if spec.name is None else f"column {spec.name!r}"
    return SchemaMismatch(f"{name} is declared {spec.type!r}: {why}", hint=hint, column=spec.name)


def _needs_all(spec: ColSpec) -> bool:
    """Whether a gap is an error: not for text, dates and floats, nor for a column without a name (always required)."""
    return spec.type in _GAPLESS and spec.required and spec.name is not None


def _check_missing(spec: ColSpec, series: Any) -> None:
    if not _needs_all(spec):
        return
    missing = series.isna()
    if missing.any():
        row = int(missing.to_numpy().argmax())
        raise refused(spec, f"row {row} holds a missing value", "a column that may have gaps is declared not required")


def _packed(spec: ColSpec, series: Any) -> Any:
    """A category or a sparse column: as it is where its values match, else unpacked and converted."""
    dense = _dense(series)
    fitted = fit(spec, dense)
    return series if fitted is dense else fitted


def _dense(series: Any) -> Any:
    if not hasattr(series, "cat"):
        return series.sparse.to_dense()
    dtype = series.cat.categories.dtype
    # Whole numbers and booleans have no gaps of their own.
    gaps = getattr(dtype, "kind", "") in "iub" and series.hasnans
    return series.astype(object if gaps else dtype)


def _nested(spec: ColSpec, series: Any) -> Any:
    for row, value in enumerate(series.tolist()):
        if is_missing(value):
            problem = " holds a missing value" if spec.required and spec.name is not None else None
        else:
            problem = check(spec.type, value, "")
        if problem:
            raise refused(spec, f"row {row}{problem}")
    return series


def _objects(spec: ColSpec, declared: DataType, series: Any) -> Any:
    """A column of Python objects: each must fit; as it is where its own type is the declared one."""
    given = series.tolist()
    kinds = set(map(type, given))
    if not kinds <= (_PLAIN if declared in _FLOATS else _NEVER_MISSING):
        _check_missing(spec, series)
        given = series.dropna().tolist()
        kinds = set(map(type, given))
    cells = given if kinds <= _PLAIN else [_cell(declared, value) for value in given]
    if not all_fit(declared, cells):
        _check_cells(spec, declared, series)
    if declared not in _NUMBERS or _own_type(declared, cells, kinds):
        return series
    return _unboxed(series, declared, cells)


def _own_type(declared: DataType, cells: list[Any], kinds: set[type]) -> bool:
    """Whether these numbers, as objects, would be inferred as the declared type."""
    plain_kinds = set(map(type, cells))
    if declared is DataType.float:
        return {kind.__name__ for kind in kinds} in ({"float16"}, {"float32"}, {"float16", "float32"})
    if Decimal in kinds:
        return False
    return plain_kinds == {int} if declared in _GAPLESS else float in plain_kinds


def _check_cells(spec: ColSpec, declared: DataType, series: Any) -> None:
    for row, (value, gap) in enumerate(zip(series.tolist(), series.isna().tolist(), strict=True)):
        if not gap and not scalar_fits(declared, _cell(declared, value)):
            raise refused(spec, f"row {row} holds {_what(declared, value)}")


def _cell(declared: DataType, value: Any) -> Any:
    """One object as a plain value; a Decimal as the float that is exactly it, where there is one."""
    value = plain(value)
    if isinstance(value, Decimal) and declared in _NUMBERS and value.is_finite() and Decimal(float(value)) == value:
        return float(value)
    return value


def _what(declared: DataType, value: Any) -> str:
    value = _cell(declared, value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f"{kind_of(value)} that it cannot hold exactly" if number and declared in _NUMBERS else kind_of(value)


def _unboxed(series: Any, declared: DataType, cells: list[Any]) -> Any:
    """Python numbers as the declared dtype; with gaps, whole numbers stay the objects that they are."""
    import numpy as np

    if len(cells) == len(series):
        return _like(series, np.array(cells, dtype=_NUMBERS[declared]))
    if declared in _GAPLESS:
        return series
    values = np.full(len(series), np.nan, dtype=_NUMBERS[declared])
    values[series.notna().to_numpy()] = cells
    return _like(series, values)


def _numbers(spec: ColSpec, declared: DataType, series: Any) -> Any:
    """A column of one number type as another, where each number stays the same."""
    name = storage(series.dtype)
    kind = next((kind for kind in ("uint", "int", "float") if name.startswith(kind) and "[" not in name), None)
    if kind is None or declared not in _NUMBERS:
        raise refused(spec, f"it came as {series.dtype}", "convert it before the call, where that is what you mean")
    if _is_gapless(series.dtype, declared) and name != "uint64":
        values = series.to_numpy()
        if first_changed(values, _NUMBERS[declared]) is None:
            return _like(series, values.astype(_NUMBERS[declared]))
    present = series.dropna()
    values = present.to_numpy(dtype=name)
    changed = first_changed(values, _NUMBERS[declared])
    if changed is not None:
        row = int(series.notna().to_numpy().nonzero()[0][changed])
        raise refused(spec, f"row {row} of the {series.dtype} that came cannot be held exactly", _ROUND)
    if len(present) < len(series) and declared in _GAPLESS:
        return series
    if name == "uint64" and declared is DataType.long:
        return series
    return _like(series, series.to_numpy(dtype=_NUMBERS[declared], **_gaps(series)))


def _is_gapless(dtype: Any, declared: DataType) -> bool:
    """Whether values of a NumPy number dtype need no look for gaps: a NaN is a number where a float is declared."""
    numbers = type(dtype).__module__.startswith("numpy") and dtype.kind in "iuf"
    return numbers and (dtype.kind != "f" or declared in _FLOATS)


def _gaps(series: Any) -> dict[str, Any]:
    """pandas fills gaps of its own dtypes only when told with what."""
    import numpy as np

    return {"na_value": np.nan} if type(series.dtype).__module__.startswith("pandas") and series.hasnans else {}


def first_changed(values: Any, target: Any) -> int | None:
    """The flat place of the first number that the NumPy dtype `target` cannot hold exactly; None where it holds all.

    `values` is a NumPy array of whole numbers, floats or dates; NaN and NaT are values that floats and dates hold.
    """
    import numpy as np

    wanted = np.dtype(target)
    if not values.size or _always_exact(values.dtype, wanted) or _all_small(values, wanted):
        return None
    with np.errstate(all="ignore"):
        there = values.astype(wanted)
        back = (there if values.dtype.kind == "c" else there.real).astype(values.dtype)
        same = (back == values) | ((back != back) & (values != values))
        same &= _in_range(values, there)
    return None if same.all() else int(np.argmin(same))


def _always_exact(came: Any, wanted: Any) -> bool:
    """NumPy calls int64 to float64 safe, which it is not beyond 2**53, and dates of a finer unit, which end earlier."""
    import numpy as np

    if came == wanted:
        return True
    if came.kind == "M" or not np.can_cast(came, wanted, "safe"):
        return False
    return not (came.kind in "iu" and wanted.kind in "fc" and came.itemsize * 8 - 1 > np.finfo(wanted).nmant)


def _all_small(values: Any, wanted: Any) -> bool:
    """Whether whole numbers lie where `wanted` holds each of them, by the least and the greatest."""
    import numpy as np

    if values.dtype.kind not in "iu" or wanted.kind not in "iufc":
        return False
    most = 2 ** (np.finfo(wanted).nmant + 1) if wanted.kind in "fc" else int(np.iinfo(wanted).max)
    least = -most if wanted.kind in "fc" else int(np.iinfo(wanted).min)
    return least <= int(values.min()) and int(values.max()) <= most


def _in_range(values: Any, there: Any) -> Any:
    """Where a number lies inside both dtypes: outside, the way there and back may wrap round to the same number."""
    import numpy as np

    if values.dtype.kind in "iu" and there.dtype.kind in "iu":
        return (values < 0) == (there < 0)
    whole, real = (values.dtype, there) if values.dtype.kind in "iu" else (there.dtype, values)
    if whole.kind not in "iu":
        return np.True_
    limits = np.iinfo(whole)
    if real.dtype.itemsize < 8:  # in a small float the limits themselves would be infinite
        real = real.astype(np.float64)
    return (real.real >= float(limits.min)) & (real.real < float(int(limits.max) + 1))


def _like(series: Any, values: Any) -> Any:
    return type(series)(values, index=series.index, name=series.name)
