"""A line on the terminal that says how far an import or export is, by runs and bytes."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pack import settings
from pack.artifacts.progress import readable

_INTERVAL = 0.1


class Progress:
    """Counts; whoever shows something overrides `draw`."""

    def __init__(self) -> None:
        self.phase, self.total, self.things, self.bytes = "", 0, 0, 0

    def begin(self, phase: str, total: int) -> None:
        """A new pass over so many runs and models."""
        self.phase, self.total, self.things, self.bytes = phase, total, 0, 0
        self.draw()

    def thing(self) -> None:
        """A run or model is done."""
        self.things += 1
        self.draw()

    def moved(self, size: int) -> None:
        """So many bytes were copied or compared."""
        self.bytes += size
        self.draw()

    def draw(self) -> None:
        """Show where it stands."""


class Line(Progress):
    """One line, drawn at most ten times a second."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._start, self._drawn = time.monotonic(), 0.0

    def begin(self, phase: str, total: int) -> None:
        """A new pass, with its own rate."""
        self._start = time.monotonic()
        super().begin(phase, total)

    def draw(self) -> None:
        """Show where it stands, unless that was shown just now."""
        now = time.monotonic()
        if now - self._drawn >= _INTERVAL:
            self._drawn = now
            self._write(f"\r{self._line()}\x1b[K")

    def close(self) -> None:
        """Draw the end, and leave the line."""
        self._write(f"\r{self._line()}\x1b[K\n")

    def _line(self) -> str:
        share = min(self.things / self.total, 1.0) if self.total else 1.0
        rate = self.bytes / max(time.monotonic() - self._start, 0.001)
        gauge = f"{share:4.0%} [{'#' * int(share * 20):<20}]"
        amount = f"{readable(self.bytes)}  {readable(rate)}/s"
        text = f"{self.phase:<9} {gauge} {self.things:,} of {self.total:,} runs and models  {amount}"
        return text[: shutil.get_terminal_size().columns - 1]

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def shown(given: Progress | None) -> Iterator[Progress]:
    """The given one; without it, a line where standard error is a terminal, else nothing."""
    if given is not None:
        yield given
    elif settings.progress() and sys.stderr is not None and sys.stderr.isatty():
        line = Line(sys.stderr)
        try:
            yield line
        finally:
            line.close()
    else:
        yield Progress()
