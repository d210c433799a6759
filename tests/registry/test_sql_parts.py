"""Aliases and their history in the embedded database."""

from __future__ import annotations

import pytest

from pack.registry import RegistryStore, open_registry
from tests.contracts.aliases import AliasesContract


class TestSqlAliases(AliasesContract):
    @pytest.fixture
    def store(self) -> RegistryStore:
        return open_registry()
