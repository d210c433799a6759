"""The statsmodels flavor."""

from __future__ import annotations

import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import pack
from pack import flavors
from pack.errors import InvalidValue, ModelFailed, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same

pytest.importorskip("statsmodels")
import statsmodels.api as sm
import statsmodels.formula.api as smf
from statsmodels.tsa.api import ARIMA, VAR, AutoReg, ExponentialSmoothing

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning:statsmodels")


@lru_cache(maxsize=1)
def numbers() -> tuple[pd.DataFrame, pd.Series[float]]:
    chance = np.random.default_rng(0)
    frame = pd.DataFrame(chance.normal(size=(60, 3)), columns=list("abc"))
    return frame, pd.Series(frame.sum(axis=1) + chance.normal(size=60), name="y")


def series() -> pd.Series[float]:
    label = numbers()[1].copy()
    label.index = pd.date_range("2024-01-01", periods=60, freq="D")
    return label


class TestOLS(FlavorInterop):
    flavor = "statsmodels"

    def model(self) -> Any:
        frame, label = numbers()
        return sm.OLS(label, frame).fit()

    def rows(self) -> Any:
        return numbers()[0][:5]


class TestOLSWithoutItsData(TestOLS):
    options: ClassVar[dict[str, Any]] = {"remove_data": True}
    mlflow_options: ClassVar[dict[str, Any]] = {"remove_data": True}


class TestGLM(TestOLS):
    def model(self) -> Any:
        frame, label = numbers()
        return sm.GLM((label > 0).astype(int), frame, family=sm.families.Binomial()).fit()


class TestFormula(TestOLS):
    def model(self) -> Any:
        frame, label = numbers()
        return smf.ols("y ~ a + np.exp(b) + center(c)", data=frame.assign(y=label)).fit()


class TestOfArrays(TestOLS):
    def model(self) -> Any:
        frame, label = numbers()
        return sm.OLS(label.to_numpy(), frame.to_numpy()).fit()

    def rows(self) -> Any:
        return numbers()[0][:5].to_numpy()


class TestARIMA(FlavorInterop):
    flavor = "statsmodels"

    def model(self) -> Any:
        return ARIMA(series(), order=(1, 0, 0)).fit()

    def rows(self) -> Any:
        return pd.DataFrame({"start": [55], "end": [64]})

    def expected(self) -> Any:
        return self.model().predict(55, 64)


class TestSmoothingByDates(TestARIMA):
    def model(self) -> Any:
        return ExponentialSmoothing(series()).fit()

    def rows(self) -> Any:
        return pd.DataFrame({"start": pd.to_datetime(["2024-02-25"]), "end": pd.to_datetime(["2024-03-05"])})

    def expected(self) -> Any:
        return self.model().predict("2024-02-25", "2024-03-05")


def test_the_frame_it_was_fitted_on_gives_the_signature(tmp_path: Path) -> None:
    pack.statsmodels.save_model(TestOLS().model(), tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert [one.name for one in loaded.metadata.get_input_schema() or []] == ["a", "b", "c"]
    with pytest.raises(SchemaMismatch, match="'c'"):
        loaded.predict(numbers()[0][["a", "b"]])


def test_params_reach_predict(tmp_path: Path) -> None:
    model, rows = TestGLM().model(), numbers()[0][:4]
    pack.save_model(model, tmp_path / "m", input_example=(rows, {"which": "mean"}))
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert same(loaded.predict(rows, {"which": "linear"}), model.predict(rows, which="linear"))
    pack.save_model(TestARIMA().model(), tmp_path / "n", input_example=(TestARIMA().rows(), {"dynamic": False}))
    found = pack.pyfunc.load_model(tmp_path / "n").predict(
        pd.DataFrame({"start": [10], "end": [20]}), {"dynamic": True}
    )
    assert same(found, TestARIMA().model().predict(10, 20, dynamic=True))


def test_regressors_of_the_steps_to_come_stand_in_the_row(tmp_path: Path) -> None:
    model = ARIMA(series(), exog=numbers()[0][["a", "b"]].to_numpy(), order=(1, 0, 0)).fit()
    row = pd.DataFrame({"start": [60], "end": [61], "exog": [[[1.0, 2.0], [0.5, 0.0]]]})
    pack.save_model(model, tmp_path / "m", input_example=row)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert same(loaded.predict(row), model.predict(60, 61, exog=[[1.0, 2.0], [0.5, 0.0]]))
    one = AutoReg(series(), 1, exog=numbers()[0][["a"]].to_numpy()).fit()
    found = flavors.get("statsmodels").predict(
        one, pd.DataFrame({"start": [60], "end": [61], "exog_oos": [[1.0, 2.0]]}), {}
    )
    assert same(found, one.predict(60, 61, exog_oos=np.array([[1.0], [2.0]])))


@pytest.mark.parametrize(
    "rows", [pd.DataFrame({"start": [1, 2], "end": [3, 4]}), pd.DataFrame({"start": [1]}), np.array([1, 2])]
)
def test_a_series_is_asked_with_one_row(rows: Any) -> None:
    with pytest.raises(SchemaMismatch, match="one row with the columns start and end"):
        flavors.get("statsmodels").predict(TestARIMA().model(), rows, {})


def test_rows_are_independent_but_in_series_and_formulas() -> None:
    made = flavors.get("statsmodels")
    found = {kind.__name__: made.rows_are_independent(kind().model()) for kind in (TestOLS, TestFormula, TestARIMA)}
    assert found == {"TestOLS": True, "TestFormula": False, "TestARIMA": False}


def test_hazards_are_two_columns(tmp_path: Path) -> None:
    frame, label = numbers()
    model = sm.PHReg(np.exp(label), frame).fit()
    pack.save_model(model, tmp_path / "m", input_example=frame[:4])
    found = pack.pyfunc.load_model(tmp_path / "m").predict(frame[:4])
    assert found.columns.tolist() == ["predicted_values", "standard_errors"]
    assert same(found["predicted_values"], model.predict(exog=frame[:4]).predicted_values)


def test_data_is_left_out_of_the_file_and_stays_in_the_callers_model(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    model = sm.OLS(chance.normal(size=20_000), chance.normal(size=(20_000, 3))).fit()
    before = str(model.summary().tables[1])
    for name, options in {"whole": {}, "small": {"remove_data": True}}.items():
        pack.statsmodels.save_model(model, tmp_path / name, input_example=np.ones((2, 3)), **options)
    sizes = {name: (tmp_path / name / "model.statsmodels").stat().st_size for name in ("whole", "small")}
    assert sizes["small"] < 20_000 < 500_000 < sizes["whole"]
    assert str(model.summary().tables[1]) == before
    assert len(model.resid) == len(model.model.exog) == 20_000
    again = ARIMA(series(), order=(1, 0, 0)).fit()
    forecast = again.forecast(3)
    pack.statsmodels.save_model(again, tmp_path / "series", remove_data=True)
    assert same(again.forecast(3), forecast)
    with pytest.raises(InvalidValue, match="cannot remove its data"):
        pack.statsmodels.save_model(ExponentialSmoothing(series()).fit(), tmp_path / "n", remove_data=True)


def test_what_does_not_predict_is_kept_without_a_python_function(tmp_path: Path) -> None:
    pack.save_model(VAR(numbers()[0]).fit(1), tmp_path / "m")
    assert list(Model.load(tmp_path / "m").flavors) == ["statsmodels"]
    assert same(pack.load_model(tmp_path / "m").params, VAR(numbers()[0]).fit(1).params)


def test_an_example_that_the_model_fails_on_stores_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="failed on its input example"):
        pack.save_model(TestOLS().model(), tmp_path / "m", input_example=np.ones((2, 7)))
    assert not (tmp_path / "m").exists()


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("canary"),)


def test_a_pickle_of_a_stranger_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pack.save_model(TestOLS().model(), tmp_path / "m")
    described = Model.load(tmp_path / "m")
    described.flavors["statsmodels"]["allow_pickle"] = True
    (tmp_path / "m" / "model.statsmodels").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "m" / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")
    for load in (pack.pyfunc.load_model, pack.load_model):
        for trust in (None, "safe"):
            with pytest.raises(Untrusted, match="is a pickle"):
                load(tmp_path / "m", trust=trust)
    assert not Path("canary").exists()


@pytest.mark.parametrize("place", ["../canary", "/etc/passwd"])
def test_a_pickle_outside_of_the_model_is_not_looked_at(tmp_path: Path, place: str) -> None:
    pack.save_model(TestOLS().model(), tmp_path / "m")
    described = Model.load(tmp_path / "m")
    described.flavors["statsmodels"]["data"] = place
    (tmp_path / "m" / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")
    with pytest.raises(InvalidValue, match="outside the model"):
        pack.load_model(tmp_path / "m", trust=True)
