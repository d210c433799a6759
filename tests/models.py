"""Tiny real models and the data that they were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def iris() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Iris as arrays: features of shape (150, 4) in cm, classes of shape (150,)."""
    from sklearn.datasets import load_iris

    data = load_iris()
    return data.data, data.target


def classifier() -> Any:
    """A logistic regression on iris, fitted on an array."""
    from sklearn.linear_model import LogisticRegression

    features, classes = iris()
    return LogisticRegression(max_iter=200).fit(features, classes)


def wide_frame(rows: int = 100, columns: int = 20) -> pd.DataFrame:
    """A frame of random doubles with named columns c0, c1, ...; always the same."""
    import numpy as np
    import pandas as pd

    values = np.random.default_rng(0).normal(size=(rows, columns))
    return pd.DataFrame(values, columns=[f"c{index}" for index in range(columns)])


def wide_pipeline() -> Any:
    """A scaler and a logistic regression over `wide_frame`."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = wide_frame()
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, frame["c0"] > 0)


def mixed_frame(rows: int = 60) -> pd.DataFrame:
    """A frame of a string, a double and a long column: city, income, age."""
    import pandas as pd

    cities = ["Seoul", "Paris", "Lima"]
    return pd.DataFrame(
        {
            "city": [cities[row % 3] for row in range(rows)],
            "income": [1000.0 + 17.5 * row for row in range(rows)],
            "age": [20 + row % 50 for row in range(rows)],
        }
    )


def mixed_pipeline() -> Any:
    """One-hot cities and scaled numbers into a logistic regression, over `mixed_frame`."""
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    frame = mixed_frame()
    columns = ColumnTransformer([("city", OneHotEncoder(), ["city"]), ("numbers", StandardScaler(), ["income", "age"])])
    return Pipeline([("columns", columns), ("classifier", LogisticRegression())]).fit(frame, frame["age"] > 40)
