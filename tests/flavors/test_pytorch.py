"""The pytorch flavor."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import Damaged, InvalidValue, MissingPackage, SchemaMismatch, Untrusted
from pack.mlmodel import Model
from pack.trust import payloads
from tests.contracts.flavor import FlavorContract, FlavorInterop, same, tells_of_code

torch = pytest.importorskip("torch")

# TorchScript and parts of torch.export are deprecated by PyTorch itself; MLflow warns of its own forms.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Point(NamedTuple):
    """An answer of two tensors."""

    left: Any
    right: Any


class Net(torch.nn.Module):  # type: ignore[misc,name-defined]
    """(rows, 3) → (rows, 2); `scale` is an argument that is no tensor."""

    def __init__(self, wide: int = 2) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, wide)
        self.drop = torch.nn.Dropout(0.5)
        torch.nn.init.constant_(self.layer.bias, 0.5)
        torch.nn.init.ones_(self.layer.weight)

    def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:  # type: ignore[name-defined]
        return self.drop(self.layer(x)) * scale


class Two(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Token numbers and their weights, (rows, 4) each → a dict of two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(7, 2)

    def forward(self, ids: Any, mask: Any) -> Any:
        found = self.table(ids) * mask[..., None]
        return {"pooled": found.sum(1), "count": mask.sum(1)}


class Across(torch.nn.Module):  # type: ignore[misc,name-defined]
    """A row's answer depends on the other rows."""

    def forward(self, x: Any) -> Any:
        return x - x.mean(0)


class Branching(torch.nn.Module):  # type: ignore[misc,name-defined]
    """Control flow that torch.export keeps; `skipped` lies between what the example has."""

    def forward(self, x: Any, skipped: Any = None, mask: Any = None) -> Any:
        return torch.cond(x.sum() > 0, lambda one: one + 1, lambda one: one - 1, (x,)) * mask


class Choosing(torch.nn.Module):  # type: ignore[misc,name-defined]
    """What torch.export does not export: Python that looks at values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, x: Any) -> Any:
        return self.layer(x) if x.sum() > 0 else -self.layer(x)


ROWS = np.arange(12, dtype="float32").reshape(4, 3)
FRAME = pd.DataFrame(ROWS, columns=["a", "b", "c"], index=list("wxyz"))


class TestExported(FlavorInterop):
    flavor = "pytorch"
    mlflow_options: ClassVar[dict[str, Any]] = {"input_example": ROWS}

    def model(self) -> Any:
        # MLflow exports a module in the mode that it is in.
        return Net().eval()

    def rows(self) -> Any:
        return ROWS

    def expected(self) -> Any:
        return np.repeat(ROWS.sum(1)[:, None] + 0.5, 2, axis=1)


class TestExportedOnFrames(TestExported):
    def rows(self) -> Any:
        return FRAME

    def test_we_predict_the_same_with_mlflows(self, home: Path, mlflow: Any, tmp_path: Path) -> None:
        pytest.skip("MLflow exports with a signature of tensors only")


class TestPickled(TestExported):
    options: ClassVar[dict[str, Any]] = {"serialization_format": "pickle"}
    mlflow_options: ClassVar[dict[str, Any]] = {"serialization_format": "pickle"}


class TestPickledOnFrames(TestPickled):
    def rows(self) -> Any:
        return FRAME


class TestScripted(TestPickled):
    def model(self) -> Any:
        return torch.jit.script(Net().eval())


class TestWeights(FlavorContract):
    """MLflow knows no such form: there is nothing to exchange."""

    flavor = "pytorch"
    options: ClassVar[dict[str, Any]] = {"init": {"wide": 2}}

    def model(self) -> Any:
        return Net(2)

    def rows(self) -> Any:
        return ROWS

    def expected(self) -> Any:
        return np.repeat(ROWS.sum(1)[:, None] + 0.5, 2, axis=1)


class TestProgram(TestExported):
    """A program that was exported elsewhere."""

    def model(self) -> Any:
        shapes = ({0: torch.export.Dim.DYNAMIC},)
        return torch.export.export(Net().eval(), (torch.ones(2, 3),), dynamic_shapes=shapes)

    def test_the_native_model_comes_back(self, home: Path) -> None:
        assert isinstance(pack.load_model(home), torch.fx.GraphModule)

    def test_we_predict_the_same_with_mlflows(self, home: Path, mlflow: Any, tmp_path: Path) -> None:
        pytest.skip("MLflow exports by itself")


def lightning_model() -> Any:
    lightning = pytest.importorskip("lightning")

    class Regression(lightning.LightningModule):  # type: ignore[misc,name-defined]
        """A module whose arguments Lightning keeps."""

        def __init__(self, wide: int) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(wide, 1)

        def forward(self, x: Any) -> Any:
            return self.layer(x)

    globals()["Regression"] = Regression
    Regression.__qualname__ = "Regression"
    return Regression(3)


def unsealed(home: Path) -> None:
    """Take our digests out, as someone does who changes a model and hides it."""
    described = Model.load(home).replace(pack=None)
    (home / "MLmodel").write_text(described.to_yaml(), encoding="utf-8")


def rewritten(home: Path, change: Callable[[dict[str, Any]], Any], record: str = "models/model.json") -> None:
    """Change the JSON of one record of an exported program, with PyTorch's own writer."""
    path = home / "data" / "model.pt2"
    reader = torch._C.PyTorchFileReader(str(path))
    records = {name: reader.get_record(name) for name in reader.get_all_records()}
    del reader
    program = json.loads(records[record])
    text = change(program)
    records[record] = text if isinstance(text, bytes) else json.dumps(program).encode()
    archive(path, records)
    unsealed(home)


def archive(path: Path, records: dict[str, bytes]) -> None:
    path.unlink(missing_ok=True)
    writer = torch._C.PyTorchFileWriter(str(path))
    for name, data in records.items():
        if name not in {".data/version", ".data/serialization_id", "byteorder"}:
            writer.write_record(name, data, len(data))
    writer.write_end_of_file()


class Evil:
    """A pickle that makes a file where it is opened."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    pack.save_model(Net(), tmp_path / "m", input_example=ROWS)
    return tmp_path / "m"


# What is written


def test_an_example_of_one_row_leaves_the_rows_free_and_the_modes_as_they_were(tmp_path: Path) -> None:
    model = Net().train()
    model.drop.eval()
    pack.save_model(model, tmp_path / "m", input_example=ROWS[:1])
    assert (model.training, model.drop.training, model.layer.training) == (True, False, True)
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    for rows in (ROWS[:1], ROWS, np.zeros((0, 3), "float32")):
        assert loaded.predict(rows).shape == (len(rows), 2)
    assert loaded.rows_are_independent


def test_nothing_of_this_machine_is_in_the_program(saved: Path) -> None:
    data = b"".join(zipfile.ZipFile(saved / "data" / "model.pt2").read(one) for one in _members(saved))
    assert b"test_pytorch.py" not in data
    assert str(Path(__file__).parent).encode() not in data


def _members(home: Path) -> list[str]:
    return zipfile.ZipFile(home / "data" / "model.pt2").namelist()


def test_a_signature_of_tensors_is_enough_to_export(tmp_path: Path) -> None:
    inputs = pack.types.Schema([pack.types.TensorSpec("float32", (-1, 3))])
    pack.pytorch.save_model(Net(), tmp_path / "m", signature=pack.models.ModelSignature(inputs=inputs))
    assert Model.load(tmp_path / "m").flavors["pytorch"]["serialization_format"] == "pt2"
    assert pack.pyfunc.load_model(tmp_path / "m", trust="safe").predict(ROWS).shape == (4, 2)


def test_rows_that_are_fixed_stay_fixed(tmp_path: Path) -> None:
    inputs = pack.types.Schema([pack.types.TensorSpec("float32", (4, 3))])
    pack.save_model(Net(), tmp_path / "m", signature=pack.models.ModelSignature(inputs=inputs), input_example=ROWS)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.predict(ROWS).shape == (4, 2)
    assert not loaded.rows_are_independent
    with pytest.raises(SchemaMismatch):
        loaded.predict(ROWS[:2])


def test_rows_that_look_at_each_other_are_not_scored_together(tmp_path: Path) -> None:
    pack.save_model(Across(), tmp_path / "m", input_example=ROWS)
    assert not pack.pyfunc.load_model(tmp_path / "m").rows_are_independent
    pack.save_model(Across(), tmp_path / "n", input_example=ROWS, serialization_format="state_dict")
    assert not pack.pyfunc.load_model(tmp_path / "n").rows_are_independent


def test_what_does_not_export_is_kept_as_weights_and_says_so(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the class is needed to load them"):
        pack.save_model(Choosing(), tmp_path / "m", input_example=ROWS)
    assert Model.load(tmp_path / "m").flavors["pytorch"]["serialization_format"] == "state_dict"
    assert pack.pyfunc.load_model(tmp_path / "m").predict(ROWS).shape == (4, 1)
    with pytest.raises(InvalidValue, match="does not export this Choosing"):
        pack.save_model(Choosing(), tmp_path / "n", input_example=ROWS, serialization_format="pt2")


def test_what_is_neither_exported_nor_made_again_says_what_to_do(tmp_path: Path) -> None:
    class Hidden(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            return x

    with pytest.raises(InvalidValue, match=r"an export needs an input_example.*Hidden is defined in") as caught:
        pack.save_model(Hidden(), tmp_path / "m")
    assert "serialization_format='pickle'" in str(caught.value)
    assert not (tmp_path / "m").exists()


def test_arguments_that_make_another_module_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"makes another module: layer\.bias, layer\.weight differ"):
        pack.save_model(Net(5), tmp_path / "m")
    with pytest.raises(InvalidValue, match=r"Net\(\*\*{'narrow': 5}\) fails"):
        pack.save_model(Net(5), tmp_path / "m", init={"narrow": 5})
    with pytest.raises(InvalidValue, match="more than plain values"):
        pack.save_model(Net(5), tmp_path / "m", init={"wide": torch.ones(1)})
    pack.save_model(Net(5), tmp_path / "m", init={"wide": 5})
    assert pack.load_model(tmp_path / "m").layer.out_features == 5


def test_options_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    for options, message in (
        ({"serialization_format": "onnx"}, "'onnx' is not known"),
        ({"export_model": True, "serialization_format": "pickle"}, "contradict"),
        ({"serialization_format": "pt2", "init": {}}, "init means nothing"),
        ({"pickle_module": "dill"}, "'dill' is not used"),
        ({"serialization_format": "pt2"}, "an export needs an input_example"),
    ):
        with pytest.raises(InvalidValue, match=message):
            pack.pytorch.save_model(Net(), tmp_path / "m", **options)
    with pytest.raises(InvalidValue, match="TorchScript"):
        pack.save_model(torch.jit.script(Net()), tmp_path / "m", input_example=ROWS)


def test_a_shared_weight_stays_shared(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    pack.save_model(model, tmp_path / "m", input_example=ROWS)
    loaded = pack.load_model(tmp_path / "m")
    assert same(loaded(torch.from_numpy(ROWS)).detach(), model(torch.from_numpy(ROWS)).detach())
    size = (tmp_path / "m" / "data" / "model.pt2").stat().st_size
    names = _members(tmp_path / "m")
    assert len([name for name in names if "/weights/weight_" in name]) == 3, size


# What goes in and comes out


def test_several_tensors_go_in_and_come_out_by_name(tmp_path: Path) -> None:
    model = Two()
    ids, mask = np.array([[1, 2, 3, 0], [6, 5, 0, 0]]), np.ones((2, 4), "float32")
    pack.save_model(model, tmp_path / "m", input_example={"mask": mask, "ids": ids})
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    found = loaded.predict({"ids": ids, "mask": mask})
    assert same(found["pooled"], model(torch.tensor(ids), torch.tensor(mask))["pooled"].detach())
    assert found["count"].tolist() == [4.0, 4.0]
    assert loaded.predict({"ids": ids[:1], "mask": mask[:1]})["pooled"].shape == (1, 2)
    assert loaded.rows_are_independent
    with pytest.raises(SchemaMismatch, match="mask"):
        loaded.predict({"ids": ids})


@pytest.mark.parametrize("options", [{}, {"serialization_format": "state_dict"}])
def test_mlflows_examples_of_tensors_in_order_get_their_names(tmp_path: Path, options: dict[str, Any]) -> None:
    ids, mask = torch.tensor([[1, 2, 3, 0]]), torch.ones(1, 4)
    pack.pytorch.save_model(Two(), tmp_path / "m", input_example=(ids, mask), **options)
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert loaded.signature is not None
    assert loaded.signature.inputs is not None
    assert loaded.signature.inputs.input_names() == ["ids", "mask"]
    assert loaded.predict({"ids": np.zeros((3, 4), "int64"), "mask": np.ones((3, 4), "float32")})["count"].shape == (3,)


def test_an_example_may_be_a_tensor(tmp_path: Path) -> None:
    pack.save_model(Net(), tmp_path / "m", input_example=torch.from_numpy(ROWS))
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert same(loaded.predict(loaded.input_example), loaded.predict(ROWS))
    assert same(loaded.predict(torch.from_numpy(ROWS)), loaded.predict(ROWS))


def test_an_argument_may_be_left_out_and_rows_that_branch_are_scored_apart(tmp_path: Path) -> None:
    example = {"x": ROWS, "mask": np.ones((4, 3), "float32")}
    pack.save_model(Branching(), tmp_path / "m", input_example=example)
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert same(loaded.predict(example), ROWS + 1)
    assert same(loaded.predict({"x": -ROWS[1:], "mask": example["mask"][1:]}), -ROWS[1:] - 1)
    assert not loaded.rows_are_independent


def test_params_go_to_forward_and_a_device_does_not(tmp_path: Path) -> None:
    example = (ROWS, {"scale": 1.0})
    pack.save_model(Net(), tmp_path / "m", input_example=example, serialization_format="state_dict")
    loaded = pack.pyfunc.load_model(tmp_path / "m")
    assert same(loaded.predict(ROWS, {"scale": 2.0}), 2 * loaded.predict(ROWS))
    with pytest.raises(InvalidValue, match="takes no params, scale came"):
        pack.save_model(Net(), tmp_path / "n", input_example=example, serialization_format="pt2")
    with pytest.raises(InvalidValue, match="device is no param"):
        pack.save_model(Net(), tmp_path / "n", input_example=(ROWS, {"device": "cpu"}))


def test_a_signature_with_params_is_not_exported(tmp_path: Path) -> None:
    signature = pack.infer_signature(ROWS, ROWS[:, :2], {"scale": 1.0})
    pack.save_model(Net(), tmp_path / "m", signature=signature)
    assert Model.load(tmp_path / "m").flavors["pytorch"]["serialization_format"] == "state_dict"
    assert same(pack.pyfunc.load_model(tmp_path / "m").predict(ROWS, {"scale": 0.0}), np.zeros((4, 2), "float32"))


@pytest.mark.parametrize("kind", ["float64", "float16", "int64", "int32", "uint8", "bool"])
def test_dtypes_are_kept(tmp_path: Path, kind: str) -> None:
    rows = np.array([[1, 0], [1, 1]]).astype(kind)
    pack.save_model(torch.nn.Identity(), tmp_path / "m", input_example=rows)
    found = pack.pyfunc.load_model(tmp_path / "m").predict(rows)
    assert found.dtype == rows.dtype
    assert (found == rows).all()


def test_a_frame_becomes_as_precise_as_the_model(tmp_path: Path) -> None:
    for model, kind in ((Net(), "float32"), (Net().double(), "float64"), (Net().bfloat16(), "float32")):
        home = tmp_path / f"{kind}-{id(model)}"
        pack.save_model(model, home, input_example=FRAME)
        found = pack.pyfunc.load_model(home, trust="safe").predict(FRAME)
        assert list(found.index) == list("wxyz")
        assert {str(one) for one in found.dtypes} == {kind}


def test_answers_of_every_shape_become_columns(tmp_path: Path) -> None:
    class Shapes(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, x: Any) -> Any:
            return Point(x.sum(1, keepdim=True), x[:, :, None].repeat(1, 1, 2))

    frame = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=[7, 8])
    with pytest.raises(InvalidValue, match="cannot be imported later"):
        pack.save_model(Shapes(), tmp_path / "w", input_example=frame, serialization_format="state_dict")
    pack.save_model(Shapes(), tmp_path / "m", input_example=frame, serialization_format="pickle")
    found = pack.pyfunc.load_model(tmp_path / "m").predict(frame)
    assert (list(found.columns), list(found.index)) == (["left", "right"], [7, 8])
    assert found["left"].tolist() == [4.0, 6.0]
    assert np.stack(found["right"]).shape == (2, 2, 2)


def test_what_is_no_tensor_is_refused_by_name(saved: Path, tmp_path: Path) -> None:
    pack.save_model(Net(), tmp_path / "n", signature=False)
    loaded = pack.pyfunc.load_model(tmp_path / "n")
    with pytest.raises(SchemaMismatch, match="no tensors of <U1"):
        loaded.predict(np.array(["a"]))
    with pytest.raises(SchemaMismatch, match="no matrix of numbers"):
        loaded.predict(pd.DataFrame({"a": ["x"]}))
    assert isinstance(loaded.predict(torch.from_numpy(ROWS)), torch.Tensor)
    assert same(loaded.predict(ROWS[::-1]), loaded.predict(ROWS)[::-1])
    assert same(loaded.predict(ROWS.astype(">f4")), loaded.predict(ROWS))
    locked = ROWS.copy()
    locked.flags.writeable = False
    assert same(loaded.predict(locked), loaded.predict(ROWS))


def test_the_device_is_the_callers_then_the_environments(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DEFAULT_PREDICTION_DEVICE", "nowhere")
    with pytest.raises(InvalidValue, match="no device 'nowhere' here"):
        pack.pyfunc.load_model(saved)
    loaded = pack.pyfunc.load_model(saved, model_config={"device": "cpu"})
    assert loaded.predict(ROWS).shape == (4, 2)
    assert pack.pytorch.load_model(saved, device="cpu")(torch.ones(1, 3)).shape == (1, 2)
    if not torch.cuda.is_available():
        with pytest.raises(InvalidValue, match="no device 'cuda:0' here"):
            pack.pytorch.load_model(saved, map_location="cuda:0")


def test_an_exported_program_moves_to_another_device(saved: Path) -> None:
    loaded = pack.pytorch.load_model(saved, device="meta")
    assert loaded(torch.ones(5, 3, device="meta")).shape == (5, 2)


def test_threads_are_left_alone(saved: Path) -> None:
    before = torch.get_num_threads()
    pack.pyfunc.load_model(saved).predict(ROWS)
    assert torch.get_num_threads() == before


# Programs and Lightning


def test_a_program_knows_its_signature(tmp_path: Path) -> None:
    shapes = ({0: torch.export.Dim.DYNAMIC}, {0: torch.export.Dim.DYNAMIC})
    program = torch.export.export(Two(), (torch.zeros(2, 4).long(), torch.ones(2, 4)), dynamic_shapes=shapes)
    pack.save_model(program, tmp_path / "m")
    loaded = pack.pyfunc.load_model(tmp_path / "m", trust="safe")
    assert loaded.signature is not None
    assert str(loaded.signature.inputs) == str(
        pack.types.Schema(
            [pack.types.TensorSpec("int64", (-1, 4), "ids"), pack.types.TensorSpec("float32", (-1, 4), "mask")]
        )
    )
    assert loaded.predict({"ids": np.zeros((3, 4), "int64"), "mask": np.ones((3, 4), "float32")})["count"].shape == (3,)
    pack.save_model(torch.export.export(Net().eval(), (torch.ones(2, 3),)), tmp_path / "n")
    assert "(2, 3)" in str(Model.load(tmp_path / "n").signature)


def test_lightning_modules_are_exported_and_know_their_arguments(tmp_path: Path) -> None:
    model = lightning_model()
    pack.save_model(model, tmp_path / "m", input_example=ROWS)
    expected = model(torch.from_numpy(ROWS)).detach()
    assert same(pack.pyfunc.load_model(tmp_path / "m", trust="safe").predict(ROWS), expected)
    assert not [line for line in (tmp_path / "m" / "requirements.txt").read_text().splitlines() if "lightning" in line]
    pack.save_model(model, tmp_path / "n")
    assert Model.load(tmp_path / "n").flavors["pytorch"]["init"] == {"wide": 3}
    assert same(pack.pyfunc.load_model(tmp_path / "n").predict(ROWS), expected)


def test_a_class_travels_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "import torch\n\nclass Small(torch.nn.Linear):\n    pass\n"
    (tmp_path / "small_nets.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import small_nets  # type: ignore[import-not-found]

    init = {"in_features": 3, "out_features": 1}
    model = small_nets.Small(**init)
    pack.save_model(model, tmp_path / "m", init=init, code_paths=[tmp_path / "small_nets.py"])
    monkeypatch.delitem(__import__("sys").modules, "small_nets")
    (tmp_path / "small_nets.py").unlink()
    found = pack.load_model(tmp_path / "m")
    assert type(found).__name__ == "Small"
    assert type(found) is not type(model)
    assert same(found.weight.detach(), model.weight.detach())
    assert not found.training


# What must not run


@pytest.mark.parametrize("trust", ["safe", "default"])
def test_a_pickle_is_not_opened(tmp_path: Path, trust: str) -> None:
    pack.save_model(Net(), tmp_path / "m", serialization_format="pickle", signature=False)
    torch.save(Evil(tmp_path / "canary"), tmp_path / "m" / "data" / "model.pth")
    unsealed(tmp_path / "m")
    block = Model.load(tmp_path / "m").flavors["pytorch"]
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(Untrusted):
            load(tmp_path / "m", trust=trust)
    # A block that says it is another form, or says nothing, as MLflow's do.
    for form in ("pt2", "state_dict", None):
        lies = {**block, "serialization_format": form, "weights_only": False, "model_class": "builtins:eval"}
        described = Model.load(tmp_path / "m")
        flavors = {**described.flavors, "pytorch": {k: v for k, v in lies.items() if v is not None}}
        (tmp_path / "m" / "MLmodel").write_text(described.replace(flavors=flavors).to_yaml(), encoding="utf-8")
        with pytest.raises(pack.PackError):
            pack.pyfunc.load_model(tmp_path / "m", trust=trust)
        assert tells_of_code(tmp_path / "m") is (form != "pt2")
    assert not (tmp_path / "canary").exists()


def test_weights_hold_nothing_else_even_where_all_is_trusted(tmp_path: Path) -> None:
    pack.save_model(Net(), tmp_path / "m", init={})
    torch.save({"layer.bias": Evil(tmp_path / "canary")}, tmp_path / "m" / "data" / "state_dict.pth")
    unsealed(tmp_path / "m")
    with pytest.raises(InvalidValue, match="holds more than weights"):
        pack.pyfunc.load_model(tmp_path / "m", trust=True)
    assert not (tmp_path / "canary").exists()


def test_a_class_that_is_no_module_is_not_called(tmp_path: Path) -> None:
    pack.save_model(Net(), tmp_path / "m", init={})
    described = Model.load(tmp_path / "m")
    for name, init in (("os:mkdir", {"path": str(tmp_path / "canary")}), ("builtins:eval", {}), ("no.such:Net", {})):
        block = {**described.flavors["pytorch"], "model_class": name, "init": init}
        changed = described.replace(flavors={**described.flavors, "pytorch": block}, pack=None)
        (tmp_path / "m" / "MLmodel").write_text(changed.to_yaml(), encoding="utf-8")
        with pytest.raises(Untrusted):
            pack.load_model(tmp_path / "m")
        with pytest.raises(InvalidValue):
            pack.load_model(tmp_path / "m", trust=True)
    assert not (tmp_path / "canary").exists()


def _nodes(program: dict[str, Any]) -> Any:
    return program["graph_module"]["graph"]["nodes"]


def _first_size(program: dict[str, Any]) -> Any:
    values = program["graph_module"]["graph"]["tensor_values"]
    return next(value for value in values.values() if "as_expr" in value["sizes"][0])["sizes"][0]["as_expr"]


def _tree(program: dict[str, Any]) -> Any:
    return program["graph_module"]["module_call_graph"][0]["signature"]


MKDIR = "__import__('os').mkdir('{canary}')"
_DEFAULT = {"default_factory_module": "antigravity", "default_factory_name": "fly", "dict_context": []}
_ENUM = json.dumps([{"__enum__": True, "fqn": "antigravity:fly", "name": "x"}])
HOSTILE: dict[str, Callable[[dict[str, Any], str], Any]] = {
    "a size that is Python": lambda program, canary: _first_size(program).update(expr_str=MKDIR.format(canary=canary)),
    "a size that calls": lambda program, canary: _first_size(program).update(
        expr_str=f"Symbol({MKDIR.format(canary=canary)})"
    ),
    "a size of attributes": lambda program, canary: _first_size(program).update(expr_str="Symbol('s0').func.mro"),
    "a size of text": lambda program, canary: _first_size(program).update(expr_str="Symbol('a b')"),
    "a size that never ends": lambda program, canary: _first_size(program).update(expr_str="9**9**9**9"),
    "a size of lambdas": lambda program, canary: _first_size(program).update(expr_str="(lambda: 1)()"),
    "a function below torch": lambda program, canary: _nodes(program)[0].update(
        target="torch.serialization.os.mkdir",
        inputs=[{"name": "", "arg": {"as_string": canary}, "kind": 1}],
    ),
    "a library to load": lambda program, canary: _nodes(program)[0].update(target="torch.ops.load_library"),
    "a file to map": lambda program, canary: _nodes(program)[0].update(target="torch.ops.aten.from_file.default"),
    "a file to write": lambda program, canary: _nodes(program)[0].update(target="torch.ops.aten.save.default"),
    "a caller of methods": lambda program, canary: _nodes(program)[0].update(target="_operator.methodcaller"),
    "an inside of Python": lambda program, canary: _nodes(program)[0].update(target="torch.ops.aten.add.__globals__"),
    "a name that is a program": lambda program, canary: _nodes(program)[0].update(
        name="a = 1\n    import os; os.mkdir('x')\n    b"
    ),
    "a name of PyTorch's own": lambda program, canary: _nodes(program)[0].update(name="torch.ops"),
    "a parameter that is a program": lambda program, canary: program["graph_module"]["signature"]["input_specs"][0][
        "parameter"
    ].update(parameter_name='weight") or exec("1'),
    "a tree that imports a factory": lambda program, canary: _tree(program).update(
        out_spec=json.dumps(
            [1, {"type": "collections.defaultdict", "context": json.dumps(_DEFAULT), "children_spec": []}]
        )
    ),
    "a tree that imports an enumeration": lambda program, canary: _tree(program).update(
        out_spec=json.dumps([1, {"type": "builtins.dict", "context": _ENUM, "children_spec": []}])
    ),
    "a class of its own": lambda program, canary: program["graph_module"]["signature"]["input_specs"][0].update(
        custom_obj={"arg": {"name": "x", "class_fqn": "y"}, "custom_obj_name": "z"}
    ),
    "a graph without end": lambda program, canary: b'{"a":[' * 100_000,
    "a graph within graphs": lambda program, canary: b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_program_is_refused_before_pytorch_sees_it(
    saved: Path, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten(saved, lambda program: HOSTILE[case](program, str(tmp_path / "canary")))

    seen: list[Any] = []
    monkeypatch.setattr("torch.export.pt2_archive._package.load_pt2", lambda *given: seen.append(given))
    monkeypatch.setattr(torch.export, "load", lambda *given: seen.append(given))
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(Untrusted):
            load(saved, trust="safe")
    assert tells_of_code(saved)
    assert not seen
    assert not (tmp_path / "canary").exists()


def test_a_program_without_a_graph_is_a_clear_error(saved: Path) -> None:
    rewritten(saved, lambda program: program.update(graph_module=[]))
    with pytest.raises(InvalidValue, match="does not read"):
        pack.load_model(saved, trust="safe")


def test_guards_that_are_python_are_never_run(saved: Path, tmp_path: Path) -> None:
    rewritten(saved, lambda program: program.update(guards_code=[MKDIR.format(canary=tmp_path / "canary")]))
    assert pack.pyfunc.load_model(saved, trust="safe").predict(ROWS).shape == (4, 2)
    assert not (tmp_path / "canary").exists()


def _pickled(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("place", ["samples", "weight", "constant", "legacy", "compiled", "extra"])
def test_an_archive_that_holds_a_pickle_or_a_library_is_refused(saved: Path, tmp_path: Path, place: str) -> None:
    path, evil = saved / "data" / "model.pt2", _pickled(Evil(tmp_path / "canary"))
    reader = torch._C.PyTorchFileReader(str(path))
    records = {name: reader.get_record(name) for name in reader.get_all_records()}
    del reader
    weights = "data/weights/model_weights_config.json"
    if place == "samples":
        records["data/sample_inputs/model.pt"] = evil
    elif place == "weight":
        config = json.loads(records[weights])
        config["config"]["layer.bias"]["use_pickle"] = True
        records |= {weights: json.dumps(config).encode(), "data/weights/weight_1": evil}
    elif place == "constant":
        config = {"config": {"x": {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}}}
        records |= {"data/constants/model_constants_config.json": json.dumps(config).encode()}
        records |= {"data/constants/opaque_obj_0": evil}
    elif place == "legacy":
        records["data/weights/model.pt"] = evil
    elif place == "compiled":
        records["data/aotinductor/model/model.so"] = b"\x7fELF"
    else:
        records["executorch/../../x"] = b""
    archive(path, records)
    unsealed(saved)
    for load in (pack.pyfunc.load_model, pack.load_model):
        with pytest.raises(Untrusted):
            load(saved, trust="safe")
    assert tells_of_code(saved)
    assert not (tmp_path / "canary").exists()


def test_a_tensor_that_claims_more_than_its_bytes_is_refused(saved: Path) -> None:
    def grow(config: dict[str, Any]) -> None:
        config["config"]["layer.weight"]["tensor_meta"]["sizes"] = [{"as_int": 10**6}, {"as_int": 10**6}]
        config["config"]["layer.weight"]["tensor_meta"]["strides"] = [{"as_int": 10**6}, {"as_int": 1}]

    rewritten(saved, grow, "data/weights/model_weights_config.json")
    with pytest.raises(InvalidValue, match="does not read"):
        pack.load_model(saved, trust="safe")


def test_an_older_archive_is_two_readers_and_is_refused(saved: Path, tmp_path: Path) -> None:
    """Where PyTorch fails it looks for an older format, of pickles, in the same file."""
    with zipfile.ZipFile(saved / "data" / "model.pt2", "w") as old:
        old.writestr("version", "8.8")
        for name in ("serialized_state_dict.pt", "serialized_constants.pt", "serialized_example_inputs.pt"):
            old.writestr(name, _pickled(Evil(tmp_path / "canary")))
        old.writestr("serialized_exported_program.json", "{}")
    unsealed(saved)
    with pytest.raises(pack.PackError):
        pack.load_model(saved, trust="safe")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + b"\0" * 18, b"nothing", b"PK\x03\x04"])
def test_what_is_no_archive_is_a_clear_error(saved: Path, data: bytes) -> None:
    (saved / "data" / "model.pt2").write_bytes(data)
    with pytest.raises(Damaged):
        pack.load_model(saved)
    unsealed(saved)
    with pytest.raises(pack.PackError):
        pack.load_model(saved, trust="safe")


@pytest.mark.parametrize("place", ["../outside", "/etc", "data/../../outside"])
def test_data_outside_of_the_model_is_never_read(saved: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "outside").mkdir()
    (saved / "data" / "model.pt2").rename(tmp_path / "outside" / "model.pt2")
    described = Model.load(saved)
    block = {**described.flavors["pytorch"], "model_data": place}
    changed = described.replace(flavors={**described.flavors, "pytorch": block}, pack=None)
    (saved / "MLmodel").write_text(changed.to_yaml(), encoding="utf-8")
    with pytest.raises(pack.PackError):
        pack.load_model(saved, trust=True)


def test_a_program_that_is_not_plain_loads_where_it_is_trusted(tmp_path: Path) -> None:
    """Operators of libraries that nobody has looked at: the model is its maker's, and others must trust it."""
    pytest.importorskip("torch.library")
    with torch.library._scoped_library("packtest", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
        library.impl("twice", lambda x: torch.empty_like(x), "Meta")

        class Twice(torch.nn.Module):  # type: ignore[misc,name-defined]
            def forward(self, x: Any) -> Any:
                return torch.ops.packtest.twice(x)

        pack.save_model(Twice(), tmp_path / "m", input_example=ROWS)
        assert "packtest" in Model.load(tmp_path / "m").flavors["pytorch"]["runs_code"]
        assert same(pack.pyfunc.load_model(tmp_path / "m").predict(ROWS), 2 * ROWS)
        with pytest.raises(Untrusted, match="packtest"):
            pack.pyfunc.load_model(tmp_path / "m", trust="safe")


def test_a_large_file_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pack.trust.torch_files._LARGE", 0)
    expected = None
    for form in ("pt2", "state_dict", "pickle"):
        pack.save_model(Net(), tmp_path / form, input_example=ROWS, serialization_format=form)
        found = pack.pyfunc.load_model(tmp_path / form, trust=True).predict(ROWS)
        assert expected is None or same(found, expected)
        expected = found


def test_a_large_file_that_changes_while_it_is_read_is_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pack.trust import torch_files

    monkeypatch.setattr("pack.trust.torch_files._LARGE", 0)
    judged = torch_files.why_program_runs_code

    def swapped(source: Any, path: Path) -> Any:
        reason = judged(source, path)
        path.touch()
        return reason

    monkeypatch.setattr(torch_files, "why_program_runs_code", swapped)
    with pytest.raises(Damaged, match="changed"):
        pack.pyfunc.load_model(saved)


def test_an_old_pytorch_opens_nothing(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(MissingPackage, match=r"PyTorch 2\.9\.1"):
        payloads.load_weights(saved / "data" / "model.pt2")


# With MLflow


def test_mlflows_models_take_a_device(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    signature = mlflow.models.infer_signature(ROWS, ROWS[:, :2])
    mlflow.pytorch.save_model(
        Net(), tmp_path / "m", input_example=ROWS, signature=signature, pip_requirements=["numpy"]
    )
    loaded = pack.pyfunc.load_model(
        tmp_path / "m", suppress_warnings=True, trust="safe", model_config={"device": "cpu"}
    )
    assert loaded.predict(ROWS).shape == (4, 2)
    with pytest.raises(InvalidValue, match="no device 'nowhere'"):
        pack.pyfunc.load_model(tmp_path / "m", suppress_warnings=True, model_config={"device": "nowhere"})


def test_mlflows_pickles_are_trusted_by_nobody_but_the_caller(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    mlflow.pytorch.save_model(Net(), tmp_path / "m", serialization_format="pickle", pip_requirements=["numpy"])
    with pytest.raises(Untrusted):
        pack.pyfunc.load_model(tmp_path / "m", suppress_warnings=True)
    assert pack.pytorch.load_model(tmp_path / "m", trust=True).layer.out_features == 2
