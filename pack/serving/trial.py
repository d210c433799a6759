"""A trial: before a new version comes into the server's process, a process of its own loads it and asks it its example.

The parsers of many formats are written in C and C++, and a file that makes one crash would take the server along. What
dies here is a refused version. Whatever else goes wrong is left to the rehearsal, which can say more of it. What this
user saved is not tried: its digests show that it is as it was when it was saved.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import Any

from pack.errors import InvalidState
from pack.pyfunc.load import is_own

SECONDS = 600.0


async def run(uri: str, trust: Any, *, seconds: float = SECONDS) -> None:
    """Raise `InvalidState` where the process dies, or has not ended within `seconds`."""
    if await asyncio.to_thread(is_own, uri):
        return
    nothing = asyncio.subprocess.DEVNULL
    words = (sys.executable, "-m", "pack.serving.trial", uri, json.dumps(getattr(trust, "mode", trust)))
    child = await asyncio.create_subprocess_exec(*words, stdin=nothing, stdout=nothing, stderr=nothing, env=_world())
    try:
        code = await asyncio.wait_for(child.wait(), seconds)
    except (asyncio.TimeoutError, TimeoutError):
        raise InvalidState(f"a process of its own did not load it within {seconds:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
    if code < 0:
        raise InvalidState(f"a process of its own that loaded it died of {signal.Signals(-code).name}")


def _world() -> dict[str, str]:
    """The environment, with one thread for arithmetic: the server goes on meanwhile."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main() -> None:
    """What the process does: load the model, and score its example."""
    from pack.mlmodel.examples import serving_example
    from pack.pyfunc.load import load_model
    from pack.serving.scoring import Scorer

    model = load_model(sys.argv[1], trust=json.loads(sys.argv[2]), suppress_warnings=True)
    body = serving_example(model.home, model.metadata)
    if body is not None:
        Scorer(model).score(body.encode())


if __name__ == "__main__":
    main()
