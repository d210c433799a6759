"""Python models in all their forms cross over both ways: artifacts, code, config, hints, streams, notebooks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pack
from pack.errors import SchemaMismatch
from tests import models

pytestmark = [pytest.mark.mlflow, pytest.mark.sklearn]

MLflow = Callable[[str], Any]
HALVING = """
from sklearn.base import BaseEstimator, TransformerMixin

class Halver(TransformerMixin, BaseEstimator):
    def fit(self, rows, classes=None):
        return self
    def transform(self, rows):
        return rows / 2
"""
THEIR_MODELS = """
import json, mlflow, pathlib
from mlflow.types.type_hints import TypeFromExample
import helping

class Reader(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.one = pathlib.Path(context.artifacts["one"]).read_text()
        self.two = (pathlib.Path(context.artifacts["two"]) / "inner.txt").read_text()
    def predict(self, context, model_input, params=None):
        return [self.one, self.two, context.model_config["factor"]]

class Helped(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import helping as late
        return [helping.VALUE, late.VALUE]

class Records(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int]]) -> list[int]:
        return [sum(item.values()) for item in model_input]

class AsExample(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: TypeFromExample):
        return [type(model_input).__name__, *model_input]

class Streams(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return 0
    def predict_stream(self, context, model_input, params=None):
        yield from model_input

class WithParams(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return (model_input * params["by"]).values.tolist()

def save(name, model, **options):
    mlflow.pyfunc.save_model(str(folder / name), python_model=model, pip_requirements=["cloudpickle"], **options)

save("reader", Reader(), model_config={"factor": 3},
     artifacts={"one": str(folder / "one.txt"), "two": str(folder / "two"), "again": str(folder / "one.txt")})
save("helped", Helped(), code_paths=[str(folder / "helping.py")])
save("records", Records())
save("example", AsExample(), input_example=["a", "b"])
save("streams", Streams())
import pandas
save("params", WithParams(), input_example=(pandas.DataFrame({"x": [1.0]}), {"by": 2.0}))
answer = None
"""


@pytest.fixture
def theirs(tmp_path: Path, mlflow: MLflow) -> Callable[..., Any]:
    """MLflow's python models, loaded by us."""
    (tmp_path / "one.txt").write_text("first", encoding="utf-8")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "inner.txt").write_text("second", encoding="utf-8")
    (tmp_path / "helping.py").write_text("VALUE = 7\n", encoding="utf-8")
    mlflow(f"import pathlib\nfolder = pathlib.Path({str(tmp_path)!r})\n{THEIR_MODELS}")
    return lambda name: pack.pyfunc.load_model(tmp_path / name, trust=True)


def test_we_load_every_form_of_mlflows_python_models(theirs: Callable[..., Any]) -> None:
    assert theirs("reader").predict(0) == ["first", "second", 3]
    assert theirs("helped").predict(0) == [7, 7]
    assert theirs("records").predict([{"a": 1, "b": 2}]) == [3]
    with pytest.raises(SchemaMismatch, match="item 0"):
        theirs("records").predict([{"a": "x"}])
    assert theirs("example").predict(["x", "y"]) == ["list", "x", "y"]
    assert theirs("example").predict(pd.DataFrame({"text": ["x"]})) == ["list", "x"]
    assert list(theirs("streams").predict_stream([1, 2])) == [1, 2]
    assert theirs("params").predict(pd.DataFrame({"x": [1.5]})) == [[3.0]]
    assert theirs("params").predict(pd.DataFrame({"x": [1.5]}), params={"by": 4.0}) == [[6.0]]
    assert not {"mlflow", "helping"} & set(sys.modules)


OUR_MODELS = """
from __future__ import annotations
import pack

class Summer(pack.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int]]) -> list[int]:
        return [sum(item.values()) for item in model_input]

def kind(model_input: list[int]) -> list[str]:
    return [type(model_input).__name__]

class Counter(pack.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input
    def predict_stream(self, context, model_input, params=None):
        yield from range(model_input)
"""


def test_mlflow_checks_our_hinted_models_and_reads_our_stream(
    tmp_path: Path, mlflow: MLflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(OUR_MODELS, scope)
    (tmp_path / "kinds.py").write_text(
        "def kind(model_input: list[int]) -> list[str]:\n    return [type(model_input).__name__]\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import kinds  # type: ignore[import-not-found]

    saved = {
        "summer": scope["Summer"](),
        "by_value": scope["kind"],
        "by_name": kinds.kind,
        "counter": scope["Counter"](),
    }
    for name, model in saved.items():
        pack.pyfunc.save_model(tmp_path / name, python_model=model, code_paths=[tmp_path / "kinds.py"])
    theirs = mlflow(
        f"""
import mlflow, pandas, pathlib
folder = pathlib.Path({str(tmp_path)!r})
load = lambda name: mlflow.pyfunc.load_model(str(folder / name))
try:
    load("summer").predict([{{"a": "x"}}])
    refused = False
except mlflow.MlflowException:
    refused = True
frame = pandas.DataFrame({{"x": [1, 2]}})
answer = [load("summer").predict([{{"a": 1, "b": 2}}]), refused, load("by_value").predict(frame),
    load("by_name").predict(frame), list(load("counter").predict_stream(3)), "pack" in sys.modules]
"""
    )
    assert theirs == [[3], True, ["list"], ["list"], [0, 1, 2], False]
    sys.path.remove(str(tmp_path))
    sys.modules.pop("kinds")
    ours = {name: pack.pyfunc.load_model(tmp_path / name) for name in saved}
    frame = pd.DataFrame({"x": [1, 2]})
    assert ours["summer"].predict([{"a": 1, "b": 2}]) == [3]
    assert ours["by_value"].predict(frame) == ours["by_name"].predict(frame) == ["list"]
    assert list(ours["counter"].predict_stream(3)) == [0, 1, 2]


@pytest.mark.parametrize("serialization_format", ["skops", "cloudpickle"])
def test_mlflow_finds_the_code_that_travels_with_our_estimator(
    tmp_path: Path, mlflow: MLflow, monkeypatch: pytest.MonkeyPatch, serialization_format: str
) -> None:
    from sklearn.pipeline import make_pipeline

    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "halving_code.py").write_text(HALVING, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    import halving_code  # type: ignore[import-not-found]

    features, classes = models.iris()
    model = make_pipeline(halving_code.Halver(), models.classifier()).fit(features, classes)
    pack.save_model(
        model,
        tmp_path / "ours",
        serialization_format=serialization_format,
        predict_fn="predict_proba",
        code_paths=[tmp_path / "lib" / "halving_code.py"],
        input_example=features[:2],
    )
    sys.path.remove(str(tmp_path / "lib"))
    sys.modules.pop("halving_code")
    theirs = mlflow(
        f"""
import mlflow
from sklearn.datasets import load_iris
rows = load_iris().data[::30]
loaded = mlflow.pyfunc.load_model({str(tmp_path / "ours")!r})
answer = [loaded.predict(rows).tolist(), str(loaded.metadata.signature.outputs)]
"""
    )
    assert theirs[0] == model.predict_proba(features[::30]).tolist()
    assert "(-1, 3)" in theirs[1]
    ours = pack.pyfunc.load_model(tmp_path / "ours", trust=True)
    assert ours.predict(features[::30]).tolist() == theirs[0]
