"""What a platform tells a container: the port, where the model lies, and which word it starts with.

| platform | says |
|---|---|
| Vertex AI | `AIP_HTTP_PORT`, `AIP_PREDICT_ROUTE`, `AIP_HEALTH_ROUTE`, `AIP_STORAGE_URI` |
| SageMaker | `SAGEMAKER_BIND_TO_PORT`, the word `serve`, the model below `/opt/ml/model` |
| Cloud Run, Heroku and others | `PORT` |
| KServe, Kubernetes | `PACK_MODEL_URI`, `PACK_MODEL_NAME` (our manifests) |

Standard library only: the health check of an image reads it each time.
"""

from __future__ import annotations

import os

_PORTS = ("AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT", "PORT", "PACK_PORT")
PORT = 8080
MODEL_HOME = "/opt/ml/model"


def port() -> int:
    """The port to serve on; raises `ValueError` for a text that is none."""
    for name in _PORTS:
        text = os.environ.get(name)
        if text:
            if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65_536:
                raise ValueError(f"{name} is {text[:50]!a}, and no port")
            return int(text)
    return PORT


def model_uri() -> str | None:
    """The model to serve: the one that is named, else the one in the image, else what Vertex stores; None for none."""
    named = os.environ.get("PACK_MODEL_URI")
    if named:
        return named
    if os.path.isfile(f"{MODEL_HOME}/MLmodel"):  # noqa: PTH113 - the fewest imports
        return MODEL_HOME
    return os.environ.get("AIP_STORAGE_URI") or None
