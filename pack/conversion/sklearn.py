"""scikit-learn's models, by skl2onnx; boosters inside of pipelines by the converters of onnxmltools."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from skl2onnx import convert_sklearn, get_latest_tested_opset_version
from skl2onnx.common import data_types

from pack.conversion import graph
from pack.conversion.base import Body, Converter, Layout
from pack.conversion.layouts import tabular
from pack.conversion.names import nameless
from pack.conversion.registered import register
from pack.conversion.source import Source
from pack.errors import InvalidValue

_TYPES = {
    "str": data_types.StringTensorType,
    "float32": data_types.FloatTensorType,
    "float64": data_types.DoubleTensorType,
}
# Method → which output of the graph answers it.
_OUTPUTS = {"predict": 0, "transform": 0, "predict_proba": 1, "predict_log_proba": 1, "decision_function": 1}


class Sklearn(Converter):
    """Estimators and pipelines: in double precision where the runtime can, else in single."""

    libraries: ClassVar[tuple[str, ...]] = ("skl2onnx", "onnxmltools", "scikit-learn")

    def layouts(self, source: Source) -> list[Layout]:
        """Column by column where the model picks columns by name."""
        by_column = any(type(one).__name__ == "ColumnTransformer" for one in _parts(source.native))
        return [tabular(source, number, by_column=by_column) for number in ("float64", "float32")]

    def convert(self, source: Source, layout: Layout, opset: int | None) -> Body:
        """The graph of the method that the model was saved for."""
        model, method = source.native, source.method
        if method not in _OUTPUTS:
            raise InvalidValue(f"the method {method} has no converter", hint=f"converted are: {', '.join(_OUTPUTS)}")
        types = [(name, _TYPES[kind]([None, *shape[1:]])) for name, kind, shape in layout.ports()]
        boosters = [one for one in _parts(model) if register(one)]
        with nameless(boosters):
            made = convert_sklearn(
                model, initial_types=types, target_opset=_opsets(opset), options=_options(model, method)
            )
        outputs = [one.name for one in made.graph.output]
        body = Body(made, outputs[min(_OUTPUTS[method], len(outputs) - 1)])
        if method == "decision_function" and len(getattr(model, "classes_", ())) == 2:
            return graph.column(body, 1)
        return graph.after(body, "Log") if method == "predict_log_proba" else body

    def scores(self, source: Source, rows: Any) -> Any:
        """Probabilities, or the decision function."""
        for name in ("predict_proba", "decision_function"):
            if hasattr(source.native, name):
                return getattr(source.native, name)(rows)
        return None


def _parts(model: Any) -> Iterator[Any]:
    """The estimator and all those inside of it."""
    yield model
    for value in model.get_params(deep=True).values():
        if hasattr(value, "get_params") and not isinstance(value, type):
            yield value


def _opsets(opset: int | None) -> dict[str, int]:
    """The operator sets; trees in double precision came with the third of the second, which all converters know."""
    return {"": opset or get_latest_tested_opset_version(), "ai.onnx.ml": 3}


def _options(model: Any, method: str) -> dict[int, dict[str, Any]] | None:
    from sklearn.base import is_classifier

    if not is_classifier(model):
        return None
    return {id(model): {"zipmap": False, **({"raw_scores": True} if method == "decision_function" else {})}}
