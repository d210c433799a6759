"""A python model is called with the arguments that it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pack
from pack.errors import InvalidValue, ModelFailed
from pack.pyfunc import PythonModel


class Everything(PythonModel):
    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return [type(context).__name__, model_input, params]


class InputOnly(PythonModel):
    def predict(self, model_input: Any) -> Any:  # type: ignore[override]
        return [model_input]


class InputAndParams(PythonModel):
    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:  # type: ignore[override]
        return [model_input, params]


class OtherNames(PythonModel):
    def predict(self, ctx: Any, data: Any) -> Any:  # type: ignore[override]
        return [type(ctx).__name__, data]


class InputWithAnOption(PythonModel):
    def predict(self, model_input: Any, extra: int = 5) -> Any:  # type: ignore[override]
        return [model_input, extra]


class Estimator:
    def predict(self, X: Any, y: Any = None) -> Any:  # noqa: N803 - the name that estimators have
        return [X, y]


def with_params(model_input: Any, params: dict[str, Any] | None = None) -> Any:
    return [model_input, params]


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Everything(), ["PythonModelContext", 1, None]),
        (InputOnly(), [1]),
        (InputAndParams(), [1, None]),
        (OtherNames(), ["PythonModelContext", 1]),
        (InputWithAnOption(), [1, 5]),
        (Estimator(), [1, None]),
        (with_params, [1, None]),
        (lambda anything: [anything], [1]),
        (max, None),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_model_gets_context_and_params_only_where_it_takes_them(
    tmp_path: Path, model: Any, expected: list[Any] | None
) -> None:
    pack.save_model(model, tmp_path / "m", code_paths=[Path(__file__)])
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict([1, 3, 2]) == 3 if expected is None else loaded.predict(1) == expected


def test_what_a_loader_module_makes_is_given_the_rows_alone(tmp_path: Path) -> None:
    (tmp_path / "own_loader.py").write_text(
        "class Model:\n    def predict(self, rows, more=None): return [rows, more]\n"
        "def _load_pyfunc(path, model_config): return Model()\n",
        encoding="utf-8",
    )
    pack.pyfunc.save_model(tmp_path / "m", loader_module="own_loader", code_paths=[tmp_path / "own_loader.py"])
    assert pack.pyfunc.load_model(tmp_path / "m").predict(1) == [1, None]
    with pytest.raises(InvalidValue, match="together"):
        pack.pyfunc.save_model(tmp_path / "n", loader_module="own_loader", python_model=InputOnly())


def test_declared_params_arrive_with_their_defaults(tmp_path: Path) -> None:
    pack.save_model(
        Everything(), tmp_path / "m", input_example=(np.ones((1, 2)), {"k": 2}), signature=signature({"k": 2})
    )
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict(np.ones((1, 2)))[2] == {"k": 2}
    assert loaded.predict(np.ones((1, 2)), {"k": 5})[2] == {"k": 5}
    with pytest.raises(InvalidValue, match="'other'"):
        loaded.predict(np.ones((1, 2)), {"other": 5})


def test_params_go_no_further_than_a_model_that_takes_none(tmp_path: Path) -> None:
    pack.save_model(InputOnly(), tmp_path / "m", signature=signature({"k": 2}))
    assert len(pack.pyfunc.load_model(tmp_path / "m").predict(np.ones((1, 2)), {"k": 3})) == 1


def signature(params: dict[str, Any]) -> Any:
    return pack.infer_signature(np.ones((1, 2)), params=params)


def test_the_native_model_is_what_was_saved(tmp_path: Path) -> None:
    for number, (model, kind) in enumerate(
        [(Everything(), "Everything"), (Estimator(), "Estimator"), (with_params, "function")]
    ):
        pack.save_model(model, tmp_path / str(number), code_paths=[Path(__file__)])
        assert type(pack.load_model(tmp_path / str(number))).__name__ == kind
        assert type(pack.pyfunc.load_model(tmp_path / str(number)).get_raw_model()).__name__ == kind
        assert isinstance(pack.pyfunc.load_model(tmp_path / str(number)).unwrap_python_model(), PythonModel)


@pytest.mark.parametrize(
    "save", [pack.save_model, lambda model, path: pack.pyfunc.save_model(path, python_model=model)]
)
def test_a_class_is_not_a_model_and_the_error_says_to_make_one(tmp_path: Path, save: Callable[..., Any]) -> None:
    with pytest.raises(InvalidValue, match="Estimator is a class") as error:
        save(Estimator, tmp_path / "m")
    assert "Estimator(...)" in (error.value.hint or "")


class Unready(PythonModel):
    def load_context(self, context: Any) -> None:
        context.artifacts["weights"]

    def predict(self, context: Any, model_input: Any) -> Any:  # type: ignore[override]
        return model_input


def test_a_load_context_that_fails_is_the_models_failure(tmp_path: Path) -> None:
    pack.save_model(Unready(), tmp_path / "m", code_paths=[Path(__file__)])
    with pytest.raises(ModelFailed, match="load_context failed: KeyError: 'weights'"):
        pack.pyfunc.load_model(tmp_path / "m")


def test_a_script_that_fails_is_the_models_failure(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("1 / 0", encoding="utf-8")
    with pytest.raises(ModelFailed, match=r"'model\.py' failed: ZeroDivisionError"):
        pack.save_model(tmp_path / "model.py", tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_config_that_a_script_needs_is_asked_for_when_it_is_saved(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(
        "import pack\nconfig = pack.models.ModelConfig(development_config={'a': 1})\nconfig.get('a')\n",
        encoding="utf-8",
    )
    with pytest.raises(InvalidValue, match="no key 'a'") as error:
        pack.save_model(tmp_path / "model.py", tmp_path / "m")
    assert "model_config=" in (error.value.hint or "")


class Counter(PythonModel):
    def predict(self, model_input: list[int]) -> list[int]:  # type: ignore[override]
        return model_input

    def predict_stream(self, model_input: list[int]) -> Iterator[int]:  # type: ignore[override]
        yield from range(model_input[0])


def test_a_stream_is_made_as_it_is_read_and_its_input_is_checked(tmp_path: Path) -> None:
    pack.save_model(Counter(), tmp_path / "m", code_paths=[Path(__file__)])
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.metadata.flavors["python_function"]["streamable"] is True
    stream = loaded.predict_stream([10**12])
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(pack.PackError, match="item 0: holds text"):
        loaded.predict_stream(["x"])
