"""The sklearn flavor."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import pack
from pack.errors import InvalidValue, NotFound
from pack.mlmodel import Model
from tests import models
from tests.contracts.flavor import FlavorContract

pytestmark = pytest.mark.sklearn


class TestSKLearn(FlavorContract):
    flavor = "sklearn"

    def model(self) -> Any:
        return models.classifier()

    def rows(self) -> Any:
        return models.iris()[0][::30]


class TestSKLearnPipelineOnMixedColumns(FlavorContract):
    flavor = "sklearn"

    def model(self) -> Any:
        return models.mixed_pipeline()

    def rows(self) -> Any:
        return models.mixed_frame(5)


class TestSKLearnCloudpickle(TestSKLearn):
    options: ClassVar[dict[str, Any]] = {"serialization_format": "cloudpickle"}


class TestSKLearnPickle(TestSKLearn):
    options: ClassVar[dict[str, Any]] = {"serialization_format": "pickle"}


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
def test_another_method_can_be_served_and_gives_the_signature(tmp_path: Path, method: str) -> None:
    model, (features, _) = models.classifier(), models.iris()
    pack.sklearn.save_model(model, tmp_path / "m", pyfunc_predict_fn=method, input_example=features[:2])
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert np.allclose(loaded.predict(features[:5]), getattr(model, method)(features[:5]))
    assert loaded.signature is not None
    assert "(-1, 3)" in repr(loaded.signature.outputs)


def test_a_method_that_the_estimator_lacks_is_named(tmp_path: Path) -> None:
    features, _ = models.iris()
    with pytest.raises(InvalidValue, match="no method 'transform'"):
        pack.sklearn.save_model(
            models.classifier(), tmp_path / "m", pyfunc_predict_fn="transform", input_example=features
        )
    assert not (tmp_path / "m").exists()


def test_an_estimator_that_cannot_predict_is_kept_without_a_python_function(tmp_path: Path) -> None:
    from sklearn.preprocessing import StandardScaler

    features, _ = models.iris()
    written = pack.save_model(StandardScaler().fit(features), tmp_path / "m", input_example=features[:2])
    assert list(written.flavors) == ["sklearn"]
    assert written.get_input_schema() is not None
    assert written.get_output_schema() is None
    assert np.allclose(pack.load_model(tmp_path / "m").transform(features).mean(axis=0), 0)
    with pytest.raises(NotFound, match="python_function"):
        pack.pyfunc.load_model(tmp_path / "m")


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="skops, cloudpickle, pickle"):
        pack.sklearn.save_model(models.classifier(), tmp_path / "m", serialization_format="dill")


def test_params_become_keyword_arguments(tmp_path: Path) -> None:
    from sklearn.linear_model import BayesianRidge

    features, classes = models.iris()
    model = BayesianRidge().fit(features, classes)
    signature = pack.infer_signature(features, classes, params={"return_std": False})
    pack.save_model(model, tmp_path / "m", signature=signature)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert len(loaded.predict(features[:2], params={"return_std": True})) == 2
    with pytest.raises(InvalidValue, match="'wrong'"):
        loaded.predict(features[:2], params={"wrong": 1})
    with pytest.raises(InvalidValue, match="'return_std' is declared boolean"):
        loaded.predict(features[:2], params={"return_std": "yes"})


def test_requirements_are_pinned_to_what_is_installed(tmp_path: Path) -> None:
    from importlib.metadata import version

    pack.save_model(models.mixed_pipeline(), tmp_path / "m", input_example=models.mixed_frame(2))
    lines = (tmp_path / "m" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [f"{name}=={version(name)}" for name in ("numpy", "pandas", "scikit-learn", "skops")]


def test_a_model_from_an_old_mlflow_whose_env_is_a_string_loads(tmp_path: Path) -> None:
    """Rebuilt from the format of MLflow 1.0: no uuid, no version, `env` a file name, the payload under `data`."""
    import cloudpickle

    home = tmp_path / "old"
    home.mkdir()
    (home / "model.pkl").write_bytes(cloudpickle.dumps(models.classifier()))
    (home / "conda.yaml").write_text("dependencies: [python=3.6.8, {pip: [scikit-learn==0.20.3]}]", encoding="utf-8")
    sample = Path(__file__).parent.parent / "samples" / "mlmodel" / "mlflow-1.0"
    (home / "MLmodel").write_bytes(sample.read_bytes())
    features, _ = models.iris()
    with pytest.warns(UserWarning, match="Python 3.6.8 there"):
        loaded = pack.pyfunc.load_model(home, trust=True)
    assert loaded.predict(features[:3]).tolist() == models.classifier().predict(features[:3]).tolist()
    assert isinstance(Model.load(home).flavors["python_function"]["env"], str)
