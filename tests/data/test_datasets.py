"""Datasets: made without any work, described when asked, recorded within the limits of stores."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings

import pack
from pack import data
from pack.data.dataset import MAX_DIGEST, MAX_NAME, MAX_PROFILE
from pack.data.dataset_source import MAX_SOURCE, MAX_SOURCE_TYPE
from pack.data.numpy_dataset import NumpyDataset
from pack.data.pandas_dataset import PandasDataset
from pack.data.polars_dataset import PolarsDataset
from pack.data.schema import MAX_SCHEMA
from pack.errors import InvalidValue, MissingPackage, NotFound
from pack.tracking import limits
from tests import strategies

anytime = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
FRAME = pd.DataFrame({"age": [31, 45, 27], "plan": ["a", None, "b"], "left": [True, False, True]})


class Watched:
    """A cell that knows who looked at it."""

    looks = 0

    def __repr__(self) -> str:
        Watched.looks += 1
        return "watched"


def test_a_dataset_says_what_a_store_records() -> None:
    dataset = data.from_pandas(FRAME, source="data.csv", targets="left", name="churn")
    facts = dataset.to_dict()
    assert list(facts) == ["name", "digest", "source", "source_type", "schema", "profile"]
    assert (facts["name"], facts["source_type"], facts["source"]) == ("churn", "local", '{"uri": "data.csv"}')
    assert facts["profile"] == '{"num_rows": 3, "num_elements": 9}'
    assert json.loads(facts["schema"] or "")["mlflow_colspec"][1] == {
        "type": "string",
        "name": "plan",
        "required": False,
    }
    assert json.loads(dataset.to_json()) == facts


def test_making_a_dataset_looks_at_no_value_and_the_digest_is_computed_once() -> None:
    dataset = data.from_pandas(pd.DataFrame({"a": [Watched()] * 3}))
    assert (dataset.profile["num_rows"], dataset.name, dataset.source_type, Watched.looks) == (3, "dataset", "code", 0)
    first = dataset.digest
    assert Watched.looks == 3
    assert (dataset.digest, Watched.looks) == (first, 3)


def test_a_digest_that_was_given_is_taken_and_nothing_is_hashed() -> None:
    Watched.looks = 0
    assert data.from_pandas(pd.DataFrame({"a": [Watched()]}), digest="v7").to_dict()["digest"] == "v7"
    assert Watched.looks == 0


def test_the_data_itself_comes_back() -> None:
    features, labels, table = np.zeros((2, 2)), np.ones(2), pl.DataFrame({"a": [1]})
    assert data.from_pandas(FRAME, predictions="left").df is FRAME
    assert data.from_polars(table, targets="a", predictions="a").df is table
    assert data.from_numpy(features, targets=labels).features is features
    assert data.from_numpy(features, targets=labels).targets is labels
    assert data.from_pandas(FRAME, targets="left", predictions="age").predictions == "age"


@pytest.mark.parametrize(
    "make", [data.from_pandas, lambda frame, **names: data.from_polars(pl.from_pandas(frame), **names)]
)
@pytest.mark.parametrize("role", ["targets", "predictions"])
@pytest.mark.parametrize("name", ["gone", ["age"], 3])
def test_a_column_that_is_not_there_is_named_with_those_that_are(make: Any, role: str, name: Any) -> None:
    with pytest.raises(InvalidValue, match=f"{role}=.*\n.*'age', 'plan'"):
        make(FRAME, **{role: name})


@pytest.mark.parametrize(
    ("make", "given", "says"),
    [
        (data.from_pandas, [1, 2], "DataFrame, not list"),
        (data.from_pandas, pl.DataFrame({"a": [1]}), "DataFrame, not DataFrame"),
        (data.from_polars, FRAME, "use from_pandas"),
        (data.from_polars, pl.LazyFrame({"a": [1]}), "collect"),
        (data.from_numpy, [1, 2], "not list"),
        (data.from_numpy, {}, "not dict"),
        (data.from_numpy, {"a": [1]}, "numpy.asarray"),
        (data.from_numpy, {("a", 1): np.zeros(1)}, "by name"),
        (data.load_csv, [1], "path"),
    ],
)
def test_what_is_no_data_of_that_library_is_refused(make: Any, given: Any, says: str) -> None:
    with pytest.raises(InvalidValue, match=says):
        make(given)


@pytest.mark.parametrize("bad", ["", "x" * 501, "x" * 10_000_000, 7, b"a", "\ud800"])
def test_a_name_that_no_store_takes_is_refused_at_once(bad: Any) -> None:
    with pytest.raises(InvalidValue, match="name of a dataset") as caught:
        data.from_pandas(FRAME, name=bad)
    assert len(str(caught.value)) < 300
    with pytest.raises(InvalidValue, match="digest of a dataset"):
        data.from_pandas(FRAME, digest=bad)


def test_the_limits_are_those_of_the_store() -> None:
    ours = {"name": MAX_NAME, "digest": MAX_DIGEST, "schema": MAX_SCHEMA, "profile": MAX_PROFILE}
    assert {**ours, "source": MAX_SOURCE, "source_type": MAX_SOURCE_TYPE} == limits.DATASET


@pytest.mark.parametrize("columns", [15_000, 20_000, 100_000])
def test_a_schema_that_no_store_takes_is_left_out(columns: int) -> None:
    facts = data.from_pandas(pd.DataFrame(np.zeros((1, columns)))).to_dict()
    assert (facts["schema"] is None) == (columns > 15_000)
    assert facts["profile"] == f'{{"num_rows": 1, "num_elements": {columns}}}'


def test_hostile_names_of_columns_stay_text_within_the_limits() -> None:
    page = "<img src=x onerror=alert(1)>'; DROP TABLE datasets; --\x00\u202e"
    facts = data.from_pandas(pd.DataFrame({page: [1]}), name=page[:40], source=f"{page[:40]}.csv").to_dict()
    assert json.loads(facts["schema"] or "")["mlflow_colspec"][0]["name"] == page
    assert data.from_pandas(pd.DataFrame({"x" * 10_000_000: [1]})).to_dict()["schema"] is None
    assert data.from_numpy({"x" * 10_000_000: np.zeros(1)}).to_dict()["profile"] is None


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame({"a": [1j]}),
        pd.DataFrame({"a": [object()]}),
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({("a", "b"): [1]}),
        pd.DataFrame({"a": [10**30]}),
        pl.DataFrame({"a": [1]}, schema={"a": pl.Duration}),
        pl.DataFrame({"a": [2**64 - 1]}, schema={"a": pl.UInt64}),
        pl.DataFrame(),
        np.zeros(2, dtype="i4,f8"),
        {"a": np.array(3)},
    ],
)
def test_data_that_no_schema_can_describe_has_none_and_is_logged_all_the_same(frame: Any) -> None:
    makers: dict[type, Any] = {pd.DataFrame: data.from_pandas, pl.DataFrame: data.from_polars}
    make = makers.get(type(frame), data.from_numpy)
    facts = make(frame).to_dict()
    assert facts["schema"] is None
    assert facts["profile"]
    assert facts["digest"]


@anytime
@given(frame=strategies.frames())
def test_frames_of_any_kind_can_be_recorded(frame: pd.DataFrame) -> None:
    facts = data.from_pandas(frame).to_dict()
    assert all(value is None or isinstance(value, str) for value in facts.values())


@anytime
@given(array=strategies.arrays())
def test_arrays_of_any_kind_can_be_recorded(array: Any) -> None:
    facts = data.from_numpy(array, targets={"a": array}).to_dict()
    assert json.loads(facts["profile"] or "")["targets_shape"] == {"a": list(array.shape)}
    assert json.loads(json.loads(facts["schema"] or "")["mlflow_tensorspec"]["features"])


@pytest.mark.parametrize(
    "kind",
    ["Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64", "Boolean"],
)
@pytest.mark.parametrize("values", [[0, 1, 1], [0, None, 1], []])
def test_a_polars_schema_is_that_of_a_signature(kind: str, values: list[int | None]) -> None:
    frame = pl.DataFrame({"a": pl.Series(values, dtype=pl.Int64).cast(getattr(pl, kind))})
    assert data.from_polars(frame).schema == pack.infer_signature(frame).inputs


def test_a_polars_schema_knows_text_dates_and_nested_columns() -> None:
    frame = pl.DataFrame(
        {"t": ["a", None], "l": [[1], [2]], "s": [{"x": 1.5}, {"x": 2.5}], "b": [b"a", b"b"]},
        schema_overrides={"t": pl.Categorical},
    ).with_columns(d=pl.date(2020, 1, 1), m=pl.datetime(2020, 1, 1))
    assert data.from_polars(frame).schema == pack.infer_signature(frame).inputs


def test_a_file_is_read_when_it_is_needed_and_once(tmp_path: Path) -> None:
    path = tmp_path / "churn.csv"
    dataset = data.load_csv(path, targets="left")
    assert (dataset.name, dataset.source_type, dataset.targets) == ("churn.csv", "local", "left")
    FRAME.to_csv(path, index=False)
    assert dataset.profile == {"num_rows": 3, "num_elements": 9}
    path.unlink()
    assert dataset.digest == data.from_pandas(dataset.df).digest == data.from_pandas(FRAME).digest


def test_each_kind_of_file_gives_the_same_data(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    FRAME.to_json(tmp_path / "a.json")
    FRAME.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    FRAME.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    FRAME.to_parquet(tmp_path / "a.parquet")
    made = [
        data.load_json(tmp_path / "a.json"),
        data.load_json(str(tmp_path / "a.jsonl"), source="https://host/a.jsonl"),
        data.load_csv((tmp_path / "a.tsv").as_uri(), sep="\t"),
        data.load_parquet(tmp_path / "a.parquet", columns=["age", "plan", "left"]),
    ]
    assert {dataset.digest for dataset in made} == {data.from_pandas(FRAME).digest}
    assert [dataset.source_type for dataset in made] == ["local", "http", "local", "local"]


@pytest.mark.parametrize(
    ("load", "text", "kind"),
    [
        (data.load_csv, None, NotFound),
        (data.load_csv, "", InvalidValue),
        (data.load_json, "{", InvalidValue),
        (data.load_csv, "a\n1", InvalidValue),
    ],
)
def test_a_file_that_cannot_be_read_says_so_at_its_first_use(tmp_path: Path, load: Any, text: Any, kind: Any) -> None:
    path = tmp_path / "data"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    dataset = load(path, targets="left")
    with pytest.raises(kind):
        dataset.to_dict()


def test_a_parquet_file_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for name in [name for name in sys.modules if name.partition(".")[0] in {"pyarrow", "fastparquet"}]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackage, match="pip install pyarrow"):
        data.load_parquet(tmp_path / "a.parquet").to_dict()


def test_the_names_are_those_of_mlflow() -> None:
    places = {
        "pandas_dataset": "PandasDataset", "numpy_dataset": "NumpyDataset", "polars_dataset": "PolarsDataset",
        "dataset": "Dataset", "dataset_source": "DatasetSource", "http_dataset_source": "HTTPDatasetSource",
        "code_dataset_source": "CodeDatasetSource", "filesystem_dataset_source": "FileSystemDatasetSource",
        "sources": "HTTPDatasetSource", "schema": "TensorDatasetSchema",
    }  # fmt: skip
    for module, name in places.items():
        assert getattr(importlib.import_module(f"pack.data.{module}"), name)
    assert isinstance(data.from_pandas(FRAME), PandasDataset)
    assert isinstance(data.from_numpy(np.zeros(1)), NumpyDataset)
    assert isinstance(data.from_polars(pl.DataFrame({"a": [1]})), PolarsDataset)
    with pytest.raises(AttributeError, match=r"from_spark.*toPandas"):
        data.from_spark  # noqa: B018


def test_importing_the_room_loads_no_library() -> None:
    script = "import sys, pack.data; pack.data.load_csv; print({'numpy', 'pandas', 'polars'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_a_run_records_its_data() -> None:
    dataset = data.from_pandas(FRAME, source="https://me:hunter2@host/a.csv", name="<b>churn</b>")
    with pack.start_run() as run:
        pack.log_input(dataset, context="training")
        pack.log_input(data.from_pandas(pd.DataFrame(np.zeros((1, 30_000)))))
    first, wide = pack.get_run(run.info.run_id).inputs.dataset_inputs
    assert {**vars(first.dataset)} == dataset.to_dict()
    assert data.get_source(first).to_dict() == {"url": "https://host/a.csv"}
    assert (wide.dataset.schema, wide.dataset.source_type) == (None, "code")
