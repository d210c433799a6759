"""Whole directories as MLflow 1.x and 2.x laid them out, rebuilt from samples of their MLmodel files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import pack
from pack.errors import BadRequest, InvalidValue, NotFound, SchemaMismatch
from tests import models

SAMPLES = Path(__file__).parent.parent / "samples" / "mlmodel"
SHOUTING = """
import mlflow.pyfunc

class Shouter(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [f"{text.upper()} {params['temperature']}" for text in model_input["text"]]
"""
# An instance of `shouting.Shouter`, referred to by name as pickles do, in a form that every Python reads.
SHOUTER = b"\x80\x02cshouting\nShouter\n)\x81."


@pytest.mark.sklearn
def test_a_directory_of_1_30_with_its_example_and_short_signature(tmp_path: Path) -> None:
    import cloudpickle
    from sklearn.linear_model import LogisticRegression

    frame = models.wide_frame(40, 2).set_axis(["feature_1", "feature_2"], axis=1)
    model = LogisticRegression().fit(frame, frame["feature_1"] > 0)
    (tmp_path / "MLmodel").write_bytes((SAMPLES / "mlflow-1.30").read_bytes())
    (tmp_path / "model.pkl").write_bytes(cloudpickle.dumps(model))
    (tmp_path / "conda.yaml").write_text("dependencies: [python=3.8.13, {pip: [scikit-learn]}]", encoding="utf-8")
    (tmp_path / "input_example.json").write_text(
        json.dumps({"columns": ["feature_1", "feature_2"], "data": [[0.5, 1.5]]}), encoding="utf-8"
    )
    loaded = pack.pyfunc.load_model(tmp_path, suppress_warnings=True, trust=True)
    assert loaded.predict(frame).tolist() == model.predict(frame).tolist()
    assert loaded.predict(loaded.input_example).tolist() == [True]
    with pytest.raises(SchemaMismatch, match="feature_2"):
        loaded.predict(frame[["feature_1"]])


def test_a_directory_of_2_10_with_code_and_params(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "shouting.py").write_text(SHOUTING, encoding="utf-8")
    (tmp_path / "MLmodel").write_bytes((SAMPLES / "mlflow-2.10").read_bytes())
    (tmp_path / "python_model.pkl").write_bytes(SHOUTER)
    loaded = pack.pyfunc.load_model(tmp_path, suppress_warnings=True, trust=True)
    frame = pd.DataFrame({"text": ["hello"]})
    assert loaded.predict(frame) == ["HELLO 0.5"]
    assert loaded.predict(frame, params={"temperature": 1.5}) == ["HELLO 1.5"]
    with pytest.raises(pack.PackError, match="not trusted"):
        pack.pyfunc.load_model(tmp_path)


def test_a_model_from_code_of_2_20_with_the_path_of_its_authors_machine(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_bytes((SAMPLES / "mlflow-2.20").read_bytes())
    (tmp_path / "agent.py").write_text(
        "from mlflow.exceptions import MlflowException\n"
        "from mlflow.models import ModelConfig, set_model\n"
        "from mlflow.models.signature import infer_signature\n"
        "from mlflow.pyfunc import PythonModel\n"
        "from mlflow.types import ColSpec, DataType, Schema\n"
        "config = ModelConfig(development_config='not-there.yaml')\n"
        "class Agent(PythonModel):\n"
        "    def predict(self, context, model_input):\n"
        "        return [config.get('greeting'), context.model_config['greeting'], *model_input]\n"
        "set_model(Agent())\n",
        encoding="utf-8",
    )
    loaded = pack.pyfunc.load_model(tmp_path, suppress_warnings=True, trust=True)
    assert loaded.predict(["x"]) == ["hello", "hello", "x"]
    loaded = pack.pyfunc.load_model(tmp_path, suppress_warnings=True, trust=True, model_config={"greeting": "hi"})
    assert loaded.predict(["x"]) == ["hi", "hi", "x"]


@pytest.mark.parametrize(
    ("block", "kind", "says"),
    [
        ("{loader_module: mlflow.paddle, data: model}", NotFound, "mlflow.paddle"),
        ("{loader_module: mlflow.sklearn, predict_fn: predict}", InvalidValue, "pickled_model"),
        ("{}", pack.PackError, "loader"),
    ],
)
def test_a_directory_that_cannot_be_read_says_why(tmp_path: Path, block: str, kind: type[Exception], says: str) -> None:
    (tmp_path / "MLmodel").write_text(f"flavors:\n  python_function: {block}\n", encoding="utf-8")
    with pytest.raises(kind, match=says):
        pack.pyfunc.load_model(tmp_path, trust=True)


def test_a_model_that_lives_elsewhere_says_so(tmp_path: Path) -> None:
    text = (
        "flavors: {python_function: {loader_module: mlflow.pyfunc.model}}\nmetadata: {mlflow.model.isExternal: true}\n"
    )
    (tmp_path / "MLmodel").write_text(text, encoding="utf-8")
    with pytest.raises(BadRequest, match="lives elsewhere"):
        pack.pyfunc.load_model(tmp_path)
