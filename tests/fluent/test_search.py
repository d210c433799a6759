"""Finding runs and models, as a DataFrame or as a list."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import InvalidValue, NotFound


@pytest.fixture
def three() -> list[str]:
    pack.set_experiment("churn")
    ids = []
    for number in range(3):
        with pack.start_run(run_name=f"r{number}") as run:
            pack.log_metrics({"loss": 0.5 - number / 10, **({"f1": 0.5} if number else {})})
            pack.log_param("depth", number)
            pack.set_tag("kind", "odd" if number % 2 else "even")
        ids.append(run.info.run_id)
    return ids


def test_runs_are_a_frame_of_facts_metrics_params_and_tags(three: list[str]) -> None:
    frame = pack.search_runs(order_by=["metrics.loss ASC"])
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns[:6]) == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
    assert frame["run_id"].tolist() == three[::-1]
    assert frame["params.depth"].tolist() == ["2", "1", "0"]
    assert str(frame["start_time"].dt.tz) == "UTC"
    assert frame["metrics.f1"].isna().tolist() == [False, False, True]


def test_runs_are_a_list_on_request_and_only_what_was_asked_for_is_loaded(three: list[str]) -> None:
    found = pack.search_runs(filter_string="tags.kind = 'even'", output_format="list", select=["metrics.loss"])
    assert isinstance(found, list)
    assert {run.info.run_name for run in found} == {"r0", "r2"}
    assert all(set(run.data.metrics) == {"loss"} for run in found)
    assert all(not run.data.params and not run.data.tags for run in found)
    with pytest.raises(InvalidValue, match="output format"):
        pack.search_runs(output_format="polars")


def test_experiments_are_given_by_name_by_id_or_all(three: list[str]) -> None:
    other = pack.create_experiment("other")
    assert len(pack.search_runs(experiment_names=["churn"])) == 3
    assert len(pack.search_runs([other])) == 0
    pack.set_experiment("other")
    assert len(pack.search_runs()) == 0
    assert len(pack.search_runs(search_all_experiments=True, max_results=2)) == 2
    with pytest.raises(NotFound, match="no experiment named"):
        pack.search_runs(experiment_names=["nothing"])
    with pytest.raises(InvalidValue, match="by id and by name"):
        pack.search_runs([other], experiment_names=["churn"])


def test_runs_are_counted_without_being_loaded(three: list[str]) -> None:
    assert pack.count_runs() == 3
    assert pack.count_runs(filter_string="metrics.f1 > 0") == 2
    pack.delete_run(three[0])
    assert (pack.count_runs(), pack.count_runs(run_view_type=3)) == (2, 3)


def test_an_empty_frame_has_its_columns() -> None:
    frame = pack.search_runs()
    assert list(frame.columns) == ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]


def test_a_fault_in_a_filter_says_where_it_is() -> None:
    with pytest.raises(InvalidValue, match="character 15"):
        pack.search_runs(filter_string="metrics.loss >> 3")


def test_models_and_versions_are_found(three: list[str]) -> None:
    for name in ("churn", "price"):
        pack.Client().create_registered_model(name, tags={"team": name})
    assert [one.name for one in pack.search_registered_models(filter_string="tags.team = 'price'")] == ["price"]
    assert pack.search_model_versions(filter_string="name = 'churn'") == []


def test_logged_models_are_found_by_metric_and_dataset() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]})
    data = pack.data.from_pandas(frame, name="test-set")
    for number in range(3):
        model = pack.initialize_logged_model(f"m{number}", params={"n": number})
        pack.log_metric("accuracy", 0.5 + number / 10, model_id=model.model_id, dataset=data)
        pack.finalize_logged_model(model.model_id, "READY")
    found = pack.search_logged_models(
        filter_string="metrics.accuracy > 0.55",
        order_by=[{"field_name": "metrics.accuracy", "ascending": False}],
        output_format="list",
    )
    assert isinstance(found, list)
    assert [one.name for one in found] == ["m2", "m1"]
    measured = pack.search_logged_models(datasets=[{"dataset_name": "test-set", "dataset_digest": data.digest}])
    assert len(measured) == 3
    assert len(pack.search_logged_models(datasets=[{"dataset_name": "other"}])) == 0


def test_one_id_means_that_experiment_and_not_its_digits() -> None:
    ids = [pack.create_experiment(f"e{number}") for number in range(12)]
    with pack.start_run(experiment_id=ids[-1]) as run:
        pack.log_metric("loss", 1.0)
    assert ids[-1] == "12"
    for given in ("12", 12, ["12"], (12,), pd.Series(["12"])):
        assert pack.search_runs(given)["run_id"].tolist() == [run.info.run_id]  # type: ignore[arg-type]
        assert pack.count_runs(given) == 1  # type: ignore[arg-type]
        assert len(pack.Client().search_runs(given)) == 1  # type: ignore[arg-type]
        assert len(pack.search_logged_models(given)) == 0  # type: ignore[arg-type]
        assert len(pack.Client().search_logged_models(given)) == 0  # type: ignore[arg-type]
    assert len(pack.search_runs(ids, max_results=np.int64(1), select="metrics.loss")) == 1  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="experiment ids are a list"):
        pack.search_runs(1.5)  # type: ignore[arg-type]
