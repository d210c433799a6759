"""A server to fetch from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.artifacts.proxy import Proxy, running


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A server of our own, empty, which behaves until it is told otherwise."""
    with running() as server:
        yield server
