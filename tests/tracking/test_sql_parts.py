"""The parts of the tracking store in the embedded database that have suites of their own."""

from __future__ import annotations

import pytest

from pack.db import default_place
from pack.db.check import check
from pack.tracking import TrackingStore, open_tracking
from tests.contracts.experiments import ExperimentsContract
from tests.contracts.lineage import LineageContract
from tests.contracts.trash import TrackingTrashContract


class TestSqlExperiments(ExperimentsContract):
    @pytest.fixture
    def store(self) -> TrackingStore:
        return open_tracking()


class TestSqlLineage(LineageContract):
    @pytest.fixture
    def store(self) -> TrackingStore:
        return open_tracking()


class TestSqlTrash(TrackingTrashContract):
    @pytest.fixture
    def store(self) -> TrackingStore:
        return open_tracking()

    def check_soundness(self) -> None:
        assert check(default_place()).problems == ()
