"""Digests of data: 32 hexadecimal digits over every value, computed piece by piece where the data lies.

Format 1. Each column becomes two streams of bytes, which do not depend on how memory is laid out: `values` (numbers
little-endian, texts as UTF-8, everything else as `pack.data.cells` says) and `marks` (for numbers the rows without a
value; for texts and objects one number for each row: the characters of a text, -1 for nothing, -2 for anything else).
A column's digest covers its name, its type and both streams; a table's covers the columns in their order. BLAKE2b.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from pack.data.cells import feed, feed_texts, feed_whole
from pack.data.pieces import is_plain, piece_bytes, pieces
from pack.mlmodel.frames import is_missing

_FORMAT = b"pack data 1;"
_NOTHING, _OTHER = -1, -2


class Column:
    """The two streams of one column; each call appends some rows."""

    def __init__(self, name: Any, kind: str) -> None:
        self._values, self._marks = hashlib.blake2b(digest_size=32), hashlib.blake2b(digest_size=32)
        self._rows = 0
        self._name, self._kind = name, kind

    def numbers(self, piece: Any, gaps: Any = None) -> None:
        """Append an array of a plain dtype; `gaps` is true where a row has no value."""
        if gaps is not None:
            self._mark((gaps.nonzero()[0] + self._rows).tolist())
        piece_bytes(piece, self._values.update)
        self._rows += len(piece)

    def objects(self, values: Sequence[Any]) -> None:
        """Append any values."""
        kinds = set(map(type, values))
        if kinds <= {str}:
            self._mark(list(map(len, values)))
            feed_texts(values, self._values.update)
        elif kinds == {int}:
            self._mark([_OTHER] * len(values))
            feed_whole(values, self._values.update)
        else:
            self._mixed(values)
        self._rows += len(values)

    def digest(self) -> bytes:
        """What the column comes to."""
        total = hashlib.blake2b(digest_size=32)
        for part in (self._name, self._kind, self._rows, self._values.digest(), self._marks.digest()):
            feed(part, total.update)
        return total.digest()

    def _mixed(self, values: Sequence[Any]) -> None:
        marks: list[int] = []
        texts: list[str] = []
        for value in values:
            if isinstance(value, str):
                texts.append(value)
                marks.append(len(value))
            elif is_missing(value):
                marks.append(_NOTHING)
            else:
                feed_texts(texts, self._values.update)
                texts.clear()
                marks.append(_OTHER)
                feed(value, self._values.update)
        feed_texts(texts, self._values.update)
        self._mark(marks)

    def _mark(self, marks: list[int]) -> None:
        import numpy as np

        if marks:
            piece_bytes(np.array(marks, dtype=np.int64), self._marks.update)


def table_digest(kind: str, columns: Sequence[bytes]) -> str:
    """The digest of a table, or of several arrays, from those of its columns."""
    total = hashlib.blake2b(_FORMAT + f"{kind};{len(columns)};".encode(), digest_size=16)
    for column in columns:
        total.update(column)
    return total.hexdigest()


def arrays_digest(features: Any, targets: Any) -> str:
    """The digest of arrays, or of dicts of arrays: names, dtypes, shapes and values."""
    named = {"features": features, "targets": targets}
    return table_digest("arrays", [part for name, given in named.items() for part in _arrays(name, given)])


def array_column(name: Any, array: Any) -> bytes:
    """The digest of one array of any shape, and of its mask where it has one."""
    import numpy as np

    dtype = array.dtype
    column = Column((name, array.shape), dtype.newbyteorder("=").str.lstrip("<>") if is_plain(dtype) else str(dtype))
    for piece in pieces(array):
        if is_plain(dtype):
            column.numbers(piece)
        else:
            column.objects(piece.tolist())
    if hasattr(array, "mask"):
        for piece in pieces(np.ma.getmaskarray(array)):
            column.numbers(piece)
    return column.digest()


def _arrays(name: str, given: Any) -> list[bytes]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [array_column((name, key), given[key]) for key in sorted(given, key=str)]
    return [array_column(name, given)]
