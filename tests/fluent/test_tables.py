"""Tables of runs."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import pack
from pack.errors import InvalidValue, NotFound


@pytest.mark.parametrize("name", ["eval.json", "deep/eval.parquet"])
def test_rows_are_added_by_each_call_and_read_back(name: str) -> None:
    with pack.start_run():
        pack.log_table({"q": ["a", "b"], "score": [1.5, 2.0]}, name)
        pack.log_table(pd.DataFrame({"q": ["c"], "score": [3.0]}), name)
        found = pack.load_table(name)
    pd.testing.assert_frame_equal(found, pd.DataFrame({"q": ["a", "b", "c"], "score": [1.5, 2.0, 3.0]}))


def test_the_file_and_the_tag_are_those_of_mlflow() -> None:
    with pack.start_run() as run:
        pack.log_table({"q": "one", "score": 1}, "eval.json")
    text = (Path(run.info.artifact_uri) / "eval.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"columns": ["q", "score"], "data": [["one", 1]]}
    tag = pack.get_run(run.info.run_id).data.tags["mlflow.loggedArtifacts"]
    assert json.loads(tag) == [{"path": "eval.json", "type": "table"}]


def test_a_table_is_read_over_all_runs_that_have_it_with_facts_of_the_runs() -> None:
    ids = []
    for number in range(3):
        with pack.start_run() as run:
            pack.log_param("n", number)
            pack.log_table({"value": [number]}, "t.json")
            ids.append(run.info.run_id)
    found = pack.load_table("t.json", extra_columns=["run_id", "params.n"]).sort_values("value")
    assert found["run_id"].tolist() == ids
    assert found["params.n"].tolist() == ["0", "1", "2"]
    assert pack.load_table("t.json", run_ids=ids[:1])["value"].tolist() == [0]


def test_images_in_cells_are_kept_beside_the_table() -> None:
    from PIL import Image

    with pack.start_run() as run:
        pack.log_table({"image": [Image.new("RGB", (3, 2))], "label": ["dog"]}, "t.json")
        cell: Any = pack.load_table("t.json")["image"][0]
    assert cell["type"] == "image"
    assert (Path(run.info.artifact_uri) / cell["filepath"]).is_file()
    assert (Path(run.info.artifact_uri) / cell["compressed_filepath"]).is_file()


def test_what_is_no_table_says_what_would_be() -> None:
    with pack.start_run():
        for data, name in ((np.zeros(3), "t.json"), ({"a": [1], "b": [1, 2]}, "t.json"), ({"a": 1}, "t.csv")):
            with pytest.raises(InvalidValue):
                pack.log_table(data, name)
        with pytest.raises(NotFound, match="no run of this experiment"):
            pack.load_table("t.json")
        with pytest.raises(InvalidValue, match="no column"):
            pack.log_table({"a": 1}, "t.json")
            pack.load_table("t.json", extra_columns=["nothing"])


def _add(run_id: str, number: int) -> None:
    for turn in range(5):
        pack.log_table({"row": [number * 100 + turn]}, "t.json", run_id=run_id)


def test_processes_that_add_at_once_lose_no_row() -> None:
    with pack.start_run() as run:
        context = multiprocessing.get_context("spawn")
        children = [context.Process(target=_add, args=(run.info.run_id, number)) for number in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        rows = pack.load_table("t.json")["row"].tolist()
    assert sorted(rows) == [number * 100 + turn for number in range(4) for turn in range(5)]
