"""Large blocks of numbers out of JSON, without a Python object for each number.

simdjson reads a whole body in the time in which others make its numbers into objects. It is used where it is installed;
what it cannot vouch for is left to the reader that can.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import simdjson
except ModuleNotFoundError:  # pragma: no cover - an accelerator, no more
    simdjson = None  # type: ignore[assignment]

# Below this many bytes other readers are as quick.
LARGE = 4096
_OPEN = ord("[")


def split_block(body: bytes, names: list[str]) -> Any:
    """The rows of a `dataframe_split` body whose columns have these names, as an array of doubles; None where unsure.

    That no name stands there twice, and that whole numbers are held exactly, is for the caller to see.
    """
    if simdjson is None or len(body) < LARGE:
        return None
    try:
        split = _parsed(body)["dataframe_split"]
        return _block(split["data"], body, len(names), 2) if split["columns"].as_list() == names else None
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return None


def inputs_block(body: bytes, width: int) -> Any:
    """The rows of `inputs` or `instances`, each with so many numbers, as an array of doubles; None where unsure."""
    if simdjson is None or len(body) < LARGE:
        return None
    try:
        key = "inputs" if b'"inputs"' in body[:LARGE] else "instances"
        return _block(_parsed(body)[key], body, width, 1)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        return None


def _parsed(body: bytes) -> Any:
    return simdjson.Parser().parse(body)


def _block(data: Any, body: bytes, width: int, outer: int) -> Any:
    rows = len(data)
    flat = np.frombuffer(data.as_buffer(of_type="d"))
    # The buffer is flat, so the rows' lengths are looked at, and that there are no lists but the rows and `outer` more.
    lists = np.count_nonzero(np.frombuffer(body, np.uint8) == _OPEN)
    if not rows or flat.size != rows * width or lists > rows + outer or any(len(row) != width for row in data):
        return None
    return flat.reshape(rows, width)
