"""The h2o flavor: one small server for the whole file, which ends with it."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack import flavors, yamls
from pack.errors import InvalidState, InvalidValue, NotFound, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorContract, FlavorInterop, same

h2o = pytest.importorskip("h2o")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Converting H2O frame to pandas:h2o.exceptions.H2ODependencyWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
made: dict[str, Any] = {}


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[Any]:
    with running() as connection:
        yield connection


@contextmanager
def running() -> Iterator[Any]:
    """A server, for as long as models are used."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DO_NOT_TRACK", "1")
        h2o.init(port=port, nthreads=1, max_mem_size="300M", verbose=False, telemetry=False)
        h2o.no_progress()
        # MLflow looks for a server at H2O's usual port: it is given ours.
        patch.setattr(h2o, "init", lambda **_: None)
        yield h2o.connection()
        made.clear()
        gc.collect()  # what MLflow and H2O left open is theirs, and belongs to these tests
        started = h2o.connection().local_server
        h2o.cluster().shutdown()
        h2o.show_progress()
        if started is not None:
            started.shutdown()


def rows() -> Any:
    chance = np.random.default_rng(0)
    frame = pd.DataFrame({"size": chance.normal(size=60), "colour": chance.choice(["blue", "green", "red"], 60)})
    return frame.assign(count=chance.integers(0, 9, 60))


def table(label: Any) -> Any:
    return h2o.H2OFrame(rows().assign(label=label), column_types={"colour": "enum"})


def regressor() -> Any:
    from h2o.estimators import H2OGradientBoostingEstimator

    if "regressor" not in made:
        model = H2OGradientBoostingEstimator(ntrees=3, max_depth=2, min_rows=1, seed=1, model_id="regressor")
        label = (rows()["colour"] == "red") * 3 + rows()["size"]
        model.train(x=["size", "colour", "count"], y="label", training_frame=table(label))
        made["regressor"] = model
    return made["regressor"]


def classifier() -> Any:
    from h2o.estimators import H2OGeneralizedLinearEstimator

    if "classifier" not in made:
        model = H2OGeneralizedLinearEstimator(family="binomial", model_id="a classifier ü")
        frame = table((rows()["size"] > 0).map({True: "yes", False: "no"}))
        frame["label"] = frame["label"].asfactor()
        model.train(x=["size", "colour", "count"], y="label", training_frame=frame)
        made["classifier"] = model
    return made["classifier"]


def answer(model: Any, frame: Any) -> Any:
    """What H2O itself answers."""
    return model.predict(h2o.H2OFrame(frame, column_types={"colour": "enum"})).as_data_frame()


class TestRegressor(FlavorInterop):
    flavor = "h2o"

    def model(self) -> Any:
        return regressor()

    def rows(self) -> Any:
        return rows()[:20]

    def expected(self) -> Any:
        return answer(self.model(), self.rows())


class TestClassifier(TestRegressor):
    def model(self) -> Any:
        return classifier()

    def expected(self) -> Any:
        return answer(self.model(), self.rows()).astype(object)

    def test_its_columns_are_named_as_h2o_names_them(self, home: Path) -> None:
        found = pack.pyfunc.load_model(home).predict(self.rows())
        assert list(found.columns) == ["predict", "no", "yes"]
        assert set(found["predict"]) <= {"no", "yes"}


class TestSentToAServer(FlavorContract):
    """A server that was not started here gets the file over HTTP, and its temporary names are removed."""

    flavor = "h2o"

    @pytest.fixture(autouse=True)
    def far(self, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(server), "local_server", property(lambda _: None))

    def model(self) -> Any:
        return regressor()

    def rows(self) -> Any:
        return rows()[:5]

    def expected(self) -> Any:
        return answer(self.model(), self.rows())


def test_categories_mean_the_same_in_rows_that_hold_few_of_them(tmp_path: Path) -> None:
    pack.save_model(regressor(), tmp_path / "m", input_example=rows()[:3])
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    expected = answer(regressor(), rows())["predict"]
    red = (rows()["colour"] == "red").to_numpy()
    assert same(loaded.predict(rows()[red])["predict"], expected[red])
    assert same(loaded.predict(rows()[:1])["predict"], expected[:1])
    assert loaded.rows_are_independent


def test_the_model_knows_its_columns_without_an_example(tmp_path: Path) -> None:
    pack.save_model(regressor(), tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.signature is not None
    assert str(loaded.signature.inputs) == str(
        pack.types.Schema([pack.types.ColSpec(kind, name) for name, kind in columns().items()])
    )
    frame = rows().astype({"count": "float64"})
    assert same(loaded.predict(frame), answer(regressor(), rows()))
    with pytest.raises(SchemaMismatch, match="colour"):
        loaded.predict(frame[["size", "count"]])


def columns() -> dict[str, str]:
    known = dict(zip(regressor()._model_json["output"]["names"], range(9), strict=False))
    kinds = {"size": "double", "colour": "string", "count": "double"}
    return {name: kinds[name] for name in known if name in kinds}


def test_arrays_and_dicts_have_the_models_columns(tmp_path: Path) -> None:
    pack.save_model(regressor(), tmp_path / "m", signature=False)
    loaded, expected = pack.pyfunc.load_model(tmp_path / "m"), answer(regressor(), rows())
    assert same(loaded.predict(rows()[list(columns())].to_numpy(dtype=object)), expected)
    assert same(loaded.predict({name: rows()[name].tolist() for name in columns()}), expected)
    with pytest.raises(SchemaMismatch, match="3 columns"):
        loaded.predict(np.zeros((2, 7)))


def test_missing_values_are_missing(tmp_path: Path) -> None:
    pack.save_model(regressor(), tmp_path / "m", signature=False)
    frame = rows()[:4].assign(colour=["red", None, "red", "blue"], size=[1.0, 2.0, np.nan, 3.0])
    marked = h2o.H2OFrame(frame.fillna({"colour": "?"}), column_types={"colour": "enum"}, na_strings={"colour": ["?"]})
    expected = regressor().predict(marked).as_data_frame()
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(frame), expected)


def test_a_class_may_be_named_like_a_missing_value(tmp_path: Path) -> None:
    from h2o.estimators import H2OGradientBoostingEstimator

    frame = table((rows()["size"] > 0).map({True: "None", False: "NA"}))
    frame["label"] = frame["label"].asfactor()
    model = H2OGradientBoostingEstimator(ntrees=3, max_depth=2, min_rows=1, model_id="nothing")
    model.train(x=["size"], y="label", training_frame=frame)
    pack.save_model(model, tmp_path / "m", input_example=rows()[["size"]])
    found = pack.pyfunc.load_model(tmp_path / "m").predict(rows()[["size"]])
    assert (found["predict"] == (rows()["size"] > 0).map({True: "None", False: "NA"})).all()


def test_h2o_takes_no_params(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="takes no custom_metric"):
        pack.save_model(regressor(), tmp_path / "m", input_example=(rows()[:2], {"custom_metric": 1.0}))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("far", [False, True])
def test_nothing_is_left_in_the_server(tmp_path: Path, far: bool, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if far:
        monkeypatch.setattr(type(server), "local_server", property(lambda _: None))
    pack.save_model(regressor(), tmp_path / "m", input_example=rows()[:3])
    pack.pyfunc.load_model(tmp_path / "m").predict(rows()[:3])
    before = set(h2o.ls()["key"])
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    for count in (1, 5, 7):
        loaded.predict(rows()[:count])
    assert set(h2o.ls()["key"]) <= before


def test_nothing_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h2o.show_progress()
    try:
        pack.save_model(regressor(), tmp_path / "m", input_example=rows()[:3])
        pack.pyfunc.load_model(tmp_path / "m").predict(rows()[:3])
    finally:
        h2o.no_progress()
    assert capsys.readouterr().out == ""


def test_a_later_version_of_the_same_name_is_never_asked_instead(tmp_path: Path) -> None:
    from h2o.estimators import H2OGradientBoostingEstimator

    for version in (1, 2):
        model = H2OGradientBoostingEstimator(ntrees=1, max_depth=1, min_rows=1, model_id="churn")
        model.train(x=["size"], y="label", training_frame=table(rows()["size"] * version))
        pack.save_model(model, tmp_path / str(version), input_example=rows()[["size"]][:2])
    first = pack.pyfunc.load_model(tmp_path / "1")
    again = pack.pyfunc.load_model(tmp_path / "1")
    assert same(first.predict(rows()[["size"]]), again.predict(rows()[["size"]]))
    second = pack.pyfunc.load_model(tmp_path / "2")
    with pytest.raises(InvalidState, match="another model was loaded under the name 'churn'"):
        flavors.get("h2o").predict(first.get_raw_model(), rows()[["size"]], {})
    assert len(second.predict(rows()[["size"]])) == len(rows())


def test_settings_are_kept_for_the_loader(tmp_path: Path) -> None:
    pack.h2o.save_model(h2o_model=regressor(), path=tmp_path / "m", settings={"nthreads": 1, "max_mem_size": "300M"})
    said = yamls.load((tmp_path / "m" / "model.h2o" / "h2o.yaml").read_bytes(), "it")
    assert said["init"] == {"nthreads": 1, "max_mem_size": "300M"}
    assert str(tmp_path) not in str(said), "no path of this machine"


@pytest.mark.parametrize("settings", [{"nthreads": "all"}, {"max_mem_size": "1G -XX:OnOutOfMemoryError=x"}])
def test_settings_that_are_no_numbers_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="is no "):
        pack.h2o.save_model(regressor(), tmp_path / "m", settings=settings)


def test_a_model_does_not_choose_the_server(tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    hostile = {
        "url": "http://192.0.2.1:1",
        "jvm_custom_args": ["-javaagent:x"],
        "extra_classpath": ["x"],
        "nthreads": 1,
    }
    pack.h2o.save_model(regressor(), tmp_path / "m", settings=hostile, input_example=rows()[:2])
    monkeypatch.setattr(type(server), "connected", property(lambda _: False))
    monkeypatch.setattr(h2o, "init", lambda **given: asked.update(given))
    pack.pyfunc.load_model(tmp_path / "m")
    port = asked.pop("port")
    assert asked == {"bind_to_localhost": True, "verbose": False, "telemetry": False, "nthreads": 1}
    assert port != 54321


def test_a_binary_model_is_not_opened_in_safe_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack.save_model(regressor(), tmp_path / "m")
    monkeypatch.setattr(h2o, "api", lambda *_, **__: pytest.fail("it was given to H2O"))
    monkeypatch.setattr(h2o, "init", lambda **_: pytest.fail("a server was started"))
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(Untrusted, match="Java objects"):
            load(tmp_path / "m", trust="safe")


@pytest.mark.parametrize("file", ["../../outside", "/etc/hostname", "nowhere", "", 7, None])
def test_a_file_outside_of_the_model_is_refused(tmp_path: Path, file: Any) -> None:
    pack.save_model(regressor(), tmp_path / "m")
    (tmp_path / "m" / "model.h2o" / "h2o.yaml").write_text(yamls.dump({"model_file": file}), encoding="utf-8")
    unsealed(tmp_path / "m")
    with pytest.raises((InvalidValue, NotFound)):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [touch canary]", "[", "- a list", "model_file: []"])
def test_what_says_how_to_read_it_is_plain(tmp_path: Path, text: str) -> None:
    pack.save_model(regressor(), tmp_path / "m")
    (tmp_path / "m" / "model.h2o" / "h2o.yaml").write_text(text, encoding="utf-8")
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match=r"h2o\.yaml"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


def unsealed(home: Path) -> None:
    described = Model.load(home).replace(pack=None)
    (home / "MLmodel").write_text(described.to_yaml(), encoding="utf-8")


def test_what_is_no_model_is_a_clear_error(tmp_path: Path) -> None:
    pack.save_model(regressor(), tmp_path / "m")
    (tmp_path / "m" / "model.h2o" / "model").write_bytes(b"nothing of this kind\n" * 10)
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match="is no model that H2O") as caught:
        pack.pyfunc.load_model(tmp_path / "m", trust=True)
    assert str(tmp_path) not in str(caught.value)


def test_what_is_not_trained_is_a_clear_error(tmp_path: Path) -> None:
    from h2o.estimators import H2OGradientBoostingEstimator

    with pytest.raises(InvalidValue, match="is not trained"):
        pack.save_model(H2OGradientBoostingEstimator(), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_logging_takes_mlflows_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pack.set_tracking_uri(f"sqlite:///{tmp_path}/store.db")
    with pack.start_run():
        info = pack.h2o.log_model(h2o_model=regressor(), artifact_path="m", settings={"nthreads": 1})
    assert flavors.detect(pack.h2o.load_model(info.model_uri)) == "h2o"
    assert pack.h2o.get_default_pip_requirements() == [f"h2o=={h2o.__version__}"]
