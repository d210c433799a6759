"""The prophet flavor."""

from __future__ import annotations

import json
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack import flavors
from pack.errors import InvalidValue, SchemaMismatch
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same

prophet = pytest.importorskip("prophet")

pytestmark = [
    pytest.mark.filterwarnings("ignore:The inplace keyword"),
    pytest.mark.filterwarnings("ignore::FutureWarning:prophet"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:prophet"),
]
logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
QUIET = {
    "uncertainty_samples": 0, "yearly_seasonality": False, "weekly_seasonality": False, "n_changepoints": 2
}  # fmt: skip


@lru_cache(maxsize=1)
def days() -> pd.DataFrame:
    steps = np.arange(30)
    dates = pd.date_range("2024-01-01", periods=30)
    return pd.DataFrame({"ds": dates, "y": steps * 0.5 + np.sin(steps), "price": steps % 3 + 0.5, "cap": 40.0})


@lru_cache(maxsize=1)
def plain() -> Any:
    return prophet.Prophet(**QUIET).fit(days())


@lru_cache(maxsize=1)
def rich() -> Any:
    """A logistic trend under a cap, a regressor, holidays and a season that holds now and then."""
    holidays = pd.DataFrame({"holiday": "feast", "ds": pd.to_datetime(["2024-01-06", "2024-02-06"])})
    model = prophet.Prophet(growth="logistic", holidays=holidays, **QUIET).add_regressor("price")
    model.add_seasonality("odd", period=7, fourier_order=1, condition_name="is_odd")
    return model.fit(days().assign(is_odd=days()["ds"].dt.day % 2 == 1))


def unsealed(home: Path) -> None:
    (home / "MLmodel").write_text(Model.load(home).replace(pack=None).to_yaml(), encoding="utf-8")


class TestProphet(FlavorInterop):
    flavor = "prophet"

    def model(self) -> Any:
        return plain()

    def rows(self) -> Any:
        return pd.DataFrame({"ds": pd.date_range("2024-01-28", periods=5)})


class TestProphetWithMore(TestProphet):
    def model(self) -> Any:
        return rich()

    def rows(self) -> Any:
        frame = pd.DataFrame({"ds": pd.date_range("2024-02-04", periods=4), "price": [0.5, 1.5, 2.5, 0.5], "cap": 40.0})
        return frame.assign(is_odd=[False, True, False, True])


def test_the_file_is_json_in_json_as_mlflow_writes_it(tmp_path: Path) -> None:
    pack.prophet.save_model(plain(), tmp_path / "m")
    inner = json.loads((tmp_path / "m" / "model.pr").read_text(encoding="utf-8"))
    assert json.loads(inner)["growth"] == "linear"
    assert Model.load(tmp_path / "m").flavors["prophet"]["model_type"] == "Prophet"
    assert pack.pyfunc.load_model(tmp_path / "m", trust="safe").flavor == "prophet"


def test_the_model_gives_the_signature(tmp_path: Path) -> None:
    pack.save_model(rich(), tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    types = {one.name: str(one.type) for one in loaded.metadata.get_input_schema() or []}
    assert types == {
        "ds": "datetime",
        "cap": "double",
        "price": "double",
        "is_odd": "boolean",
    }
    assert {"ds", "trend", "yhat", "feast"} <= {one.name for one in loaded.metadata.get_output_schema() or []}
    with pytest.raises(SchemaMismatch, match="price"):
        loaded.predict(days()[["ds", "cap"]].assign(is_odd=True))


def test_an_example_tells_the_type_of_dates_and_regressors(tmp_path: Path) -> None:
    rows = TestProphetWithMore().rows().assign(price=[1, 2, 3, 4])
    rows["ds"] = rows["ds"].dt.strftime("%Y-%m-%d")
    pack.save_model(rich(), tmp_path / "m", input_example=rows)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert "'price': long" in repr(loaded.signature)
    assert "'ds': string" in repr(loaded.signature)
    assert same(loaded.predict(rows)["yhat"], rich().predict(rows)["yhat"])


def test_dates_may_be_text_an_array_or_a_list(tmp_path: Path) -> None:
    expected = plain().predict(TestProphet().rows())["yhat"]
    text = TestProphet().rows()["ds"].dt.strftime("%Y-%m-%d")
    made = flavors.get("prophet")
    for rows in (text.tolist(), text.to_numpy(), text, text.to_numpy(dtype=object)[:, None], {"ds": text}):
        assert same(made.predict(plain(), rows, {})["yhat"], expected)
    with pytest.raises(SchemaMismatch, match="holds no dates"):
        made.predict(plain(), np.ones((2, 2)), {})


def test_params_reach_predict(tmp_path: Path) -> None:
    pack.save_model(plain(), tmp_path / "m", input_example=(TestProphet().rows(), {"vectorized": True}))
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert same(loaded.predict(TestProphet().rows(), {"vectorized": False}), plain().predict(TestProphet().rows()))
    with pytest.raises(pack.PackError, match="vectorized"):
        loaded.predict(TestProphet().rows(), {"vectorized": "perhaps"})


def test_a_forecast_is_in_the_order_of_dates_so_requests_are_never_put_together() -> None:
    assert flavors.get("prophet").rows_are_independent(plain()) is False


def test_what_would_not_come_back_is_refused(tmp_path: Path) -> None:
    class Positive(prophet.Prophet):  # type: ignore[misc, name-defined, unused-ignore]
        pass

    with pytest.raises(InvalidValue, match="not fitted"):
        pack.save_model(prophet.Prophet(), tmp_path / "m")
    with pytest.raises(InvalidValue, match="a class of your own"):
        pack.save_model(Positive(**QUIET).fit(days()), tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("text", ["", "{}", '"{}"', "[" * 100_000, '"\\"a\\""', "null", b"\xff".decode("latin-1")])
def test_what_is_no_model_is_a_clear_error(tmp_path: Path, text: str) -> None:
    pack.save_model(plain(), tmp_path / "m")
    (tmp_path / "m" / "model.pr").write_text(text, encoding="utf-8")
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match="is no model that Prophet"):
        pack.pyfunc.load_model(tmp_path / "m")


@pytest.mark.parametrize("name", ["history", "changepoints", "holidays", "country_holidays"])
@pytest.mark.parametrize("place", ["{home}/secret", "file://{home}/secret", "http://127.0.0.1:9/x", "__loader__"])
def test_a_table_is_never_looked_for_elsewhere(tmp_path: Path, name: str, place: str) -> None:
    pack.save_model(plain(), tmp_path / "m")
    path = tmp_path / "m" / "model.pr"
    (tmp_path / "secret").write_text(json.loads(json.loads(path.read_text(encoding="utf-8")))["history"])
    document = json.loads(json.loads(path.read_text(encoding="utf-8")))
    document[name] = place.format(home=tmp_path)
    path.write_text(json.dumps(json.dumps(document)), encoding="utf-8")
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match="is no model that Prophet"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)
