"""Pages and their tokens: one that another search or a stranger made is refused, whatever it holds."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pack.db import Page, paging
from pack.errors import InvalidValue
from pack.registry import open_registry
from pack.tracking import Metric, TrackingStore, ViewType, open_tracking

Search = Callable[..., Page[Any]]


@pytest.fixture
def store() -> TrackingStore:
    """A store with five runs, of which two have a metric."""
    made = open_tracking()
    for number in range(5):
        run = made.create_run("0", user_id="", start_time=number % 2, run_name=f"r{number}").info.run_id
        made.log_batch(run, metrics=[Metric("m", float(number), 1, step) for step in range(4) if number < 2])
    return made


def forged(token: str, change: Callable[[list[Any]], object]) -> str:
    """A token with a right digest and another place."""
    asked, key = json.loads(base64.urlsafe_b64decode(token))
    change(key)
    return written([asked, key])


def written(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=5)))
def test_a_token_brings_back_the_place_that_was_written(key: list[Any]) -> None:
    if any(isinstance(one, str) and any("\ud800" <= letter <= "\udfff" for letter in one) for one in key):
        return
    token = paging.write_token("asked", key)
    assert paging.read_token(token, "asked", len(key)) == tuple(key)
    assert token.isascii()
    for asked, length in (("other", len(key)), ("asked", len(key) + 1)):
        with pytest.raises(InvalidValue, match="does not belong"):
            paging.read_token(token, asked, length)


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_the_first_page(store: TrackingStore, token: str | None) -> None:
    assert len(store.search_runs(["0"], page_token=token)) == 5


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "'; DROP TABLE runs; --",
        "é",
        "\ud800",
        "A" * 131_073,
        "A" * 1_000_000,
        b"eyJvZmZzZXQiOiAwfQ==",
        5,
        ["x"],
        base64.b64encode(b"\xff\xfe\x00").decode(),
        base64.b64encode(b"\x80\x04\x95pickle.").decode(),
        written({"offset": 100}),
        written([]),
        written(["a", []]),
        written(["a", [], 1]),
        written("ab"),
        written(7),
        written(None),
        base64.b64encode(b"[" * 90_000).decode(),
        base64.b64encode(b'["a", [' + b"1" * 5000 + b"]]").decode(),
        base64.b64encode(b'["a", NaN]').decode(),
        base64.b64encode(b'{"a": 1, "a": 2}').decode(),
        base64.b64encode("[1]".encode("utf-16")).decode(),
        base64.b64encode(b"\xef\xbb\xbf[1]").decode(),
        "eyJ\nvZm\nZ9",
        "%00",
    ],
)
def test_a_token_of_no_search_is_refused(store: TrackingStore, token: Any) -> None:
    run = store.search_runs(["0"], order_by=["run_name"])[0].info.run_id
    for search in (
        lambda: store.search_runs(["0"], page_token=token),
        lambda: store.search_runs(["0"], order_by=["metrics.m"], page_token=token),
        lambda: store.search_experiments(page_token=token),
        lambda: store.search_logged_models(["0"], page_token=token),
        lambda: store.get_metric_history(run, "m", max_results=1, page_token=token),
        lambda: open_registry().search_registered_models(page_token=token),
        lambda: open_registry().search_model_versions(page_token=token),
    ):
        with pytest.raises(InvalidValue, match="page token does not belong to this search") as error:
            search()
        assert "start again without a token" in (error.value.hint or "")


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key.pop(),
        lambda key: key.append(0),
        lambda key: key.clear(),
        lambda key: key.__setitem__(0, "x"),
        lambda key: key.__setitem__(0, None),
        lambda key: key.__setitem__(0, -1),
        lambda key: key.__setitem__(0, 3),
        lambda key: key.__setitem__(0, 10**30),
        lambda key: key.__setitem__(0, 1e400),
        lambda key: key.__setitem__(0, float("nan")),
        lambda key: key.__setitem__(0, True),
        lambda key: key.__setitem__(2, 0.5),
        lambda key: key.__setitem__(-1, "\ud800"),
        lambda key: key.__setitem__(-1, 2**63),
        lambda key: key.__setitem__(-1, [1]),
        lambda key: key.__setitem__(-1, {"a": 1}),
    ],
)
def test_a_place_that_no_page_ended_with_is_refused(
    store: TrackingStore, change: Callable[[list[Any]], object]
) -> None:
    for order in (["metrics.m"], ["end_time"], ["params.p DESC"], None):
        token = store.search_runs(["0"], order_by=order, max_results=1).token
        assert token is not None
        with pytest.raises(InvalidValue, match="does not belong"):
            store.search_runs(["0"], order_by=order, page_token=forged(token, change))


@pytest.mark.parametrize("value", ["x", 1.5, -(2**63), 2**63 - 1, float("nan"), float("inf"), "'; DROP TABLE runs"])
def test_a_forged_place_reaches_no_more_than_the_search_does(store: TrackingStore, value: Any) -> None:
    other = store.create_experiment("other")
    store.create_run(other, user_id="", start_time=0, run_name="hidden")
    token = store.search_runs(["0"], max_results=1).token
    assert token is not None
    page = store.search_runs(["0"], page_token=forged(token, lambda key: key.__setitem__(1, value)))
    assert "hidden" not in [run.info.run_name for run in page]
    assert len(store.search_runs(["0"])) == 5


@pytest.mark.parametrize(
    "other",
    [
        {"filter_string": "run_name != 'x'"},
        {"order_by": ["start_time"]},
        {"order_by": ["start_time DESC"]},
        {"order_by": ["metrics.m"]},
        {"experiment_ids": ["1"]},
        {"experiment_ids": ["0", "1"]},
        {"view_type": ViewType.ALL},
    ],
)
def test_a_token_goes_on_with_its_own_search_only(store: TrackingStore, other: dict[str, Any]) -> None:
    store.create_experiment("one")
    token = store.search_runs(["0"], max_results=1).token
    with pytest.raises(InvalidValue, match="does not belong"):
        store.search_runs(**{"experiment_ids": ["0"], "page_token": token, **other})
    run = store.search_runs(["0"], order_by=["run_name"])[0].info.run_id
    for search in (
        lambda: store.search_experiments(page_token=token),
        lambda: store.get_metric_history(run, "m", page_token=token),
        lambda: open_registry().search_model_versions(page_token=token),
    ):
        with pytest.raises(InvalidValue, match="does not belong"):
            search()


def test_a_token_does_not_mind_how_the_same_search_is_spelled(store: TrackingStore) -> None:
    token = store.search_runs(["0"], filter_string="", order_by=["metrics.m"], max_results=2).token
    for spelled in (["metrics.m"], ("metrics.m",), "metrics.m", ["metrics.m ASC"], ["metrics.`m`"]):
        page = store.search_runs(["0"], filter_string=None, order_by=spelled, max_results=5, page_token=token)
        assert len(page) == 3


def test_a_page_whose_last_row_is_gone_is_followed_by_the_next(store: TrackingStore) -> None:
    for order in (None, ["metrics.m DESC"], ["run_name"]):
        whole = [run.info.run_id for run in store.search_runs(["0"], order_by=order)]
        page = store.search_runs(["0"], order_by=order, max_results=2)
        store.delete_run(page[-1].info.run_id)
        rest = store.search_runs(["0"], order_by=order, page_token=page.token)
        assert [run.info.run_id for run in [*page, *rest]] == whole
        store.restore_run(page[-1].info.run_id)


def test_a_history_comes_in_pages_of_any_size(store: TrackingStore) -> None:
    run = store.create_run("0", user_id="", start_time=0, run_name="r").info.run_id
    values = [1.0, 0.0, float("nan"), -0.0, float("inf"), float("-inf"), 1.0]
    points = [Metric("m", value, time, step) for step in (-(2**63), 0, 2**63 - 1) for time, value in enumerate(values)]
    store.log_batch(run, metrics=points)
    whole = store.get_metric_history(run, "m")
    assert len(whole) == len(points)
    for size in (1, 2, 5, 21, 25_000):
        seen: list[Metric] = []
        token = None
        while token is not None or not seen:
            page = store.get_metric_history(run, "m", max_results=size, page_token=token)
            seen += page
            token = page.token
        assert list(map(repr, seen)) == list(map(repr, whole))
    for wrong in (0, -1, 25_001, True, "1"):
        with pytest.raises(InvalidValue, match="25,000"):
            store.get_metric_history(run, "m", max_results=wrong)  # type: ignore[arg-type]


@pytest.mark.faults
def test_a_long_history_is_paged_in_little_memory(store: TrackingStore) -> None:
    import tracemalloc

    number = 1_000_000 if os.environ.get("PACK_TEST_FULL_SIZE") else 60_000
    run = store.create_run("0", user_id="", start_time=0, run_name="r").info.run_id
    for start in range(0, number, 1000):
        store.log_batch(run, metrics=[Metric("m", 1.0, 1, step) for step in range(start, start + 1000)])
    tracemalloc.start()
    seen, token = 0, None
    while token is not None or not seen:
        page = store.get_metric_history(run, "m", max_results=25_000, page_token=token)
        seen, token = seen + len(page), page.token
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == number
    assert most < 128 * 2**20
