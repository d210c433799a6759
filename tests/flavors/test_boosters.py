"""The xgboost, lightgbm and catboost flavors."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import InvalidValue
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")


@lru_cache(maxsize=1)
def numbers() -> tuple[pd.DataFrame, Any]:
    values = np.random.default_rng(0).normal(size=(200, 4))
    return pd.DataFrame(values, columns=list("abcd")), (values.sum(axis=1) > 0).astype(int)


@lru_cache(maxsize=1)
def mixed() -> tuple[pd.DataFrame, Any]:
    """A frame with a column of categories, which decide."""
    chance = np.random.default_rng(1)
    colours = chance.choice(["blue", "green", "red"], size=300)
    frame = pd.DataFrame({"size": chance.normal(size=300), "colour": pd.Categorical(colours)})
    return frame, (colours == "red").astype(float) * 3 + frame["size"].to_numpy()


class Numbers(FlavorInterop):
    def rows(self) -> Any:
        return numbers()[0][:7]


class TestXGBoostBooster(Numbers):
    flavor = "xgboost"

    def model(self) -> Any:
        frame, label = numbers()
        return xgboost.train({"max_depth": 2, "seed": 0}, xgboost.DMatrix(frame, label), num_boost_round=5)

    def expected(self) -> Any:
        return self.model().predict(xgboost.DMatrix(self.rows()))


class TestXGBClassifier(Numbers):
    flavor = "xgboost"

    def model(self) -> Any:
        return xgboost.XGBClassifier(n_estimators=5, max_depth=2).fit(*numbers())


class TestXGBRegressorInJSON(TestXGBClassifier):
    options: ClassVar[dict[str, Any]] = {"model_format": "json"}

    def model(self) -> Any:
        return xgboost.XGBRegressor(n_estimators=5, max_depth=2).fit(*numbers())


class TestLightGBMBooster(Numbers):
    flavor = "lightgbm"

    def model(self) -> Any:
        frame, label = numbers()
        options = {"verbose": -1, "min_data_in_leaf": 5, "objective": "binary"}
        return lightgbm.train(options, lightgbm.Dataset(frame, label), num_boost_round=5)


class TestLGBMClassifier(Numbers):
    flavor = "lightgbm"

    def model(self) -> Any:
        return lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(*numbers())


class TestLGBMRegressorPickled(TestLGBMClassifier):
    options: ClassVar[dict[str, Any]] = {"serialization_format": "cloudpickle"}
    mlflow_options: ClassVar[dict[str, Any]] = {"serialization_format": "cloudpickle"}

    def model(self) -> Any:
        return lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(*numbers())


class TestCatBoostClassifier(Numbers):
    flavor = "catboost"

    def model(self) -> Any:
        return catboost.CatBoostClassifier(
            iterations=5, depth=2, random_seed=0, verbose=False, allow_writing_files=False
        ).fit(*numbers())


class TestCatBoost(TestCatBoostClassifier):
    def model(self) -> Any:
        options = {"iterations": 5, "depth": 2, "random_seed": 0, "verbose": False, "allow_writing_files": False}
        return catboost.CatBoost({**options, "loss_function": "RMSE"}).fit(*numbers())


def boosters() -> dict[str, Any]:
    """A model of each that was fitted on categories."""
    frame, label = mixed()
    text = frame.astype({"colour": "object"})
    quiet = {"iterations": 20, "verbose": False, "allow_writing_files": False, "random_seed": 0}
    return {
        "XGBRegressor": xgboost.XGBRegressor(n_estimators=20, enable_categorical=True).fit(frame, label),
        "xgboost": xgboost.train({}, xgboost.DMatrix(frame, label, enable_categorical=True), num_boost_round=20),
        "LGBMRegressor": lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(frame, label),
        "lightgbm": lightgbm.train({"verbose": -1}, lightgbm.Dataset(frame, label), num_boost_round=20),
        "catboost": catboost.CatBoostRegressor(**quiet, cat_features=["colour"]).fit(text, label),
    }


@pytest.mark.parametrize("kind", ["XGBRegressor", "xgboost", "LGBMRegressor", "lightgbm", "catboost"])
def test_categories_mean_the_same_in_rows_that_hold_few_of_them(tmp_path: Path, kind: str) -> None:
    model, (frame, _) = boosters()[kind], mixed()
    if kind == "catboost":
        frame = frame.astype({"colour": "object"})
    expected = model.predict(
        xgboost.DMatrix(frame, enable_categorical=True) if isinstance(model, xgboost.Booster) else frame
    )
    pack.save_model(model, tmp_path / "m", input_example=frame[:3])
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert "'colour': string" in repr(loaded.signature)
    red = (frame["colour"] == "red").to_numpy()
    assert same(loaded.predict(frame[red]), expected[red])
    assert same(loaded.predict(frame[:1]), expected[:1])
    assert same(loaded.predict(frame.astype({"colour": "object"})), expected)


def test_params_reach_the_booster(tmp_path: Path) -> None:
    rows = numbers()[0][:5]
    model = TestCatBoostClassifier().model()
    example = (rows, {"prediction_type": "Class"})
    pack.catboost.save_model(model, tmp_path / "m", input_example=example)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert same(loaded.predict(rows, {"prediction_type": "Probability"}), model.predict_proba(rows))


def test_an_estimator_of_a_class_of_ones_own_is_refused(tmp_path: Path) -> None:
    class Mine(xgboost.XGBClassifier):  # type: ignore[misc, name-defined, unused-ignore]
        pass

    with pytest.raises(InvalidValue, match="not one of XGBoost's models"):
        pack.save_model(Mine(n_estimators=2).fit(*numbers()), tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["os.system", "xgboost.core.os", "evil.Booster", "xgboost.train", "x" * 10_000])
def test_a_class_that_the_model_names_is_never_imported(tmp_path: Path, name: str) -> None:
    pack.save_model(TestXGBClassifier().model(), tmp_path / "m")
    described = Model.load(tmp_path / "m")
    described.flavors["xgboost"]["model_class"] = name
    (tmp_path / "m" / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")
    with pytest.raises(InvalidValue, match="not one of XGBoost's models"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


@pytest.mark.parametrize("kind", ["xgboost", "lightgbm", "catboost"])
def test_what_is_no_model_is_a_clear_error(tmp_path: Path, kind: str) -> None:
    made = {"xgboost": TestXGBoostBooster, "lightgbm": TestLightGBMBooster, "catboost": TestCatBoost}[kind]().model()
    pack.save_model(made, tmp_path / "m")
    described = Model.load(tmp_path / "m")
    (tmp_path / "m" / described.flavors[kind]["data"]).write_bytes(b"nothing of this kind\n" * 10)
    (tmp_path / "m" / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")
    with pytest.raises(InvalidValue, match="is no model that"):
        pack.pyfunc.load_model(tmp_path / "m")
