"""The clock jumps: an hour on, an hour back, ten years on, past 2038. What came first stays first."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

import pack
from pack.fluent import state, trash
from pack.uris import ModelUri

pytestmark = pytest.mark.faults
HOUR, YEAR, NOW = 3_600_000, 31_557_600_000, 1_796_000_000_000
JUMPS = [0, HOUR, 10 * YEAR, 10 * YEAR - HOUR, -HOUR, 0, -40 * YEAR, 2**31 * 1000 - NOW, 2**31 * 1000 - NOW + 1, 1]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Call it with milliseconds to have the clock stand there, counted from a day in 2026."""

    def jump(offset: int) -> None:
        monkeypatch.setattr(time, "time_ns", lambda: (NOW + offset) * 1_000_000)
        monkeypatch.setattr(time, "time", lambda: (NOW + offset) / 1000)

    jump(0)
    return jump


def versions(number: int) -> None:
    state.registry().create_registered_model("m")
    for _ in range(number):
        state.registry().create_model_version("m", source="s", storage_location="/s")


def test_the_history_of_an_alias_is_in_the_order_of_its_moves(clock: Callable[[int], None]) -> None:
    versions(len(JUMPS))
    for version, offset in enumerate(JUMPS, start=1):
        clock(offset)
        pack.set_alias("m", "champion", version)
    moves = pack.alias_history("m", "champion")
    assert [move.to_version for move in moves] == list(range(1, len(JUMPS) + 1))
    assert all(later.from_version == earlier.to_version for earlier, later in pairwise(moves))
    for back in range(len(JUMPS)):
        assert state.registry().resolve(ModelUri("m", alias="champion", back=back)).version == len(JUMPS) - back
    assert pack.rollback_alias("m", "champion").to_version == len(JUMPS) - 1


def test_what_an_alias_was_at_a_time_is_the_last_move_whose_clock_said_so(clock: Callable[[int], None]) -> None:
    versions(3)
    for version, offset in ((1, 0), (2, 10 * YEAR), (3, HOUR)):
        clock(offset)
        pack.set_alias("m", "champion", version)
    at = {
        hours: state.registry().resolve(ModelUri("m", alias="champion", at=NOW + hours)).version for hours in (0, HOUR)
    }
    assert at == {0: 1, HOUR: 3}


def test_versions_and_points_are_numbered_whatever_the_clock_says(clock: Callable[[int], None]) -> None:
    state.registry().create_registered_model("m")
    with pack.start_run() as run:
        for number, offset in enumerate(JUMPS, start=1):
            clock(offset)
            pack.log_metric("loss", float(number), step=number)
            made = state.registry().create_model_version("m", source="s", storage_location="/s")
            assert made.version == number
    history = state.tracking().get_metric_history(run.info.run_id, "loss")
    assert [point.value for point in history] == [float(number) for number in range(1, len(JUMPS) + 1)]
    assert pack.get_run(run.info.run_id).data.metrics["loss"] == len(JUMPS)


def test_no_run_ends_before_it_starts(clock: Callable[[int], None]) -> None:
    with pack.start_run() as run:
        clock(-HOUR)
    found = pack.get_run(run.info.run_id).info
    assert found.end_time == found.start_time


def test_pages_miss_nothing_while_the_clock_goes_back(clock: Callable[[int], None]) -> None:
    seen, token, offsets = [], None, iter(JUMPS)
    made = [state.tracking().create_experiment(f"e{number}") for number in range(9)]
    while True:
        page = state.tracking().search_experiments(max_results=2, page_token=token)
        seen += [one.experiment_id for one in page]
        token = page.token
        if token is None:
            break
        clock(next(offsets))
        state.tracking().create_experiment(f"later {token[-8:]} {len(seen)}")
    assert set(made) <= set(seen)
    assert len(seen) == len(set(seen))


def test_what_is_deleted_one_after_the_other_comes_back_as_it_went(clock: Callable[[int], None]) -> None:
    """All in one millisecond: the order is known nevertheless."""
    store, registry = state.tracking(), state.registry()
    experiment = store.create_experiment("e")
    alone, together = (store.create_run(experiment, user_id="", start_time=0, run_name=n).info.run_id for n in "ab")
    store.delete_run(alone)
    store.delete_experiment(experiment)
    store.restore_experiment(experiment)
    assert [pack.get_run(run).info.lifecycle_stage for run in (alone, together)] == ["deleted", "active"]
    for number, name in enumerate(("m", "other")):
        registry.create_registered_model(name, description=str(number))
    registry.delete_registered_model("m")
    registry.rename_registered_model("other", "m")
    registry.delete_registered_model("m")
    registry.restore_registered_model("m")
    registry.delete_registered_model("m")
    assert registry.restore_registered_model("m").description == "1"


def test_the_trash_keeps_what_was_deleted_when_the_clock_was_ahead(clock: Callable[[int], None]) -> None:
    run = state.tracking().create_run("0", user_id="", start_time=0, run_name="r").info.run_id
    clock(10 * YEAR)
    pack.delete_run(run)
    clock(0)
    assert trash.collect(state.tracking(), state.registry(), older_than=0) == []
    pack.restore_run(run)
    assert pack.get_run(run).info.lifecycle_stage == "active"
