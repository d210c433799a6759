"""pmdarima's ARIMA models and pipelines, which pmdarima itself keeps as pickles.

Keys are MLflow's (interoperability facts, flavors, section 10).
"""

from __future__ import annotations

import operator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pmdarima

from pack.errors import SchemaMismatch
from pack.flavors.base import Config, Flavor
from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import Array
from pack.trust import payloads

_COLUMNS = ("n_periods", "X", "return_conf_int", "alpha")


class Pmdarima(Flavor):
    """Models of a time series; one row asks for a forecast: `n_periods`, and `X`, `return_conf_int`, `alpha`."""

    name: ClassVar[str] = "pmdarima"
    packages: ClassVar[tuple[str, ...]] = ("pmdarima",)

    def __init__(self) -> None:
        self._example: Any = None

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """An example says how the forecast is asked for."""
        self._example = example

    def write(self, model: Any, home: Path) -> Config:
        """Write the pickle."""
        path = home / "model.pmd"
        payloads.dump_pickle(model, path, serializer="pickle")
        return {"pmdarima_version": pmdarima.__version__, "model_type": type(model).__name__, "data": path.name}

    def read(self, home: Path, config: Config) -> Any:
        """The model, where the load policy allows to open a pickle."""
        return payloads.load_pickle(home / str(config.get("data") or "model.pmd"))

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """A frame: `yhat`, and `yhat_lower` and `yhat_upper` with `return_conf_int`. Params go over the row."""
        asked = {**_asked(rows), **params}
        found = model.predict(**asked)
        if not asked.get("return_conf_int"):
            return pd.DataFrame({"yhat": found})
        forecast, bounds = found
        return pd.DataFrame({"yhat": forecast, "yhat_lower": bounds[:, 0], "yhat_upper": bounds[:, 1]})

    def runs_code(self, config: Config) -> str | None:
        """Every one of these models is a pickle."""
        return f"{config.get('data')} is a pickle, which runs code when it is opened"

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """What the pickle names."""
        return payloads.pickle_modules((home / str(config["data"])).read_bytes())

    def signature(self, model: Any) -> ModelSignature | None:
        """How every model of this kind is asked; None where an example says it."""
        if self._example is not None:
            return None
        inputs = Schema(
            [
                ColSpec("long", "n_periods"),
                ColSpec(Array(Array("double")), "X", required=False),
                ColSpec("boolean", "return_conf_int", required=False),
                ColSpec("double", "alpha", required=False),
            ]
        )
        bounds = [ColSpec("double", name, required=False) for name in ("yhat_lower", "yhat_upper")]
        return ModelSignature(inputs=inputs, outputs=Schema([ColSpec("double", "yhat"), *bounds]))


def _asked(rows: Any) -> Config:
    """What one row asks for; raises `SchemaMismatch` for anything but one row with `n_periods`."""
    if not isinstance(rows, pd.DataFrame) or len(rows) != 1 or "n_periods" not in rows.columns:
        raise SchemaMismatch(
            "a forecast is asked for with one row that has a column n_periods",
            hint=f"its columns: {', '.join(_COLUMNS)}",
        )
    row = {name: rows[name].iloc[0] for name in _COLUMNS if name in rows.columns}
    asked = {name: value for name, value in row.items() if not _is_missing(value)}
    try:
        asked["n_periods"] = operator.index(row["n_periods"])
    except TypeError as error:
        raise SchemaMismatch(f"n_periods must be a whole number, not {row['n_periods']!r:.60}") from error
    if "X" in asked:
        asked["X"] = np.array([np.atleast_1d(step) for step in asked["X"]], dtype=float)
    if "return_conf_int" in asked:
        asked["return_conf_int"] = bool(asked["return_conf_int"])
    return asked


def _is_missing(value: Any) -> bool:
    return value is None or bool(np.ndim(value) == 0 and pd.isna(value))
