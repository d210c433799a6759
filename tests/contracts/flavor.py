"""The suite that every flavor passes: inherit it, and say which flavor, which model and which rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

import pack
from pack import flavors
from pack.cli.inspect import describe
from pack.errors import AlreadyExists, Damaged
from pack.flavors import Extras
from pack.mlmodel import Model, digests
from pack.pyfunc.load import inspect_code


class FlavorContract:
    """Tests of one flavor; `model()` makes a tiny real model, `rows()` data that it predicts."""

    flavor: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}

    def model(self) -> Any:
        """A tiny real model."""
        raise NotImplementedError

    def rows(self) -> Any:
        """Data that the model predicts."""
        raise NotImplementedError

    def expected(self) -> Any:
        """What the model itself says of the rows."""
        return self.model().predict(self.rows())

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        """The model, saved."""
        extras = Extras(input_example=self.rows())
        flavors.save_model(self.model(), tmp_path / "model", flavor=self.flavor, extras=extras, **self.options)
        return tmp_path / "model"

    def test_it_is_detected(self) -> None:
        assert flavors.detect(self.model()) == self.flavor

    def test_it_predicts_the_same_after_saving_and_loading(self, home: Path) -> None:
        assert same(pack.pyfunc.load_model(home).predict(self.rows()), self.expected())

    def test_the_directory_says_what_it_is(self, home: Path) -> None:
        model = Model.load(home)
        assert {self.flavor, "python_function"} <= set(model.flavors)
        assert model.signature is not None
        assert model.signature.inputs is not None
        assert {"conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json"} <= set(
            digests.manifest(home)
        )

    def test_requirements_name_the_framework_and_never_mlflow(self, home: Path) -> None:
        lines = (home / "requirements.txt").read_text(encoding="utf-8").splitlines()
        assert all("==" in line for line in lines)
        assert not [line for line in lines if line.startswith("mlflow")]
        assert len(lines) >= len(flavors.get(self.flavor, **self.options).packages)

    def test_its_own_example_passes_its_signature(self, home: Path) -> None:
        loaded = pack.pyfunc.load_model(home)
        assert same(loaded.predict(loaded.input_example), self.expected())

    def test_saving_over_something_is_refused_and_leaves_it_alone(self, home: Path) -> None:
        before = digests.manifest(home)
        with pytest.raises(AlreadyExists):
            flavors.save_model(self.model(), home, flavor=self.flavor, **self.options)
        assert digests.manifest(home) == before

    def test_a_directory_that_was_moved_loads(self, home: Path) -> None:
        moved = home.rename(home.parent / "else where")
        assert same(pack.pyfunc.load_model(moved).predict(self.rows()), self.expected())

    def test_the_native_model_comes_back(self, home: Path) -> None:
        assert flavors.detect(pack.load_model(home)) == self.flavor

    def test_a_changed_payload_does_not_load(self, home: Path) -> None:
        name = max(digests.manifest(home), key=lambda name: (home / name).stat().st_size)
        (home / name).write_bytes((home / name).read_bytes() + b"x")
        with pytest.raises(Damaged):
            pack.pyfunc.load_model(home, trust=True)

    def test_it_says_whether_reading_it_runs_code(self, home: Path) -> None:
        if inspect_code(digests.check(home)) is None:
            assert pack.pyfunc.load_model(home, trust="safe").flavor == self.flavor
        else:
            with pytest.raises(pack.PackError, match="not trusted"):
                pack.pyfunc.load_model(home, trust="safe")


class FlavorInterop(FlavorContract):
    """Beside the contract: MLflow predicts the same with what we wrote, and we with what it wrote."""

    mlflow_options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def mlflow(self) -> Any:
        """The real MLflow, where it is installed beside the framework (`make test-flavors`)."""
        return pytest.importorskip("mlflow", reason="MLflow is not installed beside the framework")

    @pytest.mark.filterwarnings("ignore")
    def test_mlflow_predicts_the_same_with_ours(self, home: Path, mlflow: Any) -> None:
        loaded = mlflow.pyfunc.load_model(str(home))
        assert same(loaded.predict(self.rows()), self.expected())

    @pytest.mark.filterwarnings("ignore")
    def test_we_predict_the_same_with_mlflows(self, home: Path, mlflow: Any, tmp_path: Path) -> None:
        theirs = getattr(mlflow, self.flavor)
        signature = mlflow.pyfunc.load_model(str(home)).metadata.signature
        theirs.save_model(
            self.model(),
            str(tmp_path / "theirs"),
            signature=signature,
            pip_requirements=["numpy"],
            **self.mlflow_options,
        )
        loaded = pack.pyfunc.load_model(tmp_path / "theirs", suppress_warnings=True, trust=True)
        assert loaded.flavor == self.flavor
        assert same(loaded.predict(self.rows()), self.expected())


def tells_of_code(home: Path) -> bool:
    """Whether `pack inspect` says that loading the model runs code; it runs none itself."""
    said = str(describe(str(home))[0]["loading_runs_code"])
    return said != "no" and not said.startswith("unknown")


def same(one: Any, other: Any) -> bool:
    """Whether two predictions are equal within the last digits of a float32, whatever they are made of."""
    import numpy as np

    if isinstance(one, dict) or isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.kind == other.dtype.kind == "f":
        return one.shape == other.shape and bool(np.allclose(one, other, rtol=1e-5, atol=1e-6, equal_nan=True))
    return bool(np.array_equal(one, other))
