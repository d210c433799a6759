"""Registered models, their versions, and the aliases that say which version is live."""

from __future__ import annotations

from pack.registry.entities import AliasMove as AliasMove
from pack.registry.entities import ModelVersion as ModelVersion
from pack.registry.entities import RegisteredModel as RegisteredModel
from pack.registry.entities import Trashed as Trashed
from pack.registry.store import RegistryStore as RegistryStore


def open_registry(uri: str | None = None) -> RegistryStore:
    """The registry that a URI names; None is the default store. Raises `InvalidUri` for one that is not local."""
    from pack.db import Database, place_of
    from pack.registry.sql import SqlRegistry

    return SqlRegistry(Database(place_of(uri)))
