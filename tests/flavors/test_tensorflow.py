"""The tensorflow flavor: Keras models as MLflow's flavor keeps them, modules, and other SavedModels."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import pytest

import pack
from pack import flavors
from pack.errors import Damaged, InvalidValue, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same, tells_of_code

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")
h5py = pytest.importorskip("h5py")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:(keras|tensorflow|numpy|absl|h5py|mlflow)"),
    pytest.mark.filterwarnings("ignore:.*np.object.*:FutureWarning"),
]

KERNEL = np.arange(6, dtype="float32").reshape(3, 2)


def dense() -> Any:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="out")])
    model.set_weights([KERNEL, np.ones(2, "float32")])
    return model


class Product(tf.Module):  # type: ignore[name-defined, misc]
    """`x` (rows, 3) → (rows, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(KERNEL)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def __call__(self, x: Any) -> Any:
        return x @ self.kernel


class Affine(tf.Module):  # type: ignore[name-defined, misc]
    """`x` (rows,) times `factor`, and the signs as texts."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec([None], tf.float64, name="x"), tf.TensorSpec([], tf.float64, name="factor")]
    )
    def __call__(self, x: Any, factor: Any = 2.0) -> Any:
        return {"y": x * factor, "sign": tf.where(x < 0, "minus", "+")}


def rows(count: int = 4) -> Any:
    return np.arange(3 * count, dtype="float32").reshape(count, 3)


class TestKerasInTensorFlow(FlavorInterop):
    flavor = "tensorflow"

    def model(self) -> Any:
        return dense()

    def rows(self) -> Any:
        return rows()

    def expected(self) -> Any:
        return rows() @ KERNEL + 1

    def test_it_is_detected(self) -> None:
        assert flavors.detect(self.model()) == "keras", "a Keras 3 model is a keras model wherever it was made"
        assert flavors.detect(tf.keras.Sequential()) == "keras"

    def test_the_native_model_comes_back(self, home: Path) -> None:
        assert same(pack.load_model(home, trust="safe").predict(self.rows(), verbose=0), self.expected())


class TestKerasInTensorFlowAsHDF5(TestKerasInTensorFlow):
    options: ClassVar[dict[str, Any]] = {"keras_model_kwargs": {"save_format": "h5"}}
    mlflow_options: ClassVar[dict[str, Any]] = options


class TestModule(FlavorInterop):
    flavor = "tensorflow"

    def model(self) -> Any:
        return Product()

    def rows(self) -> Any:
        return rows()

    def expected(self) -> Any:
        return rows() @ KERNEL


def save(model: Any, home: Path, **options: Any) -> Path:
    pack.tensorflow.save_model(model, home, **options)
    return home


def unsealed(home: Path, **block: Any) -> Path:
    """The directory as a stranger would send it, with these keys in its block."""
    described = Model.load(home)
    native = {**described.flavors["tensorflow"], **block}
    text = described.replace(pack=None, flavors={**described.flavors, "tensorflow": native}).to_yaml()
    (home / "MLmodel").write_text(text, encoding="utf-8")
    return home


# --- modules ----------------------------------------------------------------------------------------------------------


def test_a_module_gives_its_signature_and_frames_give_frames(tmp_path: Path) -> None:
    loaded: Any = pack.pyfunc.load_model(save(Product(), tmp_path / "m"))
    assert loaded.signature.inputs == pack.types.Schema([pack.types.TensorSpec("float32", (-1, 3))])
    assert same(loaded.predict([[1, 0, 0]]), [[0, 1]])
    frame = pd.DataFrame(rows(2), columns=list("abc"), index=[7, 8])
    framed = pack.pyfunc.load_model(save(Product(), tmp_path / "framed", input_example=frame))
    assert list(framed.predict(frame).index) == [7, 8]
    assert same(framed.predict(frame), rows(2) @ KERNEL)


def test_several_inputs_come_by_name_and_texts_go_out(tmp_path: Path) -> None:
    loaded = pack.pyfunc.load_model(save(Affine(), tmp_path / "m", signature=False))
    found = loaded.predict({"factor": 3.0 * np.ones(()), "x": np.array([1, -1])})
    assert found["y"].tolist() == [3, -3]
    assert found["sign"].tolist() == ["+", "minus"]
    with pytest.raises(SchemaMismatch, match="factor"):
        loaded.predict({"x": np.array([1])})
    frame = loaded.predict(pd.DataFrame({"x": [1.0, 2.0], "factor": [3.0, 3.0]})[["x"]]["x"].to_numpy())
    assert frame["y"].tolist() == [2, 4]


def test_params_become_keyword_arguments(tmp_path: Path) -> None:
    values = np.array([1.0, 2.0])
    signature = pack.infer_signature(values, params={"factor": 5.0})
    loaded = pack.pyfunc.load_model(save(Affine(), tmp_path / "m", signature=signature))
    assert loaded.predict(values)["y"].tolist() == [5, 10]
    assert loaded.predict(values, {"factor": 3.0})["y"].tolist() == [3, 6]


def test_a_loaded_program_can_be_saved_again(tmp_path: Path) -> None:
    native = pack.tensorflow.load_model(save(Product(), tmp_path / "m"))
    assert flavors.detect(native) == "tensorflow"
    assert same(native(rows()), rows() @ KERNEL)
    assert same(pack.pyfunc.load_model(save(native, tmp_path / "again")).predict(rows()), rows() @ KERNEL)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no model of TensorFlow's"):
        save(object(), tmp_path / "m")
    with pytest.raises(InvalidValue, match="save_format='pickle'"):
        save(dense(), tmp_path / "m", keras_model_kwargs={"save_format": "pickle"})


@pytest.mark.parametrize("key", ["serving_default", "other"])
def test_an_estimator_is_called_by_its_signature(tmp_path: Path, key: str) -> None:
    save(Affine(), tmp_path / "m", signature=False)
    unsealed(tmp_path / "m", model_type="tf1-estimator", meta_graph_tags=["serve"], signature_def_key=key)
    if key == "other":
        with pytest.raises(InvalidValue, match="serving_default"):
            pack.pyfunc.load_model(tmp_path / "m", trust=True)
        return
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust=True)
    found = loaded.predict({"x": [1.0, -2.0], "factor": np.ones(())})
    assert found["y"].tolist() == [1, -2]


def test_a_program_of_a_stranger_is_refused(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Evil(tf.Module):  # type: ignore[name-defined, misc]
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            tf.io.write_file(str(canary), "x")
            return x

    unsealed(save(Evil(), tmp_path / "m", signature=False))
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(Untrusted, match="SavedModel"):
            load(tmp_path / "m")
    assert not canary.exists()


def test_a_program_behind_a_block_that_hides_it_is_refused(tmp_path: Path) -> None:
    """A folder `model` in a Keras model's data is a program of older versions."""
    save(dense(), tmp_path / "m")
    (tmp_path / "m" / "data" / "model.keras").unlink()
    tf.saved_model.save(Product(), str(tmp_path / "m" / "data" / "model"))
    unsealed(tmp_path / "m")
    assert tells_of_code(tmp_path / "m")
    with pytest.raises(Untrusted, match="SavedModel"):
        pack.pyfunc.load_model(tmp_path / "m")
    assert same(pack.pyfunc.load_model(tmp_path / "m", trust=True).predict(rows()), rows() @ KERNEL)


def test_a_program_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(Product(), tmp_path / "m")
    load = tf.saved_model.load

    def swapped(path: str, **options: Any) -> Any:
        (tmp_path / "m" / "tf2model" / "fingerprint.pb").write_bytes(b"x")
        return load(path, **options)

    monkeypatch.setattr(tf.saved_model, "load", swapped)
    with pytest.raises(Damaged, match="changed"):
        pack.pyfunc.load_model(tmp_path / "m")


# --- Keras models -----------------------------------------------------------------------------------------------------


class Doubling(keras.layers.Layer):  # type: ignore[name-defined, misc]
    def call(self, given: Any) -> Any:
        return given * 2


def test_custom_objects_are_a_pickle_that_mlflow_reads(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), Doubling()])
    save(model, tmp_path / "m", custom_objects={"Doubling": Doubling})
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(rows()), rows() * 2)
    with pytest.raises(Untrusted, match="not trusted"):
        pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    mlflow = pytest.importorskip("mlflow")
    assert same(mlflow.pyfunc.load_model(str(tmp_path / "m")).predict(rows()), rows() * 2)


def test_custom_objects_of_mlflow_are_read_where_trusted(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    model = keras.Sequential([keras.Input((3,)), Doubling()])
    home = str(tmp_path / "m")
    mlflow.tensorflow.save_model(model, home, custom_objects={"Doubling": Doubling}, pip_requirements=["numpy"])
    with pytest.raises(Untrusted, match="custom_objects"):
        pack.pyfunc.load_model(home, suppress_warnings=True)
    assert same(pack.pyfunc.load_model(home, suppress_warnings=True, trust=True).predict(rows()), rows() * 2)


def test_the_module_of_keras_is_compared_and_never_imported(tmp_path: Path) -> None:
    save(dense(), tmp_path / "m")
    (tmp_path / "m" / "data" / "keras_module.txt").write_text("antigravity", encoding="utf-8")
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match="'antigravity' is no Keras"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


def h5(home: Path, change: Any) -> Path:
    """A model in HDF5 of a stranger, changed."""
    save(dense(), home, keras_model_kwargs={"save_format": "h5"})
    with h5py.File(home / "data" / "model.h5", "r+") as file:
        change(file)
    return unsealed(home)


def test_an_old_file_without_a_word_on_its_format_is_hdf5(tmp_path: Path) -> None:
    h5(tmp_path / "m", lambda file: None)
    (tmp_path / "m" / "data" / "save_format.txt").unlink()
    (tmp_path / "m" / "data" / "keras_module.txt").unlink()
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(rows()), rows() @ KERNEL + 1)


def changed_config(change: Any, name: str = "model_config") -> Any:
    def changing(file: Any) -> None:
        config = json.loads(file.attrs[name])
        change(config["config"]["layers"][-1])
        file.attrs[name] = json.dumps(config)

    return changing


def test_a_lambda_in_hdf5_never_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    source = f"lambda given: (open({str(canary)!r}, 'w').close(), given)[1]"
    evil = keras.saving.serialize_keras_object(keras.layers.Lambda(eval(source)))
    old = {"class_name": "Lambda", "config": {"name": "l", "function": ["x", None, None], "function_type": "lambda"}}
    for number, layer in enumerate((evil, old)):
        home = h5(tmp_path / f"m{number}", changed_config(lambda found, layer=layer: found.update(layer)))
        for load in (pack.pyfunc.load_model, pack.load_model):
            with pytest.raises(Untrusted, match="Lambda"):
                load(home)
        assert tells_of_code(home)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["Popen", "posix.system", "Evil"])
def test_a_class_that_is_not_keras_own_is_refused_in_hdf5(tmp_path: Path, name: str) -> None:
    home = h5(tmp_path / "m", changed_config(lambda layer: layer.update(class_name=name)))
    with pytest.raises(InvalidValue, match="none of Keras' own"):
        pack.pyfunc.load_model(home, trust=True)


def linked(file: Any) -> None:
    group = file["model_weights/out"]
    for name in list(group):
        del group[name]
        group[name] = h5py.ExternalLink("/etc/passwd", "x")


def bomb(file: Any) -> None:
    file["model_weights"].create_dataset("bomb", (2**20, 2**20), "float32", chunks=(1024, 1024))


def wide(file: Any) -> None:
    changed_config(lambda layer: layer["config"].update(units=10**11))(file)


@pytest.mark.parametrize(("change", "message"), [(linked, "link"), (bomb, "declares"), (wide, "describes a model of")])
def test_a_hostile_hdf5_file_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    home = h5(tmp_path / "m", change)
    for trust in ("safe", True):
        with pytest.raises(InvalidValue, match=message):
            pack.pyfunc.load_model(home, trust=trust)


@pytest.mark.parametrize("data", [b"", b"x" * 100, b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_what_is_no_hdf5_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    home = save(dense(), tmp_path / "m", keras_model_kwargs={"save_format": "h5"})
    (home / "data" / "model.h5").write_bytes(data)
    with pytest.raises(InvalidValue, match=r"model\.h5"):
        pack.pyfunc.load_model(unsealed(home))


# --- what is imported -------------------------------------------------------------------------------------------------


def test_importing_pack_and_its_doors_imports_no_framework(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, pack, pack.keras, pack.tensorflow; print({'keras', 'tensorflow', 'h5py'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
