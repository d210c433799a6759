"""Rows to compare two models on: the example, and random ones within the signature, the same for the same seed.

example   as it was given
within    each column's values shuffled by themselves, fractions anywhere between the least and the greatest
beyond    numbers up to a whole range outside of the example's
missing   gaps in the columns that the signature lets be missing
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from pack.mlmodel.schema import Schema
from pack.mlmodel.types import DataType

_LIMITS = {"int32": 2**31 - 1, "int64": 2**53}
_WHOLE = {"integer": "int32", "long": "int64"}


@dataclass(frozen=True)
class Batch:
    """Rows of one kind."""

    kind: str
    rows: Any


def batches(example: Any, schema: Schema, *, count: int, seed: int = 0) -> Iterator[Batch]:
    """The example and what is made of it, each of `count` rows."""
    chance = np.random.default_rng(seed)
    yield Batch("example", example)
    yield Batch("within", drawn(example, schema, count, chance=chance, beyond=False))
    yield Batch("beyond", drawn(example, schema, count, chance=chance, beyond=True))
    if not schema.is_tensor_spec() and schema.optional_input_names():
        rows = drawn(example, schema, count, chance=chance, beyond=False)
        yield Batch("missing", _with_gaps(rows, schema.optional_input_names(), chance))


def drawn(example: Any, schema: Schema, count: int, *, chance: Any, beyond: bool) -> Any:
    """Random rows like those of an example: a frame, an array, or arrays by name."""
    if isinstance(example, dict):
        return {name: _array(np.asarray(one), count, chance, beyond=beyond) for name, one in example.items()}
    if not hasattr(example, "columns"):
        return _array(np.asarray(example), count, chance, beyond=beyond)
    types = schema.input_types() if not schema.is_tensor_spec() else [None] * len(example.columns)
    drawn_ = [_column(example.iloc[:, at], kind, count, chance, beyond=beyond) for at, kind in enumerate(types)]
    made = type(example)(dict(enumerate(drawn_)))
    made.columns = example.columns
    return made


def _column(values: Any, kind: Any, count: int, chance: Any, *, beyond: bool) -> Any:
    """One column; of a column without any value, none."""
    present = values.dropna()
    if not len(present):
        return values.iloc[np.zeros(count, dtype=int)].reset_index(drop=True)
    picked = present.iloc[chance.integers(0, len(present), count)].reset_index(drop=True)
    if not isinstance(kind, DataType) or kind.name not in {"float", "double", *_WHOLE}:
        return picked
    numbers = _numbers(present.to_numpy(), count, chance, whole=_WHOLE.get(kind.name), beyond=beyond)
    return picked if numbers is None else type(picked)(numbers.astype(_numpy_dtype(present)))


def _numpy_dtype(series: Any) -> Any:
    return getattr(series.dtype, "numpy_dtype", series.dtype)


def _array(values: Any, count: int, chance: Any, *, beyond: bool) -> Any:
    """Random values of an array's dtype and shape, in ranges of each column of a matrix, else of all together."""
    if not len(values):
        return values
    picked = values[chance.integers(0, len(values), count)]
    if values.dtype.kind not in "fiu":
        return picked
    if values.ndim == 2:
        columns = [
            _numbers(values[:, at], count, chance, whole=_whole(values), beyond=beyond) for at in range(values.shape[1])
        ]
        if all(one is not None for one in columns) and columns:
            return np.stack(columns, axis=1).astype(values.dtype)
        return picked
    size = (count, *values.shape[1:])
    found = _numbers(values.ravel(), int(np.prod(size)), chance, whole=_whole(values), beyond=beyond)
    return picked if found is None else found.reshape(size).astype(values.dtype)


def _whole(values: Any) -> str | None:
    return str(values.dtype) if values.dtype.kind in "iu" else None


def _numbers(values: Any, count: int, chance: Any, *, whole: str | None, beyond: bool) -> Any:
    """Numbers in the range of the values; None where whole ones are picked from the values themselves."""
    finite = np.asarray(values, dtype="float64")
    finite = finite[np.isfinite(finite)]
    if not finite.size or (whole and not beyond):
        return None
    least, most = float(finite.min()), float(finite.max())
    span = (most - least) or max(abs(most), 1.0)
    if beyond:
        # What is never negative, such as a count or a price, stays so.
        least, most = least - span if least < 0 else max(0.0, least - span), most + span
    if whole:
        limit = _LIMITS.get(whole, int(np.iinfo(whole).max))
        return chance.integers(int(max(least, -limit)), int(min(most, limit)), count, endpoint=True)
    return chance.uniform(least, most, count)


def _with_gaps(rows: Any, names: list[Any], chance: Any) -> Any:
    """The rows with a fifth of their values missing in these columns."""
    made = rows.copy()
    for name in names:
        if name in made.columns:
            gaps = chance.random(len(made)) < 0.2
            made[name] = made[name].where(~gaps, other=None) if made[name].dtype == object else made[name].mask(gaps)
    return made
