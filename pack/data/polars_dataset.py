"""Polars tables as datasets."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from pack.data.dataset import Dataset, check_column
from pack.data.polars_digests import polars_digest
from pack.data.polars_schema import polars_schema
from pack.data.schema import columns_text
from pack.data.sources import Source
from pack.errors import InvalidValue

if TYPE_CHECKING:
    import polars as pl

    from pack.mlmodel import Schema


class PolarsDataset(Dataset):
    """A Polars table, which is kept and not copied, and which of its columns hold targets and predictions.

    Raises `InvalidValue` for anything but a DataFrame, and where `targets` or `predictions` name no column.
    """

    def __init__(
        self,
        df: pl.DataFrame,
        source: Source = None,
        targets: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        predictions: str | None = None,
    ) -> None:
        super().__init__(source, name, digest)
        _check_frame(df)
        check_column(df, targets, what="targets")
        check_column(df, predictions, what="predictions")
        self._df, self._targets, self._predictions = df, targets, predictions

    @property
    def df(self) -> pl.DataFrame:
        """The table itself, no copy."""
        return self._df

    @property
    def targets(self) -> str | None:
        """The column that a model learns to predict."""
        return self._targets

    @property
    def predictions(self) -> str | None:
        """The column that holds what a model predicted."""
        return self._predictions

    @cached_property
    def schema(self) -> Schema | None:
        """The columns, their types, and which may have gaps; None where a column has no type."""
        return polars_schema(self._df)

    @property
    def profile(self) -> dict[str, int]:
        """`num_rows` and `num_elements`."""
        rows, columns = self._df.shape
        return {"num_rows": rows, "num_elements": rows * columns}

    def _compute_digest(self) -> str:
        return polars_digest(self._df)

    def _schema_text(self) -> str | None:
        return columns_text(self._df.width, lambda: self.schema)


def from_polars(
    df: pl.DataFrame,
    source: Source = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PolarsDataset:
    """A Polars DataFrame as a dataset, without a copy; `source` is where it came from: a path, a URI, or this program.

    >>> pack.log_input(from_polars(frame, source="data/churn.parquet"), "training")  # doctest: +SKIP
    """
    return PolarsDataset(df, source, targets, name, digest, predictions)


def _check_frame(frame: Any) -> None:
    kind = type(frame)
    if kind.__module__.partition(".")[0] == "polars" and kind.__name__ == "LazyFrame":
        raise InvalidValue("a LazyFrame holds no data yet", hint="give frame.collect()")
    if kind.__module__.partition(".")[0] != "polars" or kind.__name__ != "DataFrame":
        raise InvalidValue(
            f"a Polars dataset needs a polars.DataFrame, not {kind.__name__}", hint="use from_pandas for pandas"
        )
