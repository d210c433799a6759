"""How long a model takes for some rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

_MOST_CALLS = 200
_SECONDS = 0.4


def latency(predict: Callable[[Any], Any], rows: Any) -> float:
    """The median time of a call in milliseconds, after one that is not counted."""
    predict(rows)
    taken: list[float] = []
    end = time.perf_counter() + _SECONDS
    while len(taken) < 3 or (len(taken) < _MOST_CALLS and time.perf_counter() < end):
        start = time.perf_counter()
        predict(rows)
        taken.append(time.perf_counter() - start)
    return median(taken) * 1000
