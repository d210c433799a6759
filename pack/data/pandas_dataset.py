"""pandas tables as datasets."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pack.data.dataset import Dataset, check_column
from pack.data.pandas_digests import frame_digest
from pack.data.schema import columns_text, schema_of
from pack.data.sources import Source
from pack.errors import InvalidValue
from pack.mlmodel.frames import is_frame

if TYPE_CHECKING:
    import pandas as pd

    from pack.mlmodel import Schema


class PandasDataset(Dataset):
    """A pandas table, and which of its columns hold targets and predictions.

    `df` is a DataFrame, which is kept and not copied, or a function that reads one when it is first needed. Raises
    `InvalidValue` for anything else, and where `targets` or `predictions` name no column.
    """

    def __init__(
        self,
        df: pd.DataFrame | Callable[[], pd.DataFrame],
        source: Source = None,
        targets: str | None = None,
        name: str | None = None,
        digest: str | None = None,
        predictions: str | None = None,
    ) -> None:
        super().__init__(source, name, digest)
        self._given = df
        self._targets, self._predictions = targets, predictions
        if not callable(df):
            self._check(df)

    @cached_property
    def df(self) -> pd.DataFrame:
        """The table itself, no copy; a file is read at the first use."""
        return self._check(self._given()) if callable(self._given) else self._given

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
        return schema_of(self.df)

    @property
    def profile(self) -> dict[str, int]:
        """`num_rows` and `num_elements`."""
        return {"num_rows": len(self.df), "num_elements": int(self.df.size)}

    def _compute_digest(self) -> str:
        return frame_digest(self.df)

    def _schema_text(self) -> str | None:
        return columns_text(self.df.shape[1], lambda: self.schema)

    def _check(self, frame: Any) -> pd.DataFrame:
        if not is_frame(frame):
            raise InvalidValue(
                f"a pandas dataset needs a DataFrame, not {type(frame).__name__}", hint="use pandas.DataFrame(data)"
            )
        check_column(frame, self._targets, what="targets")
        check_column(frame, self._predictions, what="predictions")
        found: pd.DataFrame = frame
        return found


def from_pandas(
    df: pd.DataFrame,
    source: Source = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> PandasDataset:
    """A DataFrame as a dataset, without a copy; `source` is where it came from: a path, a URI, or this program.

    >>> pack.log_input(from_pandas(frame, source="data/churn.csv", targets="left"), "training")  # doctest: +SKIP
    """
    return PandasDataset(df, source, targets, name, digest, predictions)
