"""What every test shares: a store, a state folder and a cache of its own, and nothing from the caller's environment."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pack.fluent import state

# Under nohup every child would inherit that SIGHUP is ignored; here it is what servers are told to look anew by.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run each test in an empty folder, with its own records of trust and without PACK_* or MLFLOW_* variables."""
    for name in list(os.environ):
        if name.startswith(("PACK_", "MLFLOW_")) and not name.startswith("PACK_TEST_"):
            monkeypatch.delenv(name)
    world = tmp_path / "world"
    world.mkdir()
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PACK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(world)
    yield world
    for stores in (state._trackings, state._registries):  # five files a store, in a process that runs 4,000 tests
        for store in stores.values():
            store.close()
        stores.clear()
    state._found.clear()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say aloud where nothing was built or run, as nobody reads which tests were skipped."""
    reasons = {str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", []) if report.longrepr}
    for reason in sorted(one for one in reasons if "NO DOCKER ENGINE" in one):
        terminalreporter.write_sep("!", reason.removeprefix("Skipped: "), red=True, bold=True)
