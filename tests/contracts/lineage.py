"""The suite of what runs used and made, and of logged models, that every tracking store passes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pack.errors import InvalidValue, NotFound
from pack.tracking import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Run,
    TrackingStore,
)

IRIS = Dataset("iris", "d1", "local", '{"uri": "iris.csv"}', '{"mlflow_colspec": []}', '{"num_rows": 150}')
TRAIN = (InputTag("mlflow.data.context", "train"),)
LIMITS = {"name": 500, "digest": 36, "source_type": 36, "source": 65_535, "schema": 1_048_575, "profile": 16_777_215}


def measured(model_id: str, value: float, dataset: str = "", digest: str = "", *, step: int = 0) -> Metric:
    return Metric("f1", value, 1 + step, step, model_id, dataset, digest)


class LineageContract:
    """`store()` opens a fresh store."""

    @pytest.fixture
    def store(self) -> TrackingStore:
        raise NotImplementedError

    @pytest.fixture
    def run(self, store: TrackingStore) -> Run:
        return store.create_run("0", user_id="ada", start_time=5, run_name="first")

    @pytest.fixture
    def model(self, store: TrackingStore, run: Run) -> LoggedModel:
        return store.create_logged_model("0", name="m", source_run_id=run.info.run_id)

    def test_a_run_knows_its_data_in_the_order_in_which_it_was_logged(self, store: TrackingStore, run: Run) -> None:
        other = replace(IRIS, name="other", schema=None, profile=None)
        store.log_inputs(run.info.run_id, datasets=[DatasetInput(other), DatasetInput(IRIS, TRAIN)])
        store.log_inputs(run.info.run_id, datasets=[DatasetInput(replace(IRIS, digest="d2"))])
        found = store.get_run(run.info.run_id).inputs.dataset_inputs
        assert found == [
            DatasetInput(other),
            DatasetInput(IRIS, TRAIN),
            DatasetInput(replace(IRIS, digest="d2")),
        ]

    def test_the_same_data_twice_is_one_link_whose_tags_are_the_last(self, store: TrackingStore, run: Run) -> None:
        for tags in ((), TRAIN, (InputTag("mlflow.data.context", "eval"), InputTag("x", "y"))):
            store.log_inputs(run.info.run_id, datasets=[DatasetInput(IRIS, tags)])
        (found,) = store.get_run(run.info.run_id).inputs.dataset_inputs
        assert {tag.key: tag.value for tag in found.tags} == {"mlflow.data.context": "eval", "x": "y"}

    def test_data_is_known_by_name_and_digest_in_its_experiment(self, store: TrackingStore, run: Run) -> None:
        other = store.create_experiment("other")
        second = store.create_run(other, user_id="", start_time=0, run_name="second").info.run_id
        store.log_inputs(run.info.run_id, datasets=[DatasetInput(IRIS)])
        store.log_inputs(second, datasets=[DatasetInput(replace(IRIS, source="{}"))])
        found = [store.get_run(one).inputs.dataset_inputs[0].dataset.source for one in (run.info.run_id, second)]
        assert found == [IRIS.source, "{}"]

    def test_a_run_knows_the_models_that_it_used_and_made(self, store: TrackingStore, run: Run) -> None:
        run_id = run.info.run_id
        store.log_inputs(run_id, models=[LoggedModelInput("m-1"), LoggedModelInput("m-2"), LoggedModelInput("m-1")])
        store.log_outputs(run_id, [LoggedModelOutput("m-3", 7), LoggedModelOutput("m-4")])
        store.log_outputs(run_id, [LoggedModelOutput("m-3", 8)])
        found = store.get_run(run_id)
        assert {one.model_id for one in found.inputs.model_inputs} == {"m-1", "m-2"}
        assert {one.model_id: one.step for one in found.outputs.model_outputs} == {"m-3": 8, "m-4": 0}

    def test_a_model_that_a_run_logs_is_one_that_it_made(
        self, store: TrackingStore, run: Run, model: LoggedModel
    ) -> None:
        assert [one.model_id for one in store.get_run(run.info.run_id).outputs.model_outputs] == [model.model_id]

    @pytest.mark.parametrize("part", LIMITS)
    def test_limits_of_data_hold_at_the_limit_and_one_beyond(self, store: TrackingStore, run: Run, part: str) -> None:
        at, over = (replace(IRIS, **{part: "x" * (LIMITS[part] + more)}) for more in (0, 1))
        store.log_inputs(run.info.run_id, datasets=[DatasetInput(at)])
        with pytest.raises(InvalidValue, match=f"the {part} of a dataset") as error:
            store.log_inputs(run.info.run_id, datasets=[DatasetInput(over)])
        assert error.value.error_code == "INVALID_PARAMETER_VALUE"
        assert store.get_run(run.info.run_id).inputs.dataset_inputs == [DatasetInput(at)]

    def test_limits_of_tags_and_of_a_call_hold_at_the_limit_and_one_beyond(
        self, store: TrackingStore, run: Run
    ) -> None:
        many = [DatasetInput(replace(IRIS, digest=str(number))) for number in range(1001)]
        store.log_inputs(run.info.run_id, datasets=[DatasetInput(IRIS, (InputTag("k" * 255, "v" * 500),)), *many[:999]])
        assert len(store.get_run(run.info.run_id).inputs.dataset_inputs) == 1000
        for over in (
            many,
            [DatasetInput(IRIS, (InputTag("k" * 256, "v"),))],
            [DatasetInput(IRIS, (InputTag("k", "v" * 501),))],
        ):
            with pytest.raises(InvalidValue):
                store.log_inputs(run.info.run_id, datasets=over)

    @pytest.mark.parametrize(
        "change",
        [{"name": ""}, {"digest": ""}, {"name": None}, {"source": 5}, {"name": "\ud800"}, {"schema": {"a": 1}}],
    )
    def test_data_without_a_name_or_of_a_wrong_kind_is_refused_as_a_whole(
        self, store: TrackingStore, run: Run, change: dict[str, Any]
    ) -> None:
        dataset = replace(IRIS, **change)
        with pytest.raises(InvalidValue):
            store.log_inputs(run.info.run_id, datasets=[DatasetInput(IRIS), DatasetInput(dataset)])
        assert store.get_run(run.info.run_id).inputs.dataset_inputs == []

    @pytest.mark.parametrize("model_id", ["", None, 5, "x" * 251, "\ud800"])
    def test_what_is_no_id_of_a_model_is_not_linked(self, store: TrackingStore, run: Run, model_id: Any) -> None:
        with pytest.raises(InvalidValue):
            store.log_inputs(run.info.run_id, models=[LoggedModelInput(model_id)])
        with pytest.raises(InvalidValue):
            store.log_outputs(run.info.run_id, [LoggedModelOutput(model_id)])

    @pytest.mark.parametrize("step", [2**63, -(2**63) - 1, "x", 1.5, None])
    def test_a_step_of_another_kind_is_refused(self, store: TrackingStore, run: Run, step: Any) -> None:
        with pytest.raises(InvalidValue):
            store.log_outputs(run.info.run_id, [LoggedModelOutput("m-1", step)])
        with pytest.raises(InvalidValue):
            store.create_logged_model("0", name="m", step=step)

    def test_a_measurement_of_a_model_is_kept_with_both(
        self, store: TrackingStore, run: Run, model: LoggedModel
    ) -> None:
        points = [
            measured(model.model_id, 0.5, "iris", "d1"),
            measured(model.model_id, math.nan, step=1),
            Metric("loss", 1.0, 1),
        ]
        store.log_batch(run.info.run_id, metrics=points)
        found = store.get_logged_model(model.model_id).metrics
        assert [(one.key, str(one.value), one.dataset_name, one.run_id) for one in found] == [
            ("f1", "0.5", "iris", run.info.run_id),
            ("f1", "nan", None, run.info.run_id),
        ]
        assert set(store.get_run(run.info.run_id).data.metrics) == {"f1", "loss"}

    def test_a_measurement_of_an_unknown_or_deleted_model_keeps_nothing(
        self, store: TrackingStore, run: Run, model: LoggedModel
    ) -> None:
        store.delete_logged_model(model.model_id)
        for model_id in (model.model_id, "m-0"):
            with pytest.raises(NotFound):
                store.log_batch(run.info.run_id, metrics=[Metric("loss", 1.0, 1), measured(model_id, 0.5)])
        assert store.get_run(run.info.run_id).data.metrics == {}

    @pytest.mark.parametrize(
        ("datasets", "order", "expected"),
        [
            (None, ["metrics.f1 DESC"], ["b", "a", "c"]),
            ([{"dataset_name": "iris"}], ["metrics.f1 DESC"], ["a", "b"]),
            ([{"dataset_name": "iris", "dataset_digest": "d2"}], ["metrics.f1"], ["b"]),
            ([{"dataset_name": "nothing"}], None, []),
            ([{"dataset_name": "nothing"}, {"dataset_name": "iris", "dataset_digest": "d1"}], None, ["a"]),
        ],
    )
    def test_models_are_found_by_what_they_were_measured_on(
        self, store: TrackingStore, run: Run, datasets: list[Mapping[str, str]], order: list[str], expected: list[str]
    ) -> None:
        a, b, _ = (store.create_logged_model("0", name=name) for name in "abc")
        points = [
            measured(a.model_id, 0.9, "iris", "d1", step=1),
            measured(a.model_id, 0.1, "other", "d1", step=9),
            measured(b.model_id, 0.5, "iris", "d2", step=3),
        ]
        store.log_batch(run.info.run_id, metrics=points)
        found = store.search_logged_models(["0"], datasets=datasets, order_by=order)
        assert [one.name for one in found] == expected

    @pytest.mark.parametrize("datasets", [[{}], [{"dataset_digest": "d"}], [{"dataset_name": "x"}] * 101, [5], "iris"])
    def test_what_names_no_data_is_refused(self, store: TrackingStore, datasets: Any) -> None:
        with pytest.raises(InvalidValue):
            store.search_logged_models(["0"], datasets=datasets)

    def test_a_condition_on_a_metric_counts_only_the_data_asked_for(self, store: TrackingStore, run: Run) -> None:
        made = store.create_logged_model("0", name="m")
        points = [measured(made.model_id, 0.9, "iris"), measured(made.model_id, 0.1, "other", step=1)]
        store.log_batch(run.info.run_id, metrics=points)
        for name, least, expected in (("iris", 0.5, 1), ("other", 0.5, 0), ("other", 0.05, 1)):
            asked: list[Mapping[str, str]] = [{"dataset_name": name}]
            found = store.search_logged_models(["0"], datasets=asked, filter_string=f"metrics.f1 > {least}")
            assert len(found) == expected

    @pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", "a.b", "a%b", "a'b", 'a"b', "a\nb", "x" * 251, None, 5])
    def test_a_name_that_no_logged_model_can_have_is_refused(self, store: TrackingStore, name: Any) -> None:
        with pytest.raises(InvalidValue) as error:
            store.create_logged_model("0", name=name)
        assert error.value.error_code == "INVALID_PARAMETER_VALUE"
        assert store.search_logged_models(["0"]) == []

    def test_params_of_a_model_are_set_once_and_tags_again(self, store: TrackingStore, model: LoggedModel) -> None:
        for _ in range(2):
            store.log_model_params(model.model_id, {"lr": "0.1", "n": "1"})
        with pytest.raises(InvalidValue, match="another value"):
            store.log_model_params(model.model_id, {"new": "1", "lr": "0.2"})
        for value in ("a", "b"):
            store.set_logged_model_tags(model.model_id, {"t": value, "u": "x"})
        store.delete_logged_model_tag(model.model_id, "u")
        found = store.get_logged_model(model.model_id)
        assert (found.params, found.tags) == ({"lr": "0.1", "n": "1"}, {"t": "b"})
        with pytest.raises(NotFound, match="no tag"):
            store.delete_logged_model_tag(model.model_id, "u")

    def test_a_model_fails_with_a_message(self, store: TrackingStore, model: LoggedModel) -> None:
        failed = store.finalize_logged_model(model.model_id, "FAILED", message="x" * 2000)
        assert (failed.status, failed.status_message) == ("FAILED", "x" * 1000)
        for status in ("PENDING", "DONE", "", None, 2):
            with pytest.raises(InvalidValue, match="no final status"):
                store.finalize_logged_model(model.model_id, status)  # type: ignore[arg-type]

    def test_of_several_models_of_a_run_the_newest_comes_first(self, store: TrackingStore, run: Run) -> None:
        run_id = run.info.run_id
        made = [store.create_logged_model("0", name="m", source_run_id=run_id, step=step) for step in (1, 3, 3, 2)]
        for one in made[:3]:
            store.finalize_logged_model(one.model_id, "READY")
        assert [one.model_id for one in store.models_of_run(run_id, "m")] == [made[at].model_id for at in (2, 1, 0)]
        store.delete_logged_model(made[2].model_id)
        assert store.models_of_run(run_id)[0].model_id == made[1].model_id

    def test_a_deleted_model_is_gone_until_it_is_restored(self, store: TrackingStore, model: LoggedModel) -> None:
        store.log_model_params(model.model_id, {"a": "1"})
        store.delete_logged_model(model.model_id)
        for call in (
            lambda: store.get_logged_model(model.model_id),
            lambda: store.delete_logged_model(model.model_id),
            lambda: store.finalize_logged_model(model.model_id, "READY"),
            lambda: store.set_logged_model_tags(model.model_id, {"a": "b"}),
            lambda: store.log_model_params(model.model_id, {"a": "1"}),
            lambda: store.delete_logged_model_tag(model.model_id, "a"),
        ):
            with pytest.raises(NotFound):
                call()
        assert store.search_logged_models(["0"]) == []
        store.restore_logged_model(model.model_id)
        assert store.get_logged_model(model.model_id).params == {"a": "1"}
        with pytest.raises(NotFound):
            store.restore_logged_model("m-0")
