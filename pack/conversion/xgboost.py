"""XGBoost's models, by onnxmltools."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType

from pack.conversion import graph
from pack.conversion.base import Body, Converter, Layout
from pack.conversion.layouts import numeric
from pack.conversion.names import nameless
from pack.conversion.source import Source
from pack.errors import InvalidValue

_OBJECTIVES = ("reg:", "binary:", "multi:", "count:poisson")


class XGBoost(Converter):
    """Boosters and estimators, in single precision, as XGBoost itself computes."""

    libraries: ClassVar[tuple[str, ...]] = ("onnxmltools", "xgboost")

    def layouts(self, source: Source) -> list[Layout]:
        """One matrix."""
        return [numeric(source, "float32", library="onnxmltools")]

    def convert(self, source: Source, layout: Layout, opset: int | None) -> Body:
        """The graph; of a booster's binary model, the probability of the second class."""
        model = source.native
        booster = model.get_booster() if hasattr(model, "get_booster") else model
        _check(booster)
        ((name, _, shape),) = layout.ports()
        types = [(name, FloatTensorType([None, shape[1]]))]
        with nameless([booster]):
            given = _stopped(model, booster)
            made = onnxmltools.convert_xgboost(given, initial_types=types, target_opset=opset)
        outputs = [one.name for one in made.graph.output]
        if model is not booster or len(outputs) == 1:
            return Body(made, outputs[0])
        return _answer_of_booster(Body(made, outputs[1]), outputs[0], _objective(booster))

    def scores(self, source: Source, rows: Any) -> Any:
        """The probabilities of a classifier."""
        return source.native.predict_proba(rows) if hasattr(source.native, "predict_proba") else None


def _check(booster: Any) -> None:
    """Raise `InvalidValue` for what onnxmltools would take for something else."""
    if any(kind == "c" for kind in booster.feature_types or ()):
        raise InvalidValue("it was fitted on categories, which onnxmltools does not convert for XGBoost")
    objective = _objective(booster)
    if not objective.startswith(_OBJECTIVES):
        raise InvalidValue(f"onnxmltools knows no objective {objective}")


def _stopped(model: Any, booster: Any) -> Any:
    """The trees that an estimator predicts with: those up to the best round, where it stopped early."""
    best = getattr(model, "best_iteration", None) if model is not booster else None
    return model if best is None else booster[: best + 1]


def _answer_of_booster(body: Body, label: str, objective: str) -> Body:
    if objective == "multi:softmax":
        return Body(body.graph, label)
    return graph.column(body, 1) if objective.startswith("binary:") else body


def _objective(booster: Any) -> str:
    return str(json.loads(booster.save_config())["learner"]["objective"]["name"])
