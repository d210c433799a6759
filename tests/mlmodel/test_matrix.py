"""Each kind of column under each declared type: MLflow's matrix (interoperability facts, 6.3) with our verdicts.

`=` is the same column, a dtype is an exact conversion to it, `x` is refused. Where MLflow refuses and no value would be
lost, we convert; where MLflow lets a column pass that holds something else than is declared, we refuse.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pack.errors import SchemaMismatch
from pack.mlmodel import ColSpec, DataType, ModelSignature, Schema, compile_plan

DAY = datetime(2024, 1, 2)  # noqa: DTZ001 - models know dates without zones
KINDS = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]

#                                         boolean  integer  long     float      double     string binary datetime
MATRIX: list[tuple[Any, list[Any], str]] = [
    ("bool", [True], "                    =        x        x        x          x          x      x      x"),
    ("int8", [1], "                       x        =        =        float32    float64    x      x      x"),
    ("int16", [1], "                      x        =        =        float32    float64    x      x      x"),
    ("uint8", [1], "                      x        =        =        float32    float64    x      x      x"),
    ("uint16", [1], "                     x        =        =        float32    float64    x      x      x"),
    ("int32", [2**31 - 1], "              x        =        =        x          float64    x      x      x"),
    ("int64", [2**53 + 1], "              x        x        =        x          x          x      x      x"),
    ("int64", [0, 1], "                   x        int32    =        float32    float64    x      x      x"),
    ("uint32", [2**32 - 1], "             x        x        =        x          float64    x      x      x"),
    ("uint64", [5], "                     x        int32    =        float32    float64    x      x      x"),
    ("uint64", [2**63], "                 x        x        x        float32    float64    x      x      x"),
    ("float16", [1.5], "                  x        x        x        =          float64    x      x      x"),
    ("float32", [1.5], "                  x        x        x        =          float64    x      x      x"),
    ("float64", [1.5], "                  x        x        x        float32    =          x      x      x"),
    ("float64", [0.1], "                  x        x        x        x          =          x      x      x"),
    ("float64", [3.0], "                  x        int32    int64    float32    =          x      x      x"),
    ("float64", [1.0, np.nan], "          x        x        x        float32    =          x      x      x"),
    ("float64", [np.inf], "               x        x        x        float32    =          x      x      x"),
    ("str", ["a", "001"], "               x        x        x        x          x          =      x      x"),
    ("object", ["a", None], "             x        x        x        x          x          =      x      x"),
    ("object", [1, 2], "                  x        =        =        float32    float64    x      x      x"),
    ("object", [1, None], "               x        x        x        float32    float64    x      x      x"),
    ("object", [1.5], "                   x        x        x        float32    =          x      x      x"),
    ("object", [1, 1.5], "                x        x        x        float32    =          x      x      x"),
    ("object", [1.0], "                   x        int32    int64    float32    =          x      x      x"),
    ("object", [True], "                  =        x        x        x          x          x      x      x"),
    ("object", [True, None], "            x        x        x        x          x          x      x      x"),
    ("object", [True, 1], "               x        x        x        x          x          x      x      x"),
    ("object", [b"a"], "                  x        x        x        x          x          x      =      x"),
    ("object", ["a", 1], "                x        x        x        x          x          x      x      x"),
    ("object", [[1]], "                   x        x        x        x          x          x      x      x"),
    ("object", [Decimal("0.5")], "        x        x        x        float32    float64    x      x      x"),
    ("object", [Decimal("0.1")], "        x        x        x        x          x          x      x      x"),
    ("object", [Decimal(7)], "            x        int32    int64    float32    float64    x      x      x"),
    ("datetime64[s]", [DAY], "            x        x        x        x          x          x      x      ="),
    ("datetime64[ns]", [DAY], "           x        x        x        x          x          x      x      ="),
    ("datetime64[us, UTC]", [DAY], "      x        x        x        x          x          x      x      ="),
    ("object", [DAY], "                   x        x        x        x          x          x      x      ="),
    ("object", [date(2024, 1, 2)], "      x        x        x        x          x          x      x      ="),
    ("object", [np.datetime64(DAY)], "    x        x        x        x          x          x      x      ="),
    ("str", ["2024-01-02"], "             x        x        x        x          x          =      x      x"),
    ("timedelta64[ns]", [1], "            x        x        x        x          x          x      x      x"),
    ("period[D]", ["2024-01-02"], "       x        x        x        x          x          x      x      x"),
    ("complex128", [1j], "                x        x        x        x          x          x      x      x"),
    ("category", ["a"], "                 x        x        x        x          x          =      x      x"),
    ("category", [1.5], "                 x        x        x        float32    =          x      x      x"),
    ("Int64", [7], "                      x        int32    =        float32    float64    x      x      x"),
    ("Int64", [7, None], "                x        x        x        float32    float64    x      x      x"),
    ("Int64", [2**53 + 1, None], "        x        x        x        x          x          x      x      x"),
    ("Int32", [7], "                      x        =        =        float32    float64    x      x      x"),
    ("Float64", [1.5], "                  x        x        x        float32    =          x      x      x"),
    ("Float64", [1.5, None], "            x        x        x        float32    =          x      x      x"),
    ("boolean", [True], "                 =        x        x        x          x          x      x      x"),
    ("boolean", [True, None], "           x        x        x        x          x          x      x      x"),
    ("string", ["a", None], "             x        x        x        x          x          =      x      x"),
    ("Sparse[float64]", [1.5, 0.0], "     x        x        x        float32    =          x      x      x"),
    ("object", [None], "                  x        x        x        float32    float64    =      =      ="),
]
CASES = [
    pytest.param(dtype, values, kind, verdict, id=f"{dtype}-{str(values)[:30]}-{kind}")
    for dtype, values, verdicts in MATRIX
    for kind, verdict in zip(KINDS, verdicts.split(), strict=True)
]


@pytest.mark.parametrize(("dtype", "values", "kind", "verdict"), CASES)
def test_each_pair_has_its_verdict(dtype: Any, values: list[Any], kind: str, verdict: str) -> None:
    plan = compile_plan(ModelSignature(inputs=Schema([ColSpec(DataType[kind], "x")])))
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    before = frame.copy(deep=True)
    if verdict == "x":
        with pytest.raises(SchemaMismatch, match=f"^column 'x' is declared {kind}: "):
            plan.data(frame)
        return
    passed = plan.data(frame)
    assert (passed is frame) is (verdict == "=")
    assert verdict == "=" or passed["x"].dtype == verdict
    assert passed["x"].dropna().tolist() == [value for value in values if value is not None and value == value] or (
        verdict == "="
    )
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("dtype", "values", "kind"),
    [
        ("Int64", [7, None], "long"),
        ("float64", [7.0, np.nan], "long"),
        ("object", [7, None], "integer"),
        ("boolean", [True, None], "boolean"),
        ("object", [True, None], "boolean"),
        ("object", [None], "long"),
    ],
)
def test_a_column_with_gaps_that_may_have_them_stays_as_it_is(dtype: Any, values: list[Any], kind: str) -> None:
    plan = compile_plan(ModelSignature(inputs=Schema([ColSpec(DataType[kind], "x", required=False)])))
    frame = pd.DataFrame({"x": pd.Series(values, dtype=dtype)})
    assert plan.data(frame) is frame
