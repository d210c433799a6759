"""Conversion: a model becomes an ONNX graph with the same signature, proved to answer alike, and a new version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pack.plugins import Entry, Table

if TYPE_CHECKING:
    from pack.conversion.report import Conversion as Conversion
    from pack.conversion.verb import convert as convert

_NEEDS = "'packml[convert]'"
# flavor → its converter
CONVERTERS = Table(
    "converter",
    {
        "catboost": Entry("pack.conversion.catboost:CatBoost", needs=_NEEDS),
        "keras": Entry("pack.conversion.keras:Keras", needs=_NEEDS),
        "lightgbm": Entry("pack.conversion.lightgbm:LightGBM", needs=_NEEDS),
        "pytorch": Entry("pack.conversion.pytorch:PyTorch", needs=_NEEDS),
        "sklearn": Entry("pack.conversion.sklearn:Sklearn", needs=_NEEDS),
        "tensorflow": Entry("pack.conversion.keras:Keras", needs=_NEEDS),
        "xgboost": Entry("pack.conversion.xgboost:XGBoost", needs=_NEEDS),
    },
)
_EXPORTS = {
    "convert": Entry("pack.conversion.verb:convert", needs=_NEEDS),
    "Conversion": Entry("pack.conversion.report:Conversion", needs=_NEEDS),
}


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _EXPORTS[name].load()
