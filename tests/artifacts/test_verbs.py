"""The verbs that get, list and read artifacts: of runs, of this disk, of servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pack
from pack import artifacts
from pack.errors import InvalidUri, InvalidValue, NotFound
from tests import models
from tests.artifacts.proxy import Proxy


@pytest.fixture
def run_id() -> str:
    """A run with some files."""
    with pack.start_run() as run:
        pack.log_text("hé", "a/b/c.txt")
        pack.log_dict({"x": [1, 2]}, "d.json")
        pack.log_dict({"x": [1, 2]}, "d.yaml")
    return run.info.run_id


def listed(**given: Any) -> list[tuple[str, bool, int | None]]:
    return [(info.path, info.is_dir, info.file_size) for info in artifacts.list_artifacts(**given)]


def test_the_folders_of_a_run_are_listed_as_mlflow_does(run_id: str) -> None:
    assert listed(run_id=run_id) == [("a", True, None), ("d.json", False, 29), ("d.yaml", False, 11)]
    assert listed(run_id=run_id, artifact_path="a/b") == [("a/b/c.txt", False, 3)]
    assert listed(artifact_uri=f"runs:/{run_id}") == listed(run_id=run_id)
    assert listed(artifact_uri=f"runs:/{run_id}/a") == [("a/b", True, None)]
    assert listed(artifact_uri=f"runs:/{run_id}/a/b") == [("b/c.txt", False, 3)]
    assert listed(run_id=run_id, artifact_path="a/b/c.txt") == []
    assert listed(run_id=run_id, artifact_path="none") == []


def test_a_run_without_files_lists_nothing_and_an_unknown_run_is_an_error() -> None:
    with pack.start_run() as run:
        pass
    assert listed(run_id=run.info.run_id) == []
    with pytest.raises(NotFound):
        listed(run_id="0" * 32)


def test_the_files_of_a_model_are_listed_from_its_root() -> None:
    with pack.start_run():
        pack.log_model(models.wide_pipeline(), "wide", registered_model_name="wide")
    logged = pack.last_logged_model()
    assert logged is not None
    for uri in ("models:/wide/1", logged.model_uri):
        assert "MLmodel" in {path for path, _, _ in listed(artifact_uri=uri)}
    assert Path(artifacts.download_artifacts("models:/wide/1/MLmodel")).is_file()


def test_what_lies_on_this_disk_is_answered_in_place(run_id: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    assert artifacts.download_artifacts(str(tmp_path / "file")) == str(tmp_path / "file")
    found = artifacts.download_artifacts(run_id=run_id, artifact_path="a/b/c.txt")
    assert isinstance(found, str)
    assert Path(found).read_text(encoding="utf-8") == "hé"


def test_copies_go_where_mlflow_puts_them(run_id: str, tmp_path: Path) -> None:
    for _ in range(2):  # over what is there
        assert artifacts.download_artifacts(f"runs:/{run_id}/a", dst_path=tmp_path / "x") == str(tmp_path / "x" / "a")
    assert (tmp_path / "x" / "a" / "b" / "c.txt").read_text(encoding="utf-8") == "hé"
    artifacts.download_artifacts(run_id=run_id, artifact_path="a/b", dst_path=tmp_path / "y")
    assert (tmp_path / "y" / "b" / "c.txt").is_file()
    artifacts.download_artifacts(run_id=run_id, dst_path=tmp_path / "z", allow="*.json")
    assert [path.name for path in (tmp_path / "z").iterdir()] == ["d.json"]


@pytest.mark.parametrize(
    "given",
    [
        {}, {"artifact_path": "a"}, {"artifact_uri": "runs:/r/a", "run_id": "r"},
        {"artifact_uri": "runs:/r/a", "artifact_path": "a"}, {"run_id": "r", "artifact_path": "../x"},
        {"artifact_uri": "runs:/r/../x"}, {"run_id": "r", "tracking_uri": "sqlite:///x.db"},
    ],
)  # fmt: skip
def test_what_does_not_name_one_place_is_refused(given: dict[str, str]) -> None:
    for verb in (artifacts.download_artifacts, artifacts.list_artifacts):
        with pytest.raises(InvalidValue):
            verb(**given)


def test_text_and_values_are_read(run_id: str) -> None:
    assert artifacts.load_text(f"runs:/{run_id}/a/b/c.txt") == "hé"
    assert artifacts.load_dict(f"runs:/{run_id}/d.json") == artifacts.load_dict(f"runs:/{run_id}/d.yaml")
    assert artifacts.load_dict(f"runs:/{run_id}/d.json") == {"x": [1, 2]}


def test_an_image_is_read(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (3, 2), "red").save(tmp_path / "red.png")
    found = artifacts.load_image(str(tmp_path / "red.png"))
    assert (found.size, found.getpixel((0, 0))) == ((3, 2), (255, 0, 0))


@pytest.mark.parametrize("data", [b"\xff\xfe", b"[" * 100_000, b"{", b"", b"\x89PNG\r\n\x1a\n"])
def test_what_cannot_be_read_is_said(tmp_path: Path, data: bytes) -> None:
    pytest.importorskip("PIL.Image")
    (tmp_path / "file").write_bytes(data)
    for verb in (artifacts.load_dict, artifacts.load_image):
        with pytest.raises(InvalidValue, match="file"):
            verb(str(tmp_path / "file"))


def test_a_folder_is_no_text(run_id: str) -> None:
    for verb in (artifacts.load_text, artifacts.load_dict, artifacts.load_image):
        with pytest.raises(InvalidValue, match="is a folder"):
            verb(f"runs:/{run_id}/a")
        with pytest.raises(NotFound):
            verb(f"runs:/{run_id}/none")


def test_a_server_is_read_through_the_cache(proxy: Proxy, tmp_path: Path) -> None:
    proxy.files = {"m/a.json": b'{"x": 1}', "m/deep/b.txt": b"hi"}
    assert artifacts.load_dict(proxy.uri("m/a.json")) == {"x": 1}
    assert listed(artifact_uri=proxy.uri("m")) == [("m/a.json", False, 8), ("m/deep", True, None)]
    assert [info.path for info in artifacts.listing(proxy.uri("m/deep"))] == ["b.txt"]
    copy = Path(artifacts.download_artifacts(proxy.uri("m"), dst_path=tmp_path / "out", ignore="deep/"))
    assert copy == tmp_path / "out" / "m"
    assert [path.name for path in copy.iterdir()] == ["a.json"]


def test_a_scheme_without_a_store_says_so() -> None:
    for verb in (artifacts.listing, artifacts.load_text):
        with pytest.raises(InvalidUri, match="s3: locations cannot be read yet"):
            verb("s3://bucket/model")
