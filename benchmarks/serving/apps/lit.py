"""A LitServe server in its plain form: decode, predict, encode, one request at a time."""

# No `from __future__ import annotations`: LitServe reads the type of a request itself.
import os
from typing import Any

import joblib
import litserve  # type: ignore[import-not-found, unused-ignore]
import numpy as np
from starlette.requests import Request

WORKLOAD = os.environ["WORKLOAD"]


class Model(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """The model in a process of LitServe's own; requests come to it from another."""

    def setup(self, device: Any) -> None:
        self.model = None if WORKLOAD == "S0" else joblib.load(os.environ["MODEL"])

    def decode_request(self, request: Request) -> Any:
        body: Any = request  # LitServe has read it by now
        if WORKLOAD == "S2":
            return np.array(body["dataframe_split"]["data"])
        if WORKLOAD == "S3":
            import pandas as pd

            return pd.DataFrame(body["dataframe_records"])
        return np.array(body["inputs"])

    def predict(self, rows: Any) -> Any:
        return np.zeros(1, int) if self.model is None else self.model.predict(rows)

    def encode_response(self, output: Any) -> dict[str, Any]:
        return {"predictions": output.tolist()}


if __name__ == "__main__":
    server = litserve.LitServer(Model(), accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]))
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False)
