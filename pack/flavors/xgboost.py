"""XGBoost boosters and its scikit-learn estimators, kept in XGBoost's own formats: UBJSON by default, or JSON.

Keys are MLflow's (interoperability facts, flavors, section 3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import xgboost

from pack.errors import InvalidValue
from pack.flavors.base import Config, Flavor
from pack.flavors.categories import with_categories
from pack.trust.admission import read_bytes

_FORMATS = ("ubj", "json")


class XGBoost(Flavor):
    """Boosters, and estimators such as `XGBClassifier`; `model_format` is ubj or json."""

    name: ClassVar[str] = "xgboost"
    packages: ClassVar[tuple[str, ...]] = ("xgboost",)

    def __init__(self, model_format: str = "ubj") -> None:
        if model_format not in _FORMATS:
            raise InvalidValue(
                f"model_format={model_format!r} is not written", hint=f"use one of {', '.join(_FORMATS)}"
            )
        self.model_format = model_format

    def write(self, model: Any, home: Path) -> Config:
        """Write the model; raises `InvalidValue` for an estimator of another class than XGBoost's own."""
        name = f"{type(model).__module__}.{type(model).__qualname__}"
        _class_of(name)
        path = home / f"model.{self.model_format}"
        model.save_model(path)
        return {
            "xgb_version": xgboost.__version__,
            "data": path.name,
            "model_class": name,
            "model_format": self.model_format,
        }

    def read(self, home: Path, config: Config) -> Any:
        """The booster or the estimator."""
        model = _class_of(str(config.get("model_class") or "xgboost.core.Booster"))()
        try:
            model.load_model(bytearray(read_bytes(home / str(config["data"]))))
        except (xgboost.core.XGBoostError, ValueError, TypeError) as error:
            raise InvalidValue(
                f"{config['data']!a} is no model that XGBoost {xgboost.__version__} reads",
                hint="save the model again, or install the version that saved it",
            ) from error
        return model

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """What `predict` answers; text is taken for categories, as XGBoost has no other use for it."""
        rows = with_categories(rows)
        if isinstance(model, xgboost.Booster):
            rows = rows if isinstance(rows, xgboost.DMatrix) else xgboost.DMatrix(rows, enable_categorical=True)
        return model.predict(rows, **params)

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for trees and for linear boosters."""
        return True

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """Its estimators are scikit-learn's."""
        return set() if isinstance(model, xgboost.Booster) else {"sklearn"}


def _class_of(name: str) -> Any:
    """The class of this name, among XGBoost's own; its module is never imported for a model's sake."""
    module, _, kind = name.rpartition(".")
    found = getattr(xgboost, kind, None) if module.partition(".")[0] == "xgboost" else None
    if not (isinstance(found, type) and issubclass(found, (xgboost.Booster, xgboost.XGBModel))):
        raise InvalidValue(
            f"{name!a:.100} is not one of XGBoost's models",
            hint="use the class that yours derives from, or its booster",
        )
    return found
