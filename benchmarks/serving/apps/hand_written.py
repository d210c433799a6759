"""What an engineer writes in twenty lines: the body straight into the model, called in the loop, nothing checked."""

from __future__ import annotations

import os
from typing import Any

import orjson  # type: ignore[import-not-found, unused-ignore]
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

WORKLOAD = os.environ["WORKLOAD"]
model: Any = None
if WORKLOAD != "S0":
    import joblib
    import numpy as np

    model = joblib.load(os.environ["MODEL"])
if WORKLOAD == "S3":
    import pandas as pd


async def constant(request: Request) -> Response:
    """S0: what HTTP alone costs."""
    await request.body()
    return Response(b'{"predictions":[0]}', media_type="application/json")


async def predict(request: Request) -> Response:
    """S1 to S3."""
    body = orjson.loads(await request.body())
    if WORKLOAD == "S1":
        rows: Any = np.array(body["inputs"])
    elif WORKLOAD == "S2":
        rows = np.array(body["dataframe_split"]["data"])
    else:
        rows = pd.DataFrame(body["dataframe_records"])
    return Response(orjson.dumps({"predictions": model.predict(rows).tolist()}), media_type="application/json")


app = Starlette(routes=[Route("/invocations", constant if WORKLOAD == "S0" else predict, methods=["POST"])])
