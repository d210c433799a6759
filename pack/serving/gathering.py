"""The metrics of several worker processes as one: each writes down what it counted, and any of them adds it up."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pack.serving.metrics import Family, Sample

EVERY = 1.0
# What a worker did not write down again for so many seconds, it is no longer there to say: then only its counts stay.
_GONE = 5.0


class Gathering:
    """A folder in which each worker keeps one file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own = folder / f"{os.getpid()}.json"

    def save(self, families: Iterable[Family]) -> None:
        """Write down what this process counted; the file appears whole."""
        beside = self._own.with_suffix(".new")
        beside.write_text(json.dumps([[*one[:3], list(one.samples)] for one in families]), encoding="utf-8")
        beside.replace(self._own)

    def all(self, families: Iterable[Family]) -> list[Family]:
        """What this process counted, together with what the others wrote down."""
        found = {one.name: one._replace(samples=list(one.samples)) for one in families}
        for path in self._folder.glob("*.json"):
            if path != self._own:
                _add(found, path)
        return list(found.values())


def _add(found: dict[str, Family], path: Path) -> None:
    with suppress(OSError, ValueError):  # one that is not there, or not readable, counts nothing
        is_gone = time.time() - path.stat().st_mtime > _GONE
        for name, meaning, kind, samples in json.loads(path.read_text(encoding="utf-8")):
            if kind == "gauge" and is_gone:
                continue
            family = found.setdefault(name, Family(name, meaning, kind, []))
            found[name] = family._replace(samples=_summed([*family.samples, *(Sample(*one) for one in samples)]))


def _summed(samples: Iterable[Sample]) -> list[Sample]:
    sums: dict[Any, Sample] = {}
    for one in samples:
        key = (one.name, *sorted(one.labels.items()))
        before = sums.get(key)
        sums[key] = one if before is None else one._replace(value=before.value + one.value)
    return list(sums.values())
