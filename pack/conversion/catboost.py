"""CatBoost's models, by its own exporter."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

import onnx

from pack.conversion.base import Body, Converter, Layout
from pack.conversion.layouts import numeric
from pack.conversion.source import Source
from pack.errors import InvalidValue


class CatBoost(Converter):
    """Models of numbers; CatBoost exports none of categories."""

    libraries: ClassVar[tuple[str, ...]] = ("catboost",)

    def layouts(self, source: Source) -> list[Layout]:
        """One matrix."""
        if source.native.get_cat_feature_indices():
            raise InvalidValue(
                "it was fitted on categories, which CatBoost does not export to ONNX",
                hint="fit it on numbers, or keep the model as it is",
            )
        if len(source.native.classes_) and not hasattr(source.native, "predict_proba"):
            raise InvalidValue(
                "its predict answers raw values, and CatBoost exports labels", hint="fit a CatBoostClassifier"
            )
        return [numeric(source, "float32", library="CatBoost")]

    def convert(self, source: Source, layout: Layout, opset: int | None) -> Body:
        """The graph; its exporter has an operator set of its own."""
        if opset is not None:
            raise InvalidValue("CatBoost chooses the operator set itself", hint="leave opset out")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            source.native.save_model(str(path), format="onnx")
            made = onnx.load_model(str(path))
        return Body(made, made.graph.output[0].name)

    def scores(self, source: Source, rows: Any) -> Any:
        """The probabilities of a classifier."""
        return source.native.predict_proba(rows) if hasattr(source.native, "predict_proba") else None
