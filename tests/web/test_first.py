"""Process 1 of a container: signals go through it to the work, orphans are taken leave of, and a stop takes seconds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes of POSIX")


def started(work: str, *, seconds: int = 9) -> subprocess.Popen[str]:
    """A supervisor of this work, once the work has said that it goes on."""
    code = f"import os, signal, sys, time\nfrom pack.web import first\ndef work():\n{work}\n"
    code += f"sys.exit(first.supervise(work, seconds={seconds}))"
    made = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert made.stdout is not None
    assert made.stdout.readline() == "on\n"
    return made


def ended(made: subprocess.Popen[str], *numbers: int) -> tuple[int, str]:
    for number in numbers:
        made.send_signal(number)
    said, _ = made.communicate(timeout=30)
    return made.returncode, said


def test_the_exit_code_is_that_of_the_work() -> None:
    assert ended(started("  print('on', flush=True)\n  return 3"))[0] == 3
    assert ended(started("  print('on', flush=True)\n  raise SystemExit(4)"))[0] == 4
    assert ended(started("  print('on', flush=True)\n  os.kill(os.getpid(), signal.SIGKILL)"))[0] == 128 + 9


def test_a_signal_reaches_the_work() -> None:
    work = "  signal.signal(signal.SIGTERM, lambda *_: (print('asked', flush=True), os._exit(0)))\n"
    work += "  print('on', flush=True)\n  time.sleep(30)"
    assert ended(started(work), signal.SIGTERM) == (0, "asked\n")


def test_work_that_does_not_stop_is_ended_and_was_asked_to() -> None:
    work = "  signal.signal(signal.SIGTERM, signal.SIG_IGN)\n  print('on', flush=True)\n  time.sleep(300)"
    assert ended(started(work, seconds=1), signal.SIGTERM)[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_orphans_are_taken_leave_of() -> None:
    """A subreaper is given the orphans below it, as process 1 is; what it does not wait for stays a zombie."""
    orphans = "  for _ in range(5):\n    if os.fork() == 0:\n      if os.fork() == 0: os._exit(0)\n      os._exit(0)\n"
    work = orphans + "  for _ in range(5): os.wait()\n  time.sleep(0.5)\n  print('on', flush=True)\n  time.sleep(30)"
    code = f"import ctypes, os, signal, sys, time\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\ndef work():\n{work}\n"
    code += "from pack.web import first\nsys.exit(first.supervise(work, seconds=1))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as made:
        assert made.stdout is not None
        assert made.stdout.readline() == "on\n"
        below = Path(f"/proc/{made.pid}/task/{made.pid}/children").read_text().split()
        states = [Path(f"/proc/{one}/stat").read_text().rpartition(") ")[2][0] for one in below]
        assert len(below) == 1
        assert "Z" not in states
        made.send_signal(signal.SIGTERM)
