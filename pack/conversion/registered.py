"""What skl2onnx is told about estimators that it does not know, or does not write as today's libraries want it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common import _registration
from skl2onnx.common._apply_operation import apply_cast
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

Convert: TypeAlias = Callable[..., None]

_FRACTIONS = {"nodes_values", "class_weights", "target_weights", "nodes_hitrates", "base_values"}
_TOLD: set[str] = set()
_TREES = {
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ExtraTreeClassifier",
    "ExtraTreeRegressor",
    "ExtraTreesClassifier",
    "ExtraTreesRegressor",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
}
_HISTOGRAMS = {"HistGradientBoostingClassifier", "HistGradientBoostingRegressor"}


def register(part: Any) -> bool:
    """Tell skl2onnx of the class of an estimator where that is needed; True for a booster of another library."""
    kind = type(part)
    library = kind.__module__.partition(".")[0]
    if library == "sklearn" and kind.__name__ in _HISTOGRAMS | _TREES:
        _register_trees(f"Sklearn{kind.__name__}", _in_double if kind.__name__ in _HISTOGRAMS else _in_single)
    if library not in {"xgboost", "lightgbm"}:
        return False
    classifies = hasattr(part, "predict_proba")
    shapes = calculate_linear_classifier_output_shapes if classifies else calculate_linear_regressor_output_shapes
    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]} if classifies else {"split": None}
    update_registered_converter(
        kind, f"Pack{kind.__name__}", shapes, _booster(library), options=options, overwrite=True
    )
    return True


def _booster(library: str) -> Convert:
    if library == "lightgbm":
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        return convert_lightgbm  # type: ignore[no-any-return]
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost

    return _in_single(convert_xgboost)


def _register_trees(alias: str, made: Callable[[Convert], Convert]) -> None:
    if alias not in _TOLD:
        theirs = _registration.get_converter(alias)
        convert = made(theirs._fct)  # noqa: SLF001 - what stands around it takes no version
        _registration.register_converter(alias, convert, overwrite=True, options=theirs.get_allowed_options())
        _TOLD.add(alias)


def _in_single(theirs: Convert) -> Convert:
    """A converter for trees that make their rows single precision before they look at them."""

    def convert(scope: Any, operator: Any, container: Any) -> None:
        given = operator.inputs[0]
        rows = scope.get_unique_variable_name("single")
        apply_cast(scope, given.full_name, rows, container, to=TensorProto.FLOAT)
        single = _Like(given, full_name=rows, onnx_name=rows, type=FloatTensorType(given.type.shape))
        theirs(scope, _Like(operator, inputs=[single], input_full_names=[rows]), container)

    return convert


def _in_double(theirs: Convert) -> Convert:
    """A converter for trees that compare in double precision: in single, training rows fall to other sides.

    Truth values are written as whole numbers, which is what protocol buffers let pass.
    """

    def convert(scope: Any, operator: Any, container: Any) -> None:
        def add_node(*given: Any, **named: Any) -> Any:
            doubles = isinstance(operator.inputs[0].type, DoubleTensorType)
            return container.add_node(*given, **dict(_attribute(*one, doubles=doubles) for one in named.items()))

        theirs(scope, operator, _Like(container, add_node=add_node), op_version=3)

    return convert


def _attribute(name: str, value: Any, *, doubles: bool) -> tuple[str, Any]:
    if doubles and name in _FRACTIONS:
        numbers = np.asarray(value, dtype="float64").ravel()
        return f"{name}_as_tensor", onnx.helper.make_tensor(name, TensorProto.DOUBLE, numbers.shape, numbers)
    return name, _whole(value)


def _whole(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [int(one) if type(one).__name__ in {"bool", "bool_"} else one for one in value]


class _Like:
    """An object as another, but for some attributes."""

    def __init__(self, other: Any, **own: Any) -> None:
        self.__dict__.update(own)
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)
