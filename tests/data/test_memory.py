"""Datasets copy nothing: the memory that their digest and schema take does not grow with the data."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pack import data

MEGABYTE = 1 << 20
SIZE = 200 if os.environ.get("PACK_TEST_FULL_SIZE") else 50
ROWS = SIZE * MEGABYTE // 80


def doubles() -> pd.DataFrame:
    return pd.DataFrame(np.zeros((ROWS, 10)))


def one_by_one() -> pd.DataFrame:
    return pd.DataFrame({name: np.arange(ROWS, dtype="f8") for name in "abcdefghij"})


def gaps() -> pd.DataFrame:
    column = pd.Series(np.arange(ROWS)).astype("Int64").mask(np.arange(ROWS) % 3 == 0)
    return pd.DataFrame({name: column.copy() for name in "abcdefghi"})


def documents() -> pd.DataFrame:
    return pd.DataFrame({"text": pd.Series([str(row) * 5000 for row in range(ROWS // 400)], dtype=object)})


def arrow_documents() -> pd.DataFrame:
    return pd.DataFrame({"text": documents()["text"].astype("str")})


def images() -> pd.DataFrame:
    cells = [np.full((256, 256), row % 256, dtype="u1") for row in range(SIZE * 16)]
    return pd.DataFrame({"image": pd.Series(cells, dtype=object), "raw": [cell.tobytes() for cell in cells]})


@pytest.mark.parametrize("make", [doubles, one_by_one, gaps, documents, arrow_documents, images])
def test_a_pandas_table_is_described_in_place(make: Callable[[], pd.DataFrame]) -> None:
    assert peak(data.from_pandas(make())) < 16 * MEGABYTE


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda array: array[:, ::2]])
def test_an_array_is_described_in_place(layout: Any) -> None:
    assert peak(data.from_numpy(layout(np.zeros((ROWS, 10))), targets=np.zeros(ROWS))) < 16 * MEGABYTE


def peak(dataset: Any) -> int:
    """The most that was allocated at once while a dataset was described."""
    tracemalloc.start()
    try:
        assert dataset.to_dict()["digest"]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


TABLES = {
    "numbers": "pl.DataFrame([pl.int_range(0, rows, eager=True).alias(name) for name in 'abcdefghij'])",
    "texts": "pl.DataFrame({'t': pl.int_range(0, rows // 13, eager=True).cast(pl.String).str.pad_start(1000)})",
    "vectors": "pl.DataFrame({'v': pl.int_range(0, rows * 10, eager=True).reshape((rows // 10, 100))})",
}
SCRIPT = """
import resource, sys
import polars as pl
from pack import data

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

tiny = pl.DataFrame({{"a": [1, None], "t": ["a", None], "l": [[1], None]}})
data.from_polars(tiny).to_dict()
rows = {rows}
frame = {table}
before = peak()
assert data.from_polars(frame).to_dict()["digest"]
print(frame.estimated_size(), (peak() - before) * (1 if sys.platform == "darwin" else 1024))
"""


@pytest.mark.parametrize("table", TABLES)
def test_a_polars_table_is_described_in_place(table: str) -> None:
    pytest.importorskip("resource")
    script = SCRIPT.format(rows=ROWS, table=TABLES[table])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    size, grown = map(int, done.stdout.split())
    assert size > SIZE * MEGABYTE // 2
    assert grown < 24 * MEGABYTE
