"""Schemathesis against a live server: whatever it makes of the description, no answer is a server's error."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature
from tests import models
from tests.serving.live import serving
from tests.serving.test_openapi import every_column, every_param

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


class Count(pack.pyfunc.PythonModel):
    """Answers a number and a text for each row, whatever the rows hold."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        import pandas as pd

        rows = len(model_input)
        return pd.DataFrame({"place": range(rows), "text": ["x"] * rows})


class Anything(pack.pyfunc.PythonModel):
    """Answers text for a body of any kind."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [type(model_input).__name__]


def columns(path: Path) -> None:
    answer = Schema([ColSpec("long", "place"), ColSpec("string", "text")])
    signature = ModelSignature(every_column(), answer, every_param())
    pack.pyfunc.save_model(path, python_model=Count(), signature=signature)


def tensors(path: Path) -> None:
    import numpy as np

    inputs = [TensorSpec(np.dtype(name), (-1, 2), name) for name in ("int8", "uint64", "float32", "str", "bool")]
    signature = ModelSignature(Schema(inputs), Schema([ColSpec("string")]))
    pack.pyfunc.save_model(path, python_model=Anything(), signature=signature)


def boosted(path: Path) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    features, classes = models.iris()
    model = HistGradientBoostingClassifier(max_iter=2).fit(features, classes)  # it takes NaN and infinities, too
    pack.save_model(model, path, input_example=features[:2])


def unsigned(path: Path) -> None:
    pack.pyfunc.save_model(path, python_model=Anything())


@pytest.mark.parametrize("save", [columns, tensors, boosted, unsigned], ids=lambda save: save.__name__)
def test_no_request_that_it_makes_is_a_servers_error_and_every_answer_is_as_described(
    save: Any, tmp_path: Path
) -> None:
    save(tmp_path / "model")
    program = Path(sys.executable).parent / "schemathesis"
    with serving({save.__name__: str(tmp_path / "model")}) as url:
        command = [str(program), "run", f"{url}openapi.json", "--url", url.rstrip("/"), "--checks", CHECKS]
        bounds = ["--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "4", "--no-shrink"]
        done = subprocess.run(
            [*command, *bounds, "--suppress-health-check", "all", "--warnings", "off"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
        )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " generated" in done.stdout
