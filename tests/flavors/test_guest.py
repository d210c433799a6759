"""A guest package adds a flavor through the entry-point group `pack.flavors`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pack
from pack.cli import main
from pack.envs import installed
from pack.errors import InvalidState, MissingPackage, NotFound
from pack.flavors import FLAVORS, Config, catalog, detect
from tests.contracts.flavor import FlavorContract

GUEST = Path(__file__).parent.parent / "guest"


@pytest.fixture(autouse=True)
def guest_is_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(GUEST))
    FLAVORS.refresh()
    installed.forget()
    yield
    sys.modules.pop("packml_constant", None)
    FLAVORS.refresh()
    installed.forget()


class TestConstant(FlavorContract):
    flavor = "constant"

    def model(self) -> Any:
        import packml_constant

        return packml_constant.ConstantModel(4.5)

    def rows(self) -> Any:
        return [[1.0], [2.0]]


def test_a_guest_is_listed_beside_the_built_in_flavors() -> None:
    assert {"constant", "python_function", "sklearn"} <= set(FLAVORS)


def test_a_guest_is_listed_with_its_version_and_formats() -> None:
    found = next(one for one in catalog.listed() if one.name == "constant")
    assert (found.version, found.formats, found.code) == ("1.0", ("json",), ())


# Guests that cannot be imported: the module's source, and what is said of it.
BROKEN = {
    "breaks": "import nowhere_to_be_found",
    "lacks": "x = 1",
    "raises": "raise RuntimeError('no such device')",
    "older": "import pack.of_long_ago",
}
SILENT = "from pack.flavors import Flavor\nclass Flavor(Flavor):\n    name = 'silent'"


def install(place: Path, name: str, source: str, value: str = ":Flavor") -> None:
    """A guest package of one module."""
    info = place / f"packml_{name}-1.0.dist-info"
    info.mkdir()
    (place / f"packml_{name}.py").write_text(source)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: packml-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pack.flavors]\n{name} = packml_{name}{value}\n")


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, source in BROKEN.items():
        install(tmp_path, name, source)
    install(tmp_path, "classless", "x = 1", value="")
    monkeypatch.syspath_prepend(str(tmp_path))
    FLAVORS.refresh()


@pytest.mark.usefixtures("broken")
def test_guests_that_cannot_be_imported_are_warned_of_and_hold_nobody_up() -> None:
    with pytest.warns(UserWarning, match="cannot be imported") as warned:
        assert {*BROKEN, "classless", "constant", "sklearn"} <= set(FLAVORS)
    assert {str(one.message).split()[4] for one in warned} == {f"packml-{name}" for name in (*BROKEN, "classless")}
    assert {one.name for one in catalog.listed()} >= {*BROKEN, "constant", "sklearn"}
    assert detect(TestConstant().model()) == "constant"


@pytest.mark.usefixtures("broken")
@pytest.mark.filterwarnings("ignore:.*cannot be imported")
def test_a_guest_that_cannot_be_imported_says_why_when_it_is_asked_for() -> None:
    with pytest.raises(MissingPackage, match="nowhere_to_be_found") as raised:
        FLAVORS.load("breaks")
    assert raised.value.hint == "install it: pip install packml-breaks"
    for name, reason in {"lacks": "no attribute 'Flavor'", "raises": "no such device", "older": "of_long_ago"}.items():
        with pytest.raises(InvalidState, match=f"packml_{name}:Flavor cannot be imported: .*{reason}") as unusable:
            FLAVORS.load(name)
        assert unusable.value.hint == f"update it: pip install -U packml-{name} packml"


def test_formats_that_a_guest_does_not_name_are_shown_as_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "silent", SILENT)
    monkeypatch.syspath_prepend(str(tmp_path))
    FLAVORS.refresh()
    shown = CliRunner().invoke(main, ["flavors"]).output
    assert re.search(r"^silent +1\.0 +unknown +unknown", shown, re.MULTILINE)
    assert re.search(r"^constant +1\.0 +json +-", shown, re.MULTILINE)


def test_what_a_guest_saves_requires_the_guest(tmp_path: Path) -> None:
    pack.save_model(TestConstant().model(), tmp_path / "model", flavor="constant", input_example=[[1.0]])
    assert "packml-constant==1.0" in (tmp_path / "model" / "requirements.txt").read_text().splitlines()


@pytest.mark.parametrize("load", [pack.pyfunc.load_model, pack.load_model])
def test_without_its_guest_a_model_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Callable[..., Any]
) -> None:
    pack.save_model(TestConstant().model(), tmp_path / "model", flavor="constant")
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(GUEST)])
    FLAVORS.refresh()
    with pytest.raises(NotFound, match=r"no flavor here reads models of '(mlflow\.)?constant'") as raised:
        load(tmp_path / "model")
    assert "pack inspect" in str(raised.value.hint)
    found = CliRunner().invoke(main, ["inspect", str(tmp_path / "model")]).output
    assert "unknown: no flavor here reads models of" in found
    assert "packml-constant==1.0" in found


def test_a_flavor_that_does_not_say_where_its_model_lies_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Any, model: Any, home: Path) -> Config:
        return {}

    monkeypatch.setattr(FLAVORS.load("constant"), "write", write)
    with pytest.raises(InvalidState, match="wrote no 'data'"):
        pack.save_model(TestConstant().model(), tmp_path / "model", flavor="constant")
    assert not (tmp_path / "model").exists()
