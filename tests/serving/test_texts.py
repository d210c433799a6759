"""Texts of very different lengths: an array gives each the room of the longest, so a small body could become huge."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet
import pytest

import pack
from pack.errors import PackError, TooLarge
from pack.mlmodel import ModelSignature, Plan, Schema, TensorSpec, compile_plan
from pack.mlmodel.texts import MAX_PADDED, text_array, together
from pack.serving.bodies import decode_csv, decode_json, decode_parquet
from pack.serving.columnar import decode_arrow
from pack.serving.feeding import data_of
from pack.serving.tensors import from_json
from tests.serving.test_columnar import stream
from tests.serving.test_server import Server

LONG, MANY = "x" * 1_000_000, 200_000
TEXTS = [LONG, *["y"] * MANY]
# Each makes an array just below the bound, from 20 KB: only many of them are too much.
EACH = ["x" * 4000, *["y"] * 4000]
MIB = 2**20


def tensor(dtype: str, *shape: int, names: tuple[str | None, ...] = (None,)) -> Plan:
    return compile_plan(ModelSignature(inputs=Schema([TensorSpec(np.dtype(dtype), shape, name) for name in names])))


def sent(value: Any, key: str = "inputs") -> Callable[[Plan], Any]:
    body = json.dumps({key: value}).encode()
    return lambda plan: decode_json(body, plan)


def split(columns: list[str], rows: list[list[Any]]) -> Callable[[Plan], Any]:
    return sent({"columns": columns, "data": rows}, "dataframe_split")


def table(columns: dict[str, list[Any]]) -> tuple[Callable[[Plan], Any], Callable[[Plan], Any]]:
    made, file = pa.table(columns), io.BytesIO()
    pa.parquet.write_table(made, file)
    arrow, parquet = stream(made), file.getvalue()
    return (lambda plan: decode_arrow(arrow, plan)), (lambda plan: decode_parquet(parquet, plan))


def csv(plan: Plan) -> Any:
    return decode_csv("\n".join(["a", LONG[:100_000], *TEXTS[1:]]).encode(), plan)


NAMES = tuple(f"t{place}" for place in range(60))
NAMED = dict.fromkeys(NAMES, EACH)
WIDE = [["y"] * 59 + [text] for text in EACH]
ARROW, PARQUET = table({"a": TEXTS})
NESTED, _ = table({"a": [TEXTS]})
NAMED_ARROW, _ = table(dict.fromkeys(NAMES, EACH))


@pytest.mark.parametrize(
    ("plan", "read"),
    [
        (tensor("U10", -1), sent(TEXTS)),
        (tensor("S10", -1), sent(TEXTS)),
        (tensor("U10", -1, 1), sent([[text] for text in TEXTS], "instances")),
        (tensor("U10", -1, names=("a",)), sent({"a": TEXTS})),
        (tensor("U10", -1, names=("a",)), sent([{"a": text} for text in TEXTS], "instances")),
        (tensor("U10", -1, names=NAMES), sent(NAMED)),
        (compile_plan(None), sent(TEXTS)),
        (compile_plan(None), sent([[text] for text in TEXTS], "instances")),
        (compile_plan(None), sent({"a": TEXTS})),
        (compile_plan(None), sent(NAMED)),
        (tensor("U10", -1, 1), split(["a"], [[text] for text in TEXTS])),
        (tensor("U10", -1, -1), split(["a"], [[TEXTS]])),
        (tensor("U10", -1, 60), split(list(NAMES), WIDE)),
        (tensor("U10", -1, names=NAMES), split(list(NAMES), [[text] * 60 for text in EACH])),
        (tensor("float64", -1, 1), split(["a"], [[text] for text in TEXTS])),
        (tensor("U10", -1, names=("a",)), csv),
        (tensor("U10", -1, names=("a",)), ARROW),
        (tensor("U10", -1, names=("a",)), PARQUET),
        (tensor("U10", -1, -1, names=("a",)), NESTED),
        (tensor("U10", -1, names=NAMES), NAMED_ARROW),
    ],
)
def test_one_long_text_beside_many_short_ones_is_refused_before_it_takes_memory(
    plan: Plan, read: Callable[[Plan], Any]
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match=r"the texts of .*input.* are of very different lengths"):
            read(plan)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * MAX_PADDED


@pytest.mark.parametrize("declared", [True, False])
def test_many_tensors_of_the_protocol_are_looked_at_together(tmp_path: Path, declared: bool) -> None:
    home = str(tmp_path / "model")
    specs = Schema([TensorSpec(np.dtype("U10"), (-1,), name) for name in NAMES])
    signature = ModelSignature(inputs=specs) if declared else None
    (tmp_path / "m.py").write_text(
        "import pack\ndef predict(model_input):\n    return [1]\npack.models.set_model(predict)\n", encoding="utf-8"
    )
    pack.pyfunc.save_model(home, python_model=str(tmp_path / "m.py"), signature=signature)
    tensors = [from_json(name, "BYTES", [len(EACH)], EACH) for name in NAMES]
    with pytest.raises(TooLarge, match="input 't1', and of those before it, are of very different lengths"):
        data_of(tensors, pack.pyfunc.load_model(home, trust=True))


@pytest.mark.parametrize("kind", ["U10", "S10", None])
def test_ordinary_texts_become_arrays(kind: str | None) -> None:
    plan = compile_plan(None) if kind is None else tensor(kind, -1)
    texts = ["plain", "größer", "", "x" * 5000] * 50
    array = decode_json(json.dumps({"inputs": texts}).encode(), plan)[0]
    found = [text.decode() for text in array.tolist()] if kind == "S10" else array.tolist()
    assert found == texts
    assert array.dtype.kind == (kind or "U")[0]


def test_large_texts_of_about_one_length_become_arrays() -> None:
    texts = ["x" * (4000 + place % 100) for place in range(5000)]
    assert decode_json(json.dumps({"inputs": texts}).encode(), tensor("U10", -1))[0].nbytes > MAX_PADDED
    by_name = together((name, text_array(name, texts)) for name in "abc")
    assert [array.tolist() == texts for array in by_name.values()] == [True] * 3
    frame = pd.DataFrame({"a": ["x", "yy"], "b": ["zzz", ""]})
    assert tensor("U10", -1, 2).data(frame).tolist() == [["x", "zzz"], ["yy", ""]]


def test_text_that_ends_in_a_nul_is_refused_or_kept_as_an_object() -> None:
    with pytest.raises(PackError, match="the input holds null, or text that ends in a NUL"):
        sent(["a\0"])(tensor("U10", -1))
    array = sent(["a\0", "b"])(compile_plan(None))[0]
    assert (array.dtype.kind, array.tolist()) == ("O", ["a\0", "b"])


def test_a_server_does_not_grow_with_such_bodies(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "import pack\ndef predict(model_input):\n    return [len(model_input)]\npack.models.set_model(predict)\n",
        encoding="utf-8",
    )
    pack.pyfunc.save_model(tmp_path / "model", python_model=str(tmp_path / "m.py"))
    server = Server("-m", str(tmp_path / "model"))
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    for body in ({"inputs": TEXTS}, {"instances": NAMED}, {"inputs": {"a": TEXTS}}):
        for _ in range(3):
            status, answer = server.post(body)
            assert (status, answer["error_code"]) == (413, "REQUEST_LIMIT_EXCEEDED")
    grown = process.memory_info().rss - before
    assert server.post({"inputs": ["a", "bcd"]}) == (200, {"predictions": [2]})
    server.stop()
    assert grown < 250 * MIB
