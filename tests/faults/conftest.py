"""A store to be cut off, and the figures that are shown at the end."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FULL = bool(os.environ.get("PACK_TEST_FULL_SIZE"))
FIGURES: Counter[tuple[str, str]] = Counter()
_KEY = "faults figure"


@pytest.fixture
def figure(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Call it with a row, and numbers by name, to have them shown in the table at the end of the session."""

    def note(row: str, **numbers: float | str) -> None:
        record_property(
            _KEY, (row, ", ".join(f"{_shown(value)} {name.replace('_', ' ')}" for name, value in numbers.items()))
        )

    return note


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was cut off how often."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    rows = [value for report in reports for key, value in getattr(report, "user_properties", ()) if key == _KEY]
    if not rows:
        return
    terminalreporter.section("fault figures" + ("" if FULL else " (size for CI; PACK_TEST_FULL_SIZE=1 for all)"))
    width = max(len(row) for row, _ in rows)
    for row, numbers in rows:
        terminalreporter.write_line(f"{row:<{width}}  {numbers}")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with something in it."""
    from tests.faults.children import prepare, start

    folder = tmp_path_factory.mktemp("template")
    child = start(prepare, str(folder))
    child.join()
    assert child.exitcode == 0
    return folder


@pytest.fixture
def worlds(template: Path, tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Call it for a copy of the store, or for an empty folder; the one before is removed."""
    place = tmp_path / "cut"

    def fresh(*, empty: bool = False) -> Path:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir() if empty else shutil.copytree(template, place)
        return place

    yield fresh
    shutil.rmtree(place, ignore_errors=True)
