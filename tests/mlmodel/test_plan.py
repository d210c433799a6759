"""A plan as a whole: tables of any kind, layouts that it remembers, threads, and what it costs."""

from __future__ import annotations

import subprocess
import sys
import threading
import timeit
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pack.errors import MissingPackage, SchemaMismatch
from pack.mlmodel import Array, ColSpec, ModelSignature, Plan, Schema, TensorSpec, compile_plan, frames, infer_signature
from tests import models


def plan_of(*specs: ColSpec | TensorSpec) -> Plan:
    return compile_plan(ModelSignature(inputs=Schema(list(specs))))


AB = [ColSpec("double", "a"), ColSpec("string", "b", required=False)]


def test_without_a_signature_everything_passes_as_it_is() -> None:
    for data in (object(), [1, "a"], {"k": None}, pd.DataFrame({"a": [1, 1]})):
        assert compile_plan(None).data(data) is data


@pytest.mark.parametrize(
    "data",
    [
        {"a": 1, "b": "x"},
        {"a": [1.0], "b": ["x"]},
        {"a": np.array([1]), "b": "x"},
        {"a": np.float64(1), "b": np.array("x")},
        [{"a": 1, "b": "x"}],
        ({"a": 1, "b": "x"},),
        {"a": pd.Series([1]), "b": pd.Series(["x"])},
        pd.DataFrame({"b": ["x"], "a": [1]}),
    ],
    ids=str,
)
def test_plain_data_becomes_a_frame(data: Any) -> None:
    frame = plan_of(*AB).data(data)
    assert frame.to_dict("list") == {"a": [1.0], "b": ["x"]}
    assert frame["a"].dtype == "float64"


def test_polars_and_arrow_tables_become_a_frame() -> None:
    import polars as pl
    import pyarrow as pa

    columns = {"a": [1.0, None], "b": ["x", None]}
    for table in (pl.DataFrame(columns), pl.LazyFrame(columns), pa.table(columns), pa.RecordBatch.from_pydict(columns)):
        frame = plan_of(*AB).data(table)
        assert frame["a"].isna().tolist() == [False, True]
        assert frame["b"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, None], "Int64"),
        ([2**53 + 1, None], "Int64"),
        ([True, None], "boolean"),
        ([1.5, None], "float64"),
        (["a", None], None),
        ([b"a", None], "object"),
        ([[1, 2], None], "object"),
        ([{"k": 1}, None], "object"),
    ],
)
def test_gaps_in_a_table_from_elsewhere_change_no_other_value(values: list[Any], dtype: str | None) -> None:
    import polars as pl
    import pyarrow as pa

    for table in (pl.DataFrame({"x": values}), pa.table({"x": values})):
        column = frames.as_frame(table)["x"]
        assert column[0] == values[0]
        assert pd.isna(column[1])
        assert dtype is None or column.dtype == dtype


def test_zones_of_a_table_from_elsewhere_are_kept() -> None:
    import polars as pl
    import pyarrow as pa

    when = pd.Timestamp("2024-07-01 12:00", tz="Asia/Seoul")
    polars = pl.DataFrame({"x": [when.to_pydatetime()]})
    arrow = pa.table({"x": pa.array([when.to_pydatetime()], pa.timestamp("us", "Asia/Seoul"))})
    for table in (polars, arrow):
        column = frames.as_frame(table)["x"]
        assert column[0] == when
        assert str(column.dt.tz) == "Asia/Seoul"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"a": [1, 2], "b": ["x"] * 3}, "columns of different lengths came: [2, 3]"),
        ([[1, "x"], [2]], "rows of different lengths came: [1, 2]"),
        (np.zeros((1, 2, 3)), "ndarray of shape [1, 2, 3] came, which makes no table"),
        ({"b": ["x"]}, "columns are missing: ['a']"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "columns came twice: ['a']"),
        (5, "columns are missing: ['a']; not declared: [0]"),
        (None, "columns are missing: ['a']"),
    ],
)
def test_what_makes_no_such_table_is_refused(data: Any, why: str) -> None:
    with pytest.raises(SchemaMismatch) as error:
        plan_of(*AB).data(data)
    assert why in error.value.message


def test_a_sparse_matrix_is_no_table() -> None:
    import scipy.sparse

    with pytest.raises(SchemaMismatch, match="a sparse matrix came"):
        plan_of(*AB).data(scipy.sparse.eye(2))


def test_columns_without_names_are_taken_by_position() -> None:
    plan = plan_of(ColSpec("double"), ColSpec("long"))
    frame = pd.DataFrame({"x": [1.5], "y": [2]})
    assert plan.data(frame) is frame
    assert plan.data([[1.5, 2]]).iloc[0].tolist() == [1.5, 2]
    assert plan.data(frame.assign(z=3)).columns.tolist() == ["x", "y"]
    with pytest.raises(SchemaMismatch, match="2 columns are declared, 1 came"):
        plan.data([[1.5]])


def test_one_column_of_lists_takes_lists() -> None:
    plan = plan_of(ColSpec(Array("long")))
    assert plan.data([[1, 2], [3]])[0].tolist() == [[1, 2], [3]]
    assert plan.data([])[0].tolist() == []
    with pytest.raises(SchemaMismatch, match="the column is declared Array\\(long\\): row 1: holds text"):
        plan.data([[1], "x"])


def test_a_dict_is_one_row_where_lists_are_declared() -> None:
    plan = plan_of(ColSpec(Array("long"), "v"), ColSpec("long", "n"))
    assert plan.data({"v": [1, 2], "n": 3}).to_dict("list") == {"v": [[1, 2]], "n": [3]}


def test_a_frame_that_is_converted_is_not_changed_itself() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    before = frame.copy(deep=True)
    passed = plan_of(*AB).data(frame)
    assert passed["a"].dtype == "float64"
    passed.loc[0, "a"] = 9.0
    pd.testing.assert_frame_equal(frame, before)


def test_the_index_of_a_frame_is_kept() -> None:
    index = pd.Index([7, 3], name="id")
    for frame in (pd.DataFrame({"a": [1, 2]}, index=index), pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=index)):
        pd.testing.assert_index_equal(plan_of(*AB).data(frame).index, index)


def test_frames_of_several_layouts_are_each_judged_by_their_own() -> None:
    plan = plan_of(*AB)
    exact, whole = pd.DataFrame({"a": [1.5], "b": ["x"]}), pd.DataFrame({"a": [1], "b": ["x"]})
    wrong = pd.DataFrame({"a": ["1"], "b": ["x"]})
    for _ in range(3):
        assert plan.data(exact) is exact
        assert plan.data(whole)["a"].dtype == "float64"
        with pytest.raises(SchemaMismatch, match="'a' is declared double"):
            plan.data(wrong)
        with pytest.raises(SchemaMismatch, match="missing"):
            plan.data(exact[["b"]])


def test_a_layout_that_was_seen_looks_at_the_values_again() -> None:
    plan = plan_of(ColSpec("double", "a"))
    plan.data(pd.DataFrame({"a": [2**53]}))
    with pytest.raises(SchemaMismatch, match="row 1 of the int64 that came cannot be held exactly"):
        plan.data(pd.DataFrame({"a": [1, 2**53 + 1]}))


def test_columns_that_are_not_declared_are_dropped_and_named_once() -> None:
    plan = plan_of(*AB)
    frame = pd.DataFrame({"a": [1.5], "b": ["x"], "c": [1]})
    with pytest.warns(UserWarning, match="does not declare are dropped: \\['c'\\]"):
        plan.data(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plan.data(frame).columns.tolist() == ["a", "b"]
        assert plan.data(frame.assign(d=1)).columns.tolist() == ["a", "b"]


def test_a_table_over_the_wire_has_exactly_the_declared_columns() -> None:
    import pyarrow as pa

    plan = plan_of(ColSpec("double", 0), ColSpec("string", "b", required=False))
    assert plan.wire_table(pa.table({"0": [1], "b": ["x"]})).to_dict("list") == {0: [1.0], "b": ["x"]}
    with pytest.raises(SchemaMismatch, match="not declared: \\['c'\\]"):
        plan.wire_table(pa.table({"0": [1], "c": [1]}))
    assert plan_of(TensorSpec("int64", (-1, 1))).wire_table(pa.table({"a": [1]})).tolist() == [[1]]
    assert compile_plan(None).wire_table(pa.table({"a": [1]}))["a"].tolist() == [1]


@pytest.mark.parametrize("name", [pd.NA, None, 1.5, ("a", "b"), pd.Timestamp(0)])
def test_odd_labels_are_only_columns_that_are_missing(name: Any) -> None:
    with pytest.raises(SchemaMismatch, match="missing"):
        plan_of(*AB).data(pd.DataFrame([[1.5]], columns=pd.Index([name], tupleize_cols=False)))


def test_many_threads_may_use_one_plan() -> None:
    plan = plan_of(*AB)
    given = [
        pd.DataFrame({"a": [1.5], "b": ["x"]}),
        pd.DataFrame({"a": [1], "b": ["x"]}),
        pd.DataFrame({"b": ["x"], "a": [1.5]}),
        pd.DataFrame({"a": [1.5]}),
    ]
    wanted = [plan_of(*AB).data(frame).to_dict("list") for frame in given]
    wrong: list[Any] = []

    def work(start: int) -> None:
        for step in range(200):
            place = (start + step) % len(given)
            found = plan.data(given[place]).to_dict("list")
            if found != wanted[place]:
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_dtypes_are_the_same_with_and_without_private_pandas() -> None:
    for frame in (models.mixed_frame(), models.wide_frame(), pd.DataFrame(), pd.DataFrame({"a": []})):
        assert frames.dtypes_of(frame) == frame.dtypes.tolist()


def test_a_frame_that_matches_costs_a_few_microseconds_whatever_its_length() -> None:
    small, large = models.wide_frame(rows=1), models.wide_frame(rows=100_000)
    plan = compile_plan(infer_signature(small))
    assert plan.data(small) is small
    assert plan.data(large) is large

    def cost(frame: pd.DataFrame) -> float:
        return min(timeit.repeat(lambda: plan.data(frame), number=100, repeat=20)) / 100

    assert cost(small) < 50e-6
    assert cost(large) < 50e-6


def test_columns_without_pandas_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import polars as pl

    monkeypatch.setitem(sys.modules, "pandas", None)
    calls: list[Callable[[], Any]] = [
        lambda: plan_of(*AB).data({"a": 1.5}),
        lambda: plan_of(*AB).data(pl.DataFrame({"a": [1.5]})),
        lambda: plan_of(*AB).wire_split(["a"], [[1.5]]),
        lambda: compile_plan(None).wire_csv("a\n1\n"),
    ]
    for call in calls:
        with pytest.raises(MissingPackage) as error:
            call()
        assert error.value.hint == "install it: pip install pandas"


def test_plans_for_tensors_need_no_pandas() -> None:
    program = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "import numpy as np, polars as pl\n"
        "from pack.mlmodel import ModelSignature, Schema, TensorSpec, compile_plan\n"
        "plan = compile_plan(ModelSignature(inputs=Schema([TensorSpec('float64', (-1, 2))])))\n"
        "print(plan.data(np.zeros((3, 2))).shape, plan.wire_inputs([[1, 2]]).shape)\n"
        "print(plan.data(pl.DataFrame({'a': [1.0], 'b': [2]})).tolist())\n"
        "assert 'pandas' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["(3, 2) (1, 2)", "[[1.0, 2.0]]"], done.stderr
    assert done.returncode == 0, done.stderr


def test_columns_of_numbers_in_another_order_of_bytes_are_taken_too() -> None:
    plan = plan_of(ColSpec("integer", "b"), ColSpec("integer", "a"))
    frame = pd.DataFrame({"a": np.array([1, 2], ">i4"), "b": np.array([3, 4], ">i4")})
    assert plan.data(frame).to_dict("list") == {"b": [3, 4], "a": [1, 2]}
