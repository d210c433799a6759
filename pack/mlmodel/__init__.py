"""The directory format: the MLmodel file, signatures and their enforcement, examples, bundled code, digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pack.mlmodel.hints import schema_from_hint as schema_from_hint
    from pack.mlmodel.infer import infer_schema as infer_schema
    from pack.mlmodel.infer import infer_signature as infer_signature
    from pack.mlmodel.model import Model as Model
    from pack.mlmodel.model import ModelInfo as ModelInfo
    from pack.mlmodel.params import ParamSchema as ParamSchema
    from pack.mlmodel.params import ParamSpec as ParamSpec
    from pack.mlmodel.plan import Plan as Plan
    from pack.mlmodel.plan import compile_plan as compile_plan
    from pack.mlmodel.schema import ColSpec as ColSpec
    from pack.mlmodel.schema import Schema as Schema
    from pack.mlmodel.schema import TensorSpec as TensorSpec
    from pack.mlmodel.signature import ModelSignature as ModelSignature
    from pack.mlmodel.types import AnyType as AnyType
    from pack.mlmodel.types import Array as Array
    from pack.mlmodel.types import DataType as DataType
    from pack.mlmodel.types import Map as Map
    from pack.mlmodel.types import Object as Object
    from pack.mlmodel.types import Property as Property
    from pack.mlmodel.types import SparkMLVector as SparkMLVector

_NAMES = {
    "hints": ("schema_from_hint",),
    "infer": ("infer_schema", "infer_signature"),
    "model": ("Model", "ModelInfo"),
    "params": ("ParamSchema", "ParamSpec"),
    "plan": ("Plan", "compile_plan"),
    "schema": ("ColSpec", "Schema", "TensorSpec"),
    "signature": ("ModelSignature",),
    "types": ("AnyType", "Array", "DataType", "Map", "Object", "Property", "SparkMLVector"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = sorted(_HOMES)


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
