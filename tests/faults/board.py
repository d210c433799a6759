"""A page of memory that two processes share, so that one can say how far it is without a call that could be traced."""

from __future__ import annotations

import json
import mmap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

READY, GO, TRIED, AGAIN, DONE, END = range(1, 7)
_SIZE = 1 << 16
_COUNT, _TEXT = slice(16, 24), 32


class Board:
    """A phase, which each side moves on, and what was said last."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_SIZE))
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _SIZE)

    def move(self, phase: int, said: Any = None) -> None:
        """Say something, and then move on to a phase."""
        text = json.dumps(said).encode()[: _SIZE - _TEXT]
        self._page[_TEXT : _TEXT + len(text)] = text
        self._page[1:5] = len(text).to_bytes(4, "little")
        self._page[0] = phase

    @property
    def phase(self) -> int:
        """How far the two are."""
        return int(self._page[0])

    @property
    def count(self) -> int:
        """How many things were done: one number, which is there whole or not yet."""
        return int.from_bytes(self._page[_COUNT], "little")

    @count.setter
    def count(self, number: int) -> None:
        self._page[_COUNT] = number.to_bytes(8, "little")

    def said(self) -> Any:
        """What was said last."""
        return json.loads(self._page[_TEXT : _TEXT + int.from_bytes(self._page[1:5], "little")])

    def wait(self, phase: int, *, alive: Callable[[], bool] = lambda: True) -> bool:
        """Wait for a phase; whether it came before the other side was gone."""
        while self.phase < phase:
            if not alive():
                return self.phase >= phase
            time.sleep(0.0005)
        return True
