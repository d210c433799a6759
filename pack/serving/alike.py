"""Answers side by side: whether two say the same, in whatever form they were written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from pack.serving.arrow_stream import need_pyarrow
from pack.serving.columnar import ARROW, NPY, array_of

# Numbers agree within this part of the larger of the two.
TOLERANCE = 1e-6
Values = Callable[[bytes], Any]


class Said(NamedTuple):
    """The body of an answer, and what reads its values."""

    body: bytes
    values: Values


def alike(one: Said, other: Said) -> bool:
    """Whether two answers say the same, numbers within the tolerance."""
    if one.body == other.body:
        return True
    try:
        return _same(one.values(one.body), other.values(other.body))
    except (ValueError, OverflowError, RecursionError):  # Python has no such date, or no end is seen: the bytes decide
        return False


def values_of(content_type: str) -> Values:
    """What reads the values of an answer of this type; anything but columns and arrays is JSON."""
    return {ARROW: _arrow, NPY: _npy}.get(content_type, read_json)


def read_json(body: bytes) -> Any:
    """The value of JSON, in which NaN and infinities may stand."""
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(body)


def _arrow(body: bytes) -> Any:
    with need_pyarrow().ipc.open_stream(body) as reader:
        return reader.read_all().to_pydict()


def _npy(body: bytes) -> Any:
    return array_of(body).tolist()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return _near(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    return bool(one == other)


def _near(one: float, other: float) -> bool:
    both_missing = one != one and other != other  # NaN
    return both_missing or one == other or math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
