"""The python_function flavor passes the same suite as every other, in each of its forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import pack
from tests.contracts.flavor import FlavorContract


class Doubler(pack.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return model_input * 2


def double(model_input: Any) -> Any:
    return model_input * 2


class TestPythonModel(FlavorContract):
    flavor: ClassVar[str] = "python_function"

    def model(self) -> Any:
        return Doubler()

    def rows(self) -> Any:
        return np.arange(6.0).reshape(3, 2)

    def expected(self) -> Any:
        return self.rows() * 2


class TestFunction(TestPythonModel):
    def model(self) -> Any:
        return double


class TestScript(TestPythonModel):
    @pytest.fixture(autouse=True)
    def script(self, tmp_path: Path) -> None:
        self.path = tmp_path / "doubler.py"
        self.path.write_text(
            "import pack\npack.models.set_model(lambda model_input: model_input * 2)\n", encoding="utf-8"
        )

    def model(self) -> Any:
        return self.path
