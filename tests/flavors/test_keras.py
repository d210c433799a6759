"""The keras flavor."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import InvalidValue, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from tests.contracts.flavor import FlavorInterop, same, tells_of_code

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")
h5py = pytest.importorskip("h5py")

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:(keras|tensorflow|numpy|absl|h5py|mlflow)"),
    pytest.mark.filterwarnings("ignore:.*np.object.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer:UserWarning"),
]


def dense(units: int = 2, **options: Any) -> Any:
    """(rows, 3) → (rows, units), each weight another number."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, name="out", **options)])
    kernel = np.arange(3 * units, dtype="float32").reshape(3, units)
    model.set_weights([kernel, np.ones(units, "float32")])
    return model


def of_two(*, as_dict: bool = False) -> Any:
    """`left` (rows, 2) and `right` (rows, 1), a whole number → one array, the sum of both."""
    left, right = keras.Input((2,), name="left"), keras.Input((1,), name="right", dtype="int32")
    number = keras.layers.Flatten()(keras.layers.Embedding(4, 1, embeddings_initializer="ones", name="e")(right))
    total = keras.layers.Add()([keras.layers.Dense(1, kernel_initializer="ones", name="d")(left), number])
    return keras.Model({"left": left, "right": right} if as_dict else [left, right], total)


def rows(count: int = 4) -> Any:
    return np.arange(3 * count, dtype="float32").reshape(count, 3)


class TestKeras(FlavorInterop):
    flavor = "keras"

    def model(self) -> Any:
        return dense()

    def rows(self) -> Any:
        return rows()

    def expected(self) -> Any:
        return rows() @ np.arange(6, dtype="float32").reshape(3, 2) + 1


class TestKerasExported(TestKeras):
    options: ClassVar[dict[str, Any]] = {"save_exported_model": True}
    mlflow_options: ClassVar[dict[str, Any]] = {"save_exported_model": True}

    def test_the_native_model_comes_back(self, home: Path) -> None:
        assert same(pack.load_model(home).serve(self.rows()), self.expected())


class TestKerasOnFrames(TestKeras):
    def rows(self) -> Any:
        return pd.DataFrame(rows(), columns=list("abc"), index=[4, 3, 2, 1])

    def test_we_predict_the_same_with_mlflows(self, home: Path, mlflow: Any, tmp_path: Path) -> None:
        """MLflow writes signatures of tensors only, so this one has none."""
        mlflow.keras.save_model(self.model(), str(tmp_path / "theirs"), pip_requirements=["numpy"])
        loaded = pack.pyfunc.load_model(tmp_path / "theirs", suppress_warnings=True)
        assert same(loaded.predict(self.rows()), self.expected())


def save(model: Any, home: Path, **options: Any) -> Path:
    pack.keras.save_model(model, home, **options)
    return home


def unsealed(home: Path) -> Path:
    """The directory as a stranger would send it: without digests, and not recorded as ours."""
    (home / "MLmodel").write_text(Model.load(home).replace(pack=None).to_yaml(), encoding="utf-8")
    return home


def changed(home: Path, change: Any, *, name: str = "config.json") -> Path:
    """The directory with another member in its archive; `change` makes the new bytes from the old."""
    path = home / "data" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    members[name] = change(members.get(name, b""))
    with zipfile.ZipFile(path, "w") as archive:
        for one, data in members.items():
            archive.writestr(one, data)
    return unsealed(home)


def with_layer(**layer: Any) -> Any:
    """A change that lays these keys over the dense layer of a config."""

    def change(data: bytes) -> bytes:
        config = json.loads(data)
        config["config"]["layers"][-1] |= layer
        return json.dumps(config).encode()

    return change


# --- what goes in and comes out ---------------------------------------------------------------------------------------


def test_the_model_gives_the_signature_and_no_example_is_needed(tmp_path: Path) -> None:
    loaded: Any = pack.pyfunc.load_model(save(dense(), tmp_path / "m"))
    spec = pack.types.TensorSpec
    assert loaded.signature.inputs == pack.types.Schema([spec("float32", (-1, 3))])
    assert loaded.signature.outputs == pack.types.Schema([spec("float32", (-1, 2))])
    assert same(loaded.predict([[1, 0, 0], [0, 0, 0]]), [[1, 2], [1, 1]])
    with pytest.raises(SchemaMismatch, match="shape"):
        loaded.predict(np.ones((2, 4), "float32"))


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("exported", [False, True])
def test_several_inputs_are_given_by_name(tmp_path: Path, as_dict: bool, exported: bool) -> None:
    loaded: Any = pack.pyfunc.load_model(save(of_two(as_dict=as_dict), tmp_path / "m", save_exported_model=exported))
    assert loaded.signature.inputs.input_names() == ["left", "right"]
    given = {"right": np.array([[1], [2]]), "left": np.array([[1.0, 2.0], [3.0, 4.0]], "float32")}
    assert same(loaded.predict(given), [[4], [8]])
    with pytest.raises(SchemaMismatch, match="right"):
        loaded.predict({"left": given["left"]})


@pytest.mark.parametrize("exported", [False, True])
def test_without_a_signature_all_shapes_of_data_are_taken(tmp_path: Path, exported: bool) -> None:
    options = {"signature": False, "save_exported_model": exported}
    one = pack.pyfunc.load_model(save(dense(), tmp_path / "one", **options))
    expected = one.predict(np.eye(3, dtype="float32"))
    assert isinstance(expected, np.ndarray)
    for data in (np.eye(3), np.eye(3, dtype="int64"), np.eye(3).tolist(), tuple(np.eye(3).tolist())):
        assert same(one.predict(data), expected)
    frame = one.predict(pd.DataFrame(np.eye(3), index=list("xyz")))
    assert list(frame.index) == list("xyz")
    assert same(frame, expected)
    cells = pd.DataFrame({"row": list(np.eye(3))})
    assert same(one.predict(cells), expected)
    with pytest.raises(SchemaMismatch, match="object"):
        one.predict(object())
    two = pack.pyfunc.load_model(save(of_two(), tmp_path / "two", **options))
    left, right = np.array([[1.0, 2.0]]), np.array([[3]])
    assert same(two.predict([left, right]), [[4]])
    assert same(two.predict({"left": left, "right": right}), [[4]])
    with pytest.raises(SchemaMismatch, match="2 inputs"):
        two.predict(left)


def test_a_column_for_each_input(tmp_path: Path) -> None:
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b", dtype="int32")
    model = keras.Model([a, b], keras.layers.Add()([a, keras.ops.cast(b, "float32")]))
    frame = pd.DataFrame({"b": [1, 2], "a": [0.5, 1.5]})
    loaded = pack.pyfunc.load_model(save(model, tmp_path / "m", input_example=frame))
    assert same(loaded.predict(frame), [[1.5], [3.5]])
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(frame.iloc[:1]), [[1.5]])


def test_several_outputs_keep_their_form(tmp_path: Path) -> None:
    given = keras.Input((3,), name="x")
    first, second = keras.layers.Dense(1, name="p")(given), keras.layers.Dense(2, name="q")(given)
    listed: Any = pack.pyfunc.load_model(save(keras.Model(given, [first, second]), tmp_path / "list"))
    found = listed.predict(rows())
    assert [one.shape for one in found] == [(4, 1), (4, 2)]
    assert listed.signature.outputs.input_names() == ["p", "q"]
    model = keras.Model(given, {"one": first, "two": second})
    named = pack.pyfunc.load_model(save(model, tmp_path / "dict"))
    assert {name: one.shape for name, one in named.predict(rows()).items()} == {"one": (4, 1), "two": (4, 2)}
    frame = pd.DataFrame(rows(), columns=list("abc"))
    loaded = pack.pyfunc.load_model(save(model, tmp_path / "frame", signature=False))
    answer = loaded.predict(frame)
    assert list(answer.columns) == ["one", "two"]
    assert np.shape(answer["two"][0]) == (2,)


def test_texts_go_in(tmp_path: Path) -> None:
    words = keras.layers.StringLookup(vocabulary=["a", "é"])
    model = keras.Sequential([keras.Input((1,), dtype="string"), words, keras.layers.Flatten()])
    loaded: Any = pack.pyfunc.load_model(save(model, tmp_path / "m"), trust="safe")
    assert loaded.signature.inputs.input_types() == [np.dtype("str")]
    assert loaded.predict([["é"], ["a"], ["z"]]).ravel().tolist() == [2, 1, 0]


@pytest.mark.parametrize("count", [0, 1, 32, 33, 100])
def test_any_number_of_rows(tmp_path: Path, count: int) -> None:
    loaded = pack.pyfunc.load_model(save(dense(), tmp_path / "m"))
    assert same(loaded.predict(rows(count)), rows(count) @ np.arange(6).reshape(3, 2) + 1)


def test_params_are_those_of_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(dense(), tmp_path / "m", input_example=(rows(), {"batch_size": 3}))
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    seen: dict[str, Any] = {}
    monkeypatch.setattr(
        loaded.get_raw_model(), "predict", lambda given, **options: seen.update(options) or given, raising=True
    )
    loaded.predict(rows(), {"batch_size": 2})
    assert seen == {"batch_size": 2, "verbose": 0}
    with pytest.raises(InvalidValue, match="no param"):
        loaded.predict(rows(), {"steps": 2})


def test_rows_are_independent_where_every_layer_looks_at_one(tmp_path: Path) -> None:
    given = keras.Input((3,))
    mixed = keras.Model(given, given - keras.ops.mean(given, axis=0, keepdims=True))
    fixed = keras.Sequential([keras.Input(batch_shape=(4, 3)), keras.layers.Dense(1)])
    over_rows = keras.Sequential([keras.Input((3,)), keras.layers.Softmax(axis=0)])
    sequence = keras.Sequential([keras.Input(batch_shape=(None, 2, 3)), keras.layers.Dense(1)])
    nested = keras.Sequential([keras.Input((3,)), dense(), keras.layers.BatchNormalization()])
    models = {
        "plain": dense(), "mixed": mixed, "fixed": fixed,
        "over_rows": over_rows, "sequence": sequence, "nested": nested,
    }  # fmt: skip
    found = {
        name: pack.pyfunc.load_model(save(model, tmp_path / name)).rows_are_independent
        for name, model in models.items()
    }
    assert found == {
        "plain": True, "mixed": False, "fixed": False, "over_rows": False, "sequence": True, "nested": True,
    }  # fmt: skip


# --- what is saved ----------------------------------------------------------------------------------------------------


def test_the_native_model_is_compiled_as_it_was(tmp_path: Path) -> None:
    model = dense()
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(rows(), np.zeros((4, 2)), verbose=0)
    save(model, tmp_path / "m")
    native = pack.keras.load_model(tmp_path / "m", trust="safe")
    assert native.optimizer.name == "adam"
    assert int(native.optimizer.iterations) == 1
    assert not pack.keras.load_model(tmp_path / "m", load_model_kwargs={"compile": False}).compiled
    with pytest.raises(InvalidValue, match="mmap"):
        pack.keras.load_model(tmp_path / "m", load_model_kwargs={"mmap": True})


def test_its_environment_names_the_backend(tmp_path: Path) -> None:
    save(dense(), tmp_path / "m")
    names = {line.partition("==")[0] for line in (tmp_path / "m" / "requirements.txt").read_text().splitlines()}
    assert {"keras", "tensorflow"} <= names


def test_a_model_without_weights_is_refused(tmp_path: Path) -> None:
    for options in ({}, {"save_exported_model": True}):
        with pytest.raises(InvalidValue, match="no weights yet"):
            save(keras.Sequential([keras.layers.Dense(2)]), tmp_path / "m", **options)
    with pytest.raises(InvalidValue, match=r"not a keras\.Model"):
        save(object(), tmp_path / "m")
    with pytest.raises(InvalidValue, match="zipped"):
        save(dense(), tmp_path / "m", save_model_kwargs={"zipped": False})


def test_all_kinds_of_own_layers_load_in_safe_mode(tmp_path: Path) -> None:
    layers = keras.layers
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", kernel_regularizer="l2")(layers.Rescaling(0.1)(given))
    x = layers.RandomFlip()(layers.LayerNormalization()(layers.BatchNormalization()(x)))
    x = layers.MaxPooling2D()(layers.Activation(keras.ops.relu)(x))
    x = layers.Reshape((16, 4))(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True, seed=2**30))(x)
    x = layers.MultiHeadAttention(2, 2)(x, x)
    x = layers.TimeDistributed(layers.Dense(3, activation=layers.LeakyReLU(0.2)))(x)
    x = layers.Dropout(0.5)(layers.GlobalAveragePooling1D()(x)) * 2.0 + np.ones((1, 3), "float32")
    x = layers.Dense(2, kernel_constraint=keras.constraints.MaxNorm(1.0), activation=keras.activations.gelu)(x)
    model = keras.Model(given, layers.Normalization(mean=1.0, variance=2.0)(x))
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model.compile(keras.optimizers.Adam(schedule), keras.losses.Huber(), metrics=["mae", keras.metrics.AUC()])
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    save(model, tmp_path / "m")
    assert same(pack.pyfunc.load_model(tmp_path / "m", trust="safe").predict(images), model.predict_on_batch(images))
    assert pack.keras.load_model(tmp_path / "m", trust="safe").compiled


# --- code of the user's, code of the model's --------------------------------------------------------------------------


class Doubling(keras.layers.Layer):  # type: ignore[name-defined, misc]
    """A layer that nobody has registered."""

    def call(self, given: Any) -> Any:
        return given * 2


def doubling() -> Any:
    return keras.Sequential([keras.Input((3,)), Doubling()])


def test_a_layer_of_ones_own_is_given_or_registered(tmp_path: Path) -> None:
    save(doubling(), tmp_path / "m")
    with pytest.raises(InvalidValue, match=r"Doubling.*none of Keras' own"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)
    native = pack.keras.load_model(tmp_path / "m", custom_objects={"Doubling": Doubling}, trust="safe")
    assert same(native(rows()), rows() * 2)
    with keras.saving.custom_object_scope({"Doubling": Doubling}):
        keras.saving.get_custom_objects()["Doubling"] = Doubling
        try:
            assert same(pack.pyfunc.load_model(tmp_path / "m", trust="safe").predict(rows()), rows() * 2)
        finally:
            del keras.saving.get_custom_objects()["Doubling"]


def test_custom_objects_are_a_pickle_and_run_code(tmp_path: Path) -> None:
    save(doubling(), tmp_path / "m", custom_objects={"Doubling": Doubling})
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(rows()), rows() * 2)
    with pytest.raises(Untrusted, match="not trusted"):
        pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert "cloudpickle" in (tmp_path / "m" / "requirements.txt").read_text()


MODULE = """
import keras

open({canary!r}, "w").close()

@keras.saving.register_keras_serializable("mine")
class Tripling(keras.layers.Layer):
    def call(self, given):
        return given * 3
"""


def test_a_layer_comes_from_the_code_that_travels_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "tripling_layers.py").write_text(MODULE.format(canary=str(canary)), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import tripling_layers  # type: ignore[import-not-found]

    model = keras.Sequential([keras.Input((3,)), tripling_layers.Tripling()])
    save(model, tmp_path / "m", code_paths=[tmp_path / "tripling_layers.py"])
    del sys.modules["tripling_layers"], keras.saving.get_custom_objects()["mine>Tripling"]
    monkeypatch.undo()
    (tmp_path / "tripling_layers.py").unlink()
    canary.unlink()
    with pytest.raises(Untrusted, match="Tripling"):
        pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert tells_of_code(tmp_path / "m")
    assert not canary.exists()
    assert same(pack.pyfunc.load_model(tmp_path / "m", trust=True).predict(rows()), rows() * 3)
    assert canary.exists()
    assert "mine>Tripling" not in keras.saving.get_custom_objects()


def test_a_lambda_loads_where_the_model_is_trusted_only(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda given: given * 2)])
    save(model, tmp_path / "m")
    assert Model.load(tmp_path / "m").flavors["keras"]["runs_code"] is True
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(rows()), rows() * 2)
    with pytest.raises(Untrusted, match="not trusted"):
        pack.pyfunc.load_model(tmp_path / "m", trust="safe")


# --- hostile files ----------------------------------------------------------------------------------------------------


def lambda_that_touches(path: Path) -> dict[str, Any]:
    """The config of a Lambda layer whose code makes a file."""
    source = f"lambda given: (open({str(path)!r}, 'w').close(), given)[1]"
    config: dict[str, Any] = keras.saving.serialize_keras_object(keras.layers.Lambda(eval(source)))
    return config


@pytest.mark.parametrize("options", [{}, {"load_model_kwargs": {"safe_mode": False}}])
@pytest.mark.parametrize("disguise", [{}, {"registered_name": "keras>Dense"}, {"module": "keras.src.layers"}])
def test_a_smuggled_lambda_never_runs(tmp_path: Path, disguise: dict[str, Any], options: dict[str, Any]) -> None:
    canary = tmp_path / "canary"
    changed(save(dense(), tmp_path / "m"), with_layer(**{**lambda_that_touches(canary), **disguise}))
    block = Model.load(tmp_path / "m")
    evil = {**block.flavors["keras"], "safe_mode": False, "load_model_kwargs": {"safe_mode": False}}
    text = block.replace(flavors={**block.flavors, "keras": evil}).to_yaml()
    (tmp_path / "m" / "MLmodel").write_text(text, encoding="utf-8")
    with pytest.raises(Untrusted, match="Lambda"):
        pack.pyfunc.load_model(tmp_path / "m")
    with pytest.raises(Untrusted, match="Lambda"):
        pack.keras.load_model(tmp_path / "m", **options)
    assert tells_of_code(tmp_path / "m")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"module": "os", "class_name": "system", "config": {"command": "true"}}, "none of Keras' own"),
        ({"module": "subprocess", "class_name": "Popen", "registered_name": None}, "none of Keras' own"),
        ({"module": "keras_hub.evil", "class_name": "Evil", "registered_name": "Evil"}, "none of Keras' own"),
        ({"module": "keras.src.evil", "class_name": "Evil", "registered_name": "Evil"}, "none of Keras' own"),
        ({"module": "keras.src.utils.file_utils", "class_name": "File"}, "none of Keras' own"),
        ({"class_name": "function", "module": "keras.utils", "config": "get_file"}, "none of Keras' own"),
        ({"class_name": "function", "module": "builtins", "config": "eval"}, "none of Keras' own"),
        ({"class_name": "__typespec__", "spec_name": "x", "module": "os"}, "none of Keras' own"),
        ({"class_name": ["Dense"]}, "not text"),
    ],
)
def test_what_is_not_keras_own_is_never_imported(tmp_path: Path, layer: dict[str, Any], message: str) -> None:
    changed(save(dense(), tmp_path / "m"), with_layer(**layer))
    for trust in ("safe", True):
        with pytest.raises(InvalidValue, match=message):
            pack.pyfunc.load_model(tmp_path / "m", trust=trust)
    assert "keras_hub" not in sys.modules
    assert "keras.src.evil" not in sys.modules


@pytest.mark.parametrize("name", ["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "Lambda"])
def test_layers_that_bring_code_are_refused(tmp_path: Path, name: str) -> None:
    changed(save(dense(), tmp_path / "m"), with_layer(module="keras.layers", class_name=name, config={"name": "x"}))
    assert tells_of_code(tmp_path / "m")
    with pytest.raises(Untrusted, match=name):
        pack.pyfunc.load_model(tmp_path / "m")


def test_no_file_of_this_machine_is_read_for_a_vocabulary(tmp_path: Path) -> None:
    config = {"name": "s", "vocabulary": "/etc/passwd", "max_tokens": None}
    changed(save(dense(), tmp_path / "m"), with_layer(class_name="StringLookup", config=config))
    with pytest.raises(Untrusted, match="another file"):
        pack.pyfunc.load_model(tmp_path / "m")


def weights(change: Any) -> Any:
    """A change of the HDF5 file inside an archive."""

    def changing(data: bytes) -> bytes:
        held = io.BytesIO(data)
        with h5py.File(held, "r+") as file:
            change(file["layers"]["dense"]["vars"])
        return held.getvalue()

    return changing


def replace(group: Any, value: Any) -> None:
    del group["0"]
    group["0"] = value


def virtual(group: Any) -> None:
    del group["0"]
    layout = h5py.VirtualLayout((3, 2), "float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (3, 2))
    group.create_virtual_dataset("0", layout)


def outside(group: Any) -> None:
    del group["0"]
    group.create_dataset("0", (3, 2), "float32", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def bomb(group: Any) -> None:
    del group["0"]
    group.create_dataset("0", (2**20, 2**20), "float32", chunks=(1024, 1024))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda group: replace(group, h5py.ExternalLink("/etc/passwd", "x")), "link"),
        (lambda group: replace(group, h5py.SoftLink("/layers/dense/vars/1")), "link"),
        (virtual, "another file"),
        (outside, "another file"),
        (bomb, "declares"),
    ],
    ids=["external", "soft", "virtual", "outside", "bomb"],
)
def test_weights_are_in_the_file_and_nowhere_else(tmp_path: Path, change: Any, message: str) -> None:
    changed(save(dense(), tmp_path / "m"), weights(change), name="model.weights.h5")
    for trust in ("safe", True):
        with pytest.raises(InvalidValue, match=message):
            pack.pyfunc.load_model(tmp_path / "m", trust=trust)


def test_a_config_of_more_weights_than_there_are_is_refused(tmp_path: Path) -> None:
    def change(data: bytes) -> bytes:
        config = json.loads(data)
        config["config"]["layers"][-1]["config"]["units"] = 10**11
        return json.dumps(config).encode()

    changed(save(dense(), tmp_path / "m"), change)
    with pytest.raises(InvalidValue, match=r"describes a model of 1,600,000,000,000 bytes"):
        pack.pyfunc.load_model(tmp_path / "m")
    with keras.StatelessScope():
        pass
    assert same(dense()(rows()[:1]), [[11, 14]])


@pytest.mark.parametrize("name", ["../../evil.txt", "/evil.txt", "assets\\..\\evil.txt"])
def test_members_outside_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    changed(save(dense(), tmp_path / "m"), lambda _: b"x", name=name)
    with pytest.raises(InvalidValue, match="outside"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


def test_an_archive_that_unpacks_to_much_more_is_refused(tmp_path: Path) -> None:
    path = save(dense(), tmp_path / "m") / "data" / "model.keras"
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(64 * 2**20))
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match="declares"):
        pack.pyfunc.load_model(tmp_path / "m")


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + bytes(18), b"\x89HDF\r\n\x1a\n" + bytes(50), b"x" * 100])
def test_what_is_no_archive_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    save(dense(), tmp_path / "m")
    (tmp_path / "m" / "data" / "model.keras").write_bytes(data)
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match=r"model\.keras"):
        pack.pyfunc.load_model(tmp_path / "m")


def test_a_compressed_archive_of_the_same_model_loads(tmp_path: Path) -> None:
    path = save(dense(), tmp_path / "m") / "data" / "model.keras"
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, data in members.items():
            archive.writestr(one, data)
    unsealed(tmp_path / "m")
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(rows()[:1]), [[11, 14]])


def test_an_exported_model_of_a_stranger_is_refused(tmp_path: Path) -> None:
    unsealed(save(dense(), tmp_path / "m", save_exported_model=True))
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(Untrusted, match="SavedModel"):
            load(tmp_path / "m")


@pytest.mark.parametrize("place", ["../other", "/etc", "data/../../other"])
def test_the_folder_is_inside_the_model(tmp_path: Path, place: str) -> None:
    save(dense(), tmp_path / "m")
    save(dense(), tmp_path / "other")
    described = Model.load(tmp_path / "m")
    block = {**described.flavors["keras"], "data": place}
    text = described.replace(pack=None, flavors={**described.flavors, "keras": block}).to_yaml()
    (tmp_path / "m" / "MLmodel").write_text(text, encoding="utf-8")
    with pytest.raises(pack.PackError, match=r"outside the model|no file"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)


# --- other backends ---------------------------------------------------------------------------------------------------

ELSEWHERE = """
import sys, numpy as np, pack
loaded = pack.pyfunc.load_model(sys.argv[1], trust="safe")
import keras
print(keras.backend.backend(), loaded.predict(np.ones((1, 3), "float32")).tolist())
pack.keras.save_model(loaded.get_raw_model(), sys.argv[2])
"""


def test_another_backend_loads_and_saves_it(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    save(dense(), tmp_path / "m")
    found = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, str(tmp_path / "m"), str(tmp_path / "torch")],
        capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "torch"}, check=False,
    )  # fmt: skip
    assert found.stdout.split("\n")[0] == "torch [[7.0, 10.0]]", found.stderr[-2000:]
    assert Model.load(tmp_path / "torch").flavors["keras"]["keras_backend"] == "torch"
    assert "torch==" in (tmp_path / "torch" / "requirements.txt").read_text()
    assert same(pack.pyfunc.load_model(tmp_path / "torch", suppress_warnings=True).predict(rows()[:1]), [[11, 14]])
