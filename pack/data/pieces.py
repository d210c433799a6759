"""The bytes of NumPy arrays, fed into a hash some at a time: no array is copied whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

ROWS = 65_536
BYTES = 8 << 20


def is_plain(dtype: Any) -> bool:
    """Whether the bytes of this dtype are its values: numbers, dates, fixed-width text; no objects, no padding."""
    return dtype.kind in "biufcmMSU" and dtype.char not in "gG"


def array_bytes(array: Any, update: Callable[[Any], None]) -> None:
    """Feed the values of a plain array in the order of its rows: little-endian, every NaN as the same NaN."""
    for piece in pieces(array):
        piece_bytes(piece, update)


def pieces(array: Any) -> Iterator[Any]:
    """The array flattened in the order of its rows, 65,536 values at a time; a piece is valid until the next."""
    import numpy as np

    array = np.asarray(array)
    if array.flags.c_contiguous:
        flat = array.reshape(-1)
        yield from (flat[start : start + ROWS] for start in range(0, flat.size, ROWS))
        return
    flags = ["external_loop", "buffered", "zerosize_ok", "refs_ok"]
    size = min(ROWS, max(1, BYTES // max(1, array.itemsize)))
    yield from np.nditer(array, flags=flags, order="C", buffersize=size)  # type: ignore[call-overload]


def piece_bytes(piece: Any, update: Callable[[Any], None]) -> None:
    """Feed the values of one short array of a plain dtype and one dimension."""
    import numpy as np

    if not piece.dtype.itemsize:
        return
    piece = np.ascontiguousarray(piece, dtype=piece.dtype.newbyteorder("<"))
    if piece.dtype.kind in "fc":
        piece = _same_nan(piece)
    update(piece.view(np.uint8))


def _same_nan(piece: Any) -> Any:
    """NaN has many spellings in bits, which no comparison tells apart."""
    import numpy as np

    if piece.dtype.kind == "c":
        piece = piece.view(piece.real.dtype)
    gaps = np.isnan(piece)
    return np.where(gaps, piece.dtype.type("nan"), piece) if gaps.any() else piece
