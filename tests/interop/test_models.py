"""Model directories cross over both ways, and predict the same on either side."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.mlmodel import ModelSignature
from tests import models

pytestmark = [pytest.mark.mlflow, pytest.mark.sklearn]

MLflow = Callable[[str], Any]
DOUBLER = """
import mlflow

class Doubler(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.offset = context.model_config.get("offset", 0) if context.model_config else 0
    def predict(self, context, model_input, params=None):
        return model_input * 2 + self.offset

mlflow.models.set_model(Doubler())
"""


@pytest.mark.parametrize("serialization_format", ["skops", "cloudpickle", "pickle"])
def test_mlflow_loads_our_sklearn_model_and_predicts_the_same(
    tmp_path: Path, mlflow: MLflow, serialization_format: str
) -> None:
    features, _ = models.iris()
    model = models.classifier()
    pack.sklearn.save_model(
        model, tmp_path / "ours", serialization_format=serialization_format, input_example=features[:3]
    )
    theirs = mlflow(
        f"""
import mlflow
from sklearn.datasets import load_iris
rows = load_iris().data[::10]
loaded = mlflow.pyfunc.load_model({str(tmp_path / "ours")!r})
native = mlflow.sklearn.load_model({str(tmp_path / "ours")!r})
answer = [loaded.predict(rows).tolist(), native.predict(rows).tolist(), loaded.input_example.tolist()]
"""
    )
    expected = model.predict(features[::10]).tolist()
    assert theirs == [expected, expected, features[:3].tolist()]


def test_mlflow_loads_our_pipeline_on_mixed_columns(tmp_path: Path, mlflow: MLflow) -> None:
    frame, model = models.mixed_frame(), models.mixed_pipeline()
    pack.save_model(model, tmp_path / "ours", input_example=frame.head(3))
    theirs = mlflow(
        f"""
import mlflow, pandas
frame = pandas.DataFrame({frame.head(20).to_dict(orient="list")!r})
loaded = mlflow.pyfunc.load_model({str(tmp_path / "ours")!r})
answer = [loaded.predict(frame).tolist(), [str(item.type) for item in loaded.metadata.signature.inputs.inputs]]
"""
    )
    assert theirs == [model.predict(frame.head(20)).tolist(), ["DataType.string", "DataType.double", "DataType.long"]]


def test_mlflow_loads_our_python_model_without_pack(tmp_path: Path, mlflow: MLflow) -> None:
    source = (
        "import pathlib, pack\n"
        "class Adder(pack.pyfunc.PythonModel):\n"
        "    def load_context(self, context):\n"
        "        self.more = int(pathlib.Path(context.artifacts['more']).read_text())\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        return model_input + self.more\n"
    )
    module: dict[str, Any] = {"__name__": "__main__"}
    exec(source, module)
    (tmp_path / "more.txt").write_text("40", encoding="utf-8")
    pack.pyfunc.save_model(
        tmp_path / "ours", python_model=module["Adder"](), artifacts={"more": str(tmp_path / "more.txt")}
    )
    theirs = mlflow(
        f"""
import mlflow
loaded = mlflow.pyfunc.load_model({str(tmp_path / "ours")!r})
answer = [loaded.predict(2), "pack" in sys.modules, isinstance(loaded.unwrap_python_model(), mlflow.pyfunc.PythonModel)]
"""
    )
    assert theirs == [42, False, True]
    assert pack.pyfunc.load_model(tmp_path / "ours").predict(2) == 42


def test_mlflow_loads_our_function(tmp_path: Path, mlflow: MLflow) -> None:
    module: dict[str, Any] = {"__name__": "__main__"}
    exec("def shout(model_input: list[str]) -> list[str]:\n    return [one.upper() for one in model_input]", module)
    pack.pyfunc.save_model(tmp_path / "ours", python_model=module["shout"])
    theirs = mlflow(
        f"""
import mlflow
answer = mlflow.pyfunc.load_model({str(tmp_path / "ours")!r}).predict(["a", "b"])
"""
    )
    assert theirs == ["A", "B"] == pack.pyfunc.load_model(tmp_path / "ours").predict(["a", "b"])


def test_mlflow_loads_our_model_from_code(tmp_path: Path, mlflow: MLflow) -> None:
    (tmp_path / "doubler.py").write_text(DOUBLER, encoding="utf-8")
    pack.pyfunc.save_model(tmp_path / "ours", python_model=str(tmp_path / "doubler.py"), model_config={"offset": 1})
    (tmp_path / "doubler.py").unlink()
    theirs = mlflow(f"import mlflow\nanswer = mlflow.pyfunc.load_model({str(tmp_path / 'ours')!r}).predict(4)")
    assert theirs == 9 == pack.pyfunc.load_model(tmp_path / "ours").predict(4)


@pytest.mark.parametrize("serialization_format", ["skops", "cloudpickle", "pickle"])
def test_we_load_mlflows_sklearn_model_and_predict_the_same(
    tmp_path: Path, mlflow: MLflow, serialization_format: str
) -> None:
    theirs = mlflow(
        f"""
import mlflow
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
rows, classes = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=200).fit(rows, classes)
mlflow.sklearn.save_model(model, {str(tmp_path / "theirs")!r}, serialization_format={serialization_format!r},
    input_example=rows[:3], pip_requirements=["scikit-learn"])
answer = model.predict(rows[::10]).tolist()
"""
    )
    features, _ = models.iris()
    trust = None if serialization_format == "skops" else True
    loaded = pack.pyfunc.load_model(tmp_path / "theirs", trust=trust)
    assert loaded.predict(features[::10]).tolist() == theirs
    assert pack.sklearn.load_model(tmp_path / "theirs", trust=trust).predict(features[::10]).tolist() == theirs
    assert loaded.input_example.tolist() == features[:3].tolist()


@pytest.mark.parametrize("what", ["python_model", "function", "code"])
def test_we_load_mlflows_python_models_without_mlflow(tmp_path: Path, mlflow: MLflow, what: str) -> None:
    (tmp_path / "doubler.py").write_text(DOUBLER, encoding="utf-8")
    given = {"python_model": "Doubler()", "function": "shout", "code": repr(str(tmp_path / "doubler.py"))}[what]
    mlflow(
        f"""
import mlflow
class Doubler(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input * 2
def shout(model_input: list[str]) -> list[str]:
    return [one.upper() for one in model_input]
mlflow.pyfunc.save_model({str(tmp_path / "theirs")!r}, python_model={given}, pip_requirements=["cloudpickle"])
answer = None
"""
    )
    loaded = pack.pyfunc.load_model(tmp_path / "theirs", trust=True)
    assert loaded.predict(["a"]) == ["A"] if what == "function" else loaded.predict(21) == 42
    assert "mlflow" not in sys.modules
    with pytest.raises(pack.PackError, match="not trusted"):
        pack.pyfunc.load_model(tmp_path / "theirs")


def test_signatures_are_the_same_on_both_sides(tmp_path: Path, mlflow: MLflow) -> None:
    theirs = mlflow(
        """
import mlflow, pandas, numpy
from mlflow.models import infer_signature
cases = [
    pandas.DataFrame({"a": [1, 2], "b": [1.5, 2.0], "c": ["x", "y"], "d": [True, False]}),
    pandas.DataFrame({0: [1.0], 1: [2.0]}),
    pandas.DataFrame({"t": pandas.to_datetime(["2020-01-01"]), "l": [[1, 2]], "o": [{"k": 1, "j": "x"}]}),
    pandas.DataFrame({name: numpy.array([1], name) for name in ("int32", "float32", "uint32")}),
    numpy.zeros((3, 4)), numpy.zeros((3, 2, 2), "float32"), {"x": numpy.zeros((2, 3)), "y": numpy.zeros(2, "int64")},
    ["a", "b"], [1, 2], [{"a": 1, "b": "x"}, {"a": 2}], {"a": 1, "b": [1, 2]}, "text", 1.5, [[1, 2], [3]], b"bytes",
]
answer = [infer_signature(case, params={"p": 1, "q": [1.5], "r": "s", "t": True}).to_dict() for case in cases]
"""
    )
    import numpy as np
    import pandas as pd

    cases: list[Any] = [
        pd.DataFrame({"a": [1, 2], "b": [1.5, 2.0], "c": ["x", "y"], "d": [True, False]}),
        pd.DataFrame({0: [1.0], 1: [2.0]}),
        pd.DataFrame({"t": pd.to_datetime(["2020-01-01"]), "l": [[1, 2]], "o": [{"k": 1, "j": "x"}]}),
        pd.DataFrame({name: np.array([1], name) for name in ("int32", "float32", "uint32")}),
        np.zeros((3, 4)),
        np.zeros((3, 2, 2), "float32"),
        {"x": np.zeros((2, 3)), "y": np.zeros(2, "int64")},
        ["a", "b"],
        [1, 2],
        [{"a": 1, "b": "x"}, {"a": 2}],
        {"a": 1, "b": [1, 2]},
        "text",
        1.5,
        [[1, 2], [3]],
        b"bytes",
    ]
    params = {"p": 1, "q": [1.5], "r": "s", "t": True}
    ours = [pack.infer_signature(case, params=params).to_dict() for case in cases]
    for mine, other in zip(ours, theirs, strict=True):
        assert ModelSignature.from_dict(mine) == ModelSignature.from_dict(other)
        assert mine == other
