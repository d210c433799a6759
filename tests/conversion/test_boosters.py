"""Boosters as ONNX graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pack
from pack.errors import InvalidValue
from tests.conversion.conftest import numbers
from tests.models import mixed_frame

pytest.importorskip("onnxmltools")
pytest.importorskip("onnxruntime")
xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")

Both = Callable[..., tuple[Any, Any]]
QUIET = {"iterations": 5, "verbose": False, "allow_writing_files": False}
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def three(target: Any) -> Any:
    return np.digitize(target, [-10, 10])


def texts(target: Any) -> Any:
    return np.array(["low", "mid", "high"])[three(target)]


def models() -> dict[str, Callable[[Any, Any], Any]]:
    rows = xgboost.DMatrix
    multi = {"num_class": 3}
    return {
        "XGBClassifier": lambda x, y: xgboost.XGBClassifier(n_estimators=5).fit(x, three(y)),
        "XGBRegressor": lambda x, y: xgboost.XGBRegressor(n_estimators=5).fit(x, y),
        "xgboost": lambda x, y: xgboost.train({}, rows(x, y), num_boost_round=5),
        "xgboost binary": lambda x, y: xgboost.train(
            {"objective": "binary:logistic"}, rows(x, y > 0), num_boost_round=5
        ),
        "xgboost softprob": lambda x, y: xgboost.train(
            {"objective": "multi:softprob", **multi}, rows(x, three(y)), num_boost_round=5
        ),
        "xgboost softmax": lambda x, y: xgboost.train(
            {"objective": "multi:softmax", **multi}, rows(x, three(y)), num_boost_round=5
        ),
        "LGBMClassifier": lambda x, y: lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(x, texts(y)),
        "LGBMRegressor": lambda x, y: lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(x, y),
        "lightgbm binary": lambda x, y: lightgbm.train(
            {"objective": "binary", "verbose": -1}, lightgbm.Dataset(x, y > 0), num_boost_round=5
        ),
        "lightgbm multi": lambda x, y: lightgbm.train(
            {"objective": "multiclass", "verbose": -1, **multi}, lightgbm.Dataset(x, three(y)), num_boost_round=5
        ),
        "CatBoostClassifier": lambda x, y: catboost.CatBoostClassifier(**QUIET).fit(x, texts(y)),
        "CatBoostRegressor": lambda x, y: catboost.CatBoostRegressor(**QUIET).fit(x, y),
    }


@pytest.mark.parametrize("kind", list(models()))
def test_a_booster_is_answered_as_before(both: Both, kind: str) -> None:
    frame, target = numbers()
    source, _ = both(models()[kind](frame, target), frame)
    assert list(source.predict(frame[:1]).shape[:1]) == [1]


@pytest.mark.parametrize("kind", ["XGBRegressor", "LGBMRegressor", "CatBoostRegressor"])
def test_missing_numbers_go_the_same_way(both: Both, kind: str) -> None:
    frame, target = numbers()
    holes = frame.where(frame > -1)
    both(models()[kind](holes, target), holes)


def test_the_names_of_columns_are_given_back_to_the_source() -> None:
    from pack.conversion.names import nameless

    frame, target = numbers()
    model = xgboost.XGBRegressor(n_estimators=2).fit(frame, target)
    with nameless([model]):
        assert model.get_booster().feature_names is None
    assert model.get_booster().feature_names == list("abcd")


def test_an_estimator_that_stopped_early_keeps_its_best_round(both: Both) -> None:
    frame, target = numbers()
    noise = target + np.random.default_rng(1).normal(size=len(target)) * 9
    model = xgboost.XGBRegressor(n_estimators=60, early_stopping_rounds=2, learning_rate=0.9)
    model.fit(frame[:150], noise[:150], eval_set=[(frame[150:], target[150:])], verbose=False)
    assert model.best_iteration < 50
    both(model, frame)


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("xgboost", "city holds text"),
        ("lightgbm", "city holds text"),
        ("catboost", "fitted on categories"),
        ("ranker", "no objective rank:ndcg"),
        ("raw", "raw values"),
    ],
)
def test_what_no_library_converts_is_refused_with_the_reason(kind: str, match: str) -> None:
    frame, (rows, target) = mixed_frame(), numbers()
    categories = frame.astype({"city": "category"})
    made = {
        "xgboost": lambda: xgboost.XGBRegressor(n_estimators=2, enable_categorical=True).fit(categories, frame["age"]),
        "lightgbm": lambda: lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(categories, frame["age"]),
        "catboost": lambda: catboost.CatBoostRegressor(**QUIET, cat_features=["city"]).fit(frame, frame["age"]),
        "ranker": lambda: xgboost.XGBRanker(n_estimators=2).fit(rows, target > 0, group=[100, 100]),
        "raw": lambda: catboost.CatBoost({**QUIET, "loss_function": "Logloss"}).fit(rows, target > 0),
    }[kind]()
    given = rows if kind in {"ranker", "raw"} else frame if kind == "catboost" else categories
    pack.save_model(made, "m", input_example=given[:5])
    with pytest.raises(InvalidValue, match=f"cannot be converted to ONNX: .*{match}"):
        pack.convert("m", output="o")
