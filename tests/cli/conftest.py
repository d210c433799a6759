"""Commands, as a person or a script runs them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

import pack
from pack.cli import main
from pack.fluent import state


@pytest.fixture(autouse=True)
def fresh_state(own_world: object) -> None:
    """No run is open, and no store or experiment was chosen."""
    state.open_runs().clear()
    pack.set_tracking_uri(None)
    pack.set_registry_uri(None)


@pytest.fixture
def call() -> Callable[..., Result]:
    """Run `pack` with these words; it must end with exit code 0 unless another is named."""

    def run(*words: str, code: int = 0) -> Result:
        done = CliRunner().invoke(main, list(words))
        assert done.exit_code == code, done.output
        assert "Traceback" not in done.output
        return done

    return run
