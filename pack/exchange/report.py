"""What an import or export did, counted from both sides when it was done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

NOUNS = (
    "experiments",
    "runs",
    "metric points",
    "params",
    "tags",
    "datasets",
    "model links",
    "logged models",
    "registered models",
    "versions",
    "aliases",
    "files",
    "bytes",
)
PARTS = ("metric points", "params", "tags", "datasets", "model links", "aliases")
_SHOWN = 20


@dataclass
class Count:
    """How many there are in the source, how many of them are new, and how many were found here, the same."""

    there: int = 0
    new: int = 0
    same: int = 0


@dataclass(frozen=True)
class Report:
    """The outcome. `complete` says whether all that the source holds is here and the same.

    `skipped` was not taken; `differing` is not here as it is there; `notes` are no faults.
    """

    source: str
    target: str
    counts: dict[str, Count] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    # Kinds that are written as parts of others, such as the points of a run: new ones are not counted apart.
    parts: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether nothing was left out, and nothing differs."""
        return not (self.skipped or self.differing)

    def to_dictionary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"complete": self.complete, **asdict(self)}

    def rows(self) -> list[tuple[str, str, str, str]]:
        """The table: what, in the source, new, the same here."""
        return [
            (noun, f"{count.there:,}", "" if noun in self.parts else f"{count.new:,}", f"{count.same:,}")
            for noun, count in self.counts.items()
            if count.there or count.new
        ]

    def __str__(self) -> str:
        rows = [("", "source", "new", "verified"), *self.rows()]
        widths = [max(len(row[place]) for row in rows) for place in range(4)]
        lines = [
            "  ".join([row[0].ljust(widths[0]), *(row[place].rjust(widths[place]) for place in (1, 2, 3))])
            for row in rows
        ]
        for title, found in (("skipped", self.skipped), ("different", self.differing), ("note", self.notes)):
            lines += _listed(title, found)
        end = "everything is here, and the same" if self.complete else "not everything is here"
        return "\n".join([*lines, f"{end} ({self.seconds:.1f} s)"])


def counts() -> dict[str, Count]:
    """Nothing counted yet."""
    return {noun: Count() for noun in NOUNS}


def _listed(title: str, found: Iterable[str]) -> list[str]:
    texts = list(found)
    more = [f"{title}: ... and {len(texts) - _SHOWN:,} more"] if len(texts) > _SHOWN else []
    return [f"{title}: {text}" for text in texts[:_SHOWN]] + more
