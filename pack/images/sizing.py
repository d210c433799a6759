"""How much of a node a model takes: CPU, memory, room for files, time to start.

    memory that is asked for   = process + 2 x files, in steps of 128 MiB
    memory that is the limit   = that + 512 MiB for the bodies of requests
    seconds to start           = 60, 120 with a large framework, and 1 more for each 20 MiB of files

`process` is what Python, the server and the framework take before there is a model: 256 MiB; 512, 1024 or 2048 MiB
with the flavors below. A model is in memory twice while it is read. `files` are the bytes of the model directory.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pack.images import naming

MIB = 2**20
_PROCESS = {
    **dict.fromkeys(("pytorch", "transformers", "sentence_transformers", "spacy", "prophet", "pmdarima"), 512),
    **dict.fromkeys(("tensorflow", "keras"), 1024),
    **dict.fromkeys(("spark", "h2o"), 2048),  # with a Java machine beside
}
_PLAIN = 256
_STEP = 128
_FOR_BODIES = 512
# One scoring request may have as much by default.
_LARGEST_BODY = 100 * MIB


@dataclass(frozen=True)
class Needs:
    """What a pod asks for: CPU and memory as quantities, GPUs, MiB for files, seconds to start, bytes of bodies."""

    cpu: str
    memory: str
    most_memory: str
    gpus: int
    scratch_mib: int
    start_seconds: int
    waiting_bytes: int
    largest_body: int

    @property
    def threads(self) -> int:
        """How many threads numeric libraries should start: one for each core that is asked for."""
        return max(1, math.ceil(naming.cores(self.cpu)))


def needs_of(
    size: int, flavors: Iterable[str], *, cpu: str | None = None, memory: str | None = None, gpus: int = 0
) -> Needs:
    """What a model of `size` bytes and these flavors takes; `cpu` and `memory` stand in for what would be computed."""
    process = max([_PLAIN, *(_PROCESS.get(name, _PLAIN) for name in flavors)])
    large = process > _PLAIN
    asked = _rounded(process + 2 * size / MIB)
    most = memory or f"{asked + _FOR_BODIES}Mi"
    waiting = min(_FOR_BODIES * MIB, naming.memory_bytes(most)) // 4
    return Needs(
        cpu=cpu or ("1" if large or gpus else "500m"),
        memory=memory or f"{asked}Mi",
        most_memory=most,
        gpus=gpus,
        scratch_mib=_rounded(256 + size / MIB),
        start_seconds=(120 if large else 60) + math.ceil(size / (20 * MIB)),
        waiting_bytes=waiting,
        largest_body=min(_LARGEST_BODY, waiting),
    )


def _rounded(mib: float) -> int:
    return math.ceil(mib / _STEP) * _STEP
