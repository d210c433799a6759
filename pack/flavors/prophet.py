"""Prophet forecasters, kept as JSON: a string that is itself a JSON document.

Keys are MLflow's (interoperability facts, flavors, section 10).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import prophet
from prophet import serialize

from pack.errors import InvalidValue, SchemaMismatch
from pack.flavors.base import Config, Flavor
from pack.mlmodel.infer import infer_schema
from pack.mlmodel.schema import ColSpec, Schema
from pack.mlmodel.signature import ModelSignature
from pack.trust.admission import read_bytes

# Tables inside the document, each of them JSON in a string. Older versions take other text for a path or an address.
_TABLES = (*serialize.PD_SERIES, *serialize.PD_DATAFRAME)
_WRONG = (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError)


class Prophet(Flavor):
    """Fitted forecasters; they answer the whole forecast, a row for each date, in the order of the dates."""

    name: ClassVar[str] = "prophet"
    packages: ClassVar[tuple[str, ...]] = ("prophet",)

    def __init__(self) -> None:
        self._example: Any = None

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """An example says of which type the dates and the regressors are."""
        self._example = example

    def write(self, model: Any, home: Path) -> Config:
        """Write the document; raises `InvalidValue` for a model that is not fitted, or of a class of one's own."""
        if type(model) is not prophet.Prophet:
            raise InvalidValue(
                f"{type(model).__qualname__} is a class of your own, and would be read back as a plain Prophet",
                hint="save a Prophet, or put yours into a PythonModel",
            )
        if model.history is None:
            raise InvalidValue("this Prophet is not fitted", hint="call fit first")
        path = home / "model.pr"
        with path.open("w", encoding="utf-8", newline="\n") as file:
            json.dump(serialize.model_to_json(model), file)
        return {"prophet_version": prophet.__version__, "model_type": type(model).__name__, "data": path.name}

    def read(self, home: Path, config: Config) -> Any:
        """The forecaster."""
        path = home / str(config.get("data") or "model.pr")
        data = read_bytes(path)
        try:
            document = json.loads(json.loads(data))
            del data
            _check(document)
            return serialize.model_from_dict(document)
        except _WRONG as error:
            raise InvalidValue(
                f"{path.name!a} is no model that Prophet {prophet.__version__} reads: {type(error).__name__}",
                hint="save the model again, or install the version that saved it",
            ) from error

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """The forecast for the dates in column `ds`, or for dates alone."""
        return model.predict(rows if isinstance(rows, pd.DataFrame) else _dated(rows), **params)

    def signature(self, model: Any) -> ModelSignature | None:
        """The dates, and a column for whatever else the model was fitted with."""
        known = {"ds": ColSpec("datetime", "ds")}
        known |= {name: ColSpec("double", name) for name in _numbers(model)}
        known |= {name: ColSpec("boolean", name) for name in _conditions(model)}
        if isinstance(self._example, pd.DataFrame):
            given = [name for name in known if name in self._example.columns]
            found = dict(zip(given, infer_schema(self._example[given]), strict=True)) if given else {}
            return ModelSignature(inputs=Schema([found.get(name, one) for name, one in known.items()]))
        row = model.history[list(known)].tail(1)
        return ModelSignature(inputs=Schema(list(known.values())), outputs=infer_schema(self.predict(model, row, {})))


def _dated(rows: Any) -> Any:
    """A frame of columns by their names, or of dates that came without one."""
    if isinstance(rows, dict):
        return pd.DataFrame(rows)
    if getattr(rows, "ndim", 1) == 2 and rows.shape[1] == 1:
        rows = rows[:, 0]
    if getattr(rows, "ndim", 1) != 1:
        raise SchemaMismatch(f"an array of shape {rows.shape} holds no dates", hint="give a frame with a column ds")
    return pd.DataFrame({"ds": rows})


def _numbers(model: Any) -> list[str]:
    """The columns of numbers that a model needs for a forecast."""
    bounds = ["cap", *(["floor"] if model.logistic_floor else [])] if model.growth == "logistic" else []
    return [*bounds, *map(str, model.extra_regressors)]


def _conditions(model: Any) -> list[str]:
    """The columns that say whether a seasonality holds."""
    names = [one.get("condition_name") for one in model.seasonalities.values()]
    return list(dict.fromkeys(str(name) for name in names if name))


def _check(document: Any) -> None:
    """Raise `ValueError` for what the library would look up somewhere else than in the document."""
    for name in _TABLES:
        text = document[name]
        if text is not None and not (isinstance(text, str) and text.lstrip()[:1] in {"{", "["}):
            raise ValueError(name)
    country = document.get("country_holidays")
    if country is not None and not (isinstance(country, str) and country.isalpha() and country[0].isupper()):
        raise ValueError("country_holidays")
