"""What a model and a person's choices make of an image: which packages, for which machine, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pack
from pack.envs.locking import Pin
from pack.envs.targets import Target
from pack.errors import Damaged, InvalidValue, Untrusted
from pack.images.plan import Plan
from pack.images.planning import Choices, planned
from tests import models
from tests.images.plans import put_lock

pytestmark = pytest.mark.sklearn
PYTHON = ".".join(Target.of().python.split(".")[:2])
HASH = ("ab" * 32,)
SKLEARN = Pin("scikit-learn", "1.9.1", HASH)


def model(home: Path = Path("model"), *pins: Pin) -> Path:
    """A saved model with a lock in it, which pins these packages."""
    pack.save_model(models.classifier(), home, input_example=np.zeros((2, 4)))
    put_lock(home, *(pins or (SKLEARN,)), python=PYTHON)
    return home


def plan(uri: str = "model", **chosen: object) -> Plan:
    chosen = {"platform": "linux/amd64", "python": PYTHON, **chosen}
    return planned(uri, Choices(**chosen))  # type: ignore[arg-type]


def test_the_packages_are_those_of_the_lock_in_the_model() -> None:
    model()
    made = plan()
    assert made.lock.packages == (SKLEARN,)
    assert made.base == f"python:{PYTHON}-slim"
    bill = json.loads(made.bill)
    assert {"scikit-learn", "packml"} <= {one["name"] for one in bill["components"]}


def test_weights_and_the_rest_lie_in_layers_of_their_own() -> None:
    model()
    made = plan()
    assert [Path(name).name for name in made.weights] == ["model.skops"]
    assert {"MLmodel", "requirements.txt", f"{Target(PYTHON, 'linux/amd64').name}.txt"} <= {
        Path(name).name for name in made.rest
    }


def test_the_model_is_pinned_by_its_digest_so_that_no_other_may_run_code_there() -> None:
    model()
    made = plan(variables=(("PACK_TRUST_DIGESTS", "0" * 64),))
    assert made.environment()["PACK_TRUST_DIGESTS"] == made.report.digest


def test_a_model_of_another_user_makes_no_image(monkeypatch: pytest.MonkeyPatch) -> None:
    model()
    monkeypatch.setenv("PACK_STATE_DIR", "another user")
    with pytest.raises(Untrusted, match="no image was made"):
        plan()
    assert plan(trust=True).lock.packages


def test_a_model_that_was_changed_makes_no_image() -> None:
    (model() / "model.skops").write_bytes(b"other")
    with pytest.raises(Damaged):
        plan()


def test_gpus_need_a_base_only_where_the_packages_do_not_bring_cuda() -> None:
    model(Path("brings"), Pin("nvidia-cublas-cu12", "12.4", HASH), Pin("torch", "2.13.0", HASH))
    assert plan("brings").environment()["NVIDIA_VISIBLE_DEVICES"] == "all"
    model(Path("takes"), Pin("onnxruntime-gpu", "1.32.0", HASH))
    with pytest.raises(InvalidValue, match="takes the CUDA libraries from the system"):
        plan("takes")
    assert plan("takes", base="nvidia/cuda:12.6-python").uses_gpu
    model(Path("none"), Pin("nvidia-ml-py", "13.0", HASH))
    assert not plan("none").uses_gpu


@pytest.mark.parametrize("platform", ["windows/amd64", "macos/arm64", "linux/s390x", "linux"])
def test_images_are_for_linux(platform: str) -> None:
    model()
    with pytest.raises(InvalidValue):
        plan(platform=platform)


@pytest.mark.parametrize("name", ["A=B", "1A", "A B", "A\nUSER root", "A$B", "A\x00", ""])
def test_the_name_of_a_variable_is_letters_digits_and_lines(name: str) -> None:
    model()
    with pytest.raises(InvalidValue):
        plan(variables=((name, "x"),))


@pytest.mark.parametrize("value", ["a\nUSER root", "a\rb", "a\x00b", "a\x1b[2J", "a\u2028b"])
def test_a_value_has_no_line_ends_and_nothing_that_cannot_be_seen(value: str) -> None:
    model()
    with pytest.raises(InvalidValue):
        plan(variables=(("A", value),))
    with pytest.raises(InvalidValue):
        plan(labels=(("a", value),))


@pytest.mark.parametrize(
    "name", ["curl; id", "-o", "--yes", "x=1.2", "x*", "x y", "X", "x\ny", "../x", "http://x/y.deb"]
)
def test_a_package_of_the_system_is_a_plain_name(name: str) -> None:
    model()
    with pytest.raises(InvalidValue):
        plan(system_packages=(name,))
