"""Points of metrics in their order: by key, then step, time, value, and NaN after its zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pack.errors import InvalidValue
from pack.tracking import Metric
from pack.tracking.limits import check_point

Place = tuple[str, int, int, float, bool]


def place(point: Metric) -> Place:
    """Where a point stands in the order; two points at one place are the same."""
    value, bad = point.value, point.value != point.value
    return (point.key, point.step, point.timestamp, 0.0 if bad else value, bad)


def of_model(point: Metric) -> tuple[Place, str, str, str]:
    """Where a point of a logged model stands: it says what it was measured in and on, too."""
    return place(point), point.run_id or "", point.dataset_name or "", point.dataset_digest or ""


def ordered(key: str, points: Iterable[tuple[int, int, float]]) -> Iterator[Metric]:
    """The points of one metric, given as step, time and value, in their order and each once."""
    places = {(step, moment, 0.0 if value != value else value, value != value) for step, moment, value in points}
    for step, moment, value, bad in sorted(places):
        yield Metric(key, float("nan") if bad else value, moment, step)


def counted(points: Iterable[Metric]) -> Iterator[Metric]:
    """The points that a store takes; what is wrong with the others has been said when they were refused."""
    for point in points:
        try:
            check_point(point)
        except InvalidValue:
            continue
        yield point
