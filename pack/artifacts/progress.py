"""A bar on the terminal for what a download waits for."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pack import settings
from pack.artifacts.store import Progress

_INTERVAL = 0.1


@contextmanager
def shown(progress: Progress | None) -> Iterator[Progress]:
    """The given callable; without one, a bar where standard error is a terminal, else nothing."""
    if progress is not None or not _on_terminal():
        yield progress or (lambda *_: None)
        return
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()


def say(text: str) -> None:
    """Write a line where standard error is a terminal."""
    if _on_terminal():
        _draw(f"\r{_printable(text)}\x1b[K\n")


class Bar:
    """One line for all files together, drawn at most ten times a second, and never for what takes less than that."""

    def __init__(self) -> None:
        self._files: dict[str, tuple[int, int | None]] = {}
        self._done = 0
        self._start = time.monotonic()
        self._drawn: float | None = None
        self._lock = threading.Lock()

    def __call__(self, file: str, done: int, total: int | None) -> None:
        """Take note of how far a file is."""
        with self._lock:
            self._done += done - self._files.get(file, (0, None))[0]
            self._files[file] = (done, total)
            now = time.monotonic()
            if now - (self._drawn or self._start) >= _INTERVAL:
                self._drawn = now
                _draw(f"\r{self._line(file)}\x1b[K")

    def close(self) -> None:
        """Draw the end, and leave the line."""
        with self._lock:
            if self._drawn is not None:
                _draw(f"\r{self._line('')}\x1b[K\n")

    def _line(self, file: str) -> str:
        totals = [total for _, total in self._files.values()]
        finished = sum(done == total for done, total in self._files.values())
        whole = None if None in totals else sum(total or 0 for total in totals)
        rate = self._done / max(time.monotonic() - self._start, 0.001)
        amount = readable(self._done) + (f" of {readable(whole)}" if whole is not None else "")
        facts = f"{_gauge(self._done, whole)} {amount}  {readable(rate)}/s  {finished} of {len(totals)} files"
        return f"{facts}  {_printable(file)}"[: shutil.get_terminal_size().columns - 1]


def readable(size: float) -> str:
    """A number of bytes for people: `12.3 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _gauge(done: int, whole: int | None) -> str:
    if whole is None:
        return "downloading"
    share = min(done / whole, 1.0) if whole else 1.0
    return f"{share:4.0%} [{'#' * int(share * 20):<20}]"


def _on_terminal() -> bool:
    """Whether standard error is a terminal that can draw over a line; a closed one is none."""
    try:
        return settings.progress() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):
        return False


def _draw(text: str) -> None:
    with suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)
