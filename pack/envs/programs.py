"""Running the programs that solve and install, outside of every project, with what they say where they fail."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from pack.envs import indexes
from pack.errors import Damaged, InvalidState

SECONDS = 1800


def run(*words: str | Path, wheelhouse: Path | None = None) -> str:
    """Run a program with this user's indexes, or a folder of wheels in place of them, and answer its output.

    Raises `Damaged` where a package differs from its hash, `InvalidState` with what it said for anything else.
    """
    try:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=tempfile.gettempdir(),
            env=indexes.environment(wheelhouse=wheelhouse),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidState(
            f"{Path(words[0]).name} did not end within {SECONDS} s", hint="look at your index: pip config list"
        ) from error
    if done.returncode:
        raise _failed(Path(words[0]).name, " ".join(done.stderr.split())[:600])
    return done.stdout


def _failed(program: str, said: str) -> Damaged | InvalidState:
    if "hash mismatch" in said.lower() or "do not match the hashes" in said.lower():
        return Damaged(
            f"a package differs from the one that was locked: {said}",
            hint="the index has another file under that name; find out who changed it, or lock again: pack env lock",
        )
    return InvalidState(f"{program} could not install this: {said}", hint="look at your index: pip config list")
