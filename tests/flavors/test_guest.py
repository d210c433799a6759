"""A guest package adds a flavor through the entry-point group `pack.flavors`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pack.envs import installed
from pack.flavors import FLAVORS
from tests.contracts.flavor import FlavorContract

GUEST = Path(__file__).parent.parent / "guest"


@pytest.fixture(autouse=True)
def guest_is_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(GUEST))
    FLAVORS.refresh()
    installed.forget()
    yield
    sys.modules.pop("packml_constant", None)
    FLAVORS.refresh()
    installed.forget()


class TestConstant(FlavorContract):
    flavor = "constant"

    def model(self) -> Any:
        import packml_constant

        return packml_constant.ConstantModel(4.5)

    def rows(self) -> Any:
        return [[1.0], [2.0]]


def test_a_guest_is_listed_beside_the_built_in_flavors() -> None:
    assert {"constant", "python_function", "sklearn"} <= set(FLAVORS)
