"""Files, figures and images of runs."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pack
from pack.errors import InvalidState, InvalidValue, NotFound


def root_of(run: Any) -> Path:
    return Path(run.info.artifact_uri)


def test_streams_of_bytes_and_of_text_become_files() -> None:
    with pack.start_run() as run:
        pack.log_stream(io.BytesIO(b"\x00" * 3_000_000), "a.bin")
        pack.log_stream(io.StringIO("grün"), "a.txt")
    assert (root_of(run) / "a.bin").stat().st_size == 3_000_000
    assert (root_of(run) / "a.txt").read_text(encoding="utf-8") == "grün"


def test_a_folder_is_an_artifact_too(tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "deep" / "a.txt").write_text("a", encoding="utf-8")
    with pack.start_run() as run:
        pack.log_artifact(tmp_path / "out")
    assert (root_of(run) / "out" / "deep" / "a.txt").is_file()


def test_a_dict_is_written_as_json_or_yaml_and_odd_values_as_text() -> None:
    with pack.start_run() as run:
        pack.log_dict({"path": Path("x"), "n": 1}, "a.json")
        pack.log_dict([1, 2], "b")
    assert json.loads((root_of(run) / "a.json").read_text(encoding="utf-8")) == {"path": "x", "n": 1}
    assert json.loads((root_of(run) / "b").read_text(encoding="utf-8")) == [1, 2]


def test_what_is_not_there_is_not_found() -> None:
    with pack.start_run():
        with pytest.raises(NotFound, match="there is no 'nowhere'"):
            pack.log_artifact("nowhere")
        with pytest.raises(NotFound, match="no folder"):
            pack.log_artifacts("nowhere")


def test_a_deleted_run_takes_no_files() -> None:
    with pack.start_run() as run:
        pass
    pack.delete_run(run.info.run_id)
    with pytest.raises(InvalidState, match="deleted"):
        pack.log_text("x", "x.txt", run_id=run.info.run_id)


def test_a_figure_of_plotly_becomes_a_page_that_links_its_library() -> None:
    import plotly.graph_objects as go

    with pack.start_run() as run:
        pack.log_figure(go.Figure(go.Scatter(x=[1, 2], y=[3, 4])), "curve.html")
        with pytest.raises(InvalidValue, match=r"does not write \.txt"):
            pack.log_figure(go.Figure(), "curve.txt")
    page = (root_of(run) / "curve.html").read_text(encoding="utf-8")
    assert "cdn.plot.ly" in page
    assert len(page) < 100_000


def test_what_is_no_figure_says_so() -> None:
    with pack.start_run(), pytest.raises(InvalidValue, match="dict is no figure"):
        pack.log_figure({}, "curve.png")


IMAGES = [
    np.zeros((4, 6), dtype=np.uint8),
    np.ones((4, 6, 1)),
    np.full((4, 6, 3), 200, dtype=np.int64),
    np.full((4, 6, 4), 0.5, dtype=np.float32),
    np.eye(4, 6) > 0,
]


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: f"{image.dtype}{image.shape}")
def test_arrays_are_images(image: np.ndarray[Any, Any]) -> None:
    from PIL import Image

    with pack.start_run() as run:
        pack.log_image(image, "a.png")
    with Image.open(root_of(run) / "a.png") as found:
        assert found.size == (6, 4)
        values = np.asarray(found)
    assert values.max() == {"uint8": 0, "float64": 255, "int64": 200, "float32": 128, "bool": 255}[str(image.dtype)]


@pytest.mark.parametrize(
    "image",
    [np.zeros((2,)), np.zeros((2, 2, 5)), np.full((2, 2), 2.0), np.full((2, 2), 300), np.full((2, 2), np.nan), "x"],
    ids=["flat", "five", "bright", "big", "nan", "text"],
)
def test_what_is_no_image_says_what_would_be(image: Any) -> None:
    with pack.start_run(), pytest.raises(InvalidValue):
        pack.log_image(image, "a.png")


def test_a_series_of_images_has_mlflows_names_and_a_small_copy() -> None:
    with pack.start_run() as run:
        pack.log_image(np.zeros((600, 300), dtype=np.uint8), key="dogs/front", step=3, timestamp=9)
    names = sorted(path.name for path in (root_of(run) / "images").iterdir())
    assert [name.split("+")[:5] for name in names] == [["dogs~front", "step", "3", "timestamp", "9"]] * 2
    assert {name.rpartition(".")[2] for name in names} == {"png", "webp"}
    assert pack.get_run(run.info.run_id).data.tags["mlflow.loggedImages"] == "True"


def test_an_image_needs_one_way_to_be_named() -> None:
    with pack.start_run():
        for wrong in ({}, {"artifact_file": "a.png", "key": "k"}, {"artifact_file": "a.png", "step": 1}):
            with pytest.raises(TypeError):
                pack.log_image(IMAGES[0], **wrong)
        with pytest.raises(InvalidValue, match="cannot be the key"):
            pack.log_image(IMAGES[0], key="a\\b")


def test_artifacts_are_read_back_by_uri() -> None:
    with pack.start_run() as run:
        pack.log_text("hello", "notes/a.txt")
        pack.log_dict({"a": [1]}, "d.yaml")
    uri = f"runs:/{run.info.run_id}"
    assert pack.artifacts.load_text(f"{uri}/notes/a.txt") == "hello"
    assert pack.artifacts.load_dict(f"{uri}/d.yaml") == {"a": [1]}
    assert [one.path for one in pack.artifacts.list_artifacts(run_id=run.info.run_id)] == ["d.yaml", "notes"]
    copy = pack.artifacts.download_artifacts(f"{uri}/notes", dst_path="here")
    assert (Path(copy) / "a.txt").read_text(encoding="utf-8") == "hello"
