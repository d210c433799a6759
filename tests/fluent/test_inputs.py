"""What runs used and made."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pack
from pack.entities import LoggedModelInput, LoggedModelOutput
from pack.errors import InvalidValue, NotFound


def test_a_dataset_is_linked_with_its_context_source_schema_and_size() -> None:
    frame = pd.DataFrame({"age": [20, 30], "left": [True, False]})
    with pack.start_run() as run:
        pack.log_input(pack.data.from_pandas(frame, source="s3://bucket/churn.csv", name="churn"), context="training")
    (found,) = pack.get_run(run.info.run_id).inputs.dataset_inputs
    assert found.dataset.name == "churn"
    assert json.loads(found.dataset.source) == {"uri": "s3://bucket/churn.csv"}
    assert json.loads(found.dataset.profile or "") == {"num_rows": 2, "num_elements": 4}
    assert "age" in (found.dataset.schema or "")
    assert [(tag.key, tag.value) for tag in found.tags] == [("mlflow.data.context", "training")]


def test_several_datasets_of_all_kinds_keep_their_order() -> None:
    array = np.arange(6.0).reshape(3, 2)
    train, test = pack.data.from_polars(pl.DataFrame({"a": [1]}), name="pl"), pack.data.from_numpy(array, name="np")
    with pack.start_run() as run:
        pack.log_inputs(datasets=[train, test], contexts=["training", "eval"], tags_list=[{"v": "1"}, None])
        pack.log_input(train, context="training")  # once more changes nothing
    found = pack.get_run(run.info.run_id).inputs.dataset_inputs
    assert [one.dataset.name for one in found] == ["pl", "np"]
    assert {tag.key: tag.value for tag in found[0].tags} == {"v": "1", "mlflow.data.context": "training"}


def test_runs_are_found_by_their_data() -> None:
    data = pack.data.from_numpy(np.zeros(3), name="zeros")
    with pack.start_run() as run:
        pack.log_input(data, context="eval")
    for text in ("datasets.name = 'zeros'", f"dataset.digest = '{data.digest}'", "datasets.context IN ('eval')"):
        assert pack.search_runs(filter_string=text)["run_id"].tolist() == [run.info.run_id]


def test_data_without_a_source_comes_from_the_code_that_ran() -> None:
    with pack.start_run() as run:
        pack.log_input(pack.data.from_numpy(np.zeros(3)))
    (found,) = pack.get_run(run.info.run_id).inputs.dataset_inputs
    assert found.dataset.source_type == "code"
    assert json.loads(found.dataset.source)["tags"]["mlflow.user"]


def test_what_is_no_dataset_says_how_to_make_one() -> None:
    with pack.start_run():
        with pytest.raises(InvalidValue, match="no dataset"):
            pack.log_input(pd.DataFrame({"a": [1]}))  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="do not go together"):
            pack.log_inputs(datasets=[pack.data.from_numpy(np.zeros(1))], contexts=["a", "b"], tags_list=[None])


def test_models_are_linked_as_inputs_and_outputs() -> None:
    model = pack.initialize_logged_model("m")
    with pack.start_run() as run:
        pack.log_input(model=LoggedModelInput(model.model_id))
        pack.log_outputs([LoggedModelOutput(model.model_id, 1), LoggedModelOutput(model.model_id, 2)])
    found = pack.get_run(run.info.run_id)
    assert [one.model_id for one in found.inputs.model_inputs] == [model.model_id]
    assert [(one.model_id, one.step) for one in found.outputs.model_outputs] == [(model.model_id, 2)]


def test_a_logged_model_is_made_described_measured_and_finished() -> None:
    model = pack.initialize_logged_model("m", params={"a": 1}, tags={"t": "1"})
    assert model.status == "PENDING"
    pack.set_active_model(model_id=model.model_id)
    pack.log_model_params({"b": 2})
    pack.set_logged_model_tags(model.model_id, {"u": 3})
    pack.delete_logged_model_tag(model.model_id, "t")
    with pack.start_run():
        pack.log_metric("accuracy", 0.5, step=1)
    pack.clear_active_model()
    done = pack.finalize_logged_model(model.model_id, "READY")
    assert (done.status, done.params, done.tags) == ("READY", {"a": "1", "b": "2"}, {"u": "3"})
    assert [(point.key, point.value, point.step) for point in done.metrics] == [("accuracy", 0.5, 1)]
    with pytest.raises(InvalidValue, match="READY or FAILED"):
        pack.finalize_logged_model(model.model_id, "DONE")
    with pytest.raises(NotFound):
        pack.get_logged_model("m-" + "0" * 32)


def test_a_model_whose_files_lie_elsewhere_can_be_measured() -> None:
    made = pack.create_external_model("vendor", params={"v": 1})
    assert (made.status, made.tags) == ("READY", {"mlflow.model.isExternal": "true"})
    assert pack.set_active_model(name="vendor").model_id == made.model_id
