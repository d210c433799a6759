"""The same data through real MLflow and through us: the same records, but for the digest, which is ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import pack.data

pytestmark = pytest.mark.mlflow

HEAD = """
import datetime as dt
import numpy as np, pandas as pd
"""
FRAMES = """
frames = {
    "numbers": pd.DataFrame({"i": [1, 2], "d": [0.5, 1.5], "b": [True, False], "f": np.array([1, 2], "float32")}),
    "small": pd.DataFrame({name: np.array([1, 2], name) for name in "int8 int16 int32 uint8 uint16 uint32".split()}),
    "texts": pd.DataFrame({"t": ["a", "b"], "g": ["a", None], "raw": [b"a", b"b"], "html": ["<b>", "'"]}),
    "dates": pd.DataFrame({"d": pd.to_datetime(["2020-01-01", None]), "z": pd.to_datetime(["2020", "2021"], utc=True)}),
    "nested": pd.DataFrame({"l": [[1, 2], [3]], "s": [{"a": 1.5}, {"a": 2.5}], "n": [[["x"]], [["y"]]]}),
    "nullable": pd.DataFrame({"i": pd.array([1, None], "Int64"), "b": pd.array([True, None], "boolean")}),
    "category": pd.DataFrame({"c": pd.Categorical(["u", "v"])}),
    "gaps": pd.DataFrame({"d": [1.5, None]}),
    "numbered": pd.DataFrame(np.zeros((3, 2))),
    "no rows": pd.DataFrame({"a": np.zeros(0)}),
    "no columns": pd.DataFrame(),
    "complex": pd.DataFrame({"a": [1j]}),
}
arrays = {
    "one": (np.zeros((3, 4)), None),
    "with targets": (np.zeros((3, 4), "float32"), np.arange(3)),
    "dicts": ({"x": np.zeros((3, 4)), "y": np.zeros(3, "uint8")}, {"t": np.zeros((3, 2, 2))}),
    "texts": (np.array(["a", "bc"]), np.array([b"a", b"b"])),
    "dates": (np.zeros(2, "M8[ns]"), None),
    "objects": (np.array([1, None], dtype=object), None),
    "empty": (np.zeros((0, 3)), None),
}
"""
TABLES = """
import polars as pl
numbers = {name: pl.Series([1, 2]).cast(getattr(pl, name)) for name in (
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "Float32", "Float64", "Boolean"
)}
tables = {
    "numbers": pl.DataFrame(numbers),
    "texts": pl.DataFrame({"t": ["a", "b"], "raw": [b"a", b"b"], "c": pl.Series(["u", "v"], dtype=pl.Categorical)}),
    "dates": pl.DataFrame({"d": [dt.date(2020, 1, 1)], "m": [dt.datetime(2020, 1, 1)]}),
    "nested": pl.DataFrame({"l": [[1], [2, 3]], "s": [{"a": 1.5, "b": "x"}, {"a": 2.5, "b": "y"}]}),
    "durations": pl.DataFrame({"t": [dt.timedelta(1)]}),
    "no rows": pl.DataFrame({"a": [1]})[:0],
    "gaps": pl.DataFrame({"a": [1, None]}),
}
"""
SOURCES = [
    "data.csv", "./a/../b.csv", "/data/a.csv", "file:///data/a.csv", "~/a.csv", "$HOME/a.csv", "table.name@2", "s3://b/k.csv",
    "S3://b/k", "gs://b/k", "wasbs://c@a/x", "abfss://c@a/x", "hdfs://h/x", "viewfs:///a", "sftp://h/x", "ftp://h/x",
    "r2://b/k", "b2://b/k", "http://h/x.csv", "https://h/x.csv?page=1", "HTTP://h/x",
]  # fmt: skip
# MLflow calls a Polars column optional where it holds nothing at all; we do where it has gaps, as for pandas.
DIFFERENT = {"no rows", "gaps"}


def here(setup: str) -> dict[str, Any]:
    world: dict[str, Any] = {}
    exec(HEAD + setup, world)
    return world


def compared(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(facts[name] or "null") for name in ("schema", "profile")}


def test_frames_and_arrays_are_described_as_mlflow_describes_them(mlflow: Callable[[str], Any]) -> None:
    theirs = mlflow(
        f"{HEAD}{FRAMES}\nimport mlflow.data\n"
        "answer = {name: mlflow.data.from_pandas(frame).to_dict() for name, frame in frames.items()}\n"
        "answer |= {f'array {name}': mlflow.data.from_numpy(x, targets=y).to_dict() for name, (x, y) in arrays.items()}"
    )
    world = here(FRAMES)
    ours = {name: pack.data.from_pandas(frame).to_dict() for name, frame in world["frames"].items()}
    ours |= {f"array {name}": pack.data.from_numpy(x, targets=y).to_dict() for name, (x, y) in world["arrays"].items()}
    assert {name: compared(facts) for name, facts in ours.items()} == {
        name: compared(facts) for name, facts in theirs.items()
    }
    assert {facts["name"] for facts in ours.values()} == {facts["name"] for facts in theirs.values()}
    assert list(next(iter(ours.values()))) == list(next(iter(theirs.values())))


def test_polars_tables_are_described_as_mlflow_describes_them(mlflow: Callable[[str], Any], tmp_path: Path) -> None:
    lend_polars(tmp_path)
    theirs = mlflow(
        f"{HEAD}{TABLES}\nimport mlflow.data\n"
        "answer = {name: mlflow.data.from_polars(table).to_dict() for name, table in tables.items()}"
    )
    ours = {name: pack.data.from_polars(table).to_dict() for name, table in here(TABLES)["tables"].items()}
    for name in ours.keys() - DIFFERENT:
        assert compared(ours[name]) == compared(theirs[name]), name


def lend_polars(folder: Path) -> None:
    """Let MLflow's interpreter, which has no Polars, import the one of this environment."""
    for name in ("polars", "_polars_runtime_32", "_polars_runtime"):
        found = find_spec(name)
        if found is not None and found.origin is not None:
            (folder / name).symlink_to(Path(found.origin).parent)


def test_sources_are_recorded_as_mlflow_records_them(mlflow: Callable[[str], Any]) -> None:
    theirs = mlflow(
        f"import pandas as pd, mlflow.data\nframe = pd.DataFrame({{'a': [1.5]}})\n"
        f"made = [mlflow.data.from_pandas(frame, source=source).to_dict() for source in {SOURCES}]\n"
        "answer = [(facts['source_type'], facts['source']) for facts in made]"
    )
    made = [pack.data.from_pandas(here(FRAMES)["frames"]["gaps"], source=source).to_dict() for source in SOURCES]
    assert [[facts["source_type"], facts["source"]] for facts in made] == theirs


def test_mlflow_reads_our_records_and_we_read_its(mlflow: Callable[[str], Any]) -> None:
    frame = here(FRAMES)["frames"]["texts"]
    ours = [pack.data.from_pandas(frame, source=source).to_dict() for source in [None, *SOURCES]]
    theirs = mlflow(
        "import mlflow.data\nfrom mlflow.entities import Dataset\nfrom mlflow.types import Schema\n"
        f"records = [Dataset(**facts) for facts in {ours}]\n"
        "columns = json.loads(records[0].schema)['mlflow_colspec']\n"
        "Schema.from_json(json.dumps(columns))\n"
        "sources = [mlflow.data.get_source(record) for record in records]\n"
        "answer = [(source._get_source_type(), source.to_json()) for source in sources]"
    )
    assert theirs == [[facts["source_type"], facts["source"]] for facts in ours]
