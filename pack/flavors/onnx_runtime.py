"""ONNX Runtime, told to send nothing and to leave no identifier on this disk.

Its own builds report models and machines to their maker since 1.29, unless they are told not to before they start. Who
wants that can say so: ORT_DISABLE_TELEMETRY=0.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["onnxruntime"]
