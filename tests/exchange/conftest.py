"""What the tests of this room share: a fresh store, and a small `mlruns` to bring into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.exchange import mlruns
from tests.exchange.dump import World


@pytest.fixture
def here(tmp_path: Path) -> World:
    """A store to import into."""
    return World(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Path:
    """An `mlruns` with one of each thing."""
    return mlruns.whole(tmp_path / "there" / "mlruns")
