"""`pack.models`: signatures, schemas, and models from code, under the names that MLflow gives them."""

from __future__ import annotations

from pack.fluent.models import get_model_info as get_model_info
from pack.mlmodel.infer import infer_signature as infer_signature
from pack.mlmodel.model import Model as Model
from pack.mlmodel.model import ModelInfo as ModelInfo
from pack.mlmodel.signature import ModelSignature as ModelSignature
from pack.pyfunc.code_model import ModelConfig as ModelConfig
from pack.pyfunc.code_model import set_model as set_model

__all__ = ["Model", "ModelConfig", "ModelInfo", "ModelSignature", "get_model_info", "infer_signature", "set_model"]
