"""The onnx flavor."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import Damaged, InvalidValue, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same, tells_of_code

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def linear(rows: Any = "n", *, weights: Any = None, kind: int | None = None) -> Any:
    """A graph of one matrix product, `x` (rows, 3) → `y` (rows, 2)."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT if kind is None else kind
    weights = np.arange(6, dtype="float32").reshape(3, 2) if weights is None else weights
    weights = weights.astype(helper.tensor_dtype_to_np_dtype(kind))
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", kind, [rows, weights.shape[0]])],
        [helper.make_tensor_value_info("y", kind, [rows, weights.shape[1]])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def of_two(*wide: Any) -> Any:
    """`a` and `b` (n,) → `sum` (n,) and `texts` (n,), which are numbers as text; with `wide` 1, `a` is (n, 1)."""
    helper, proto = onnx.helper, onnx.TensorProto
    first = [
        helper.make_node("Reshape", ["a", "flat"], ["narrow"]),
        helper.make_node("Add", ["narrow", "b"], ["sum"]),
        helper.make_node("Cast", ["b"], ["texts"], to=proto.STRING),
    ]
    graph = helper.make_graph(
        first,
        "two",
        [
            helper.make_tensor_value_info("a", proto.DOUBLE, ["n", *wide]),
            helper.make_tensor_value_info("b", proto.DOUBLE, ["n"]),
        ],
        [
            helper.make_tensor_value_info("sum", proto.DOUBLE, ["n"]),
            helper.make_tensor_value_info("texts", proto.STRING, ["n"]),
        ],
        [helper.make_tensor("flat", proto.INT64, [1], [-1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class TestONNX(FlavorInterop):
    flavor = "onnx"

    def model(self) -> Any:
        return linear()

    def rows(self) -> Any:
        return np.arange(12, dtype="float32").reshape(4, 3)

    def expected(self) -> Any:
        return {"y": self.rows() @ np.arange(6, dtype="float32").reshape(3, 2)}


class TestONNXWithTensorsOutside(TestONNX):
    options: ClassVar[dict[str, Any]] = {"save_as_external_data": True}

    def model(self) -> Any:
        return linear(weights=np.ones((3, 500), "float32"))

    def expected(self) -> Any:
        return {"y": self.rows() @ np.ones((3, 500), "float32")}


class TestONNXOnFrames(FlavorInterop):
    flavor = "onnx"

    def model(self) -> Any:
        return of_two()

    def rows(self) -> Any:
        return pd.DataFrame({"a": [1.0, 2.5], "b": [3.0, 4.0]})

    def expected(self) -> Any:
        return pd.DataFrame({"sum": [4.0, 6.5], "texts": ["3", "4"]})


def test_the_graph_gives_the_signature_and_no_example_is_needed(tmp_path: Path) -> None:
    pack.onnx.save_model(of_two(1), tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.signature is not None
    assert str(loaded.signature.inputs) == str(
        pack.types.Schema(
            [pack.types.TensorSpec("float64", (-1, 1), "a"), pack.types.TensorSpec("float64", (-1,), "b")]
        )
    )
    found = loaded.predict({"a": np.array([[1.0]]), "b": np.array([2.0])})
    assert (found["sum"].tolist(), found["texts"].tolist()) == ([3.0], ["2"])
    with pytest.raises(SchemaMismatch, match="'b'"):
        loaded.predict({"a": np.array([[1.0]])})


def test_a_column_becomes_an_input_of_one_column(tmp_path: Path) -> None:
    frame = TestONNXOnFrames().rows()
    pack.save_model(of_two(1), tmp_path / "m", input_example=frame)
    assert pack.pyfunc.load_model(tmp_path / "m").predict(frame)["sum"].tolist() == [4.0, 6.5]


def test_a_frame_becomes_the_only_input(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": [1.0, 2.0], "q": [0.0, 1.0], "r": [3.0, 1.0]})
    pack.save_model(linear(), tmp_path / "m", input_example=frame)
    found = pack.pyfunc.load_model(tmp_path / "m").predict(frame)
    assert same(np.stack(found["y"]), frame.to_numpy() @ np.arange(6).reshape(3, 2))


def test_numbers_become_what_the_graph_wants(tmp_path: Path) -> None:
    pack.save_model(linear(), tmp_path / "m", signature=False)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert same(loaded.predict(np.eye(3)), loaded.predict(np.eye(3, dtype="int64")))
    with pytest.raises(SchemaMismatch, match="2 inputs, one array came"):
        pack.save_model(of_two(), tmp_path / "n", signature=False)
        pack.pyfunc.load_model(tmp_path / "n").predict(np.eye(3))


@pytest.mark.parametrize(("rows", "expected"), [("n", True), (None, True), (4, False)])
def test_rows_are_independent_where_their_number_is_free(tmp_path: Path, rows: Any, expected: bool) -> None:
    pack.save_model(linear(rows), tmp_path / "m")
    assert pack.pyfunc.load_model(tmp_path / "m").rows_are_independent is expected


def test_providers_and_options_are_kept_and_used(tmp_path: Path) -> None:
    options = {"execution_mode": "PARALLEL", "graph_optimization_level": 1, "intra_op_num_threads": 2}
    pack.onnx.save_model(
        linear(), tmp_path / "m", onnx_session_options=options, onnx_execution_providers=["CPUExecutionProvider"]
    )
    session = pack.pyfunc.load_model(tmp_path / "m").get_raw_model()
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert session.get_session_options().intra_op_num_threads == 2
    assert Model.load(tmp_path / "m").flavors["onnx"]["onnx_session_options"] == options
    with pytest.raises(InvalidValue, match="speed='high'"):
        pack.onnx.save_model(linear(), tmp_path / "n", onnx_session_options={"speed": "high"})


def of_a_stranger(home: Path, **said: Any) -> Path:
    """The model, its block saying something else."""
    pack.onnx.save_model(linear(weights=np.ones((3, 500), "float32")), home, save_as_external_data=True)
    described = Model.load(home).replace(pack=None)
    described.flavors["onnx"].update(said)
    (home / "MLmodel").write_text(described.to_yaml(), encoding="utf-8")
    return home


@pytest.mark.parametrize("name", ["collect_node_memory_stats_to_file", "model_external_initializers_file_folder_path"])
def test_a_model_has_no_file_read_or_written_elsewhere(tmp_path: Path, name: str) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "model.onnx.data").write_bytes(b"\1" * 6000)
    place = tmp_path / ("secrets" if name.endswith("path") else "written")
    options = {"extra_session_config": {f"session.{name}": str(place)}}
    home = of_a_stranger(tmp_path / "m", onnx_session_options=options)
    assert tells_of_code(home)
    for trust in (None, "safe"):
        with pytest.raises(Untrusted, match=name):
            pack.pyfunc.load_model(home, trust=trust)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    "name", ["trt_extra_plugin_lib_paths", "backend_path", "user_compute_stream", "gpu_external_alloc"]
)
def test_a_model_has_no_library_loaded_and_no_address_called(tmp_path: Path, name: str) -> None:
    home = of_a_stranger(tmp_path / "m", providers=[["CUDAExecutionProvider", {"device_id": 0, name: "evil"}]])
    assert tells_of_code(home)
    with pytest.raises(Untrusted, match=name):
        pack.pyfunc.load_model(home)


def test_numbers_and_switches_are_a_models_to_choose(tmp_path: Path) -> None:
    entries = {"session.intra_op.allow_spinning": "0", "session.set_denormal_as_zero": "1"}
    providers = [["CUDAExecutionProvider", {"device_id": 0, "gpu_mem_limit": 2**30}]]
    options = {"extra_session_config": entries, "intra_op_num_threads": 1}
    home = of_a_stranger(tmp_path / "m", providers=providers, onnx_session_options=options)
    assert not tells_of_code(home)
    session = pack.pyfunc.load_model(home, trust="safe").get_raw_model()
    assert session.get_session_options().get_session_config_entry("session.set_denormal_as_zero") == "1"


@pytest.mark.parametrize(
    "said", [{"onnx_session_options": "x"}, {"onnx_session_options": {"extra_session_config": 1}}, {"providers": [5]}]
)
def test_options_that_make_no_sense_are_a_clear_error(tmp_path: Path, said: dict[str, Any]) -> None:
    home = of_a_stranger(tmp_path / "m", **said)
    with pytest.raises(InvalidValue, match=r"must be a dict|is no provider"):
        pack.pyfunc.load_model(home, trust=True)


def test_a_provider_that_is_not_here_is_named(tmp_path: Path) -> None:
    pack.onnx.save_model(linear(), tmp_path / "m", onnx_execution_providers=["NoSuchProvider"])
    with pytest.warns(UserWarning, match="NoSuchProvider"):
        loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.get_raw_model().get_providers() == ["CPUExecutionProvider"]


def test_the_graph_itself_comes_back_whole(tmp_path: Path) -> None:
    model = linear(weights=np.ones((3, 500), "float32"))
    before = model.SerializeToString()
    pack.onnx.save_model(model, tmp_path / "m", save_as_external_data=True)
    assert model.SerializeToString() == before, "the caller's graph keeps its tensors"
    assert (tmp_path / "m" / "model.onnx").stat().st_size < 1000
    found = pack.onnx.load_model(tmp_path / "m")
    assert same(onnx.numpy_helper.to_array(found.graph.initializer[0]), np.ones((3, 500)))


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "C:secret", ""])
def test_tensors_outside_of_the_model_are_never_looked_at(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").write_bytes(b"\0" * 6000)
    pack.onnx.save_model(
        linear(weights=np.ones((3, 500), "float32")), tmp_path / "m", save_as_external_data=True, signature=False
    )
    graph = onnx.load_model(str(tmp_path / "m" / "model.onnx"), load_external_data=False)
    for entry in graph.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = place
    (tmp_path / "m" / "model.onnx").write_bytes(graph.SerializeToString())
    unsealed = Model.load(tmp_path / "m").replace(pack=None)
    (tmp_path / "m" / "MLmodel").write_text(unsealed.to_yaml(), encoding="utf-8")
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(InvalidValue, match="outside the model"):
            load(tmp_path / "m", trust=True)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    pack.onnx.save_model(linear(weights=np.ones((3, 500), "float32")), tmp_path / "m", save_as_external_data=True)
    session = onnxruntime.InferenceSession

    def swapped(source: Any, *given: Any, **options: Any) -> Any:
        (tmp_path / "m" / "model.onnx.data").write_bytes(b"\1" * 6000)
        return session(source, *given, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", swapped)
    with pytest.raises(Damaged, match=r"model\.onnx\.data.* changed"):
        pack.pyfunc.load_model(tmp_path / "m")


def test_nothing_is_reported_and_no_identifier_is_left_on_the_disk(tmp_path: Path) -> None:
    pack.save_model(linear(), "model")
    told = {name: value for name, value in os.environ.items() if name not in {"CI", "ORT_DISABLE_TELEMETRY"}}
    told |= {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}
    (tmp_path / "home").mkdir()
    code = "import pack; pack.pyfunc.load_model('model')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], env=told, check=True)
    assert not [*(tmp_path / "home").rglob("*onnxruntime*")]
