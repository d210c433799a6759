"""The comparison at the end: whatever is lost or changed here is found."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pack.exchange.findings import Findings
from pack.exchange.opening import open_source
from pack.exchange.progress import Progress
from pack.exchange.report import counts
from pack.exchange.store import Store
from pack.exchange.verifying import Match, Verification
from tests.exchange import mlruns
from tests.exchange.dump import World
from tests.exchange.mlruns import LOGGED, RUN
from tests.exchange.test_importing import bring


def differences(source: Path, world: World, *, fresh: set[str] | None = None) -> list[str]:
    findings = Findings()
    own = world.tracking.get_experiment_by_name("churn")
    assert own is not None
    Verification(
        open_source(source, roots=(), findings=findings),
        Store(world.tracking, world.registry, findings=findings),
        match=Match({"1": own.experiment_id}, {"churn": "churn"}, fresh),
        findings=findings,
        counts=counts(),
        bar=Progress(),
    ).run()
    assert not findings.skipped
    return list(findings.differing)


@pytest.fixture
def brought(there: Path, here: World) -> World:
    mlruns.meta(there / "1" / "datasets" / "d1", name="train", digest="d1", source_type="local", source="{}")
    edge = {"source_id": "d1", "source_type": "DATASET", "tags": {"mlflow.data.context": "training"}}
    mlruns.meta(there / "1" / RUN / "inputs" / "i1", **edge)
    mlruns.meta(there / "1" / RUN / "inputs" / "i2", source_id=LOGGED, source_type="MODEL")
    mlruns.fact(there / "models" / "churn" / "version-1" / "tags", "checked", "yes")
    mlruns.fact(there / "models" / "churn" / "tags", "owner", "me")
    mlruns.fact(there / "1" / "models" / LOGGED / "params", "C", "1")
    assert bring(there, here).complete
    return here


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM runs WHERE run_id = 'RUN'", "there is no run"),
        ("DELETE FROM metrics WHERE step = 1", "1 points of metric"),
        ("UPDATE metrics SET value = 0.25 WHERE step = 0", "1 points of metric"),
        ("UPDATE metrics SET is_nan = 0 WHERE step = 1", "1 points of metric"),
        ("DELETE FROM params", "param 'depth' is missing"),
        ("UPDATE params SET value = 'x'", "param 'depth' has another value"),
        ("DELETE FROM run_tags", "tag 'mlflow.runName' is missing"),
        ("UPDATE run_tags SET value = 'x'", "tag 'mlflow.runName' has another value"),
        ("DELETE FROM experiment_tags", "tag 'team' is missing"),
        ("UPDATE experiments SET lifecycle_stage = 'deleted'", "lifecycle_stage is active there, deleted here"),
        ("UPDATE runs SET end_time = 1", "end_time is 30 there, 1 here"),
        ("DELETE FROM run_datasets", "dataset 'train' is missing"),
        ("UPDATE datasets SET source = 'x'", "source is {} there, x here"),
        ("DELETE FROM run_dataset_tags", "tags is"),
        ("DELETE FROM run_models", "that it uses the model"),
        ("DELETE FROM logged_models", "there is no logged model"),
        ("DELETE FROM logged_model_metrics", "1 metric points are missing"),
        ("DELETE FROM logged_model_params", "param 'C' is missing"),
        ("UPDATE logged_models SET status = 'FAILED'", "status is READY there, FAILED here"),
        ("UPDATE registered_models SET description = ''", "description is # It there"),
        ("DELETE FROM registered_model_tags", "tag 'owner' is missing"),
        ("UPDATE model_versions SET deleted_time = 1 WHERE version = 1", "has no version 1"),
        ("UPDATE model_versions SET stage = 'None'", "current_stage is Production there"),
        ("UPDATE model_versions SET run_id = NULL", "run_id is"),
        ("DELETE FROM model_version_tags", "tag 'checked' is missing"),
        ("DELETE FROM aliases", "alias champion: it is not here"),
        ("UPDATE aliases SET version = 1", "version is 2 there, 1 here"),
    ],
)
def test_what_is_lost_or_changed_here_is_found(there: Path, brought: World, statement: str, said: str) -> None:
    assert differences(there, brought) == []
    raw = sqlite3.connect(brought.uri.removeprefix("sqlite:///"), isolation_level=None)
    raw.execute(statement.replace("RUN", RUN))
    raw.close()
    found = differences(there, brought)
    assert any(said in text for text in found), found


def test_each_file_is_compared(there: Path, brought: World) -> None:
    root = Path(brought.uri.removeprefix("sqlite:///")).parent
    for path in sorted(one for one in root.rglob("*") if one.is_file() and "artifacts" in one.parts):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert any("other bytes" in text for text in differences(there, brought)), path
        path.unlink()
        assert any("is missing" in text for text in differences(there, brought)), path
        path.write_bytes(before)
    assert differences(there, brought) == []


def test_what_was_here_before_may_differ_where_it_can_be_changed(there: Path, brought: World) -> None:
    raw = sqlite3.connect(brought.uri.removeprefix("sqlite:///"), isolation_level=None)
    raw.execute("UPDATE run_tags SET value = 'mine'")
    raw.execute("UPDATE params SET value = 'mine'")
    raw.close()
    found = differences(there, brought, fresh=set())
    assert len(found) == 2
    assert all("param 'depth' has another value" in text for text in found)
