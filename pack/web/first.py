"""The first process of a container: it passes signals on, and takes leave of every process that ends.

A kernel gives process 1 no default for signals, and hands it the orphans of all others. So the work is done in a child;
this process only waits. It is a fork from before anything large was imported.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType

_PASSED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_STOPS = {signal.SIGTERM, signal.SIGINT}


@dataclass
class _Watch:
    """The child, the seconds that it has to stop, and whether it had to be ended."""

    child: int
    seconds: int
    ended: bool = False

    def passed(self, number: int, _: FrameType | None) -> None:
        """Pass a signal on; after one that asks to stop the time runs."""
        with suppress(ProcessLookupError):
            os.kill(self.child, number)
        if number in _STOPS:
            signal.alarm(self.seconds)

    def out_of_time(self, _: int, __: FrameType | None) -> None:
        """End the child and its workers: whoever stops a container ends all of it a moment later."""
        self.ended = True
        with suppress(ProcessLookupError):
            os.killpg(self.child, signal.SIGKILL)


def supervise(work: Callable[[], int], *, seconds: int) -> int:
    """Do `work` in a child and answer its exit code, or 128 and the number of the signal that ended it.

    `seconds` after SIGTERM or SIGINT what has not stopped is ended, which is 0: a stop was asked for.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED)
    child = os.fork()
    if child == 0:
        _be_the_child(work)
    watch = _Watch(child, seconds)
    for number in _PASSED:
        signal.signal(number, watch.passed)
    signal.signal(signal.SIGALRM, watch.out_of_time)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
    code = _waited(child)
    signal.alarm(0)
    if watch.ended:
        print(f"what was in flight was cut off after {seconds} s", file=sys.stderr)
        return 0
    return code


def _be_the_child(work: Callable[[], int]) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED)
        code = work()
    except SystemExit as asked:
        code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _waited(child: int) -> int:
    """Take leave of everything that ends, until it is the child."""
    while True:
        found, status = os.wait()
        if found == child:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code
