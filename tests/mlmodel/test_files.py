"""The MLmodel file, its YAML, and the digests of a model directory."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

import pack
from pack import yamls
from pack.errors import Damaged, InvalidValue, NotFound, PackError
from pack.mlmodel import Model, digests
from tests import models

SAMPLES = Path(__file__).parent.parent / "samples" / "mlmodel"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("X = 1\n", encoding="utf-8")
    home = tmp_path / "model"
    features, _ = models.iris()
    pack.save_model(models.classifier(), home, input_example=features[:2], code_paths=[tmp_path / "helper.py"])
    return home


@pytest.mark.parametrize("sample", sorted(SAMPLES.iterdir()), ids=lambda path: path.name)
def test_mlmodel_files_of_every_age_are_read_and_written_back(sample: Path) -> None:
    model = Model.parse(sample.read_bytes())
    assert "python_function" in model.flavors
    again = Model.parse(model.to_yaml())
    assert again == model


def test_unknown_keys_are_kept() -> None:
    model = Model.parse(b"flavors: {}\nfrom_the_future: {a: 1}\n")
    assert model.extra == {"from_the_future": {"a": 1}}
    assert "from_the_future" in model.to_yaml()


@pytest.mark.parametrize(
    "text", [b"", b"[1]", b"flavors: 3", b"flavors: {a: [1]}", b"\xff\xfe", b"a: b: c", b"signature: 3"]
)
def test_what_is_no_mlmodel_file_is_a_clear_error(text: bytes) -> None:
    with pytest.raises(InvalidValue):
        Model.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: !!python/object/apply:os.system ['touch canary']",
        "a: !!python/name:os.system",
        "a: !ruby/object:X {}",
        "a: !include /etc/passwd",
        "a: &a [x, x]\nb: &b [*a, *a]\n" + "".join(f"c{i}: &c{i} [*b, *b, *b]\n" for i in range(200)),
        "a: " + "[" * 10_000 + "]" * 10_000,
        "\n".join("  " * depth + "a:" for depth in range(10_000)),
        "a: &x " + "y" * 1_000_000 + "\n" + "\n".join(f"b{i}: *x" for i in range(1000)),
        "a: [1, 2",
        "\x00",
    ],
)
def test_hostile_yaml_is_an_error_within_a_second_of_work(text: str) -> None:
    start = time.process_time()
    with pytest.raises(InvalidValue, match="sample"):
        yamls.load(text, "sample")
    assert time.process_time() - start < 1
    assert not Path("canary").exists()


def test_a_few_aliases_are_fine() -> None:
    assert yamls.load("a: &a [1]\nb: *a\n", "sample") == {"a": [1], "b": [1]}


def test_every_file_but_mlmodel_has_a_digest_and_mlmodel_seals_itself(saved: Path) -> None:
    report = digests.check(saved)
    names = {path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()}
    assert report.sealed
    assert report.intact
    assert report.model.pack is not None
    assert set(report.model.pack["files"]) == names - {"MLmodel"}


def test_one_bit_flipped_in_any_file_is_found_and_the_model_does_not_load(saved: Path) -> None:
    for path in sorted(path for path in saved.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for place in {0, len(data) // 2, len(data) - 1}:
            flipped = bytearray(data)
            flipped[place] ^= 1
            path.write_bytes(flipped)
            with pytest.raises(PackError):
                digests.check(saved).raise_if_damaged()
            with pytest.raises(PackError):
                pack.pyfunc.load_model(saved)
        path.write_bytes(data)
    digests.check(saved).raise_if_damaged()


def test_files_added_removed_swapped_renamed_emptied_or_linked_are_found(saved: Path, tmp_path: Path) -> None:
    def added(home: Path) -> None:
        (home / "more.txt").write_text("x", encoding="utf-8")

    def hidden(home: Path) -> None:
        (home / ".git").mkdir()
        (home / ".git" / "x.sig").write_text("x", encoding="utf-8")

    def removed(home: Path) -> None:
        (home / "conda.yaml").unlink()

    def swapped(home: Path) -> None:
        one, other = (home / "conda.yaml").read_bytes(), (home / "python_env.yaml").read_bytes()
        (home / "conda.yaml").write_bytes(other)
        (home / "python_env.yaml").write_bytes(one)

    def renamed(home: Path) -> None:
        (home / "conda.yaml").rename(home / "Conda.yaml")

    def emptied(home: Path) -> None:
        (home / "model.skops").write_bytes(b"")

    def linked(home: Path) -> None:
        (home / "model.skops").rename(home / "real")
        (home / "model.skops").symlink_to("real")

    for number, change in enumerate((added, hidden, removed, swapped, renamed, emptied, linked)):
        home = tmp_path / f"copy{number}"
        shutil.copytree(saved, home)
        change(home)
        with pytest.raises((Damaged, InvalidValue)):
            digests.check(home).raise_if_damaged()
        with pytest.raises((Damaged, InvalidValue)):
            pack.pyfunc.load_model(home, trust=True)


def test_what_others_write_beside_a_model_does_not_break_its_seal(saved: Path) -> None:
    (saved / "registered_model_meta").write_text("model_name: x\n", encoding="utf-8")
    (saved / "code" / "__pycache__").mkdir()
    (saved / "code" / "__pycache__" / "helper.cpython-311.pyc").write_bytes(b"junk")
    (saved / "__pycache__").mkdir()
    (saved / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"junk")
    assert digests.check(saved).intact
    assert not [name for name in digests.check(saved).files if "__pycache__" in name or name == "registered_model_meta"]


def test_the_digest_of_a_copy_is_the_same(saved: Path, tmp_path: Path) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    assert digests.check(tmp_path / "copy").digest == digests.check(saved).digest


def test_a_folder_without_mlmodel_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no MLmodel"):
        digests.check(tmp_path)
