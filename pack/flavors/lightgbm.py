"""LightGBM boosters, kept in LightGBM's own text format, and its scikit-learn estimators, kept by skops or pickled.

Keys are MLflow's (interoperability facts, flavors, section 4).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import lightgbm

from pack.errors import InvalidValue
from pack.flavors.base import Config, Flavor
from pack.flavors.categories import with_categories
from pack.trust import payloads
from pack.trust.admission import read_bytes

_BOOSTER = "lightgbm.basic.Booster"
_FILES = {"skops": "model.skops", "cloudpickle": "model.pkl"}


class LightGBM(Flavor):
    """Boosters and estimators; `serialization_format`, skops or cloudpickle, is that of estimators."""

    name: ClassVar[str] = "lightgbm"
    packages: ClassVar[tuple[str, ...]] = ("lightgbm",)

    def __init__(self, serialization_format: str = "skops") -> None:
        if serialization_format not in _FILES:
            raise InvalidValue(
                f"serialization_format={serialization_format!r} is not known", hint=f"use one of {', '.join(_FILES)}"
            )
        self.serialization_format = serialization_format

    def write(self, model: Any, home: Path) -> Config:
        """Write a booster as text, an estimator in the chosen format."""
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        facts = {"lgb_version": lightgbm.__version__, "model_class": kind}
        if isinstance(model, lightgbm.Booster):
            model.save_model(home / "model.lgb")
            return {**facts, "data": "model.lgb", "model_class": _BOOSTER}
        path = home / _FILES[self.serialization_format]
        untrusted = None
        if self.serialization_format == "skops":
            untrusted = payloads.dump_skops(model, path) or None
        else:
            payloads.dump_pickle(model, path)
        return {
            **facts,
            "data": path.name,
            "serialization_format": self.serialization_format,
            # For MLflow's reader; ours has its own list and never looks here.
            "skops_trusted_types": untrusted,
        }

    def read(self, home: Path, config: Config) -> Any:
        """The booster, or the estimator; a pickle only where the load policy allows it."""
        path = home / str(config["data"])
        if _format(config) == "skops":
            return payloads.load_skops(path)
        if _format(config) == "cloudpickle":
            return payloads.load_pickle(path)
        try:
            return lightgbm.Booster(model_str=read_bytes(path).decode("utf-8"))
        except (lightgbm.basic.LightGBMError, UnicodeDecodeError, ValueError) as error:
            raise InvalidValue(
                f"{path.name!a} is no model that LightGBM {lightgbm.__version__} reads", hint="save the model again"
            ) from error

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """What `predict` answers; text is taken for categories, as LightGBM has no other use for it."""
        return model.predict(with_categories(rows), **params)

    def rows_are_independent(self, model: Any) -> bool:
        """So they are for every booster."""
        return True

    def runs_code(self, config: Config) -> str | None:
        """Pickles run code; text and skops files do not."""
        if _format(config) != "cloudpickle":
            return None
        return f"{config.get('data')} is a pickle, which runs code when it is opened"

    def runs_code_in(self, home: Path, config: Config) -> str | None:
        """Types of a skops file that are not on our list are code."""
        return payloads.why_skops_runs_code(home / str(config["data"])) if _format(config) == "skops" else None

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """What the written file names, and the package that reads it."""
        data = home / str(config["data"])
        if _format(config) == "skops":
            from pack.trust.skops_files import modules

            return modules(data.read_bytes()) | {"skops", "sklearn"}
        return payloads.pickle_modules(data.read_bytes()) | {"cloudpickle"} if _format(config) else set()


def _format(config: Config) -> str | None:
    """None for a booster's text; estimators of old files, which do not say, are pickles."""
    if (config.get("model_class") or _BOOSTER) == _BOOSTER:
        return None
    return str(config.get("serialization_format") or "cloudpickle")
