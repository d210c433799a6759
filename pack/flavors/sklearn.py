"""scikit-learn estimators: skops by default, which runs no code when it is read; pickles on request.

Keys are MLflow's (interoperability facts, flavors, section 2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pack.errors import InvalidValue
from pack.flavors.base import Config, Flavor
from pack.trust import payloads

# Methods that look at each row by itself; others, such as fit_predict, look at all of them together.
_BY_ROW = {"predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform"}
_FILES = {"skops": "model.skops", "cloudpickle": "model.pkl", "pickle": "model.pkl"}


class SKLearn(Flavor):
    """Estimators, pipelines and column transformers; `predict_fn` names the method that pyfunc calls."""

    name: ClassVar[str] = "sklearn"
    packages: ClassVar[tuple[str, ...]] = ("sklearn",)

    def __init__(self, serialization_format: str = "skops", predict_fn: str = "predict") -> None:
        if serialization_format not in _FILES:
            raise InvalidValue(
                f"serialization_format={serialization_format!r} is not known", hint=f"use one of {', '.join(_FILES)}"
            )
        self.serialization_format = serialization_format
        self.predict_fn = predict_fn
        self._predicts = True
        self._method: tuple[Any, Any] = (None, None)

    @classmethod
    def restore(cls, config: Config, python_function: Config) -> SKLearn:
        """The flavor with the method that the model was saved for."""
        return cls(predict_fn=str(python_function.get("predict_fn", "predict")))

    def write(self, model: Any, home: Path) -> Config:
        """Write the estimator in the chosen format."""
        import sklearn

        self._predicts = self.predict_fn != "predict" or hasattr(model, "predict")
        if self._predicts:
            self._bound(model)
        path = home / _FILES[self.serialization_format]
        untrusted = None
        if self.serialization_format == "skops":
            untrusted = payloads.dump_skops(model, path) or None
        elif self.serialization_format == "pickle":
            payloads.dump_pickle(model, path, serializer="pickle")
        else:
            payloads.dump_pickle(model, path)
        return {
            "pickled_model": path.name,
            "serialization_format": self.serialization_format,
            "sklearn_version": sklearn.__version__,
            # For MLflow's reader; ours has its own list and never looks here.
            "skops_trusted_types": untrusted,
        }

    def read(self, home: Path, config: Config) -> Any:
        """The estimator; a pickle only where the load policy allows it."""
        path = home / str(config["pickled_model"])
        return payloads.load_skops(path) if _format(config) == "skops" else payloads.load_pickle(path)

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """What the chosen method answers; params become its keyword arguments."""
        if self._method[0] is not model:
            self._method = (model, self._bound(model))
        return self._method[1](rows, **params)

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for every method that predicts."""
        return self.predict_fn in _BY_ROW

    def runs_code(self, config: Config) -> str | None:
        """Pickles run code; skops files do not."""
        if _format(config) == "skops":
            return None
        return f"{config.get('pickled_model')} is a pickle, which runs code when it is opened"

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Types of a skops file that are not on our list are code."""
        path = home / str(config["pickled_model"])
        return payloads.why_skops_runs_code(path) if _format(config) == "skops" else None

    def python_function(self, config: Config) -> Config | None:
        """The file and the method; None for an estimator without `predict`, such as a scaler."""
        if not self._predicts:
            return None
        return {
            "loader_module": "mlflow.sklearn",
            "model_path": config["pickled_model"],
            "predict_fn": self.predict_fn,
        }

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """The modules that the written file names, and the package that reads it."""
        data = (home / str(config["pickled_model"])).read_bytes()
        if _format(config) == "skops":
            from pack.trust.skops_files import modules

            return modules(data) | {"skops"}
        return payloads.pickle_modules(data) | ({"cloudpickle"} if _format(config) == "cloudpickle" else set())

    def _bound(self, model: Any) -> Any:
        method = getattr(model, self.predict_fn, None)
        if not callable(method):
            raise InvalidValue(
                f"{type(model).__name__} has no method {self.predict_fn!r}",
                hint="save it with another pyfunc_predict_fn",
            )
        return method


def _format(config: Config) -> str:
    """The format of a saved model; the oldest files do not say, and are pickles."""
    return str(config.get("serialization_format") or "pickle")
