"""A world for each test, a registered model and a Docker engine where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import pack
from pack.fluent import state
from tests.images import engine as engines
from tests.images.manifests import register


@pytest.fixture
def churn(own_world: object) -> str:
    """The digest of a model that is registered as `churn`, version 1, with the alias `champion`."""
    state.open_runs().clear()
    pack.set_tracking_uri(None)
    pack.set_registry_uri(None)
    return register()


@pytest.fixture(scope="session")
def running_engine() -> Iterator[engines.Engine]:
    """A Docker engine with the base in it; without one the reason is said aloud, and the test is skipped."""
    try:
        with engines.running() as found:
            yield found
    except engines.NoEngine as reason:
        pytest.skip(f"NO DOCKER ENGINE, no image is built or run: {reason}")


@pytest.fixture
def engine(running_engine: engines.Engine, monkeypatch: pytest.MonkeyPatch) -> engines.Engine:
    """The engine, told to this test; indexes are searched as pip searches them, and packages are kept."""
    monkeypatch.setenv("DOCKER_HOST", running_engine.host)
    monkeypatch.setenv("UV_INDEX_STRATEGY", "unsafe-best-match")
    monkeypatch.setenv("PACK_CACHE_DIR", str(engines.cache_folder() / "cache"))
    return running_engine
