"""The load of the machine, recorded on request."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import pack
from pack.errors import InvalidValue

NAMES = {
    "cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage",
    "disk_usage_percentage", "disk_usage_megabytes", "disk_available_megabytes",
}  # fmt: skip


def names_of(run_id: str) -> set[str]:
    return {key for key in pack.get_run(run_id).data.metrics if key.startswith("system/")}


def test_nothing_is_recorded_unless_it_was_asked_for() -> None:
    with pack.start_run() as run:
        pass
    assert names_of(run.info.run_id) == set()


def test_even_a_short_run_has_one_point_of_each_name() -> None:
    with pack.start_run(log_system_metrics=True) as run:
        pass
    assert names_of(run.info.run_id) >= {f"system/{name}" for name in NAMES}
    values = pack.get_run(run.info.run_id).data.metrics
    assert 0 < values["system/system_memory_usage_percentage"] <= 100


def test_samples_are_taken_while_the_run_is_open_and_go_on_when_it_does() -> None:
    pack.enable_system_metrics_logging()
    pack.set_system_metrics_sampling_interval(0.02)
    pack.set_system_metrics_samples_before_logging(2)
    pack.set_system_metrics_node_id("worker-3")
    with pack.start_run() as run:
        time.sleep(0.5)
    key = "system/worker-3/cpu_utilization_percentage"
    first = [point.step for point in pack.Client().get_metric_history(run.info.run_id, key)]
    assert len(first) > 1
    assert first == list(range(len(first)))
    with pack.start_run(run_id=run.info.run_id):
        pass
    assert pack.Client().get_metric_history(run.info.run_id, key)[-1].step == len(first)
    pack.disable_system_metrics_logging()


@pytest.mark.parametrize("interval", [0, -1, float("inf"), float("nan")])
def test_an_interval_that_makes_no_sense_is_refused(interval: float) -> None:
    with pytest.raises(InvalidValue):
        pack.set_system_metrics_sampling_interval(interval)
    with pytest.raises(InvalidValue):
        pack.set_system_metrics_samples_before_logging(0)


def test_a_run_left_open_ends_its_sampling_with_python(own_world: Path) -> None:
    script = "import pack\nprint(pack.start_run(log_system_metrics=True).info.run_id)\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    run = pack.get_run(done.stdout.strip())
    assert run.info.status == "FINISHED"
    assert names_of(run.info.run_id)
    assert done.stderr == ""
