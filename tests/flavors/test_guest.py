"""A guest package adds a flavor through the entry-point group `pack.flavors`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.envs import installed
from pack.errors import InvalidState, MissingPackage, NotFound
from pack.flavors import FLAVORS, Config, catalog
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


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest package whose module needs one that is not there, and another that lacks its class."""
    for name, source in {"breaks": "import nowhere_to_be_found", "lacks": "x = 1"}.items():
        info = tmp_path / f"packml_{name}-1.0.dist-info"
        info.mkdir()
        (tmp_path / f"packml_{name}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: packml-{name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pack.flavors]\n{name} = packml_{name}:Flavor\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    FLAVORS.refresh()


@pytest.mark.usefixtures("broken")
def test_a_guest_that_cannot_be_imported_is_warned_of_and_holds_nobody_up() -> None:
    with pytest.warns(UserWarning, match="packml-(breaks|lacks) cannot be imported"):
        assert {"constant", "breaks", "lacks", "sklearn"} <= set(FLAVORS)
    assert {one.name for one in catalog.listed()} >= {"constant", "breaks", "lacks", "sklearn"}
    with pytest.raises(MissingPackage, match="nowhere_to_be_found"):
        FLAVORS.load("breaks")
    with pytest.raises(InvalidState, match="packml_lacks:Flavor cannot be imported") as raised:
        FLAVORS.load("lacks")
    assert raised.value.hint == "update packml-lacks"


def test_without_its_guest_a_model_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack.save_model(TestConstant().model(), tmp_path / "model", flavor="constant")
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one != str(GUEST)])
    FLAVORS.refresh()
    with pytest.raises(NotFound, match=r"mlflow\.constant") as raised:
        pack.pyfunc.load_model(tmp_path / "model")
    assert "pack inspect" in str(raised.value.hint)


def test_a_flavor_that_does_not_say_where_its_model_lies_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Any, model: Any, home: Path) -> Config:
        return {}

    monkeypatch.setattr(FLAVORS.load("constant"), "write", write)
    with pytest.raises(InvalidState, match="wrote no 'data'"):
        pack.save_model(TestConstant().model(), tmp_path / "model", flavor="constant")
    assert not (tmp_path / "model").exists()
