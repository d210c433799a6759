"""strace as a fault injector: the calls of a process are counted, and one of them is made to fail, or kills it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_FULL = ("ENOSPC", "EDQUOT", "EIO")
_NAMES = (*_FULL, "EROFS", "EACCES")
# Each call that changes a disk, with what it can fail with.
CALLS = {
    **dict.fromkeys(("write", "pwrite64", "writev", "ftruncate", "fallocate", "sendfile"), (*_FULL, "EINTR")),
    **dict.fromkeys(("fsync", "fdatasync"), ("EIO", "ENOSPC", "EINTR")),
    **dict.fromkeys(("rename", "renameat", "renameat2", "mkdir", "mkdirat", "link", "linkat"), _NAMES),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), ("EROFS", "EACCES", "EIO")),
    "openat": (*_NAMES, "EMFILE", "ENFILE", "EINTR"),
}
KILL = "KILL"


@dataclass(frozen=True)
class Step:
    """One fault: the n-th call of a kind (of each thread) fails, or kills; with `lasting`, those after it fail too."""

    call: str
    number: int
    what: str
    lasting: bool = False

    @property
    def inject(self) -> str:
        """The fault in the words of strace."""
        action = "signal=KILL" if self.what == KILL else f"error={self.what}"
        return f"inject={self.call}:{action}:when={self.number}{'+' if self.lasting else ''}"

    def __str__(self) -> str:
        return f"{self.call} {self.number}{'+' if self.lasting else ''} {self.what}"


def steps(counts: Counter[str]) -> list[Step]:
    """Every fault of an operation that makes so many calls of each kind; a disk that is full stays full in some."""
    found = []
    for call, count in sorted(counts.items()):
        for number in range(1, count + 1):
            found += [Step(call, number, what) for what in (*CALLS[call], KILL)]
            lasting = [what for what in ("ENOSPC", "EIO", "EMFILE", "EROFS") if what in CALLS[call]]
            found += [Step(call, number, what, lasting=True) for what in lasting]
    return found


def missing() -> str:
    """Why nothing can be injected here; empty where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed: no fault was injected, what it would have shown is NOT known"
    tried = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here, no fault was injected: {tried.stderr.strip()}" if tried.returncode else ""


@contextmanager
def traced(pid: int, log: Path, *options: str) -> Iterator[None]:
    """Trace a process and the threads that it starts while the block runs."""
    command = ["strace", "-f", "-qq", "-o", str(log), *options, "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        _wait_for(pid, tracer)
        yield
    finally:
        tracer.terminate()
        tracer.communicate()


def counted(log: Path) -> Counter[str]:
    """How often the thread that made the most calls of a kind made them."""
    threads: dict[str, Counter[str]] = {}
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"(\d+)\s+(\w+)\(", line)
        if match and match[2] in CALLS:
            threads.setdefault(match[1], Counter())[match[2]] += 1
    most: Counter[str] = Counter()
    for counts in threads.values():
        most |= counts
    return most


def was_hit(log: Path) -> bool:
    """Whether the fault took place."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return "(INJECTED)" in text or "SIGKILL" in text


def _wait_for(pid: int, tracer: subprocess.Popen[str]) -> None:
    while tracer.poll() is None:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        if "TracerPid:\t0\n" not in status:
            return
        time.sleep(0.0005)
    raise RuntimeError(f"strace ended: {tracer.communicate()[1]}")
