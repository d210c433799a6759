"""`pack convert`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

import pack
from pack.cli import main
from tests.models import classifier, iris, mixed_frame, mixed_pipeline

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxmltools")
pytest.importorskip("onnxruntime")


def call(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def model() -> Any:
    return pack.log_model(mixed_pipeline(), name="m", input_example=mixed_frame()[:9], registered_model_name="m")


def test_both_models_stand_side_by_side(model: Any) -> None:
    shown = call("convert", "models:/m/1", "--to", "onnx").output
    assert "models:/m/1" in shown.splitlines()[0]
    assert "models:/m/2" in shown.splitlines()[0]
    for words in ("size", "one row", "1,000 rows", "2,009 rows, within rtol=0.0001, atol=1e-05", "skl2onnx"):
        assert words in shown


def test_scripts_get_json(model: Any) -> None:
    found = json.loads(call("convert", "models:/m/1", "--name", "fast", "--json").output)
    assert (found["uri"], found["proof"]["differing"], found["source"]["flavor"]) == ("models:/fast/1", 0, "sklearn")


def test_an_example_may_come_from_a_file(model: Any) -> None:
    signature = pack.infer_signature(mixed_frame()[:5])
    pack.save_model(mixed_pipeline(), "bare", signature=signature)
    mixed_frame()[:7].to_csv("rows.csv", index=False)
    assert "no input example" in call("convert", "bare", "--output", "o", code=1).output
    assert "2,007 rows" in call("convert", "bare", "--output", "o", "--input-example", "rows.csv").output


def test_a_wrong_word_is_a_clear_error() -> None:
    pack.save_model(classifier(), "iris", input_example=iris()[0][:5])
    assert "needs a name" in call("convert", "iris", code=1).output
    assert "coreml" in call("convert", "iris", "--to", "coreml", code=2).output
