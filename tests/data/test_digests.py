"""The digest of data: the same for the same data in every process, another for any other value."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pack import data
from pack.data.pieces import ROWS
from tests import strategies

anytime = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
_FINITE = st.floats(allow_nan=True)
_SCALARS = st.none() | st.booleans() | st.integers() | _FINITE | st.text() | st.binary()
_NESTED = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2), max_leaves=5
)
_MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - columns without a zone
# What a column may hold, and its dtype in pandas and in Polars; None where the library has none.
_COLUMNS: dict[str, tuple[st.SearchStrategy[Any], Any, Any]] = {
    "int64": (st.integers(-(2**63), 2**63 - 1), "int64", pl.Int64),
    "uint8": (st.integers(0, 255), "uint8", pl.UInt8),
    "float64": (_FINITE, "float64", pl.Float64),
    "float32": (st.floats(width=32), "float32", pl.Float32),
    "bool": (st.booleans(), "bool", pl.Boolean),
    "text": (st.text(), "str", pl.String),
    "text with gaps": (st.none() | st.text(), "str", pl.String),
    "text as objects": (st.none() | st.text(), object, pl.Categorical),
    "numbers with gaps": (st.none() | st.integers(-(2**63), 2**63 - 1), "Int64", pl.Int64),
    "booleans with gaps": (st.none() | st.booleans(), "boolean", pl.Boolean),
    "arrow": (st.none() | st.integers(-100, 100), "int8[pyarrow]", pl.Int8),
    "dates": (_MOMENTS, "datetime64[us]", pl.Datetime("us")),
    "dates with a zone": (_MOMENTS.map(lambda at: at.replace(tzinfo=timezone.utc)), None, pl.Datetime("us", "UTC")),
    "days": (st.none() | st.dates(), object, pl.Date),
    "times": (st.none() | st.times(), object, pl.Time),
    "durations": (st.timedeltas(timedelta(-99), timedelta(99)), "timedelta64[us]", pl.Duration("us")),
    "categories": (st.sampled_from(["a", "b", None]), "category", pl.Enum(["a", "b"])),
    "bytes": (st.none() | st.binary(), object, pl.Binary),
    "decimals": (st.none() | st.decimals(-99, 99, places=2), object, pl.Decimal(10, 2)),
    "lists": (st.none() | st.lists(st.none() | st.integers(-9, 9), max_size=3), object, pl.List(pl.Int64)),
    "lists of text": (st.none() | st.lists(st.none() | st.text(max_size=2), max_size=3), object, pl.List(pl.String)),
    "pairs": (st.none() | st.lists(st.integers(-9, 9), min_size=2, max_size=2), object, pl.Array(pl.Int64, 2)),
    "structs": (
        st.none() | st.builds(lambda a, b: {"a": a, "b": b}, st.none() | st.integers(-9, 9), st.none() | st.text()),
        object,
        pl.Struct({"a": pl.Int64, "b": pl.String}),
    ),
    "anything": (_NESTED, object, None),
}


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same to a digest; 1, 1.0 and True are three values, all missing values one."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    gone = [value is None or value != value for value in (one, other)]
    return all(gone) or (not any(gone) and type(one) is type(other) and repr(one) == repr(other))


def frame_of(values: list[Any], dtype: Any) -> pd.DataFrame:
    return pd.DataFrame({"a": range(len(values)), "b": pd.Series(values, dtype=dtype)})


def digest_of(frame: Any) -> str:
    make = data.from_polars if isinstance(frame, pl.DataFrame) else data.from_pandas
    return make(frame).digest


def changed(draw: st.DataObject, kind: str) -> tuple[list[Any], list[Any]]:
    """Two lists of values of a kind that differ in one."""
    strategy = _COLUMNS[kind][0]
    before = draw.draw(st.lists(strategy, min_size=1, max_size=5))
    place, value = draw.draw(st.integers(0, len(before) - 1)), draw.draw(strategy)
    assume(not same(before[place], value))
    return before, [*before[:place], value, *before[place + 1 :]]


@pytest.mark.parametrize("kind", _COLUMNS)
@anytime
@given(draw=st.data())
def test_one_other_value_in_pandas_is_another_digest(kind: str, draw: st.DataObject) -> None:
    before, after = changed(draw, kind)
    assert digest_of(frame_of(before, _COLUMNS[kind][1])) != digest_of(frame_of(after, _COLUMNS[kind][1]))


@pytest.mark.parametrize("kind", [kind for kind, column in _COLUMNS.items() if column[2] is not None])
@anytime
@given(draw=st.data())
def test_one_other_value_in_polars_is_another_digest(kind: str, draw: st.DataObject) -> None:
    before, after = changed(draw, kind)
    one, other = (pl.DataFrame({"b": pl.Series(values, dtype=_COLUMNS[kind][2])}) for values in (before, after))
    assert digest_of(one) != digest_of(other)
    assert digest_of(one) == digest_of(one.clone())
    assert digest_of(pl.concat([other, one], rechunk=False)[len(before) :]) == digest_of(one)


@anytime
@given(frame=strategies.frames())
def test_a_copy_and_a_part_of_a_larger_frame_have_the_same_digest(frame: pd.DataFrame) -> None:
    assert digest_of(frame.copy()) == digest_of(frame)
    assert digest_of(frame.iloc[:, :]) == digest_of(frame)
    assert digest_of(frame[::-1][::-1]) == digest_of(frame)


@pytest.mark.parametrize(
    "other",
    [
        lambda frame: frame.rename(columns={"a": "A"}),
        lambda frame: frame[["b", "a"]],
        lambda frame: frame.astype({"a": "int32"}),
        lambda frame: frame.iloc[::-1].reset_index(drop=True),
        lambda frame: frame.iloc[::-1],
        lambda frame: frame.set_index(pd.Index([5, 6, 7])),
        lambda frame: frame.iloc[:2],
        lambda frame: frame.assign(c=1),
        lambda frame: frame.set_axis(pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]), axis=1),
        lambda frame: frame.set_axis(pd.MultiIndex.from_tuples([(1, 1), (1, 2), (2, 1)])),
        lambda frame: frame.set_index(["a", "b"]).reset_index(names=["index", "b"]),
    ],
)
def test_names_dtypes_and_orders_count(other: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    assert digest_of(other(frame)) != digest_of(frame)


def test_names_of_columns_may_be_anything_and_stand_twice() -> None:
    names: list[Any] = [0, "0", "a", "a", None, 1.5, ("a", 0), date(2020, 1, 1), b"a"]
    frames = [pd.DataFrame([range(9)]).set_axis([*names[at:], *names[:at]], axis=1) for at in range(9)]
    assert len({digest_of(frame) for frame in frames}) == 9


def test_text_counts_alike_whatever_holds_it() -> None:
    values = ["a", None, "ä𝄞", ""]
    dtypes = [object, "str", "string", "string[python]", "string[pyarrow]", pd.ArrowDtype(_arrow().large_string())]
    assert len({digest_of(frame_of(values, dtype)) for dtype in dtypes}) == 1


def _arrow() -> Any:
    return pytest.importorskip("pyarrow")


def test_how_memory_is_laid_out_does_not_count() -> None:
    values = np.arange(12.0).reshape(4, 3)
    frames = [pd.DataFrame(values), pd.DataFrame(np.asfortranarray(values)), pd.DataFrame(values.repeat(2, 1)[:, ::2])]
    assert len({digest_of(frame) for frame in frames}) == 1
    layouts = [values, np.asfortranarray(values), values.repeat(2, 0)[::2], values.astype(">f8")]
    assert len({data.from_numpy(layout).digest for layout in layouts}) == 1


def test_what_lies_under_a_gap_does_not_count() -> None:
    one, other = pd.Series([1, 2], dtype="Int64"), pd.Series([1, 9], dtype="Int64")
    one[1] = other[1] = None
    assert digest_of(one.to_frame("a")) == digest_of(other.to_frame("a"))


def test_every_nan_is_the_same() -> None:
    other = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype="u8").view("f8")
    assert data.from_numpy(other).digest == data.from_numpy(np.array([np.nan, np.nan])).digest
    assert digest_of(pd.DataFrame({"a": other})) == digest_of(pd.DataFrame({"a": [np.nan, np.nan]}))


@pytest.mark.parametrize("place", [0, ROWS - 1, ROWS, 2 * ROWS, 2 * ROWS + 9])
def test_every_row_of_a_long_table_counts(place: int) -> None:
    rows = 2 * ROWS + 10
    numbers, texts = np.arange(rows), [str(row) for row in range(rows)]
    before = pd.DataFrame({"n": numbers, "t": texts, "o": pd.Series(texts, dtype=object), "g": numbers})
    before["g"] = before["g"].astype("Int64")
    digests = {digest_of(before), digest_of(pl.DataFrame(before[["n", "t"]].to_dict("list")))}
    for name, value in (("n", -1), ("t", "-"), ("o", None), ("g", pd.NA)):
        after = before.copy()
        after.loc[place, name] = value
        digests.add(digest_of(after))
    texts[place] = "-"
    digests.add(digest_of(pl.DataFrame({"n": numbers, "t": texts})))
    assert len(digests) == 7


def test_where_pieces_end_does_not_count() -> None:
    arrow = _arrow()
    texts = [str(row) * 9 for row in range(ROWS + 50)]
    chunked = arrow.chunked_array([texts[:7], texts[7:ROWS], texts[ROWS:]])
    whole = pd.DataFrame({"t": pd.Series(texts, dtype="str")})
    assert digest_of(pd.DataFrame({"t": pd.Series(chunked, dtype=pd.ArrowDtype(arrow.string()))})) == digest_of(whole)
    large = pl.DataFrame({"t": ["x" * 3_000_000, *"yz"] * 4})
    assert digest_of(pl.concat([large[:5], large[5:]], rechunk=False)) == digest_of(large)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2), np.zeros(2, "float32")),
        (np.zeros(2), np.zeros((2, 1))),
        ({"a": np.zeros(2)}, {"b": np.zeros(2)}),
        ({"a": np.zeros(2), "b": np.ones(2)}, {"a": np.ones(2), "b": np.zeros(2)}),
        (np.array(["ab", "c"]), np.array(["a", "bc"])),
        (np.array(["a", 1], dtype=object), np.array(["a", "1"], dtype=object)),
        (np.array([(1, 2.0)], dtype="i4,f8"), np.array([(1, 3.0)], dtype="i4,f8")),
        (np.array([1 + 2j]), np.array([1 + 3j])),
        (np.array([1], "M8[s]"), np.array([1], "M8[ms]")),
        (np.ma.array([1, 2], mask=[False, True]), np.ma.array([1, 2], mask=[False, False])),
        (np.array([1], "longdouble"), np.array([2], "longdouble")),
    ],
)
def test_arrays_that_differ_have_other_digests(one: Any, other: Any) -> None:
    assert data.from_numpy(one).digest != data.from_numpy(other).digest
    assert data.from_numpy(one).digest != data.from_numpy(one, targets=np.zeros(2)).digest


def test_the_order_of_a_dict_of_arrays_does_not_count() -> None:
    one = data.from_numpy({"a": np.zeros(2), "b": np.ones(2)})
    assert one.digest == data.from_numpy({"b": np.ones(2), "a": np.zeros(2)}).digest


def test_cells_of_any_kind_have_a_digest() -> None:
    knot: list[Any] = [1]
    knot += [knot, knot]
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    cells = [
        knot, deep, object(), {1, "a"}, lambda: 1, Decimal("sNaN"), 10**5000, 1j, np.float32(1), np.zeros((2, 2)),
        pd.NaT, pd.Series([1]), pd.Interval(0, 1), pd.Timestamp("2020", tz="UTC"), "\ud800", {"a": {1.5: b"x"}}, type,
        range(3),
    ]  # fmt: skip
    digests = {digest_of(pd.DataFrame({"a": pd.Series([cell], dtype=object)})) for cell in cells}
    assert len(digests) == len(cells)


SCRIPT = """
import numpy as np, pandas as pd, polars as pl
from pack import data

class Thing:
    pass

odd = [{"b", "a", "c", "d"}, frozenset("xyz"), Thing(), {"k": Thing(), "j": [1, None]}, 1.5, "é", None]
frame = pd.DataFrame({"n": [1.5, -0.0, np.nan], "t": ["a", None, "ä"], "c": pd.Categorical(["u", "v", "u"])})
print(data.from_pandas(frame).digest)
print(data.from_pandas(pd.DataFrame({"odd": pd.Series(odd, dtype=object)})).digest)
table = pl.DataFrame({"n": [1, None], "t": ["a", None], "l": [[1], None], "s": [{"x": 1}, None]})
print(data.from_polars(table).digest)
print(data.from_numpy({"x": np.arange(6.0).reshape(2, 3)}, targets=np.array(["a", "b"])).digest)
"""


def digests_with(seed: int) -> list[str]:
    world = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=world)
    return done.stdout.split()


def test_the_same_data_has_the_same_digest_in_every_process() -> None:
    first = digests_with(1)
    assert first == digests_with(2)
    assert all(len(digest) == 32 and set(digest) <= set("0123456789abcdef") for digest in first)


def test_the_format_is_a_promise() -> None:
    """Digests that were recorded by this format; another format would part data from its records."""
    assert digests_with(3) == [
        "8a9f29af68e64cb0fceef7da43552e2f",
        "d4e6c0c11a00abe91028e7627770099f",
        "f67c650928990a08df7bd9d0fe70381a",
        "c75d0be3b82396abc9f9dd28757dc934",
    ]
