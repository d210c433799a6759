"""`pack.types`: schemas of models, under the names that MLflow gives them."""

from __future__ import annotations

from pack.mlmodel.params import ParamSchema as ParamSchema
from pack.mlmodel.params import ParamSpec as ParamSpec
from pack.mlmodel.schema import ColSpec as ColSpec
from pack.mlmodel.schema import Schema as Schema
from pack.mlmodel.schema import TensorSpec as TensorSpec
from pack.mlmodel.types import DataType as DataType

__all__ = ["ColSpec", "DataType", "ParamSchema", "ParamSpec", "Schema", "TensorSpec"]
