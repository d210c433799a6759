"""Answers of the solver, kept for ten minutes: as long as PyPI says that its own answers hold.

An answer belongs to a question: what is wanted, for which target, and where this user's packages come from.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pack import folders, settings
from pack.errors import PackError

SECONDS = 600
_SAYS = ("UV_", "PIP_", "SSL_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")


def kept(question: Sequence[str], world: Mapping[str, str], solve: Callable[[], str]) -> str:
    """The answer to a question asked in this environment: a kept one, or what `solve` finds out now."""
    key = hashlib.sha256("\0".join([*question, *_places(world)]).encode("utf-8", "surrogateescape")).hexdigest()
    path = settings.cache_folder() / "solved-v1" / key
    with suppress(OSError, UnicodeDecodeError):
        if 0 <= time.time() - path.stat().st_mtime < SECONDS:
            return path.read_text(encoding="utf-8")
    answer = solve()
    with suppress(OSError, PackError):  # what is not kept is solved again
        _keep(path, answer)
    return answer


def _keep(path: Path, answer: str) -> None:
    folders.private(path.parent)
    folders.check_owner(path.parent)
    for old in path.parent.iterdir():
        if time.time() - old.stat().st_mtime >= SECONDS:
            old.unlink(missing_ok=True)
    landing = path.with_name(f".{secrets.token_hex(8)}")
    landing.write_text(answer, encoding="utf-8")
    landing.replace(path)


def _places(world: Mapping[str, str]) -> list[str]:
    """Everything that says where packages come from: variables, and uv's own files."""
    said = sorted(f"{name}={value}" for name, value in world.items() if name.startswith(_SAYS))
    home = Path(world.get("XDG_CONFIG_HOME") or Path(world.get("HOME") or Path.home()) / ".config")
    for path in (Path("/etc/uv/uv.toml"), home / "uv" / "uv.toml"):
        with suppress(OSError):
            said.append(hashlib.sha256(path.read_bytes()).hexdigest())
    return [*said, os.name]
