"""Which process records a run, so that a run whose process died can be told from one that goes on."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from pathlib import Path


def this_process() -> str:
    """This process, in a text that no later process on any machine has."""
    return _describe(os.getpid())


def is_gone(owner: str) -> bool:
    """Whether a process of this machine has ended; False for one of another machine, of which nothing is known."""
    host, _, rest = owner.partition("|")
    pid, _, started = rest.partition("|")
    if host != _host() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OSError):
        return False
    found = _started(int(pid))
    return bool(started and found) and found != started


def _describe(pid: int) -> str:
    return f"{_host()}|{pid}|{_started(pid)}"


@lru_cache(maxsize=1)
def _host() -> str:
    """The machine and its boot: process numbers mean nothing beyond it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{platform.node()}/{boot}".replace("|", "_")


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
