"""Signatures beside real MLflow: the same examples give the same JSON, and each side reads what the other writes."""

from __future__ import annotations

import datetime  # noqa: ICN001 - the examples name it
import json
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy

from pack.mlmodel import ModelSignature, ParamSchema, Schema, infer_signature, schema_from_hint

pytestmark = pytest.mark.mlflow

MLflow = Callable[[str], Any]
ROOT = Path(__file__).parent.parent.parent
NAMES = {"np": np, "pd": pd, "datetime": datetime, "scipy": scipy}

# Each line is one example; both sides give the same JSON for it.
SAME = r"""
pd.DataFrame({"a": [1, 2], "b": [1.5, 2.5], "c": ["x", "y"], "d": [True, False]})
pd.DataFrame({0: [1], 1: [2.0]})
pd.DataFrame({"z": [1], "b": [2], "a": [3]})
pd.DataFrame({"a b": [1], "": [2], "\u00e9": [3]})
pd.DataFrame({t: np.array([1], t) for t in ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]})
pd.DataFrame({t: np.array([1], t) for t in ["float16", "float32", "float64", "bool", "datetime64[ns]", ">i4"]})
pd.DataFrame({t: pd.array([1, None], dtype=t) for t in ["Int64", "Int32", "Int8", "UInt8", "Float64", "Float32"]})
pd.DataFrame({"a": pd.array([1, 2], dtype="Int64"), "b": pd.array([True, None], dtype="boolean")})
pd.DataFrame({"a": [1.0, np.nan], "b": [np.inf, 1.0], "c": [np.nan, np.nan]})
pd.DataFrame({"a": ["x", None], "b": pd.Series(["x", "y"], dtype=object), "c": pd.array(["x", None], dtype="string")})
pd.DataFrame({"a": [b"x", b"y"], "b": [b"x", None], "c": [bytearray(b"x"), b"y"]})
pd.DataFrame({"a": [None, None]})
pd.DataFrame({"a": pd.Series(["a", None], dtype="category"), "b": pd.Series([1, 2], dtype="category")})
pd.DataFrame({"a": pd.Series([1.5, 2], dtype="category"), "b": pd.Series([True, False], dtype="category")})
pd.DataFrame({"a": pd.to_datetime(["2020-01-01", None]), "b": pd.to_datetime(["2020-01-01"] * 2).tz_localize("UTC")})
pd.DataFrame({"a": pd.Series([datetime.datetime(2020, 1, 1)], dtype=object)})
pd.DataFrame({"a": pd.Series([datetime.date(2020, 1, 1)], dtype=object)})
pd.DataFrame({"a": pd.Series([np.datetime64("2020-01-01")], dtype=object)})
pd.DataFrame({"a": pd.Series([1, 2], dtype=object), "b": pd.Series([1, 2.5], dtype=object)})
pd.DataFrame({"a": pd.Series([True, None], dtype=object), "b": pd.Series([True, False], dtype=object)})
pd.DataFrame({"a": pd.Series([np.int32(1)], dtype=object), "b": pd.Series([np.float32(1)], dtype=object)})
pd.DataFrame({"a": [[1, 2], [3]], "b": [[1, 2], []], "c": [["x"], None], "d": [[[1], [2, 3]], [[4]]]})
pd.DataFrame({"a": [[], []]})
pd.DataFrame({"a": [[1, None]]})
pd.DataFrame({"a": [[[1], []]]})
pd.DataFrame({"a": [np.array([1, 2]), np.array([3])], "b": [np.array([1.5], "float32"), np.array([2], "float32")]})
pd.DataFrame({"a": [np.array([1], "int32")], "b": [np.array([[1, 2]])], "c": [np.array(["x"])]})
pd.DataFrame({"a": [np.array([True])]})
pd.DataFrame({"a": [np.array(["2020-01-01"], "datetime64[ns]")]})
pd.DataFrame({"a": [{"k": 1}, {"k": 2, "l": "x"}], "b": [{"k": 1}, {"k": None}], "c": [{"k": {"m": [1.5]}}] * 2})
pd.DataFrame({"a": [[{"k": 1}, {"l": 2}]], "b": [{"k": None}], "c": [{}]})
pd.DataFrame({"a": [{"k": [{"m": 1}]}, {"k": [{"m": 1, "n": 2}]}]})
pd.DataFrame({"a": pd.Series([], dtype="float64"), "b": pd.Series([], dtype="str"), "c": pd.Series([], dtype="bool")})
pd.DataFrame({"a": pd.Series([1, None], dtype="int64[pyarrow]"), "b": pd.Series(["x"] * 2, dtype="string[pyarrow]")})
pd.Series([1, 2], name="a")
pd.Series([1.5, 2])
pd.Series(["x"], name=0)
pd.Series([1.5, None], name="n")
np.array([1, 2, 3])
np.array([[1.5, 2], [3, 4]])
np.zeros((2, 3, 4), "float32")
np.array(["x", "yy"])
np.array([b"x"])
np.array([True])
np.array([1], "uint64")
np.array([1 + 2j])
np.array([1], ">i4")
np.array(["2020-01-01"], "datetime64[D]")
np.array([1], "timedelta64[ns]")
np.array(["x", 1], dtype=object)
np.zeros((0, 4))
np.float64(1.5)
np.float32(1.5)
np.int64(5)
np.int32(5)
np.bool_(True)
np.str_("x")
np.datetime64("2020-01-01")
{"a": np.array([1, 2]), "b": np.array([[1.5]])}
{0: np.array([1])}
{"a": np.array([1]), "b": "x"}
{"a": np.array([1]), "b": [1]}
{"a": np.float64(1), "b": np.int32(2)}
scipy.sparse.csr_matrix(np.eye(3))
scipy.sparse.csc_matrix(np.eye(3, dtype="float32"))
{"a": 1, "b": 1.5, "c": "x", "d": True, "e": b"x", "f": datetime.datetime(2020, 1, 1), "g": datetime.date(2020, 1, 1)}
{"a": [1, 2], "b": ["x", "y"], "c": [], "d": None, "e": {"k": 1}, "f": {}, "g": [[1, 2], [3]], "h": [[]]}
{"a": [{"k": 1}, {"l": 2}], "b": {"k": {"l": [1]}}}
{"messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "max_tokens": 5, "stop": ["x"]}
[{"a": 1}, {"a": 2, "b": "x"}]
[{"a": 1}, {"a": None}]
[{"a": [1]}, {"a": []}]
[{"a": {"k": 1}}, {"a": {"k": 1, "l": 2}}]
[{}, {"a": 1}]
[1, 2]
[1.5]
[True]
["x", None]
[1, None]
[None]
[b"x"]
[datetime.date(2020, 1, 1)]
[[1, 2], [3]]
[[1], None]
[[[1]]]
[[]]
[]
[np.float32(1.5)]
[np.array([1, 2]), np.array([3, 4])]
[1, "x"]
"x"
1
1.5
True
b"x"
datetime.datetime(2020, 1, 1)
""".strip().splitlines()

# MLflow describes none of the columns, as it cannot describe one of them: `[{"type": "any"}]`. Here, the others keep
# their types, and so does this one where it has one.
MORE = r"""
pd.DataFrame({"a": np.array([1], "uint64"), "b": ["x"]})
pd.DataFrame({"a": pd.Series([1, "x"], dtype=object), "b": ["x", "y"]})
pd.DataFrame({"a": [[1.5, 2]], "b": [(1, 2)], "c": [[1, "x"]]})
pd.DataFrame({"a": [{"k": 1}, {"k": "x"}], "b": [1, 2]})
pd.DataFrame({"a": pd.arrays.SparseArray([0, 1])})
pd.Series([1.5, None])
np.array(5)
np.uint8(5)
{"a": np.array(5)}
{0: 1}
{"a": pd.Series([1, 2])}
{"a": pd.Timestamp("2020-01-01")}
{"a": [1, 2.5]}
[{"a": 1}, {"a": 1.5}]
[1, 2.5]
(1, 2)
scipy.sparse.coo_matrix(np.eye(3))
pd.Index([1, 2])
""".strip().splitlines()

# Both describe the data, and differ: as MLflow has it, and as it is here.
OTHER = {
    # Whole numbers beside a gap stay whole.
    'pd.DataFrame({"a": pd.Series([1, None], dtype=object)})': (
        '[{"type": "double", "name": "a", "required": false}]',
        '[{"type": "long", "name": "a", "required": false}]',
    ),
    # A column of which nothing is known may hold anything.
    'pd.DataFrame({"a": pd.Series([], dtype=object)})': (
        '[{"type": "string", "name": "a", "required": true}]',
        '[{"type": "any", "name": "a", "required": false}]',
    ),
    # A gap inside a list does not make the list itself optional.
    '{"a": [1, None]}': (
        '[{"type": "array", "items": {"type": "long"}, "name": "a", "required": false}]',
        '[{"type": "array", "items": {"type": "long"}, "name": "a", "required": true}]',
    ),
}
PARAMS = r"""
{"a": 1, "b": 1.5, "c": True, "d": "x"}
{"a": datetime.datetime(2020, 1, 1, 2, 3, 4), "b": datetime.date(2020, 1, 1), "c": np.datetime64("2020-01-01T00:00:00")}
{"a": [1, 2], "b": [1.5], "c": ["x"], "d": [True], "e": [datetime.datetime(2020, 1, 1)], "f": [1, 2.5]}
{"a": np.array([1, 2]), "b": np.array([1.5], "float32"), "c": np.array([1], "int32")}
{"a": np.int32(1), "b": np.int64(1), "c": np.float32(1.5), "d": np.float64(1.5), "e": np.bool_(True), "f": np.str_("x")}
{"a": {"k": 1, "l": {"m": [1.5]}}, "b": float("nan"), "c": float("inf")}
{1: 2}
""".strip().splitlines()
HINTS = """
list[int] list[str] list[bool] list[float] list[bytes] list[datetime.datetime] list[list[int]] list[dict[str,int]]
list[dict[str,list[str]]] list[dict[str,Any]] list[Union[int,str]] list[Any] list[list[Any]] list[list[Optional[int]]]
"""

INFER = """
import datetime, logging
import numpy as np, pandas as pd, scipy.sparse
from mlflow.models import infer_signature
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import ParamSchema, Schema
logging.disable(logging.CRITICAL)

def passes(data, schema):
    try:
        _enforce_schema(data, Schema.from_json(schema))
    except Exception as error:
        return str(error)
    return True

"""


def ours(example: str, member: str = "model_input") -> str:
    """The JSON that pack infers for an example."""
    signature = infer_signature(**{member: eval(example, dict(NAMES))}).to_dict()
    return str(signature[{"model_input": "inputs", "model_output": "outputs", "params": "params"}[member]])


def differences(examples: list[str], theirs: list[str], mine: list[str]) -> list[str]:
    pairs = zip(examples, theirs, mine, strict=True)
    return [f"{example}\n  MLflow {one}\n  pack   {two}" for example, one, two in pairs if one != two]


def test_the_same_examples_give_the_same_json_as_inputs_and_as_outputs(mlflow: MLflow) -> None:
    inputs, outputs = mlflow(
        f"{INFER}data = [eval(example) for example in {SAME!r}]\n"
        "answer = [[infer_signature(one).to_dict()['inputs'] for one in data],"
        " [infer_signature(model_output=one).to_dict()['outputs'] for one in data]]"
    )
    assert not differences(SAME, inputs, [ours(example) for example in SAME])
    assert not differences(SAME, outputs, [ours(example, "model_output") for example in SAME])


def test_what_differs_is_known_and_says_more_than_mlflow(mlflow: MLflow) -> None:
    examples = [*MORE, *OTHER]
    theirs = mlflow(f"{INFER}answer = [infer_signature(eval(one)).to_dict()['inputs'] for one in {examples!r}]")
    expected = ['[{"type": "any", "required": true}]'] * len(MORE) + [known[0] for known in OTHER.values()]
    assert not differences(examples, theirs, expected)
    assert [ours(example) for example in OTHER] == [known[1] for known in OTHER.values()]
    assert all(ours(example) != expected[0] for example in MORE)


def test_each_side_reads_what_the_other_writes(mlflow: MLflow) -> None:
    mine = [ours(example) for example in [*SAME, *MORE, *OTHER]]
    read = mlflow(f"{INFER}answer = [Schema.from_json(one).to_json() for one in {mine!r}]")
    assert not differences(mine, read, mine)
    assert [Schema.from_json(one).to_json() for one in read] == read


def test_data_that_passes_mlflows_own_signature_in_mlflow_passes_ours_there(mlflow: MLflow) -> None:
    mine = [ours(example) for example in SAME]
    verdicts = mlflow(
        f"{INFER}answer = []\n"
        f"for example, schema in zip({SAME!r}, {mine!r}):\n"
        "    theirs = passes(eval(example), infer_signature(eval(example)).to_dict()['inputs'])\n"
        "    answer.append(passes(eval(example), schema) if theirs is True else 'MLflow refuses its own')"
    )
    assert set(verdicts) <= {True, "MLflow refuses its own"}
    assert verdicts.count(True) > len(SAME) * 2 / 3


def test_params_have_the_same_json_and_are_read_by_each_side(mlflow: MLflow) -> None:
    theirs = mlflow(f"{INFER}answer = [infer_signature(params=eval(one)).to_dict()['params'] for one in {PARAMS!r}]")
    mine = [ours(example, "params") for example in PARAMS]
    assert not differences(PARAMS, theirs, mine)
    assert [ParamSchema.from_json(one).to_json() for one in theirs] == theirs
    assert mlflow(f"{INFER}answer = [ParamSchema.from_json(one).to_json() for one in {mine!r}]") == mine


def test_a_signature_of_each_side_is_the_same_in_full(mlflow: MLflow) -> None:
    written = mlflow(
        f"{INFER}frame = pd.DataFrame({{'a': [1], 'b': ['x']}})\n"
        "answer = infer_signature(frame, np.array([0.5]), {'top': 3}).to_dict()"
    )
    frame = pd.DataFrame({"a": [1], "b": ["x"]})
    assert ModelSignature.from_dict(written) == infer_signature(frame, np.array([0.5]), {"top": 3})


def test_type_hints_mean_the_same(mlflow: MLflow) -> None:
    hints = HINTS.split()
    theirs = mlflow(
        "import datetime\nfrom typing import Any, Optional, Union\n"
        "from mlflow.types.type_hints import _infer_schema_from_list_type_hint as infer\n"
        f"answer = [infer(eval(hint)).to_json() for hint in {hints!r}]"
    )
    schemas = [schema_from_hint(eval(hint, {**NAMES, **vars(typing)})) for hint in hints]
    assert not differences(hints, theirs, [schema.to_json() if schema else "none" for schema in schemas])


PYDANTIC = f"""
import sys
from typing import Any, Optional, Union
import pydantic
from mlflow.types.type_hints import _infer_schema_from_list_type_hint as infer
sys.path.append({str(ROOT)!r})
from pack.errors import InvalidValue
from pack.mlmodel.hints import schema_from_hint

class Point(pydantic.BaseModel):
    x: int
    label: Optional[str] = None
    near: list[float]
    by_name: dict[str, int]
    either: Union[int, str]
    maybe: Union[int, str, None] = None

class Path(pydantic.BaseModel):
    start: Point
    points: list[Point]
    end: Optional[Point] = None

class Tree(pydantic.BaseModel):
    left: Optional["Tree"] = None
    right: Optional["Tree"] = None

class Defaults(pydantic.BaseModel):
    count: int = 5

hints = [list[Point], list[Path], list[list[Path]], list[dict[str, Point]]]
try:
    recursion = str(schema_from_hint(list[Tree]))
except InvalidValue as error:
    recursion = error.message
answer = [
    [infer(hint).to_json() for hint in hints],
    [schema_from_hint(hint).to_json() for hint in hints],
    recursion,
    schema_from_hint(list[Defaults]).to_dict()[0]["properties"]["count"]["required"],
]
"""


def test_pydantic_models_mean_the_same_and_one_inside_itself_is_an_error(mlflow: MLflow) -> None:
    theirs, mine, recursion, required = mlflow(PYDANTIC)
    assert [json.loads(one) for one in mine] == [json.loads(one) for one in theirs]
    assert "Tree contains itself" in recursion
    assert required is False
