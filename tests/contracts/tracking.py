"""The suite that every tracking store passes."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pack.errors import Deleted, InvalidState, InvalidValue, NotFound
from pack.tracking import Metric, Param, Run, RunTag, TrackingStore, ViewType


class TrackingContract:
    """`store()` opens a fresh store; `reopen()` opens it again."""

    @pytest.fixture
    def store(self) -> TrackingStore:
        raise NotImplementedError

    @pytest.fixture
    def reopen(self) -> Callable[[], TrackingStore]:
        raise NotImplementedError

    @pytest.fixture
    def run(self, store: TrackingStore) -> Run:
        return store.create_run("0", user_id="ada", start_time=5, run_name="first", tags=[RunTag("a", "b")])

    def test_a_run_holds_what_was_recorded(
        self, store: TrackingStore, run: Run, reopen: Callable[[], TrackingStore]
    ) -> None:
        points = [Metric("loss", 0.5, 1, 0), Metric("loss", 0.25, 2, 1)]
        store.log_batch(run.info.run_id, metrics=points, params=[Param("depth", "3")], tags=[RunTag("x", "y")])
        found = reopen().get_run(run.info.run_id)
        assert found.info.user_id == "ada"
        assert found.info.status == "RUNNING"
        assert found.data.metrics == {"loss": 0.25}
        assert found.data.params == {"depth": "3"}
        assert found.data.tags == {"a": "b", "mlflow.runName": "first", "x": "y"}
        assert store.get_metric_history(run.info.run_id, "loss") == points
        assert store.get_metric_history(run.info.run_id, "nothing") == []

    def test_the_latest_value_is_that_of_the_last_step_then_time(self, store: TrackingStore, run: Run) -> None:
        for step, timestamp, value in ((5, 1, 1.0), (3, 9, 2.0), (5, 0, 3.0), (5, 1, 0.5)):
            store.log_batch(run.info.run_id, metrics=[Metric("m", value, timestamp, step)])
        assert store.get_run(run.info.run_id).data.metrics == {"m": 1.0}

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, 1e308, 5e-324, 0.1])
    def test_every_number_comes_back_as_it_was(self, store: TrackingStore, run: Run, value: float) -> None:
        store.log_batch(run.info.run_id, metrics=[Metric("m", value, 1)])
        found = store.get_run(run.info.run_id).data.metrics["m"]
        assert repr(found) == repr(value)
        assert repr(store.get_metric_history(run.info.run_id, "m")[0].value) == repr(value)

    @pytest.mark.parametrize(
        "metric",
        [
            Metric("m", "x", 1),  # type: ignore[arg-type]
            Metric("m", None, 1),  # type: ignore[arg-type]
            Metric("m", 1.0, -1),
            Metric("m", 1.0, 2**63),
            Metric("m", 1.0, 1, 2**63),
            Metric("m", 1.0, 1, -(2**63) - 1),
            Metric("x" * 251, 1.0, 1),
            Metric("../x", 1.0, 1),
            Metric("/x", 1.0, 1),
            Metric("a//b", 1.0, 1),
            Metric("", 1.0, 1),
            Metric("a\nb", 1.0, 1),
        ],
    )
    def test_a_point_outside_the_rules_is_refused_and_nothing_of_its_batch_is_kept(
        self, store: TrackingStore, run: Run, metric: Metric
    ) -> None:
        with pytest.raises(InvalidValue):
            store.log_batch(run.info.run_id, metrics=[Metric("good", 1.0, 1), metric], params=[Param("p", "1")])
        found = store.get_run(run.info.run_id)
        assert found.data.metrics == {}
        assert found.data.params == {}

    def test_limits_hold_at_the_limit_and_one_beyond(
        self, store: TrackingStore, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PACK_TRUNCATE_LONG_VALUES", "false")
        run_id = run.info.run_id
        store.log_batch(run_id, params=[Param("p", "x" * 6000)], tags=[RunTag("t", "x" * 8000)])
        store.log_batch(run_id, metrics=[Metric("x" * 250, 1.0, 2**63 - 1, -(2**63))])
        store.log_batch(run_id, metrics=[Metric(f"m{number}", 1.0, 1) for number in range(1000)])
        for over in (
            {"params": [Param("q", "x" * 6001)]},
            {"tags": [RunTag("u", "x" * 8001)]},
            {"metrics": [Metric("m", 1.0, 1, step) for step in range(1001)]},
            {"params": [Param(f"p{number}", "1") for number in range(101)]},
            {"tags": [RunTag(f"t{number}", "1") for number in range(101)]},
            {
                "metrics": [Metric("m", 1.0, 1, step) for step in range(950)],
                "tags": [RunTag(f"t{n}", "1") for n in range(51)],
            },
        ):
            with pytest.raises(InvalidValue):
                store.log_batch(run_id, **over)

    def test_long_values_are_cut_where_the_settings_say_so(self, store: TrackingStore, run: Run) -> None:
        store.log_batch(run.info.run_id, params=[Param("p", "x" * 7000)], tags=[RunTag("t", "y" * 9000)])
        found = store.get_run(run.info.run_id).data
        assert (len(found.params["p"]), len(found.tags["t"])) == (6000, 8000)

    def test_a_param_is_set_once_and_a_tag_as_often_as_one_likes(self, store: TrackingStore, run: Run) -> None:
        for value in ("1", "1"):
            store.log_batch(run.info.run_id, params=[Param("p", value)])
        with pytest.raises(InvalidValue, match="'p' of this run has another value"):
            store.log_batch(run.info.run_id, params=[Param("p", "2")], tags=[RunTag("lost", "x")])
        for value in ("1", "2"):
            store.log_batch(run.info.run_id, tags=[RunTag("t", value)])
        found = store.get_run(run.info.run_id).data
        assert found.params == {"p": "1"}
        assert found.tags["t"] == "2"
        assert "lost" not in found.tags
        store.delete_tag(run.info.run_id, "t")
        with pytest.raises(NotFound):
            store.delete_tag(run.info.run_id, "t")

    def test_a_run_ends_is_renamed_deleted_and_restored(self, store: TrackingStore, run: Run) -> None:
        run_id = run.info.run_id
        info = store.update_run(run_id, status="FINISHED", end_time=9, run_name="second")
        assert (info.status, info.end_time, info.run_name) == ("FINISHED", 9, "second")
        assert store.get_run(run_id).data.tags["mlflow.runName"] == "second"
        store.delete_run(run_id)
        with pytest.raises(InvalidState, match="deleted"):
            store.log_batch(run_id, tags=[RunTag("t", "1")])
        assert store.search_runs(["0"]) == []
        store.restore_run(run_id)
        assert store.get_run(run_id).info.lifecycle_stage == "active"
        with pytest.raises(InvalidValue, match="no status"):
            store.update_run(run_id, status="DONE")

    def test_runs_are_listed_newest_first_in_pages_that_miss_none(self, store: TrackingStore) -> None:
        made = [store.create_run("0", user_id="", start_time=n, run_name=str(n)).info.run_name for n in range(7)]
        seen, token = [], None
        while True:
            page = store.search_runs(["0"], max_results=3, page_token=token)
            seen += [run.info.run_name for run in page]
            token = page.token
            if token is None:
                break
        assert seen == made[::-1]
        with pytest.raises(InvalidValue):
            store.search_runs(["0"], page_token="'; DROP TABLE runs")
        with pytest.raises(InvalidValue):
            store.search_runs(["0 OR 1=1"])

    def test_a_logged_model_is_pending_then_ready(self, store: TrackingStore, run: Run) -> None:
        model = store.create_logged_model(
            "0", name="m", source_run_id=run.info.run_id, params={"p": "1"}, tags={"t": "2"}
        )
        assert model.status == "PENDING"
        assert model.model_id.startswith("m-")
        assert store.models_of_run(run.info.run_id) == []
        ready = store.finalize_logged_model(model.model_id, "READY")
        store.set_logged_model_tags(model.model_id, {"t": "3"})
        found = store.get_logged_model(model.model_id)
        assert (ready.status, found.params, found.tags) == ("READY", {"p": "1"}, {"t": "3"})
        assert [one.model_id for one in store.models_of_run(run.info.run_id, "m")] == [model.model_id]
        with pytest.raises(InvalidValue):
            store.create_logged_model("0", name="a/b")

    def test_what_is_unknown_is_not_found(self, store: TrackingStore) -> None:
        for call in (
            lambda: store.get_run("0" * 32),
            lambda: store.get_experiment("77"),
            lambda: store.get_logged_model("m-0"),
            lambda: store.log_batch("nothing"),
            lambda: store.create_run("77", user_id="", start_time=0, run_name=""),
        ):
            with pytest.raises(NotFound):
                call()
        assert store.get_experiment_by_name("nothing") is None

    def test_a_runs_name_and_its_tag_are_one(self, store: TrackingStore, run: Run) -> None:
        run_id = run.info.run_id
        store.log_batch(run_id, tags=[RunTag("mlflow.runName", "by tag")])
        assert store.get_run(run_id).info.run_name == "by tag"
        store.update_run(run_id, run_name="")
        assert store.update_run(run_id).run_name == "by tag"
        assert store.update_run(run_id, run_name="renamed").run_name == "renamed"
        assert store.get_run(run_id).data.tags["mlflow.runName"] == "renamed"

    def test_a_deleted_run_is_read_and_not_written(self, store: TrackingStore, run: Run) -> None:
        run_id = run.info.run_id
        store.log_batch(run_id, metrics=[Metric("m", 1.0, 1)])
        store.delete_run(run_id)
        store.delete_run(run_id)
        for call in (
            lambda: store.log_batch(run_id, metrics=[Metric("m", 2.0, 1)]),
            lambda: store.log_batch(run_id),
            lambda: store.update_run(run_id, status="FINISHED"),
            lambda: store.delete_tag(run_id, "a"),
            lambda: store.log_inputs(run_id),
            lambda: store.log_outputs(run_id, []),
        ):
            with pytest.raises(Deleted) as error:
                call()
            assert error.value.error_code == "INVALID_PARAMETER_VALUE"
        assert store.get_run(run_id).data.metrics == {"m": 1.0}
        assert len(store.get_metric_history(run_id, "m")) == 1
        store.restore_run(run_id)
        store.restore_run(run_id)
        store.log_batch(run_id, metrics=[Metric("m", 2.0, 2)])

    def test_some_of_what_runs_recorded_is_loaded_on_request(self, store: TrackingStore, run: Run) -> None:
        metrics = [Metric(key, 1.0, 1) for key in ("loss", "val.loss")]
        store.log_batch(run.info.run_id, metrics=metrics, params=[Param("p", "1"), Param("q", "2")])
        for select, expected in (
            (["metrics.loss"], ({"loss"}, set(), set())),
            (["metrics.val.loss", "params"], ({"val.loss"}, {"p", "q"}, set())),
            (["metrics.loss", "metrics"], ({"loss", "val.loss"}, set(), set())),
            (["params.q", "params.nothing", "tags.a"], (set(), {"q"}, {"a"})),
            (["params.*"], (set(), {"p", "q"}, set())),
            ([], (set(), set(), set())),
        ):
            data = store.search_runs(["0"], select=select)[0].data
            assert (set(data.metrics), set(data.params), set(data.tags)) == expected
        for wrong in (["nothing"], ["metrics", "info.x"], [5], "metrics"):
            with pytest.raises(InvalidValue, match="cannot be selected"):
                store.search_runs(["0"], select=wrong)  # type: ignore[arg-type]

    def test_runs_are_counted_without_being_loaded(self, store: TrackingStore) -> None:
        for number in range(5):
            made = store.create_run("0", user_id="", start_time=number, run_name=str(number % 2)).info.run_id
            store.log_batch(made, params=[Param("p", str(number))])
        store.delete_run(made)
        assert store.count_runs(["0"]) == 4
        assert store.count_runs(["0"], filter_string="run_name = '0' AND params.p != '2'") == 1
        assert store.count_runs(["0"], view_type=ViewType.ALL) == 5
        assert store.count_runs([]) == 0
        with pytest.raises(InvalidValue):
            store.count_runs(["0"], filter_string="run_name > 1")

    @pytest.mark.parametrize(
        "metric",
        [
            Metric("m", 1.0, 0),
            Metric("m", 1.0, 10**18, 2**63 - 1),
            Metric("m", 1.0, 2**63 - 1, -(2**63)),
            Metric("m", 2**70, 1),
            Metric("m", True, 1),
            Metric("m", "1.5", 1),  # type: ignore[arg-type]
            Metric("a/b.c d-e_f:g", 1.0, 1),
            Metric("정확도", 1.0, 1),
        ],
    )
    def test_a_point_within_the_rules_is_kept(self, store: TrackingStore, run: Run, metric: Metric) -> None:
        store.log_batch(run.info.run_id, metrics=[metric])
        (found,) = store.get_metric_history(run.info.run_id, metric.key)
        assert (found.value, found.timestamp, found.step) == (float(metric.value), metric.timestamp, metric.step)

    def test_the_same_point_twice_is_one_point(self, store: TrackingStore, run: Run) -> None:
        points = [Metric("m", value, 1, 1) for value in (1.0, 1.0, math.nan, math.nan, 2.0)]
        for _ in range(2):
            store.log_batch(run.info.run_id, metrics=points)
        assert [str(one.value) for one in store.get_metric_history(run.info.run_id, "m")] == ["nan", "1.0", "2.0"]
        assert store.get_run(run.info.run_id).data.metrics == {"m": 2.0}

    def test_a_batch_may_say_the_same_param_twice_but_not_differently(self, store: TrackingStore, run: Run) -> None:
        store.log_batch(run.info.run_id, params=[Param("p", "1"), Param("p", "1")])
        with pytest.raises(InvalidValue, match="another value"):
            store.log_batch(run.info.run_id, params=[Param("q", "1"), Param("q", "2")])
        assert store.get_run(run.info.run_id).data.params == {"p": "1"}

    @pytest.mark.parametrize("bad", ["\ud800", {}, [1], 2**70, b"x", None])
    def test_what_cannot_be_stored_is_refused_and_names_nothing(self, store: TrackingStore, bad: Any) -> None:
        run = store.create_run("0", user_id="", start_time=0, run_name="r").info.run_id
        for call in (
            lambda: store.get_run(bad),
            lambda: store.get_experiment(bad),
            lambda: store.get_logged_model(bad),
            lambda: store.create_experiment(bad),
            lambda: store.rename_experiment("0", bad),
            lambda: store.log_batch(run, metrics=[Metric(bad, 1.0, 1)]),
            lambda: store.log_batch(run, tags=[RunTag(bad, "x")]),
            lambda: store.set_experiment_tag("0", bad, "x"),
            lambda: store.create_logged_model("0", name=bad),
            lambda: store.create_logged_model(bad, name="m"),
        ):
            with pytest.raises((InvalidValue, NotFound)):
                call()

    def test_half_a_character_is_stored_nowhere(self, store: TrackingStore, run: Run) -> None:
        run_id = run.info.run_id
        for call in (
            lambda: store.log_batch(run_id, params=[Param("p", "\ud800")]),
            lambda: store.log_batch(run_id, tags=[RunTag("t", "a\udfff")]),
            lambda: store.set_experiment_tag("0", "t", "\ud800"),
            lambda: store.create_run("0", user_id="\ud800", start_time=0, run_name="r"),
            lambda: store.update_run(run_id, run_name="\ud800"),
            lambda: store.create_logged_model("0", name="m", params={"p": "\ud800"}),
        ):
            with pytest.raises(InvalidValue, match="cannot be stored"):
                call()
        store.log_batch(run_id, params=[Param("p", "🚀\x00\u202e")])
        assert store.get_run(run_id).data.params == {"p": "🚀\x00\u202e"}

    def test_64_that_rename_delete_and_restore_a_run_at_once_leave_one_state(
        self, store: TrackingStore, run: Run
    ) -> None:
        run_id = run.info.run_id

        def change(number: int) -> None:
            verb = (store.delete_run, store.restore_run, lambda one: store.update_run(one, run_name=f"n{number}"))
            try:
                verb[number % 3](run_id)
            except InvalidState:
                assert number % 3 == 2  # only a name cannot be given to a deleted run

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(change, range(64)))
        found = store.get_run(run_id)
        assert found.info.run_name == found.data.tags["mlflow.runName"]
        active, deleted = (store.count_runs(["0"], view_type=view) for view in (ViewType(1), ViewType(2)))
        assert (active, deleted) == ((1, 0) if found.info.lifecycle_stage == "active" else (0, 1))
