"""Models of PyTorch and of Keras as ONNX graphs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pack
from pack.errors import InvalidValue

pytest.importorskip("onnxruntime")
Both = Callable[..., tuple[Any, Any]]
# The exporters of these frameworks warn of their own ways.
pytestmark = pytest.mark.filterwarnings("ignore")


def rows(*shape: int) -> Any:
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_a_module_of_pytorch_is_answered_as_before(both: Both) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    _, converted = both(model, rows(7, 4), example=rows(1, 4))
    assert converted.predict(rows(3, 4)).shape == (3, 2)


def test_the_arrays_of_a_module_keep_their_names(both: Both) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Two(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def forward(self, b: Any, a: Any) -> Any:
            return 2 * a - b

    example = {"a": rows(3, 2), "b": np.ones((3, 1), "float32")}
    _, converted = both(Two(), example, example=example)
    assert converted.predict({"b": np.ones((1, 1), "float32"), "a": np.full((1, 2), 3, "float32")}).tolist() == [[5, 5]]


def test_a_frame_of_columns_is_refused_with_the_reason() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    import pandas as pd

    pack.save_model(torch.nn.Linear(2, 1), "m", input_example=pd.DataFrame({"a": [1.0], "b": [2.0]}))
    with pytest.raises(InvalidValue, match="only arrays of numbers or text"):
        pack.convert("m", output="o", trust=True)


def test_a_module_that_branches_on_its_values_is_refused_with_the_reason() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Branch(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def forward(self, x: Any) -> Any:
            return x * 2 if x.sum() > 0 else x

    pack.pytorch.save_model(Branch(), "m", input_example=rows(2, 2), serialization_format="pickle")
    with pytest.raises(InvalidValue, match=r"cannot be converted to ONNX: .*Could not guard|data-dependent"):
        pack.convert("m", output="o", trust=True)


def test_a_model_of_keras_is_answered_as_before(both: Both) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        pytest.skip("no backend of Keras that exports is installed")
    keras = pytest.importorskip("keras")
    pytest.importorskip("tf2onnx")
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(2)])
    _, converted = both(model, rows(5, 4))
    assert converted.flavor == "onnx"


def test_inputs_of_keras_keep_their_names(both: Both) -> None:
    keras = pytest.importorskip("keras")
    pytest.importorskip("tf2onnx")
    one, two = keras.Input((2,), name="p"), keras.Input((3,), name="q")
    model = keras.Model([one, two], keras.layers.Dense(1)(keras.layers.Concatenate()([one, two])))
    example = {"q": rows(4, 3), "p": rows(4, 2)}
    both(model, example, example=example)
