"""CatBoost models, kept in CatBoost's own binary format.

Keys are MLflow's (interoperability facts, flavors, section 5).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import catboost

from pack.errors import InvalidValue
from pack.flavors.base import Config, Flavor
from pack.trust.admission import read_bytes

_KINDS = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")


class CatBoost(Flavor):
    """`CatBoost`, its classifier, regressor and ranker."""

    name: ClassVar[str] = "catboost"
    packages: ClassVar[tuple[str, ...]] = ("catboost",)

    def write(self, model: Any, home: Path) -> Config:
        """Write the model; raises `InvalidValue` for one that was not fitted."""
        if not model.is_fitted():
            raise InvalidValue("this CatBoost model was not fitted", hint="call fit() first")
        model.save_model(str(home / "model.cb"), format="cbm")
        kind = next(one.__name__ for one in type(model).__mro__ if one.__name__ in _KINDS)
        return {
            "catboost_version": catboost.__version__,
            "model_type": kind,
            "save_format": "cbm",
            "data": "model.cb",
        }

    def read(self, home: Path, config: Config) -> Any:
        """The model as its class."""
        kind, format = str(config["model_type"]), str(config.get("save_format") or "cbm")  # noqa: A001
        if kind not in _KINDS:
            raise InvalidValue(f"model_type {kind!a:.60} is not one of CatBoost's", hint=f"known: {', '.join(_KINDS)}")
        data = read_bytes(home / str(config["data"]))
        try:
            return getattr(catboost, kind)().load_model(blob=data, format=format)
        except catboost.CatBoostError as error:
            raise InvalidValue(
                f"{config['data']!a} is no model that CatBoost {catboost.__version__} reads",
                hint="save the model again, or install the version that saved it",
            ) from error

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """What `predict` answers; params are its keyword arguments, such as `prediction_type`."""
        return model.predict(rows, **params)

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for every one of its models."""
        return True
