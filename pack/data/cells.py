"""Python values as bytes that say the same in every process, fed into a hash without building them whole."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from typing import Any, TypeAlias

from pack.data.pieces import array_bytes, is_plain, piece_bytes
from pack.mlmodel.frames import is_missing

Update: TypeAlias = Callable[[Any], None]

_PIECE = 1 << 20
_MAX_DEPTH = 64
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_SETS = (set, frozenset)


def feed(value: Any, update: Update, above: tuple[int, ...] = ()) -> None:
    """Feed one value: its kind, its size, its content. Values of unknown types count by their type and `repr`.

    `above`: the containers that this value lies in, by id; what holds itself, or lies deeper than 64, ends there.
    """
    if type(value) is int:
        update(b"i%x;" % value)
    elif is_missing(value):
        update(b"-")
    elif type(value) is float:
        update(b"f" + struct.pack("<d", value))
    elif isinstance(value, str):
        update(b"s%d;" % len(value))
        feed_text(value, update)
    elif isinstance(value, (bytes, bytearray)):
        update(b"b%d;" % len(value))
        update(value)
    elif id(value) in above or len(above) > _MAX_DEPTH:
        update(b"^")
    elif isinstance(value, (Mapping, list, tuple, *_SETS)):
        _feed_members(value, update, (*above, id(value)))
    elif (array := _as_array(value)) is not None:
        _feed_array(array, update, (*above, id(value)))
    else:
        shown = f"{type(value).__qualname__} {_shown(value)}"
        update(b"r%d;" % len(shown))
        feed_text(shown, update)


def feed_text(text: str, update: Update) -> None:
    """Feed the UTF-8 bytes of a text, piece by piece."""
    for start in range(0, len(text), _PIECE):
        update(text[start : start + _PIECE].encode("utf-8", "surrogatepass"))


def feed_texts(texts: Sequence[str], update: Update) -> None:
    """Feed the UTF-8 bytes of texts one after the other, some at a time."""
    import numpy as np

    if not texts:
        return
    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=len(texts)))
    cuts = np.searchsorted(ends, np.arange(_PIECE, int(ends[-1]), _PIECE)).tolist()
    for start, stop in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        feed_text("".join(texts[start:stop]), update)


def feed_whole(numbers: Sequence[int], update: Update) -> None:
    """Feed whole numbers one after the other, as `feed` would one by one."""
    update((b"i%x;" * len(numbers)) % tuple(numbers))


def _feed_members(value: Any, update: Update, above: tuple[int, ...]) -> None:
    if isinstance(value, (list, tuple)) and set(map(type, value)) == {float}:
        update(b"d%d;" % len(value))
        _feed_floats(value, update)
        return
    tag, members = b"l", value
    if isinstance(value, Mapping):
        tag, members = b"m", [part for pair in value.items() for part in pair]
    elif isinstance(value, _SETS):
        tag, members = b"e", sorted(value, key=_shown)
    update(tag + b"%d;" % len(value))
    for member in members:
        feed(member, update, above)


def _feed_floats(values: Sequence[float], update: Update) -> None:
    import numpy as np

    piece_bytes(np.fromiter(values, dtype="<f8", count=len(values)), update)


def _as_array(value: Any) -> Any:
    """What knows how to become an array (images, tensors, Series) as one; None for anything else and for scalars."""
    import numpy as np

    if isinstance(value, (np.ndarray, np.generic)):
        return value if isinstance(value, np.ndarray) else None
    if not hasattr(value, "__array__") and not hasattr(value, "__array_interface__"):
        return None
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return None


def _feed_array(array: Any, update: Update, above: tuple[int, ...]) -> None:
    update(f"a{array.dtype.str}{array.shape};".encode())
    if is_plain(array.dtype):
        array_bytes(array, update)
        return
    for member in array.ravel().tolist():
        feed(member, update, above)


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, float):
        return value.hex()
    if hasattr(value, "dtype"):
        return f"{value.dtype} {value!s}"
    if isinstance(value, (date, time)):
        return value.isoformat()
    return _ADDRESS.sub("", repr(value))
