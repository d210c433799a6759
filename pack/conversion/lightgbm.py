"""LightGBM's models, by onnxmltools."""

from __future__ import annotations

from typing import Any, ClassVar

import lightgbm
import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType

from pack.conversion import graph
from pack.conversion.base import Body, Converter, Layout
from pack.conversion.layouts import numeric
from pack.conversion.source import Source
from pack.errors import InvalidValue


class LightGBM(Converter):
    """Boosters and estimators, in single precision."""

    libraries: ClassVar[tuple[str, ...]] = ("onnxmltools", "lightgbm")

    def layouts(self, source: Source) -> list[Layout]:
        """One matrix."""
        return [numeric(source, "float32", library="onnxmltools")]

    def convert(self, source: Source, layout: Layout, opset: int | None) -> Body:
        """The graph; of a booster's binary model, the probability of the second class."""
        model = source.native
        booster = model if isinstance(model, lightgbm.Booster) else model.booster_
        if booster.pandas_categorical:
            raise InvalidValue("it was fitted on categories by name, which onnxmltools does not convert for LightGBM")
        ((name, _, shape),) = layout.ports()
        made = onnxmltools.convert_lightgbm(
            model, initial_types=[(name, FloatTensorType([None, shape[1]]))], target_opset=opset, zipmap=False
        )
        outputs = [one.name for one in made.graph.output]
        if model is not booster or len(outputs) == 1:
            return Body(made, outputs[0])
        body = Body(made, outputs[1])
        return graph.column(body, 1) if booster.num_model_per_iteration() == 1 else body

    def scores(self, source: Source, rows: Any) -> Any:
        """The probabilities of a classifier."""
        return source.native.predict_proba(rows) if hasattr(source.native, "predict_proba") else None
