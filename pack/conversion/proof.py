"""Whether two models answer alike: numbers within tolerances, labels exactly but where the scores tie."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pack.conversion.rows import Batch

_NUMBERS = "fc"


@dataclass(frozen=True)
class Tolerances:
    """Two numbers agree where they differ by at most `atol + rtol * |the source's|`."""

    rtol: float = 1e-4
    atol: float = 1e-5


@dataclass(frozen=True)
class Compared:
    """One kind of rows: how many there were, how many answers differ, how many of the labels tie.

    `largest` is the greatest difference of two numbers; `refused` is why the source itself takes no such rows.
    """

    kind: str
    rows: int
    differing: int = 0
    ties: int = 0
    largest: float = 0.0
    refused: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Proof:
    """All comparisons, by which tolerances."""

    tolerances: Tolerances
    compared: tuple[Compared, ...]

    @property
    def holds(self) -> bool:
        """Whether no answer differs."""
        return not self.differing

    @property
    def differing(self) -> int:
        """How many answers differ."""
        return sum(one.differing for one in self.compared)

    @property
    def rows(self) -> int:
        """How many answers were compared."""
        return sum(one.rows for one in self.compared if one.refused is None)

    @property
    def ties(self) -> int:
        """How many labels differ where the source's own scores tie."""
        return sum(one.ties for one in self.compared)

    @property
    def largest(self) -> float:
        """The greatest difference of two numbers."""
        return max((one.largest for one in self.compared), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **asdict(self.tolerances),
            "rows": self.rows,
            "differing": self.differing,
            "ties": self.ties,
            "largest_difference": self.largest,
            "batches": [
                {key: value for key, value in asdict(one).items() if value is not None} for one in self.compared
            ],
        }


def prove(
    source: Callable[[Any], Any],
    converted: Callable[[Any], Any],
    data: Iterable[Batch],
    *,
    scores: Callable[[Any], Any],
    tolerances: Tolerances,
) -> Proof:
    """Compare two models on every batch; rows that the source itself refuses are told, not compared."""
    return Proof(tolerances, tuple(_compared(source, converted, one, scores, tolerances) for one in data))


def _compared(source: Any, converted: Any, batch: Batch, scores: Any, tolerances: Tolerances) -> Compared:
    count = _length(batch.rows)
    try:
        expected = np.asarray(source(batch.rows))
    except Exception as error:  # a model may raise anything about rows that it does not take
        if batch.kind == "example":
            raise
        return Compared(batch.kind, count, refused=_line(error))
    try:
        found = np.asarray(converted(batch.rows))
    except Exception as error:  # noqa: BLE001 - neither is this one's error any other than a difference
        return Compared(batch.kind, count, differing=count, reason=_line(error))
    if expected.shape != found.shape:
        return Compared(batch.kind, count, differing=count, reason=f"shape {found.shape}, not {expected.shape}")
    if expected.dtype.kind in _NUMBERS:
        return _numbers(batch.kind, expected, found, tolerances)
    return _labels(batch, expected, found, scores, tolerances)


def _numbers(kind: str, expected: Any, found: Any, tolerances: Tolerances) -> Compared:
    expected, found = expected.astype("float64"), found.astype("float64")
    near = np.isclose(found, expected, rtol=tolerances.rtol, atol=tolerances.atol, equal_nan=True)
    with np.errstate(invalid="ignore"):
        apart = np.abs(found - expected)
    largest = float(np.nanmax(apart)) if apart.size and not np.isnan(apart).all() else 0.0
    return Compared(kind, len(expected), int((~_by_row(near)).sum()), largest=largest)


def _labels(batch: Batch, expected: Any, found: Any, scores: Any, tolerances: Tolerances) -> Compared:
    same = _by_row(expected.astype(str) == found.astype(str) if expected.dtype.kind in "UO" else expected == found)
    differing = np.flatnonzero(~same)
    if not len(differing):
        return Compared(batch.kind, len(expected))
    found_scores = scores(batch.rows)
    tied = np.zeros(len(expected), dtype=bool) if found_scores is None else _ties(found_scores, tolerances)
    ties = int(tied[differing].sum())
    return Compared(batch.kind, len(expected), len(differing) - ties, ties=ties)


def _ties(scores: Any, tolerances: Tolerances) -> Any:
    """Where the two best scores lie within the tolerances of each other; of one score, where it is about zero."""
    scores = np.asarray(scores, dtype="float64")
    if scores.ndim == 1:
        return np.abs(scores) <= tolerances.atol
    best = np.sort(scores, axis=1)[:, -2:]
    return best[:, -1] - best[:, 0] <= tolerances.atol + tolerances.rtol * np.abs(best[:, -1])


def _by_row(same: Any) -> Any:
    return same.reshape(len(same), -1).all(axis=1)


def _length(rows: Any) -> int:
    return len(next(iter(rows.values()))) if isinstance(rows, dict) else len(rows)


def _line(error: Exception) -> str:
    text = str(getattr(error, "message", error)).strip().splitlines() or [""]
    return f"{type(error).__name__}: {text[0][:200]}"
