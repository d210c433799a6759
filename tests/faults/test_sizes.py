"""A hundred thousand runs, thousands of models and versions: lists answer, and what they answer is right."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pack.db import Database, default_place
from pack.db.check import check
from pack.registry import open_registry
from pack.tracking import open_tracking
from tests.faults.conftest import FULL

pytestmark = pytest.mark.faults
RUNS, MODELS, VERSIONS = (100_000, 10_000, 1_000) if FULL else (5_000, 500, 100)
CALLS = 200 if FULL else 10


@pytest.fixture
def filled(own_world: Path) -> Path:
    """A store with that many runs, each with a metric and a param, and models; written in one go."""
    open_tracking().get_experiment("0")
    with Database(default_place()).write() as connection:
        numbers = range(RUNS)
        connection.many(
            """INSERT INTO runs (id, run_id, experiment, name, user_id, status, start_time, lifecycle_stage,
                artifact_uri) VALUES (?, ?, 0, ?, 'ada', 'FINISHED', ?, 'active', '')""",
            [(n + 1, f"{n:032x}", f"r{n}", n) for n in numbers],
        )
        connection.execute("INSERT INTO metric_keys (id, name) VALUES (1, 'loss')")
        connection.many(
            "INSERT INTO metrics (run, key, step, timestamp, value, is_nan) VALUES (?, 1, 0, 0, ?, 0)",
            [(n + 1, _loss(n)) for n in numbers],
        )
        connection.many(
            "INSERT INTO latest_metrics (run, key, step, timestamp, value, is_nan) VALUES (?, 1, 0, 0, ?, 0)",
            [(n + 1, _loss(n)) for n in numbers],
        )
        connection.many(
            "INSERT INTO params (run, key, value) VALUES (?, 'depth', ?)", [(n + 1, str(n % 10)) for n in numbers]
        )
    registry = open_registry()
    with Database(default_place()).write() as connection:
        connection.many(
            """INSERT INTO registered_models (name, description, creation_timestamp, last_updated_timestamp)
                VALUES (?, '', 0, 0)""",
            [(f"m{n:05}",) for n in range(MODELS)],
        )
    for _ in range(VERSIONS):
        registry.create_model_version("m00000", source="s", storage_location=str(own_world))
    return own_world


def _loss(number: int) -> float:
    """A value that no two runs share, and that jumps about."""
    return float(number * 7919 % RUNS)


def p99(act: Callable[[], Any]) -> float:
    """The time, in milliseconds, that 99 of 100 calls take at most."""
    times = []
    for _ in range(CALLS):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return sorted(times)[int(len(times) * 0.99) - 1] * 1000


def test_lists_over_very_many_are_right(filled: Path, figure: Callable[..., None]) -> None:
    tracking, registry = open_tracking(), open_registry()
    asked: dict[str, Callable[[], Any]] = {
        "newest": lambda: tracking.search_runs(["0"], max_results=100),
        "lowest loss": lambda: tracking.search_runs(["0"], max_results=100, order_by=["metrics.loss ASC"]),
        "filtered": lambda: tracking.search_runs(
            ["0"], max_results=100, filter_string=f"metrics.loss < {RUNS // 2} AND params.depth = '3'"
        ),
        "one run": lambda: tracking.get_run(f"{RUNS // 2:032x}"),
        "models": lambda: registry.search_registered_models(max_results=100),
        "versions": lambda: registry.search_model_versions(filter_string="name = 'm00000'", max_results=100),
        "one version": lambda: registry.get_model_version("m00000", VERSIONS // 2),
    }
    newest, lowest, filtered, one, models, versions, version = (act() for act in asked.values())
    assert [run.info.run_name for run in newest] == [f"r{n}" for n in range(RUNS - 1, RUNS - 101, -1)]
    assert [run.data.metrics["loss"] for run in lowest] == [float(n) for n in range(100)]
    fits = [n for n in range(RUNS - 1, -1, -1) if _loss(n) < RUNS // 2 and n % 10 == 3]
    assert [run.info.run_name for run in filtered] == [f"r{n}" for n in fits[:100]]
    assert tracking.count_runs(["0"], filter_string=f"metrics.loss < {RUNS // 2} AND params.depth = '3'") == len(fits)
    assert one.data.metrics == {"loss": _loss(RUNS // 2)}
    assert [model.name for model in models] == [f"m{n:05}" for n in range(100)]
    assert len(versions) == 100
    assert version.version == VERSIONS // 2
    assert check(default_place()).sound
    times = {f"ms_{name.replace(' ', '_')}": round(p99(act), 1) for name, act in asked.items()}
    figure(f"{RUNS:,} runs, {MODELS:,} models, {VERSIONS:,} versions: p99", **times)


def test_pages_over_very_many_miss_none_and_repeat_none(filled: Path) -> None:
    tracking, seen, token = open_tracking(), [], None
    while True:
        page = tracking.search_runs(
            ["0"], max_results=RUNS // 20, order_by=["metrics.loss DESC"], page_token=token, select=[]
        )
        seen += [run.info.run_id for run in page]
        token = page.token
        if token is None:
            break
    assert len(seen) == RUNS
    assert seen == [f"{n:032x}" for n in sorted(range(RUNS), key=_loss, reverse=True)]
