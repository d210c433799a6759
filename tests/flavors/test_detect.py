"""Detection: which flavor a model is, without importing any framework."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import pack
from pack import flavors
from pack.errors import InvalidValue, NotFound
from tests import models


class Scorer:
    def predict(self, rows: Any) -> Any:
        return rows


class Doubler(pack.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input * 2


@pytest.mark.parametrize(
    ("model", "flavor"),
    [
        (models.classifier(), "sklearn"),
        (models.mixed_pipeline(), "sklearn"),
        (Doubler(), "python_function"),
        (Scorer(), "python_function"),
        (lambda model_input: model_input, "python_function"),
        ("model.py", "python_function"),
    ],
)
def test_each_model_has_its_flavor(model: Any, flavor: str) -> None:
    assert flavors.detect(model) == flavor


def test_what_nothing_handles_is_named_with_what_would_be() -> None:
    with pytest.raises(InvalidValue, match=r"builtins\.int") as error:
        flavors.detect(3)
    assert "predict method" in (error.value.hint or "")


def test_an_unknown_flavor_lists_the_known_ones() -> None:
    with pytest.raises(NotFound, match="'nothing'") as error:
        flavors.get("nothing")
    assert "sklearn" in (error.value.hint or "")


def test_an_option_that_a_flavor_does_not_have_is_named() -> None:
    with pytest.raises(InvalidValue, match="wrong_option"):
        flavors.get("sklearn", wrong_option=1)


def test_detection_imports_no_framework() -> None:
    script = (
        "import sys\nfrom pack import flavors\n"
        "class A:\n    def predict(self, rows): return rows\n"
        "print(flavors.detect(A()), 'sklearn' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["python_function", "False", "False"]
