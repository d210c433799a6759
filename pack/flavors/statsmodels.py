"""Results of statsmodels' models, which statsmodels itself keeps as pickles.

Keys are MLflow's (interoperability facts, flavors, section 10).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import statsmodels
from statsmodels.tsa.base.tsa_model import TimeSeriesModel

from pack.errors import InvalidValue, SchemaMismatch
from pack.flavors.base import Config, Flavor
from pack.mlmodel.infer import infer_schema
from pack.mlmodel.signature import ModelSignature
from pack.trust import payloads

# What a row asks of a model of a time series, beside `start` and `end`.
_FUTURE = ("exog", "exog_oos")


class Statsmodels(Flavor):
    """What `fit()` answers; with `remove_data` it is written without the data that it was fitted on."""

    name: ClassVar[str] = "statsmodels"
    packages: ClassVar[tuple[str, ...]] = ("statsmodels",)

    def __init__(self, remove_data: bool = False) -> None:
        self.remove_data = remove_data
        self._example: Any = None
        self._predicts = True

    def look_at(self, example: Any, signature: ModelSignature | None) -> None:
        """An example says what the columns are, and is what a model without its data has to predict."""
        self._example = example

    def write(self, model: Any, home: Path) -> Config:
        """Write the pickle; the caller's model keeps its data."""
        self._predicts = hasattr(model, "predict")
        path = home / "model.statsmodels"
        with _without_data(model) if self.remove_data else nullcontext():
            payloads.dump_pickle(model, path, serializer="pickle")
            if self.remove_data:
                self._try(model)
        return {"statsmodels_version": statsmodels.__version__, "data": path.name}

    def read(self, home: Path, config: Config) -> Any:
        """The results, where the load policy allows to open a pickle."""
        return payloads.load_pickle(home / str(config.get("data") or "model.statsmodels"))

    def predict(self, model: Any, rows: Any, params: Config) -> Any:
        """What `predict` answers for the rows; for a time series one row says from where to where, `start` and `end`.

        Two columns, `predicted_values` and `standard_errors`, for a regression of hazards.
        """
        if isinstance(model.model, TimeSeriesModel):
            return model.predict(**_span(rows), **params)
        found = model.predict(exog=rows, **params)
        if hasattr(found, "predicted_values"):
            return pd.DataFrame(vars(found), index=getattr(rows, "index", None))
        return found

    def rows_are_independent(self, model: Any) -> bool:
        """So they are, but in a time series, and where a formula may look at all of them."""
        return not (isinstance(model.model, TimeSeriesModel) or hasattr(model.model, "formula"))

    def runs_code(self, config: Config) -> str | None:
        """Every one of these models is a pickle."""
        return f"{config.get('data')} is a pickle, which runs code when it is opened"

    def python_function(self, config: Config) -> Config | None:
        """None for results that do not predict."""
        return super().python_function(config) if self._predicts else None

    def modules(self, model: Any, home: Path, config: Config) -> set[str]:
        """What the pickle names."""
        return payloads.pickle_modules((home / str(config["data"])).read_bytes())

    def signature(self, model: Any) -> ModelSignature | None:
        """The columns of the frame that the model was fitted on; None where an example says it, or there is none."""
        frame = getattr(getattr(model.model, "data", None), "orig_exog", None)
        if self._example is not None or not self._predicts or not isinstance(frame, pd.DataFrame):
            return None
        if isinstance(model.model, TimeSeriesModel) or hasattr(model.model, "formula"):
            return None
        return ModelSignature(inputs=infer_schema(frame)) if all(isinstance(one, str) for one in frame) else None

    def _try(self, model: Any) -> None:
        """Raise `InvalidValue` where a model without its data cannot predict its example."""
        if not isinstance(self._example, pd.DataFrame):
            return
        try:
            self.predict(model, self._example, {})
        except (AttributeError, TypeError, ValueError, KeyError, IndexError) as error:
            raise InvalidValue(
                f"without its data {type(model).__name__} cannot predict: {type(error).__name__}: {error!s:.200}",
                hint="leave remove_data out",
            ) from error


def _span(rows: Any) -> Config:
    """From where to where a series is to be predicted; raises `SchemaMismatch` for anything but one such row."""
    if not isinstance(rows, pd.DataFrame) or len(rows) != 1 or not {"start", "end"} <= set(rows.columns):
        raise SchemaMismatch(
            "a model of a time series predicts from one row with the columns start and end",
            hint="start and end are positions or dates; exog holds the regressors of the steps to come",
        )
    row = {name: rows[name].iloc[0] for name in ("start", "end", *_FUTURE) if name in rows.columns}
    return {name: _matrix(value) if name in _FUTURE else value for name, value in row.items() if value is not None}


def _matrix(value: Any) -> Any:
    """Regressors as an array of steps by columns, whatever they were nested in."""
    import numpy as np

    return np.array([np.atleast_1d(step) for step in value], dtype=float)


@contextmanager
def _without_data(model: Any) -> Iterator[None]:
    """The model with its data removed, and as it was at the end; nothing is copied."""
    if not hasattr(model, "remove_data"):
        raise InvalidValue(f"{type(model).__name__} cannot remove its data", hint="leave remove_data out")
    before = [(one, dict(one)) for one in _states(getattr(model, "_results", model))]
    try:
        model.remove_data()
        yield
    finally:
        for now, then in before:
            now.clear()
            now.update(then)


def _states(results: Any) -> list[dict[str, Any]]:
    """The attributes of the results, of their model, and of whatever else in them is statsmodels' own."""
    found: dict[int, dict[str, Any]] = {}
    waiting = [results]
    while waiting:
        one = waiting.pop()
        is_own = type(one).__module__.partition(".")[0] == "statsmodels" and hasattr(one, "__dict__")
        state = one if isinstance(one, dict) else vars(one) if is_own else None
        if state is not None and id(state) not in found:
            found[id(state)] = state
            waiting += state.values()
    return list(found.values())
