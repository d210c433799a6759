"""Models and bodies of the workloads, made by each server's own Python: `python models.py pack|mlflow|joblib FOLDER`.

The seeds and the releases of NumPy and scikit-learn are the same everywhere, so the models and bodies are too. Writes
`S1.json` (the body), `S1.joblib` or the directory `S1`, and `facts.json`: what the models themselves predict for the
bodies, and what is installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import platform
import sys
import warnings
from pathlib import Path
from typing import Any, NamedTuple

IRIS = {"inputs": [[5.1, 3.5, 1.4, 0.2]]}


class Made(NamedTuple):
    """A fitted model, what it was fitted on, and the request that it is asked."""

    model: Any
    features: Any
    classes: Any
    asked: Any
    body: dict[str, Any]


def iris() -> Made:
    import numpy as np
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    features, classes = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, classes)
    return Made(model, features, classes, np.array(IRIS["inputs"]), IRIS)


def wide() -> Made:
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = np.random.default_rng(0).normal(size=(2_000, 20))
    frame = pd.DataFrame(values, columns=[f"feature_{index}" for index in range(20)])
    asked, classes = frame[:1_000], (frame.sum(axis=1) > 0).astype(int)
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(frame, classes)
    return Made(model, frame, classes, asked, {"dataframe_split": asked.to_dict(orient="split", index=False)})


def mixed() -> Made:
    import numpy as np
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rolls, rows = np.random.default_rng(1), 2_000
    columns = {
        "city": rolls.choice(["Kyiv", "Oslo", "Rome"], rows),
        "kind": rolls.choice(["a", "b"], rows),
        "income": rolls.normal(size=rows),
        "age": rolls.integers(18, 80, rows),
    }
    frame = pd.DataFrame(columns)
    encoder = OneHotEncoder(handle_unknown="ignore")
    parts = [("text", encoder, ["city", "kind"]), ("numbers", StandardScaler(), ["income", "age"])]
    classes = (frame["income"] + (frame["city"] == "Oslo") > 0).astype(int)
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(frame, classes)
    return Made(model, frame, classes, frame[:1], {"dataframe_records": frame[:1].to_dict(orient="records")})


WORKLOADS = {"S1": iris, "S2": wide, "S3": mixed}


def write_models(side: str, folder: Path) -> dict[str, list[Any]]:
    """Write every model and body; return the predictions to expect."""
    expected: dict[str, list[Any]] = {"S0": [0]}
    (folder / "S0.json").write_text(json.dumps(IRIS))
    if side != "joblib":
        _save_constant(side, folder / "S0")
    for name, make in WORKLOADS.items():
        made = make()
        (folder / f"{name}.json").write_text(json.dumps(made.body))
        expected[name] = made.model.predict(made.asked).tolist()
        if side != "joblib":
            _save(side, folder / name, made)
        if side != "mlflow":
            _dump(folder / f"{name}.joblib", made)
    return expected


def _save_constant(side: str, home: Path) -> None:
    library = importlib.import_module(side)

    class Constant(library.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        def predict(self, context: Any, model_input: Any, params: Any = None) -> list[int]:
            return [0]

    library.pyfunc.save_model(str(home), python_model=Constant(), pip_requirements=["numpy"])


def _save(side: str, home: Path, made: Made) -> None:
    library = importlib.import_module(side)
    signature = library.models.infer_signature(made.features, made.model.predict(made.features))
    # Requirements are named, for MLflow would look for them in a process of its own.
    library.sklearn.save_model(made.model, str(home), signature=signature, pip_requirements=["scikit-learn"])


def _dump(path: Path, made: Made) -> None:
    """For those who score arrays: a model that was fitted on columns warns of each array that it is given."""
    import joblib

    if "dataframe_split" in made.body:
        made.model.fit(made.features.to_numpy(), made.classes)
    joblib.dump(made.model, path)


def main() -> None:
    warnings.simplefilter("ignore")
    side, folder = sys.argv[1], Path(sys.argv[2])
    packages = {one.metadata["Name"]: one.version for one in importlib.metadata.distributions()}
    facts = {
        "expected": write_models(side, folder),
        "python": platform.python_version(),
        "packages": dict(sorted(packages.items(), key=lambda item: item[0].lower())),
    }
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
