"""A BentoML service in its plain form: one method for each kind of body, types that BentoML checks."""

# No `from __future__ import annotations`: BentoML reads the types themselves.
import os
from typing import Any

import bentoml  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import pandas as pd


@bentoml.service(workers=int(os.environ["WORKERS"]))  # type: ignore[untyped-decorator, unused-ignore]
class Model:
    """Each workload is a route of its own name."""

    def __init__(self) -> None:
        if os.environ["WORKLOAD"] != "S0":
            import joblib

            self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(route="/S0")  # type: ignore[untyped-decorator, unused-ignore]
    def constant(self, inputs: np.ndarray) -> list[int]:
        return [0]

    @bentoml.api(route="/S1")  # type: ignore[untyped-decorator, unused-ignore]
    def iris(self, inputs: np.ndarray) -> np.ndarray:
        found: np.ndarray = self.model.predict(inputs)
        return found

    @bentoml.api(route="/S2")  # type: ignore[untyped-decorator, unused-ignore]
    def wide(self, dataframe_split: dict[str, Any]) -> np.ndarray:
        found: np.ndarray = self.model.predict(np.array(dataframe_split["data"]))
        return found

    @bentoml.api(route="/S3")  # type: ignore[untyped-decorator, unused-ignore]
    def mixed(self, dataframe_records: pd.DataFrame) -> np.ndarray:
        found: np.ndarray = self.model.predict(dataframe_records)
        return found
