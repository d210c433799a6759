"""`pack.types.schema`: the types that nest, beside those of `pack.types`, under the names that MLflow gives them."""

from __future__ import annotations

from pack.mlmodel.types import AnyType as AnyType
from pack.mlmodel.types import Array as Array
from pack.mlmodel.types import Map as Map
from pack.mlmodel.types import Object as Object
from pack.mlmodel.types import Property as Property
from pack.mlmodel.types import SparkMLVector as SparkMLVector
from pack.types import ColSpec as ColSpec
from pack.types import DataType as DataType
from pack.types import ParamSchema as ParamSchema
from pack.types import ParamSpec as ParamSpec
from pack.types import Schema as Schema
from pack.types import TensorSpec as TensorSpec
