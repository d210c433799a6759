"""A rehearsal: what a new version must show before it takes over."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from pack.errors import InvalidState
from pack.mlmodel.compare import compare
from pack.mlmodel.examples import serving_example

if TYPE_CHECKING:
    from pack.serving.versions import Version

TIMES = 5


@dataclass(frozen=True)
class Rehearsal:
    """The signature must break no caller, and the input example be answered within `seconds` (None: in any time).

    With `trial`, a process of its own loads the version first.
    """

    seconds: float | None = None
    force: bool = False
    trial: bool = True

    def run(self, new: Version, old: Version) -> None:
        """Raise `InvalidState` saying why the new version should not take over from the old one."""
        self._compare(new, old)
        body = self._body(new) or self._body(old)
        if body is None:
            return
        took = []
        for _ in range(TIMES):
            start = perf_counter()
            new.scorer.score(body)
            took.append(perf_counter() - start)
        if self.seconds is not None and median(took) > self.seconds:
            raise InvalidState(
                f"it answers its example in {median(took) * 1e3:.1f} ms, {self.seconds * 1e3:g} are allowed"
            )

    def _compare(self, new: Version, old: Version) -> None:
        breaking = compare(old.model.signature, new.model.signature).breaking
        if breaking and not self.force:
            named = ", ".join(f"{change.part} {change.name!r}" for change in breaking[:5])
            raise InvalidState(f"its signature breaks callers: {named}", hint="see: pack diff OLD NEW")

    def _body(self, version: Version) -> bytes | None:
        found = serving_example(version.model.home, version.model.metadata)
        return None if found is None else found.encode()
