"""What people type by mistake: a clear error, and nothing half done."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import AlreadyExists, InvalidUri, InvalidValue, MissingPackage, NotFound

RECORDING: list[Callable[[Any], object]] = [
    pack.log_params,
    pack.log_metrics,
    pack.set_tags,
    pack.set_experiment_tags,
    pack.log_model_params,
    lambda given: pack.start_run(tags=given, nested=True),
    lambda given: pack.create_experiment("x", tags=given),
    lambda given: pack.initialize_logged_model("m", params=given),
]


@pytest.mark.parametrize("record", RECORDING)
@pytest.mark.parametrize("given", [argparse.Namespace(lr=0.1), [("lr", 0.1)], "lr"], ids=["namespace", "list", "text"])
def test_what_is_no_dict_says_how_to_make_one(record: Callable[[Any], object], given: Any) -> None:
    pack.set_active_model(name="m")
    with pack.start_run(), pytest.raises(InvalidValue, match="are a dict, not"):
        record(given)


def test_an_experiment_that_is_given_whole_does_not_make_another() -> None:
    found = pack.set_experiment("churn")
    for wrong in (found, 7, 1.5):
        with pytest.raises(InvalidValue, match="is text, not"):
            pack.set_experiment(wrong)  # type: ignore[arg-type]
    assert [one.name for one in pack.search_experiments()] == ["churn", "Default"]


@pytest.mark.parametrize("status", [None, 99, "finished", "DONE", 1.5])
def test_a_status_that_is_none_leaves_the_run_open(status: Any) -> None:
    run = pack.start_run()
    with pytest.raises(InvalidValue, match="is no status of a run"):
        pack.end_run(status)
    assert pack.active_run() == run
    with pytest.raises(InvalidValue, match="is no status of a run"):
        pack.Client().set_terminated(run.info.run_id, status or 99)


def test_a_name_that_is_no_text_is_called_so() -> None:
    with pack.start_run(), pytest.raises(InvalidValue, match="the name of a metric is text, not int64"):
        pack.log_metrics({np.int64(3): 1.0})  # type: ignore[dict-item]


def test_the_name_of_a_model_is_text() -> None:
    with pytest.raises(InvalidValue, match="the name of a model is text, not float"):
        pack.initialize_logged_model(1.5)  # type: ignore[arg-type]


def test_what_a_metric_was_measured_on_is_a_dataset() -> None:
    with pack.start_run(), pytest.raises(InvalidValue, match="str is no dataset"):
        pack.log_metric("loss", 1, dataset="train")


def test_an_empty_path_does_not_log_the_working_folder() -> None:
    Path("file").write_text("mine", encoding="utf-8")
    with pack.start_run() as run:
        for log in (pack.log_artifact, pack.log_artifacts):
            with pytest.raises(InvalidValue, match="is no path"):
                log("")
            with pytest.raises(NotFound):
                log("x" * 5000)
    assert pack.Client().list_artifacts(run.info.run_id) == []


def test_paths_may_be_path_objects() -> None:
    Path("file").write_text("mine", encoding="utf-8")
    with pack.start_run() as run:
        pack.log_text("x", Path("notes/a.txt"))
        pack.log_dict({}, Path("a.json"))
        pack.log_artifact(Path("file"), Path("deep/er"))
        pack.log_table({"a": [1]}, Path("t.json"))
    assert pack.artifacts.load_text(f"runs:/{run.info.run_id}/deep/er/file") == "mine"
    assert len(pack.Client().list_artifacts(run.info.run_id)) == 4


def test_a_file_is_no_folder_and_a_folder_no_file() -> None:
    with pack.start_run():
        pack.log_text("x", "a/b")
        with pytest.raises(AlreadyExists, match="'b' is a file"):
            pack.log_text("x", "a/b/c")
        with pytest.raises(AlreadyExists, match="'a' is a folder"):
            pack.log_text("x", "a")


@pytest.mark.parametrize(
    "log",
    [
        lambda: pack.log_text(b"x", "a"),  # type: ignore[arg-type]
        lambda: pack.log_text("\udce9", "a"),
        lambda: pack.log_text("x", 5),  # type: ignore[arg-type]
        lambda: pack.log_dict({("a", "b"): 1}, "a.json"),
        lambda: pack.log_stream("x", "a"),  # type: ignore[arg-type]
        lambda: pack.log_image(np.zeros((2, 2)), key="k", step=1.5),  # type: ignore[arg-type]
        lambda: pack.log_outputs(["m-1"]),  # type: ignore[list-item]
        lambda: pack.log_inputs(models=["m-1"]),  # type: ignore[list-item]
    ],
)
def test_what_cannot_be_a_file_or_a_link_of_a_run_is_a_wrong_value(log: Callable[[], None]) -> None:
    with pack.start_run() as run, pytest.raises(InvalidValue):
        log()
    assert pack.Client().list_artifacts(run.info.run_id) == []


def test_a_figure_in_a_format_that_is_none_says_which_there_are() -> None:
    from matplotlib.figure import Figure

    with pack.start_run(), pytest.raises(InvalidValue, match=r"matplotlib does not write '\.xyz'"):
        pack.log_figure(Figure(), "plot.xyz")


def test_a_picture_of_plotly_needs_kaleido(monkeypatch: pytest.MonkeyPatch) -> None:
    go = pytest.importorskip("plotly.graph_objects")
    monkeypatch.setitem(__import__("sys").modules, "kaleido", None)
    with pack.start_run(), pytest.raises(MissingPackage, match="kaleido"):
        pack.log_figure(go.Figure(), "plot.png")


@pytest.mark.parametrize("uri", [None, 5, b"models:/m/1"])
def test_a_uri_that_is_no_text_is_refused(uri: Any) -> None:
    with pytest.raises(InvalidUri, match="it is no text"):
        pack.load_model(uri)


def test_a_path_that_is_too_long_leads_nowhere() -> None:
    with pytest.raises(NotFound):
        pack.register_model("x" * 5000, "churn")


def test_a_run_without_files_says_so() -> None:
    with pack.start_run() as run:
        pass
    with pytest.raises(NotFound, match="there are no files there"):
        pack.artifacts.download_artifacts(f"runs:/{run.info.run_id}")


def test_columns_of_a_table_are_arrays_and_series_too() -> None:
    frame = pd.DataFrame({"q": ["a", "b"], "n": [1, 2]})
    with pack.start_run():
        pack.log_table({"q": frame["q"], "n": frame["n"].to_numpy(), "i": range(2), "model": "m1"}, "t.json")
        found = pack.load_table("t.json", extra_columns="status")
    assert found.drop(columns="status").to_dict("list") == {
        "q": ["a", "b"],
        "n": [1, 2],
        "i": [0, 1],
        "model": ["m1"] * 2,
    }


def test_what_is_no_table_is_not_added_to() -> None:
    with pack.start_run():
        for name in ("t.json", "t.parquet"):
            pack.log_text("words", name)
            with pytest.raises(InvalidValue, match="is no table"):
                pack.log_table({"a": [1]}, name)
        with pytest.raises(InvalidValue, match="the same name"):
            pack.log_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), "twice.json")
        with pytest.raises(InvalidValue, match="cannot be written as Parquet"):
            pack.log_table({"a": [1, "x"]}, "mixed.parquet")


def test_streams_are_read_whatever_they_hold() -> None:
    with pack.start_run() as run:
        pack.log_stream(io.BytesIO(b"bytes"), "a")
    assert pack.artifacts.load_text(f"runs:/{run.info.run_id}/a") == "bytes"


@pytest.mark.parametrize("path", [None, 5, ""])
def test_a_model_is_saved_at_a_path(path: Any) -> None:
    with pytest.raises(InvalidValue, match="is no path"):
        pack.save_model(len, path)


def test_what_is_downloaded_goes_to_a_path() -> None:
    with pack.start_run() as run:
        pack.log_text("a", "a.txt")
    with pytest.raises(InvalidValue, match="5 is no path"):
        pack.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="a.txt", dst_path=5)  # type: ignore[arg-type]


def test_datasets_are_a_list() -> None:
    with pack.start_run(), pytest.raises(InvalidValue, match="datasets are a list, not int"):
        pack.log_inputs(5)  # type: ignore[arg-type]
