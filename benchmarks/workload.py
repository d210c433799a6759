"""One measurement, by one library, in a process of its own: `python workload.py pack|mlflow MEASUREMENT`.

The two libraries share their verbs, so the same lines are timed for both. Prints one JSON object of figures:
seconds, or bytes where the name says so.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBRARY = sys.argv[1]


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], Any], times: int) -> float:
    return statistics.median(seconds(work) for _ in range(times))


def measure_import() -> dict[str, float]:
    took = seconds(lambda: importlib.import_module(LIBRARY))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"import": took, "import_peak_bytes": float(peak), "import_modules": float(len(sys.modules))}


def measure_first_run() -> dict[str, float]:
    library = importlib.import_module(LIBRARY)
    return {"first_start_run": seconds(lambda: library.start_run())}  # with what it imports when it is first used


def measure_log_model() -> dict[str, float]:
    library, model, features = importlib.import_module(LIBRARY), *_classifier()
    signature = library.models.infer_signature(features, model.predict(features))

    def log() -> None:
        library.sklearn.log_model(model, name="model", signature=signature, input_example=features[:3])

    with library.start_run():
        return {"log_model_first": seconds(log), "log_model": median(log, 5)}


def measure_load() -> dict[str, float]:
    library, model, features = importlib.import_module(LIBRARY), *_classifier()
    signature = library.models.infer_signature(features, model.predict(features))
    library.sklearn.save_model(model, "saved", signature=signature, input_example=features[:3])
    library.pyfunc.load_model("saved")
    return {"load_model": median(lambda: library.pyfunc.load_model("saved"), 30)}


def measure_predict() -> dict[str, float]:
    library, (model, frame) = importlib.import_module(LIBRARY), _wide()
    signature = library.models.infer_signature(frame[:100], model.predict(frame[:100]))
    library.sklearn.save_model(model, "wide", signature=signature, pip_requirements=["scikit-learn"])
    # The native call is that of the same model after loading: one that was written and read is another object.
    loaded, native_model = library.pyfunc.load_model("wide"), library.sklearn.load_model("wide")
    one, many = frame[:1].copy(), frame
    figures: dict[str, float] = {}
    for name, rows, times in (("one_row", one, 1000), ("many_rows", many, 25)):
        pairs = _pairs(lambda: native_model.predict(rows), lambda: loaded.predict(rows), times)  # noqa: B023
        figures |= {
            f"predict_{name}_overhead": statistics.median(wrapped - native for native, wrapped in pairs),
            f"predict_{name}_times_native": statistics.median(wrapped / native for native, wrapped in pairs),
        }
    return figures


def _pairs(one: Callable[[], Any], other: Callable[[], Any], times: int) -> list[tuple[float, float]]:
    """Seconds of two pieces of work, in turn, each first as often as second: the second finds warm caches."""
    for _ in range(max(2, times // 10)):
        one(), other()
    pairs = []
    for turn in range(times):
        first, second = (one, other) if turn % 2 else (other, one)
        took = seconds(first), seconds(second)
        pairs.append(took if turn % 2 else took[::-1])
    return pairs


def _classifier() -> tuple[Any, Any]:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    features, classes = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=500).fit(features, classes), features


def _wide() -> tuple[Any, Any]:
    import numpy as np
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = np.random.default_rng(0).normal(size=(100_000, 20))
    frame = pd.DataFrame(values, columns=[f"c{index}" for index in range(20)])
    head = frame[:2_000]
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(head, head["c0"] > 0), frame


MEASUREMENTS = {
    "import": measure_import,
    "first_run": measure_first_run,
    "log_model": measure_log_model,
    "load": measure_load,
    "predict": measure_predict,
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["PACK_STATE_DIR"] = str(Path(folder) / "state")
        print("\n" + json.dumps(MEASUREMENTS[sys.argv[2]]()))
        os.chdir("/")
