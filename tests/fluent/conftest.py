"""The verbs remember things between calls: each test starts without any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pack
from pack.fluent import state, system


@pytest.fixture(autouse=True)
def fresh_state(own_world: Path) -> Iterator[None]:
    """No run is open, and no store, experiment, model or sampling was chosen."""
    state.open_runs().clear()
    pack.set_tracking_uri(None)
    pack.set_registry_uri(None)
    state.use_model(None)
    chosen = dict(system._chosen)
    yield
    while state.open_runs():
        pack.end_run()
    system._chosen.update(chosen)
