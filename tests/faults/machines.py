"""What the machines of tracking and registry share: a store that is opened again, and a call that both sides answer."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine

from pack.db import Database, Place
from pack.db.check import check
from pack.errors import PackError
from pack.registry.sql import SqlRegistry
from pack.tracking.sql import SqlTracking
from tests.faults.conftest import FULL

SIZE = settings(
    max_examples=1000 if FULL else 40,
    stateful_step_count=80 if FULL else 30,
    deadline=None,
    database=None,
    derandomize=not FULL,
    suppress_health_check=list(HealthCheck),
)
COUNTED: dict[str, Counter[str]] = defaultdict(Counter)


def _attempt(act: Callable[[], Any]) -> tuple[Any, PackError | None]:
    """The answer, or the error."""
    try:
        return act(), None
    except PackError as error:
        return None, error


class StoreMachine(RuleBasedStateMachine):
    """A store in a folder of its own, which can be closed and opened again."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        self.place = Place(self.folder / "pack.db", self.folder / "artifacts")
        self.counted = COUNTED[type(self).__name__]
        self.counted["examples"] += 1
        self.open()

    def open(self) -> None:
        """Open the store anew."""
        self.database = Database(self.place)
        self.tracking = SqlTracking(self.database)
        self.registry = SqlRegistry(self.database)

    def restart(self) -> None:
        """Close everything, look whether the database is sound, and open it again."""
        self.database.close()
        assert check(self.place).sound
        self.counted["restarts"] += 1
        self.open()

    def both(self, real: Callable[[], Any], plain: Callable[[], Any]) -> tuple[Any, Any] | None:
        """What both sides answer; None where both refuse, for the same reason."""
        self.counted["steps"] += 1
        expected, refused = _attempt(plain)
        found, error = _attempt(real)
        if refused is None:
            assert error is None, f"the store refused what is right: {error}"
            return found, expected
        assert isinstance(error, type(refused)), f"{error!r} in place of {refused!r}"
        return None

    def teardown(self) -> None:
        """Close, and look once more."""
        self.database.close()
        if self.place.database.exists():
            assert check(self.place).sound
        shutil.rmtree(self.folder)
