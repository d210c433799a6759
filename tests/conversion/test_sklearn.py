"""scikit-learn's models as ONNX graphs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import AlreadyExists, InvalidValue, MissingPackage, NotFound, Untrusted
from pack.mlmodel import Model
from tests.conversion.conftest import assert_alike, numbers
from tests.models import classifier, iris, mixed_frame, mixed_pipeline

pytest.importorskip("sklearn")
pytest.importorskip("skl2onnx")
pytest.importorskip("onnxmltools")
pytest.importorskip("onnxruntime")

Both = Callable[..., tuple[Any, Any]]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def mixed(last: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer(
        [("city", OneHotEncoder(handle_unknown="ignore"), ["city"]), ("numbers", StandardScaler(), ["income", "age"])]
    )
    return Pipeline([("columns", columns), ("last", last)])


def test_a_frame_of_text_and_numbers_is_answered_as_before(both: Both) -> None:
    source, converted = both(mixed_pipeline(), mixed_frame())
    assert (source.flavor, converted.flavor) == ("sklearn", "onnx")
    assert converted.predict(mixed_frame()[:1]).dtype == bool
    with pytest.raises(InvalidValue, match="income"):
        converted.predict(mixed_frame().drop(columns="income"))


def test_labels_of_text_stay_text(both: Both) -> None:
    from sklearn.linear_model import LogisticRegression

    frame = mixed_frame()
    both(mixed(LogisticRegression()).fit(frame, np.where(frame["age"] > 40, "old", "young")), frame)


def test_arrays_are_answered_as_before(both: Both) -> None:
    both(classifier(), iris()[0])


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba", "decision_function"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_converted_where_they_are_what_is_served(both: Both, method: str, classes: int) -> None:
    from sklearn.linear_model import LogisticRegression

    frame, target = numbers()
    label = np.digitize(target, [0] if classes == 2 else [-10, 10])
    both(LogisticRegression().fit(frame, label), frame, pyfunc_predict_fn=method)


@pytest.mark.parametrize(
    "name",
    [
        "RandomForestRegressor", "ExtraTreesRegressor", "GradientBoostingRegressor", "HistGradientBoostingRegressor",
    ],
)  # fmt: skip
@pytest.mark.parametrize("scaled", [False, True])
def test_trees_answer_alike_on_all_they_were_fitted_on(both: Both, name: str, scaled: bool) -> None:
    from sklearn import ensemble
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    size = {"max_iter": 5} if "Hist" in name else {"n_estimators": 5}
    trees = getattr(ensemble, name)(random_state=0, **size)
    # Rows that stand exactly on the thresholds tell single from double precision.
    both((make_pipeline(StandardScaler(), trees) if scaled else trees).fit(*numbers()), numbers()[0])


def test_boosters_in_a_pipeline_are_converted_too(both: Both) -> None:
    xgboost = pytest.importorskip("xgboost")
    frame = mixed_frame()
    source, _ = both(mixed(xgboost.XGBClassifier(n_estimators=5)).fit(frame, frame["age"] > 40), frame)
    assert source.flavor == "sklearn"


def test_a_booster_of_lightgbm_in_a_pipeline_is_converted_too(both: Both) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    frame = mixed_frame()
    both(mixed(lightgbm.LGBMRegressor(n_estimators=5, verbose=-1)).fit(frame, frame["income"]), frame)


def test_whole_numbers_and_truth_values_are_columns_of_their_own(both: Both) -> None:
    from sklearn.linear_model import Ridge

    frame, target = numbers()
    frame = frame.assign(a=(frame["a"] * 10).round().astype(int), e=frame["b"] > 0)
    _, converted = both(Ridge().fit(frame, target), frame)
    assert [one.type for one in converted.get_raw_model().get_inputs()][::4] == ["tensor(int64)", "tensor(bool)"]


def test_missing_numbers_are_imputed_alike(both: Both) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    frame, target = numbers()
    holes = frame.where(frame > -1)
    both(make_pipeline(SimpleImputer(), Ridge()).fit(holes, target), holes)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_mlflow_answers_the_same_with_what_was_converted(both: Both) -> None:
    mlflow = pytest.importorskip("mlflow")
    frame = mixed_frame()
    source, converted = both(mixed_pipeline(), frame)
    found = mlflow.pyfunc.load_model(str(converted.home)).predict(frame.astype({"city": object}))
    assert list(found.columns) == ["prediction"]
    assert_alike(found["prediction"].to_numpy(), source.predict(frame))


def test_the_version_says_where_it_comes_from_and_what_was_proved() -> None:
    info = pack.log_model(mixed_pipeline(), name="m", input_example=mixed_frame()[:9], registered_model_name="m")
    pack.set_alias("m", "champion", 1)
    done = pack.convert("models:/m@champion", name="m-onnx")
    home = pack.pyfunc.load_model("models:/m-onnx/1").home
    facts = (Model.load(home).metadata or {})["conversion"]
    assert facts["source"] == "models:/m/1"
    assert facts["source_digest"] == pack.pyfunc.load_model(info.model_uri).digest
    assert (facts["proof"]["rtol"], facts["proof"]["rows"]) == (1e-4, 2009)
    assert {"skl2onnx", "scikit-learn", "onnx", "onnxruntime"} <= set(facts["libraries"])
    (version,) = pack.search_model_versions(filter_string="name = 'm-onnx'")
    assert version.tags["pack.conversion.source"] == "models:/m/1"
    assert done.to_dict()["converted"]["size_bytes"] > 0
    assert pack.get_alias("m", "champion").version == 1


def test_a_folder_is_written_where_one_is_asked_for() -> None:
    pack.save_model(classifier(), "iris", input_example=iris()[0][:5])
    done = pack.convert("iris", output="iris-onnx")
    assert (done.version, done.uri) == (None, "iris-onnx")
    assert pack.pyfunc.load_model("iris-onnx").predict(iris()[0][:3]).tolist() == [0, 0, 0]
    with pytest.raises(AlreadyExists):
        pack.convert("iris", output="iris-onnx")


def test_what_has_no_converter_is_refused_with_the_reason() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    frame, target = numbers()
    model = make_pipeline(FunctionTransformer(np.cbrt), Ridge()).fit(frame, target)
    pack.log_model(model, name="m", input_example=frame[:5], registered_model_name="m")
    with pytest.raises(InvalidValue, match=r"cannot be converted to ONNX: .*FunctionTransformer is not supported"):
        pack.convert("models:/m/1", trust=True)
    assert [one.version for one in pack.search_model_versions()] == [1]


def test_a_graph_that_answers_otherwise_is_refused_and_not_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    from pack.conversion import graph
    from pack.conversion.sklearn import Sklearn

    frame, target = numbers()
    from sklearn.linear_model import Ridge

    pack.log_model(Ridge().fit(frame, target), name="m", input_example=frame[:5], registered_model_name="m")
    convert = Sklearn.convert
    monkeypatch.setattr(Sklearn, "convert", lambda *given: graph.after(convert(*given), "Neg"))
    with pytest.raises(InvalidValue, match="answers unlike its source in 2005 of 2005 rows"):
        pack.convert("models:/m/1")
    assert len(pack.search_logged_models(output_format="list")) == 1


def test_dates_have_no_place_in_a_graph() -> None:
    frame = mixed_frame().assign(when=pd.Timestamp("2026-01-01"))
    model = mixed_pipeline()
    pack.log_model(model, name="m", input_example=frame[:5], registered_model_name="m")
    with pytest.raises(InvalidValue, match="column 'when' is datetime, which no graph takes"):
        pack.convert("models:/m/1")


def test_a_proof_needs_an_example() -> None:
    signature = pack.infer_signature(iris()[0][:5])
    pack.save_model(classifier(), "iris", signature=signature)
    with pytest.raises(InvalidValue, match="no input example"):
        pack.convert("iris", output="o")
    assert pack.convert("iris", output="o", input_example=iris()[0][:5]).proof.rows == 2005


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"to": "coreml"}, "to='coreml'"),
        ({"name": "a", "output": "b"}, "given together"),
        ({"rtol": -1.0}, "tolerances must be"),
        ({"atol": float("nan")}, "tolerances must be"),
        ({}, "needs a name"),
    ],
)
def test_arguments_that_make_no_sense_are_clear_errors(wrong: dict[str, Any], match: str) -> None:
    pack.save_model(classifier(), "iris", input_example=iris()[0][:5])
    with pytest.raises(InvalidValue, match=match):
        pack.convert("iris", **wrong)


def test_params_cannot_be_converted() -> None:
    from sklearn.linear_model import BayesianRidge

    frame, target = numbers()
    pack.save_model(BayesianRidge().fit(frame, target), "m", input_example=(frame[:5], {"return_std": False}))
    with pytest.raises(InvalidValue, match=r"takes params \(return_std\)"):
        pack.convert("m", output="o")


def test_a_library_that_is_missing_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    pack.save_model(classifier(), "iris", input_example=iris()[0][:5])
    monkeypatch.delitem(sys.modules, "pack.conversion.sklearn", raising=False)
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(MissingPackage, match=r"pip install 'packml\[convert\]'"):
        pack.convert("iris", output="o")


def test_a_python_model_has_no_converter() -> None:
    pack.save_model(lambda model_input: model_input, "m", input_example=[1.0])
    with pytest.raises(NotFound, match="python_function"):
        pack.convert("m", output="o", trust=True)


def test_the_source_passes_the_load_policy_like_any_other() -> None:
    pack.sklearn.save_model(classifier(), "m", input_example=iris()[0][:5], serialization_format="cloudpickle")
    with pytest.raises(Untrusted):
        pack.convert("m", output="o", trust="safe")
