"""The pmdarima flavor."""

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

pytest.importorskip("pmdarima")
import pmdarima
from pmdarima.pipeline import Pipeline
from pmdarima.preprocessing import BoxCoxEndogTransformer

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:statsmodels"),
    pytest.mark.filterwarnings("ignore:.*converge"),
]


def steps() -> pd.Series[float]:
    return pd.Series(np.arange(30) + np.sin(np.arange(30)) + 1)


@lru_cache(maxsize=1)
def plain() -> Any:
    return pmdarima.ARIMA((1, 1, 0)).fit(steps())


@lru_cache(maxsize=1)
def with_regressors() -> Any:
    return pmdarima.ARIMA((1, 0, 0)).fit(steps(), X=np.column_stack([np.arange(30.0) % 4, np.arange(30.0) % 3]))


class TestARIMA(FlavorInterop):
    flavor = "pmdarima"

    def model(self) -> Any:
        return plain()

    def rows(self) -> Any:
        return pd.DataFrame({"n_periods": [4]})

    def expected(self) -> Any:
        return pd.DataFrame({"yhat": self.model().predict(4)})


class TestARIMAWithBounds(TestARIMA):
    def rows(self) -> Any:
        return pd.DataFrame({"n_periods": [3], "return_conf_int": [True], "alpha": [0.1]})

    def expected(self) -> Any:
        forecast, bounds = plain().predict(3, return_conf_int=True, alpha=0.1)
        return pd.DataFrame({"yhat": forecast, "yhat_lower": bounds[:, 0], "yhat_upper": bounds[:, 1]})


class TestARIMAWithRegressors(TestARIMA):
    def model(self) -> Any:
        return with_regressors()

    def rows(self) -> Any:
        return pd.DataFrame({"n_periods": [2], "X": [[[1.0, 0.0], [2.0, 1.0]]]})

    def expected(self) -> Any:
        return pd.DataFrame({"yhat": with_regressors().predict(2, X=[[1.0, 0.0], [2.0, 1.0]])})


class TestPipeline(TestARIMA):
    def model(self) -> Any:
        search = pmdarima.AutoARIMA(start_p=0, max_p=1, start_q=0, max_q=1, max_d=1)
        return Pipeline([("transform", BoxCoxEndogTransformer(lmbda2=1e-6)), ("model", search)]).fit(steps())


class TestAutoARIMA(TestARIMA):
    options: ClassVar[dict[str, Any]] = {}

    def model(self) -> Any:
        return pmdarima.AutoARIMA(start_p=0, max_p=1, start_q=0, max_q=1, max_d=1).fit(steps())


def test_no_example_is_needed_for_a_signature(tmp_path: Path) -> None:
    pack.pmdarima.save_model(with_regressors(), tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    row = {"n_periods": 2, "X": [[1.0, 0.0], [2.0, 1.0]]}
    expected = with_regressors().predict(2, X=row["X"])
    assert same(loaded.predict(pd.DataFrame([row]))["yhat"], expected)
    assert same(loaded.predict([row])["yhat"], expected)
    assert loaded.predict([{**row, "return_conf_int": True, "alpha": 0.2}]).columns.tolist() == [
        "yhat",
        "yhat_lower",
        "yhat_upper",
    ]
    with pytest.raises(SchemaMismatch, match="n_periods"):
        loaded.predict([{"X": row["X"]}])


def test_dates_of_the_series_are_those_of_the_forecast(tmp_path: Path) -> None:
    dated = steps().set_axis(pd.date_range("2024-01-01", periods=30))
    pack.save_model(pmdarima.ARIMA((1, 1, 0)).fit(dated), tmp_path / "m")
    found = pack.pyfunc.load_model(tmp_path / "m").predict(pd.DataFrame({"n_periods": [2], "return_conf_int": [True]}))
    assert found.index.astype(str).tolist() == ["2024-01-31", "2024-02-01"]
    assert not found.isna().any(axis=None)


def test_params_go_over_the_row(tmp_path: Path) -> None:
    rows = pd.DataFrame({"n_periods": [2]})
    pack.save_model(plain(), tmp_path / "m", input_example=(rows, {"return_conf_int": False, "alpha": 0.05}))
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    found = loaded.predict(rows, {"return_conf_int": True, "alpha": 0.5})
    assert same(found["yhat_lower"], plain().predict(2, return_conf_int=True, alpha=0.5)[1][:, 0])
    assert loaded.rows_are_independent is False


@pytest.mark.parametrize(
    "rows",
    [
        pd.DataFrame({"n_periods": [2, 3]}),
        pd.DataFrame({"periods": [2]}),
        np.array([2]),
        pd.DataFrame({"n_periods": []}),
    ],
)
def test_a_forecast_is_asked_for_with_one_row(rows: Any) -> None:
    with pytest.raises(SchemaMismatch, match="one row that has a column n_periods"):
        flavors.get("pmdarima").predict(plain(), rows, {})


@pytest.mark.parametrize("number", [2.5, "2", None, float("nan")])
def test_periods_are_a_whole_number(number: Any) -> None:
    with pytest.raises(SchemaMismatch, match="must be a whole number"):
        flavors.get("pmdarima").predict(plain(), pd.DataFrame({"n_periods": [number]}, dtype=object), {})


def test_an_example_that_the_model_fails_on_stores_nothing(tmp_path: Path) -> None:
    with pytest.raises(ModelFailed, match="X array"):
        pack.save_model(with_regressors(), tmp_path / "m", input_example=pd.DataFrame({"n_periods": [2]}))
    assert not (tmp_path / "m").exists()


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("canary"),)


def test_a_pickle_of_a_stranger_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pack.save_model(plain(), tmp_path / "m")
    described = Model.load(tmp_path / "m")
    (tmp_path / "m" / "model.pmd").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "m" / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")
    for load in (pack.pyfunc.load_model, pack.load_model):
        for trust in (None, "safe"):
            with pytest.raises(Untrusted, match="is a pickle"):
                load(tmp_path / "m", trust=trust)
    assert not Path("canary").exists()


def test_what_is_no_pickle_is_a_clear_error(tmp_path: Path) -> None:
    pack.save_model(plain(), tmp_path / "m")
    (tmp_path / "m" / "model.pmd").write_bytes(b"nothing of this kind")
    described = Model.load(tmp_path / "m")
    (tmp_path / "m" / "MLmodel").write_text(described.replace(pack=None).to_yaml(), encoding="utf-8")
    with pytest.raises(InvalidValue, match="cannot be opened"):
        pack.load_model(tmp_path / "m", trust=True)
