"""Bodies that are read straight into their types: where the quick reader answers, it answers as the careful one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pack.errors import PackError
from pack.mlmodel import ColSpec, ModelSignature, Schema, TensorSpec
from pack.mlmodel.plan import Plan, compile_plan
from pack.serving import blocks, bodies
from pack.serving.parcels import Parcel, parcel_of
from pack.serving.typed import reader_of

TYPES = ["double", "float", "long", "integer", "boolean", "string"]
VALID = st.characters(exclude_categories=["Cs"])
NAMES = st.lists(st.text(VALID, min_size=1, max_size=4), min_size=1, max_size=4, unique=True)
# What stands in JSON for a value: most are fine for some type, the others must be left to the careful reader.
TOKENS = st.one_of(
    st.integers(-(2**31), 2**31 - 1).map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(json.dumps),
    st.text(max_size=4).map(json.dumps),
    st.text(VALID, max_size=4).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.sampled_from(
        [
            "true",
            "false",
            "null",
            "-0",
            "-0.0",
            "1.0",
            "1e3",
            "1E-7",
            "1e400",
            "9007199254740993",
            "16777217",
            "16777217.5",
        ]
    ),
    st.sampled_from(
        ['"a:b"', '":"', '"\\":"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\\\"', '"', "[]", "[1]", "{}", "01", "+1"]
    ),
)
FITTING = {
    "double": st.floats(allow_nan=False, allow_infinity=False).map(json.dumps) | st.integers(-99, 99).map(str),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False).map(json.dumps) | st.integers(-99, 99).map(str),
    "long": st.integers(-(2**63), 2**63 - 1).map(str),
    "integer": st.integers(-(2**31), 2**31 - 1).map(str),
    "boolean": st.sampled_from(["true", "false"]),
    "string": st.text(VALID, max_size=4).map(json.dumps),
}


def careful(body: bytes, plan: Plan) -> Parcel | None:
    try:
        data, params, bare = bodies.decode_json(body, plan)
        return parcel_of(data, plan.params(params), wrapped=not bare)
    except PackError:
        return None


def same(quick: Any, slow: Any) -> None:
    if isinstance(slow, pd.DataFrame):
        pd.testing.assert_frame_equal(quick, slow, check_exact=True)
    elif isinstance(slow, dict):
        assert list(quick) == list(slow)
        same(*quick.values(), *slow.values())
    else:
        assert (quick.dtype, quick.shape) == (slow.dtype, slow.shape)
        np.testing.assert_array_equal(quick, slow)


def check(body: str, plan: Plan) -> bool:
    """Compare both readers; whether the quick one answered."""
    reader = reader_of(plan, {})
    assert reader is not None
    raw = body.encode("utf-8", "surrogatepass")
    quick = reader(raw)
    if quick is None:
        return False
    slow = careful(raw, plan)
    assert slow is not None, body
    same(quick.join([quick.data]), slow.data)
    assert (quick.rows, quick.params) == (
        len(next(iter(slow.data.values()), ())) if isinstance(slow.data, dict) else len(slow.data),
        {},
    )
    return True


@st.composite
def tables(draw: st.DrawFn) -> tuple[Plan, str, bool]:
    """A plan of columns, a body for it, and whether each value in it fits."""
    names = draw(NAMES)
    types = draw(st.lists(st.sampled_from(TYPES), min_size=len(names), max_size=len(names)))
    if draw(st.booleans()):
        types = [types[0]] * len(names)
    plan = compile_plan(
        ModelSignature(Schema([ColSpec(type_, name) for type_, name in zip(types, names, strict=True)]))
    )
    fits = draw(st.booleans())
    cells = [FITTING[type_] if fits else FITTING[type_] | TOKENS for type_ in types]
    rows = draw(st.lists(st.tuples(*cells), min_size=1, max_size=3))
    given_names = names if fits else draw(st.permutations(names) | st.just([*names, names[0]]) | st.just(names[:-1]))
    keys = [json.dumps(name, ensure_ascii=draw(st.booleans())) for name in given_names]
    gap = draw(st.sampled_from(["", " ", "\n"]))
    if draw(st.booleans()):
        listed = ",".join(f"[{','.join(row)}]" for row in rows)
        value = f'{{"columns"{gap}:[{",".join(keys)}],{gap}"data":[{listed}]}}'
        return plan, f'{{"dataframe_split"{gap}:{value}}}', fits
    records = [",".join(f"{key}{gap}:{gap}{cell}" for key, cell in zip(keys, row, strict=False)) for row in rows]
    key = draw(st.sampled_from(["dataframe_records", "inputs", "instances"]))
    return plan, f'{{"{key}":[{",".join(f"{{{record}}}" for record in records)}]}}', fits


@pytest.fixture(autouse=True, params=[0, 1 << 60], ids=["every body by blocks", "no body by blocks"])
def threshold(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large bodies have a reader of their own: here it reads all of them, or none."""
    monkeypatch.setattr(blocks, "LARGE", request.param)


@given(tables())
def test_columns_are_read_as_the_careful_reader_reads_them(case: tuple[Plan, str, bool]) -> None:
    plan, body, _ = case
    if reader_of(plan, {}) is not None:
        check(body, plan)


@st.composite
def nested(draw: st.DrawFn, cells: st.SearchStrategy[str], depth: int) -> str:
    if not depth:
        return draw(cells)
    return f"[{','.join(draw(st.lists(nested(cells, depth - 1), min_size=1, max_size=3)))}]"


DTYPES = ["float64", "float32", "float16", "int64", "int32", "int8", "uint8", "uint64", "bool"]


@given(st.sampled_from(DTYPES), st.integers(1, 3), st.sampled_from([None, "x"]), st.data())
def test_tensors_are_read_as_the_careful_reader_reads_them(
    dtype: str, depth: int, name: str | None, data: st.DataObject
) -> None:
    spec = TensorSpec(np.dtype(dtype), (-1,) * depth, name)
    body = data.draw(nested(TOKENS | st.integers(0, 9).map(str), data.draw(st.sampled_from([depth, depth, 1, 2]))))
    check(
        f'{{"{data.draw(st.sampled_from(["inputs", "instances"]))}":{body}}}',
        compile_plan(ModelSignature(Schema([spec]))),
    )


@given(st.data())
def test_arrays_without_a_signature_are_read_as_the_careful_reader_reads_them(data: st.DataObject) -> None:
    check(f'{{"inputs": {data.draw(nested(TOKENS | st.integers(0, 9).map(str), 2))}}}', compile_plan(None))


@pytest.mark.parametrize(
    ("types", "body"),
    [
        (["double", "double"], '{"dataframe_split":{"columns":["a","b"],"data":[[1,2.5],[3,4]]}}'),
        (["double", "double"], '{"dataframe_records":[{"a":1,"b":2.5}]}'),
        (["double", "string"], '{"inputs": [{"a": 1.5, "b": "x:y"}, {"b": ":", "a": 2}]}'),
        (["long", "boolean"], '{"instances": [{"a": 9223372036854775807, "b": true}]}'),
        (["float", "integer"], '{"dataframe_split": {"data": [[0.1, -1]], "columns": ["a", "b"]}}'),
    ],
)
def test_plain_bodies_are_read_quickly(types: list[str], body: str) -> None:
    specs = [ColSpec(type_, name) for type_, name in zip(types, "ab", strict=True)]
    assert check(body, compile_plan(ModelSignature(Schema(specs)))) != ('":"' in body)


@pytest.mark.parametrize(
    "body",
    [
        '{"dataframe_records":[{"a":1,"a":2}]}',
        '{"dataframe_records":[{"a":1,"a" : 2}]}',
        '{"dataframe_records":[{"a":1,"b":2}]}',
        '{"dataframe_split":{"columns":["a"],"data":[[1]],"data" :[[2]]}}',
        '{"dataframe_split":{"columns":["b"],"data":[[1]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[1,2]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[true]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[["1"]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[9007199254740993]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[NaN]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[1]]},"params":{}}',
        '{"dataframe_split":{"columns":["a"],"data":[[1]]},"inputs":[{"a":1}]}',
        '{"dataframe_split":{"columns":["a"],"data":[]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[[1]]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[1],[[2]]]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[1],2]}}',
        '{"dataframe_split":{"columns":["a"],"data":[[1],{"a":2}]}}',
    ],
)
def test_whatever_needs_a_closer_look_is_left_to_the_careful_reader(body: str) -> None:
    assert not check(body, compile_plan(ModelSignature(Schema([ColSpec("double", "a")]))))


@pytest.mark.parametrize(
    "rows",
    ["[[1,2],[3]]", "[[1],[2,3,4]]", "[[1,2],[[3],[4]]]", "[[1,2],[[],[3,4]]]", "[[1,2],[[3,4]]]", "[1,2,[3,4]]"],
)
def test_rows_that_only_look_right_when_they_are_laid_flat_are_not_read(rows: str) -> None:
    specs = [ColSpec("double", name) for name in "ab"]
    body = f'{{"dataframe_split":{{"columns":["a","b"],"data":{rows}}}}}'
    assert not check(body, compile_plan(ModelSignature(Schema(specs))))
    spec = TensorSpec(np.dtype("float64"), (-1, 2))
    assert not check(f'{{"inputs":{rows}}}', compile_plan(ModelSignature(Schema([spec]))))
