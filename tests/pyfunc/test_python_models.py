"""Python models: classes, functions, scripts, loader modules, and two with code of one name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import InvalidState, InvalidValue, NotFound, SchemaMismatch
from tests import models


class Adder(pack.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.offset = int(Path(context.artifacts["offset"]).read_text(encoding="utf-8")) + context.model_config["more"]

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return model_input + self.offset

    def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        for value in model_input:
            yield value + self.offset


class Short(pack.pyfunc.PythonModel):
    def predict(self, model_input: list[dict[str, int]]) -> list[int]:  # type: ignore[override]
        return [sum(item.values()) for item in model_input]


class Plain:
    def predict(self, rows: Any) -> Any:
        return len(rows)


@pytest.fixture
def adder(tmp_path: Path) -> Path:
    (tmp_path / "offset.txt").write_text("40", encoding="utf-8")
    artifacts = {"offset": str(tmp_path / "offset.txt")}
    pack.pyfunc.save_model(tmp_path / "m", python_model=Adder(), artifacts=artifacts, model_config={"more": 1})
    return tmp_path / "m"


def test_a_python_model_has_its_context_artifacts_and_config(adder: Path) -> None:
    loaded = pack.pyfunc.load_model(adder)
    assert loaded.predict(1) == 42
    assert loaded.model_config == {"more": 1}
    assert type(loaded.unwrap_python_model()).__name__ == "Adder"
    assert (adder / "artifacts" / "offset.txt").read_text(encoding="utf-8") == "40"


def test_the_loader_lays_its_config_over_the_saved_one(adder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pack.pyfunc.load_model(adder, model_config={"more": 2}).predict(0) == 42
    monkeypatch.setenv("PACK_MODEL_CONFIG", '{"more": 3}')
    assert pack.pyfunc.load_model(adder).predict(0) == 43
    with pytest.warns(UserWarning, match="unheard"):
        assert pack.pyfunc.load_model(adder, model_config={"more": 2, "unheard": 1}).model_config == {"more": 2}


def test_a_model_that_streams_streams_and_another_says_that_it_does_not(adder: Path, tmp_path: Path) -> None:
    assert list(pack.pyfunc.load_model(adder).predict_stream([1, 2])) == [42, 43]
    pack.save_model(models.classifier(), tmp_path / "s")
    with pytest.raises(InvalidState, match="does not stream"):
        pack.pyfunc.load_model(tmp_path / "s").predict_stream([[1, 2, 3, 4]])


def test_type_hints_are_the_signature_and_check_the_data(tmp_path: Path) -> None:
    written = pack.pyfunc.save_model(tmp_path / "m", python_model=Short())
    assert written.is_signature_from_type_hint
    assert repr(written.get_input_schema()) == "[Map(str -> long) (required)]"
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict([{"a": 1, "b": 2}]) == [3]
    assert loaded.predict(pd.DataFrame({"a": [1], "b": [2]})) == [3]
    with pytest.raises(SchemaMismatch, match="item 0"):
        loaded.predict([{"a": "x"}])


def test_a_function_is_a_model(tmp_path: Path) -> None:
    def total(model_input: Any) -> Any:
        return model_input.sum(axis=1)

    pack.save_model(total, tmp_path / "m", input_example=np.ones((2, 3)))
    assert pack.pyfunc.load_model(tmp_path / "m").predict(np.ones((1, 3))).tolist() == [3.0]


def test_any_object_with_a_predict_is_a_model(tmp_path: Path) -> None:
    pack.save_model(Plain(), tmp_path / "m", code_paths=[Path(__file__)])
    assert pack.pyfunc.load_model(tmp_path / "m").predict([1, 2, 3]) == 3


def test_what_is_no_python_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no python model"):
        pack.pyfunc.save_model(tmp_path / "m", python_model=lambda: 1)
    with pytest.raises(InvalidValue, match="no python model"):
        pack.pyfunc.save_model(tmp_path / "m", python_model=lambda a, b, c: a)
    with pytest.raises(InvalidValue, match="not a Python script"):
        pack.pyfunc.save_model(tmp_path / "m", python_model="nowhere.py")


def test_a_model_from_code_runs_as_it_was_saved(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(
        "import pack\n"
        "config = pack.models.ModelConfig(development_config={'factor': 2})\n"
        "class Times(pack.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input):\n"
        "        return model_input * config.get('factor')\n"
        "pack.models.set_model(Times())\n",
        encoding="utf-8",
    )
    pack.pyfunc.save_model(tmp_path / "m", python_model=str(script), model_config={"factor": 5}, input_example=[1.0])
    script.write_text("raise SystemExit('the original is not used')", encoding="utf-8")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict(pd.DataFrame([2.0])).iloc[0, 0] == 10.0
    assert pack.pyfunc.load_model(tmp_path / "m", model_config={"factor": 7}).predict([1.0]).iloc[0, 0] == 7.0
    assert not (tmp_path / "m" / "python_model.pkl").exists()


def test_a_script_that_sets_no_model_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(InvalidState, match="sets no model"):
        pack.pyfunc.save_model(tmp_path / "m", python_model=str(tmp_path / "model.py"))


def test_a_loader_module_of_ones_own_loads_its_data(tmp_path: Path) -> None:
    (tmp_path / "my_loader.py").write_text(
        "import pathlib\n"
        "class Model:\n"
        "    def __init__(self, path): self.text = pathlib.Path(path).read_text()\n"
        "    def predict(self, rows): return [self.text] * len(rows)\n"
        "def _load_pyfunc(path): return Model(path)\n",
        encoding="utf-8",
    )
    (tmp_path / "data.txt").write_text("hello", encoding="utf-8")
    pack.pyfunc.save_model(
        tmp_path / "m", "my_loader", tmp_path / "data.txt", code_paths=[tmp_path / "my_loader.py"], pip_requirements=[]
    )
    assert pack.pyfunc.load_model(tmp_path / "m").predict([1, 2]) == ["hello", "hello"]
    assert "my_loader" not in sys.modules


def test_two_models_with_a_module_of_one_name_each_give_their_own_answers(tmp_path: Path) -> None:
    loaded = []
    for number in (1, 2):
        folder = tmp_path / f"project{number}"
        folder.mkdir()
        (folder / "shared.py").write_text(f"ANSWER = {number}\n", encoding="utf-8")
        (folder / "model.py").write_text(
            "import pack, shared\n"
            "def predict(model_input):\n"
            "    import shared as late\n"
            "    return [shared.ANSWER, late.ANSWER]\n"
            "pack.models.set_model(predict)\n",
            encoding="utf-8",
        )
        sys.path.insert(0, str(folder))
        try:
            pack.pyfunc.save_model(
                folder / "m", python_model=str(folder / "model.py"), code_paths=[folder / "shared.py"]
            )
        finally:
            sys.path.remove(str(folder))
            sys.modules.pop("shared", None)
        loaded.append(pack.pyfunc.load_model(folder / "m"))
    assert [model.predict([0]) for model in loaded] == [[1, 1], [2, 2]]
    assert [model.predict([0]) for model in reversed(loaded)] == [[2, 2], [1, 1]]


@pytest.mark.parametrize(
    "data",
    [
        models.wide_frame(3),
        models.wide_frame(3).to_dict(orient="list"),
        models.wide_frame(3).to_dict(orient="records"),
    ],
    ids=["frame", "dict", "records"],
)
def test_data_of_many_kinds_is_predicted_the_same(tmp_path: Path, data: Any) -> None:
    frame, model = models.wide_frame(3), models.wide_pipeline()
    pack.save_model(model, tmp_path / "m", input_example=frame)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict(data).tolist() == model.predict(frame).tolist()


def test_polars_arrow_and_sparse_data_are_predicted_the_same(tmp_path: Path) -> None:
    import polars as pl
    import pyarrow as pa
    import scipy.sparse

    frame, model = models.wide_frame(3), models.wide_pipeline()
    pack.save_model(model, tmp_path / "m", input_example=frame)
    loaded, expected = pack.pyfunc.load_model(tmp_path / "m"), model.predict(frame).tolist()
    assert loaded.predict(pl.from_pandas(frame)).tolist() == expected
    assert loaded.predict(pa.Table.from_pandas(frame)).tolist() == expected
    features, _ = models.iris()
    sparse = scipy.sparse.csr_matrix(features[:3])
    pack.save_model(models.classifier(), tmp_path / "s", input_example=sparse)
    assert pack.pyfunc.load_model(tmp_path / "s").predict(sparse).tolist() == [0, 0, 0]


def test_uris_that_name_nothing_say_so(tmp_path: Path) -> None:
    for uri in (
        tmp_path / "nowhere",
        "models:/none/1",
        "models:/none@champion",
        "models:/m-" + "0" * 32,
        "runs:/abc/m",
    ):
        with pytest.raises(NotFound):
            pack.pyfunc.load_model(uri)


def test_a_model_far_from_where_it_was_saved_warns_once_and_names_both(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "m", pip_requirements=["scikit-learn==0.1"])
    with pytest.warns(UserWarning, match=r"scikit-learn==0\.1 is asked for, [\d.]+ is installed") as caught:
        pack.pyfunc.load_model(tmp_path / "m")
    assert len(caught) == 1
    pack.pyfunc.load_model(tmp_path / "m", suppress_warnings=True)


def test_a_difference_in_the_last_digit_is_no_reason_to_warn(tmp_path: Path) -> None:
    from importlib.metadata import version

    major, minor, *_ = version("scikit-learn").split(".")
    pack.save_model(models.classifier(), tmp_path / "m", pip_requirements=[f"scikit-learn=={major}.{minor}.99"])
    assert pack.pyfunc.load_model(tmp_path / "m").flavor == "sklearn"


def test_dst_path_gets_a_copy_that_loads(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m", dst_path=tmp_path / "copy")
    assert loaded.home == tmp_path / "copy" / "m"
