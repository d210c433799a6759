"""Params, metrics and tags: what people pass, and what comes back."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import pack
from pack.errors import InvalidValue, NotFound


def test_values_are_kept_as_python_writes_them() -> None:
    with pack.start_run() as run:
        pack.log_params({"none": None, "list": [1, 2], "flag": True, "float": 0.1})
        pack.set_tags({"n": 3, "none": None})
    data = pack.get_run(run.info.run_id).data
    assert data.params == {"none": "None", "list": "[1, 2]", "flag": "True", "float": "0.1"}
    assert (data.tags["n"], data.tags["none"]) == ("3", "None")


def test_more_than_a_batch_at_once_is_recorded_whole() -> None:
    with pack.start_run() as run:
        pack.log_params({f"p{n}": n for n in range(250)})
        pack.log_metrics({f"m{n}": n for n in range(2500)})
        pack.set_tags({f"t{n}": n for n in range(250)})
    data = pack.get_run(run.info.run_id).data
    assert (len(data.params), len(data.metrics)) == (250, 2500)
    assert sum(key.startswith("t") for key in data.tags) == 250


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(3), 1, True, "0.25"])
def test_everything_that_float_takes_is_a_metric(value: float) -> None:
    with pack.start_run() as run:
        pack.log_metric("m", value)
    assert pack.get_run(run.info.run_id).data.metrics == {"m": float(value)}


@pytest.mark.parametrize("value", [None, "x", [1], {}, object()])
def test_what_is_no_number_is_no_metric(value: object) -> None:
    with pack.start_run() as run, pytest.raises(InvalidValue, match="needs a number"):
        pack.log_metric("m", value)  # type: ignore[arg-type]
    assert pack.get_run(run.info.run_id).data.metrics == {}


@pytest.mark.parametrize(("step", "kept"), [(3, 3), (3.0, 3), (np.int32(7), 7), (-5, -5), (None, 0)])
def test_steps_are_whole_numbers(step: int, kept: int) -> None:
    with pack.start_run() as run:
        pack.log_metric("m", 1.0, step=step)
    assert pack.Client().get_metric_history(run.info.run_id, "m")[0].step == kept


def test_half_a_step_is_refused() -> None:
    with pack.start_run(), pytest.raises(InvalidValue, match="whole number"):
        pack.log_metric("m", 1.0, step=1.5)  # type: ignore[arg-type]


def test_a_timestamp_is_kept_and_now_is_the_default() -> None:
    before = time.time_ns() // 1_000_000
    with pack.start_run() as run:
        pack.log_metric("m", 1.0, timestamp=42)
        pack.log_metric("n", 1.0)
    client = pack.Client()
    assert client.get_metric_history(run.info.run_id, "m")[0].timestamp == 42
    assert client.get_metric_history(run.info.run_id, "n")[0].timestamp >= before


def test_a_run_that_is_not_open_can_be_recorded_into() -> None:
    with pack.start_run() as first:
        pass
    with pack.start_run() as second:
        pack.log_metric("m", 1.0, run_id=first.info.run_id)
        pack.log_params({"p": 1}, run_id=first.info.run_id)
    assert pack.get_run(first.info.run_id).data.metrics == {"m": 1.0}
    assert pack.get_run(second.info.run_id).data.metrics == {}


def test_who_does_not_want_to_wait_gets_something_to_wait_for() -> None:
    with pack.start_run() as run:
        for answer in (
            pack.log_metric("m", 1.0, synchronous=False),
            pack.log_param("p", 1, synchronous=False),
            pack.set_tag("t", 1, synchronous=False),
        ):
            assert answer is not None
            answer.wait()
        assert pack.log_metric("m", 2.0) is None
    pack.flush_async_logging()
    data = pack.get_run(run.info.run_id).data
    assert (data.metrics["m"], data.params["p"], data.tags["t"]) == (2.0, "1", "1")


def test_a_tag_is_removed() -> None:
    with pack.start_run() as run:
        pack.set_tag("a", 1)
        pack.delete_tag("a")
        with pytest.raises(NotFound):
            pack.delete_tag("a")
    assert "a" not in pack.get_run(run.info.run_id).data.tags


def test_a_run_stays_in_the_store_that_it_was_started_in(tmp_path: object) -> None:
    with pack.start_run() as run:
        pack.set_tracking_uri(f"sqlite:///{tmp_path}/other.db")
        pack.log_metric("m", 1.0)
        pack.log_text("x", "x.txt")
    pack.set_tracking_uri(None)
    found = pack.get_run(run.info.run_id)
    assert (found.data.metrics, found.info.status) == ({"m": 1.0}, "FINISHED")


def test_threads_record_into_one_run_and_nothing_is_lost() -> None:
    with pack.start_run() as run:
        run_id = run.info.run_id

        def record(number: int) -> None:
            for step in range(25):
                pack.log_metric(f"m{number}", step, step=step, run_id=run_id)

        threads = [threading.Thread(target=record, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    client = pack.Client()
    assert [len(client.get_metric_history(run_id, f"m{number}")) for number in range(8)] == [25] * 8


@pytest.mark.parametrize("when", [1_500_000_000_000, np.int64(1_500_000_000_000), 1_500_000_000_000.75])
def test_a_time_is_taken_as_numpy_and_time_time_give_it(when: int) -> None:
    client = pack.Client()
    run = client.create_run("0", start_time=when)
    pack.log_metric("loss", 1, timestamp=when, run_id=run.info.run_id)
    client.set_terminated(run.info.run_id, end_time=when)
    found = client.get_run(run.info.run_id).info
    point = client.get_metric_history(run.info.run_id, "loss")[0]
    assert {point.timestamp, found.start_time, found.end_time} == {1_500_000_000_000}
    with pytest.raises(InvalidValue, match="milliseconds since 1970"):
        pack.log_metric("loss", 1, timestamp="now", run_id=run.info.run_id)  # type: ignore[arg-type]


def test_an_array_of_one_number_is_a_metric() -> None:
    with pack.start_run() as run:
        pack.log_metrics({"one": np.array([0.5]), "deep": np.array([[2]])})  # type: ignore[dict-item]
        with pytest.raises(InvalidValue, match="needs a number, not ndarray"):
            pack.log_metric("two", np.array([1, 2]))  # type: ignore[arg-type]
    assert pack.get_run(run.info.run_id).data.metrics == {"one": 0.5, "deep": 2.0}
