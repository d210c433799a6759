"""What one request brings to a model, so that it can be put beside others, scored in one call, and told apart again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from itertools import chain
from typing import Any, NamedTuple

Join = Callable[[Sequence[Any]], Any]
Encode = Callable[[Any], bytes]


class Parcel(NamedTuple):
    """The data of one request, with `rows` rows; None where they cannot be told from those of another.

    Parcels of one `key` may be put together: `join` makes what the model is called with from the data of one or more.
    `encode` makes the body of the answer from the predictions for this parcel, or raises a `PackError`; without it the
    answer is JSON.
    """

    data: Any
    params: dict[str, Any]
    rows: int | None
    key: Hashable
    join: Join
    wrapped: bool = True
    encode: Encode | None = None


def parcel_of(data: Any, params: dict[str, Any], *, wrapped: bool) -> Parcel:
    """A parcel of data that the model's plan has passed; rows of arrays and frames can be told apart."""
    dtypes = getattr(data, "dtypes", None)
    shape: tuple[int, ...] = getattr(data, "shape", ())
    if dtypes is not None and len(shape) == 2:
        key: Hashable = ("frame", tuple(map(str, dtypes)), tuple(data.columns), repr(params))
        return Parcel(data, params, shape[0], key, _frames, wrapped)
    if hasattr(data, "__array_interface__") and shape and data.dtype.kind != "O":
        return Parcel(data, params, shape[0], ("array", data.dtype, shape[1:], repr(params)), arrays, wrapped)
    return Parcel(data, params, None, None, _alone, wrapped)


def arrays(parts: Sequence[Any]) -> Any:
    """Arrays one below another."""
    import numpy as np

    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def rows_of(parts: Sequence[list[Any]]) -> list[Any]:
    """The rows of several lists in one."""
    return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))


def _alone(parts: Sequence[Any]) -> Any:
    return parts[0]


def _frames(parts: Sequence[Any]) -> Any:
    import pandas as pd

    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
