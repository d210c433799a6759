"""Metrics in Prometheus' text format (version 0.0.4): counted where requests pass, put into words when asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

TEXT = "text/plain; version=0.0.4; charset=utf-8"
# Upper bounds in seconds; what is over the last is counted in +Inf alone.
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# Upper bounds of how many requests were scored in one call.
TOGETHER = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_FRESH = 1024
PHASES = ("parse", "queue", "validate", "predict", "encode")


class Histogram:
    """Counts of values up to each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, values: Any) -> None:
        """Count an array of values, or one."""
        found = np.bincount(np.searchsorted(self.bounds, np.atleast_1d(values)), minlength=len(self.counts))
        self.counts = [before + int(more) for before, more in zip(self.counts, found, strict=True)]
        self.sum += float(np.sum(values))

    def merge(self, other: Histogram) -> None:
        """Take over the counts of another one with the same bounds."""
        self.counts = [ours + theirs for ours, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum


class Tally:
    """What happened to the requests of one version."""

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.rows = 0
        self.whole = Histogram(SECONDS)
        self.together = Histogram(TOGETHER)
        self.phases = {phase: Histogram(SECONDS) for phase in PHASES}
        # Counting many at once costs a small part of counting each as it comes.
        self._fresh: list[tuple[float, ...]] = []

    def answered(self, seconds: tuple[float, float, float, float, float], rows: int, together: int) -> None:
        """Count a request that was answered, by the seconds of its phases."""
        self._fresh.append((*seconds, rows, together))
        if len(self._fresh) >= _FRESH:
            self.settle()

    def settle(self) -> None:
        """Count what came since the last time; whoever reads the counts calls it first."""
        if not self._fresh:
            return
        fresh, self._fresh = np.array(self._fresh), []
        self.statuses[200] = self.statuses.get(200, 0) + len(fresh)
        self.rows += int(fresh[:, -2].sum())
        self.together.add(fresh[:, -1])
        self.whole.add(fresh[:, :-2].sum(axis=1))
        for place, phase in enumerate(self.phases.values()):
            phase.add(fresh[:, place])

    def failed(self, status: int) -> None:
        """Count a request that was refused or failed."""
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def merge(self, other: Tally) -> None:
        """Take over the counts of another one."""
        self.settle()
        other.settle()
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.rows += other.rows
        self.whole.merge(other.whole)
        self.together.merge(other.together)
        for phase, histogram in self.phases.items():
            histogram.merge(other.phases[phase])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, from which `from_dict` makes it again."""
        self.settle()
        histograms = {"whole": self.whole, "together": self.together, **self.phases}
        return {
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "rows": self.rows,
            **{name: [*one.counts, one.sum] for name, one in histograms.items()},
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Tally:
        """The tally that `to_dict` wrote."""
        made = cls()
        made.statuses = {int(status): int(count) for status, count in found["statuses"].items()}
        made.rows = int(found["rows"])
        for name, one in {"whole": made.whole, "together": made.together, **made.phases}.items():
            *one.counts, one.sum = found[name]
        return made


class Sample(NamedTuple):
    """One line: the name, its labels, the value."""

    name: str
    labels: Mapping[str, str]
    value: float


class Family(NamedTuple):
    """The lines of one metric with what it means and its type: counter, gauge or histogram."""

    name: str
    help: str
    type: str
    samples: Iterable[Sample]


def text(families: Iterable[Family]) -> str:
    """The text that Prometheus reads."""
    return "".join(_lines(family) for family in families)


def of_tallies(tallies: Iterable[tuple[Mapping[str, str], Tally]]) -> list[Family]:
    """The families that tell of requests, each tally under its labels."""
    every = list(tallies)
    for _, one in every:
        one.settle()

    def histogram(name: str, meaning: str, of: Callable[[Tally], Histogram]) -> Family:
        samples = [sample for labels, one in every for sample in buckets(name, labels, of(one))]
        return Family(name, meaning, "histogram", samples)

    requests = [
        Sample("pack_requests_total", {**labels, "status": str(status)}, count)
        for labels, one in every
        for status, count in sorted(one.statuses.items())
    ]
    rows = [Sample("pack_rows_total", labels, one.rows) for labels, one in every]
    phases = [
        sample
        for labels, one in every
        for phase, found in one.phases.items()
        for sample in buckets("pack_phase_seconds", {**labels, "phase": phase}, found)
    ]
    return [
        Family("pack_requests_total", "Scoring requests by the status of their answer.", "counter", requests),
        Family("pack_rows_total", "Rows that were scored.", "counter", rows),
        histogram("pack_request_seconds", "Seconds from the body's last byte to the answer.", lambda one: one.whole),
        Family("pack_phase_seconds", "Seconds that a request spent in each phase.", "histogram", phases),
        histogram(
            "pack_batch_requests", "Requests scored in one call, as each of them saw it.", lambda one: one.together
        ),
    ]


def buckets(name: str, labels: Mapping[str, str], found: Histogram) -> Iterator[Sample]:
    """The lines of a histogram."""
    total = 0
    for bound, count in zip((*found.bounds, "+Inf"), found.counts, strict=True):
        total += count
        yield Sample(f"{name}_bucket", {**labels, "le": str(bound)}, total)
    yield Sample(f"{name}_sum", labels, found.sum)
    yield Sample(f"{name}_count", labels, total)


def _lines(family: Family) -> str:
    head = f"# HELP {family.name} {family.help}\n# TYPE {family.name} {family.type}\n"
    return head + "".join(f"{one.name}{_labels(one.labels)} {one.value!r}\n" for one in family.samples)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    shown = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{shown}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
