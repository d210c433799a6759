"""Arrow streams and NumPy arrays as bodies and as answers, and what strangers put into them."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

import pack
from pack.errors import BadRequest, PackError, TooLarge
from pack.mlmodel import ColSpec, ModelSignature, Schema, TensorSpec
from pack.mlmodel.plan import compile_plan
from pack.serving import app
from pack.serving.arrow_stream import MAX_BATCHES, read_table
from pack.serving.bodies import decode_parquet
from pack.serving.columnar import (
    ARROW,
    NPY,
    NotAcceptable,
    decode_arrow,
    decode_npy,
    encode_arrow,
    encode_npy,
    encoder_of,
)
from pack.serving.scoring import Scorer
from tests import models

PLAIN = compile_plan(None)


def stream(table: Any, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write(table)
    return bytes(sink.getvalue().to_pybytes())


def npy(array: Any, *, allow_pickle: bool = False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=allow_pickle)
    return out.getvalue()


def headed(header: str, rest: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + rest


def client_of(tmp_path: Path, model: Any, example: Any) -> TestClient:
    pack.save_model(model, tmp_path / "model", input_example=example)
    return TestClient(app(str(tmp_path / "model")), raise_server_exceptions=False)


def post(client: TestClient, content: bytes, kind: str) -> Any:
    return client.post("/invocations", content=content, headers={"Content-Type": kind})


def test_a_column_pipeline_takes_an_arrow_stream_of_several_batches(tmp_path: Path) -> None:
    frame = models.mixed_frame(40)
    client = client_of(tmp_path, models.mixed_pipeline(), frame[:3])
    expected = {"predictions": models.mixed_pipeline().predict(frame).tolist()}
    table = pa.Table.from_pandas(frame, preserve_index=False)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    assert post(client, sink.getvalue().to_pybytes(), ARROW).json() == expected
    city = table.column("city").dictionary_encode()
    assert post(client, stream(table.set_column(0, "city", city)), ARROW).json() == expected
    answer = post(client, stream(table.append_column("extra", table.column("age"))), ARROW)
    assert (answer.status_code, "extra" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("dtype", ["float64", ">f8", "float32", "int8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_model_takes_npy(tmp_path: Path, dtype: str, order: Any) -> None:
    rows = np.round(models.iris()[0][::30]).astype(dtype, order=order)
    client = client_of(tmp_path, models.classifier(), models.iris()[0][:2])
    assert post(client, npy(rows), NPY).json() == {"predictions": models.classifier().predict(rows).tolist()}


def test_columns_that_are_all_numbers_come_as_an_array_in_their_order(tmp_path: Path) -> None:
    frame = models.wide_frame(30)
    client = client_of(tmp_path, models.wide_pipeline(), frame[:2])
    expected = {"predictions": models.wide_pipeline().predict(frame).tolist()}
    assert post(client, npy(frame.to_numpy()), NPY).json() == expected
    answer = post(client, npy(frame.to_numpy()[:, :3]), NPY)
    assert (answer.status_code, "[rows, 20]" in answer.json()["message"]) == (400, True)


@pytest.mark.parametrize("column", [pa.array([1.5]), pa.array(["1"]), pa.array([True]), pa.array([None], pa.int64())])
def test_a_column_that_would_be_changed_is_refused_by_name(column: Any) -> None:
    scorer_plan = compile_plan(ModelSignature(Schema([ColSpec("long", "age")])))
    with pytest.raises(PackError, match="'age'"):
        scorer_plan.wire_table(read_table(stream(pa.table({"age": column}))))


def test_an_array_that_does_not_fit_its_tensor_is_refused() -> None:
    plan = compile_plan(ModelSignature(Schema([TensorSpec(np.dtype("int32"), (-1, 2))])))
    assert decode_npy(npy(np.ones((3, 2), "int64")), plan)[0].dtype == np.int32
    for wrong in (np.full((3, 2), 1.5), np.ones((3, 3), "int32"), np.full((3, 2), 2**40), np.array([["a", "b"]])):
        with pytest.raises(PackError):
            decode_npy(npy(wrong), plan)


@given(
    st.sampled_from(["?", "i1", ">i4", "u8", "f2", ">f8", "c16", "<U3", ">U3", "S3", "M8[s]"]),
    st.lists(st.integers(0, 3), min_size=0, max_size=3),
    st.booleans(),
)
@settings(deadline=None)
def test_npy_arrays_go_in_and_out_as_they_are(dtype: str, shape: list[int], turned: bool) -> None:
    if 0 in shape[1:] and shape[0]:
        return
    values = np.arange(int(np.prod(shape))).reshape(shape)
    array = (values % 2).astype(dtype) if dtype == "?" else values.astype(dtype)
    array = np.asfortranarray(array) if turned else array
    found = decode_npy(npy(array), PLAIN)[0]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.flags.writeable
    np.testing.assert_array_equal(np.load(io.BytesIO(encode_npy(found))), array)


class Trap:
    """Leaves a trace where a pickle of it is read."""

    sprung: list[int] = []  # noqa: RUF012

    def __reduce__(self) -> Any:
        return Trap.sprung.append, (1,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\1\0\xff\xff",
        pickle.dumps([1]),
        pickle.dumps(Trap()),
        npy(np.array([Trap()], dtype=object), allow_pickle=True),
        npy(np.zeros(2, [("a", "f8")])),
        npy(np.zeros(2, "f8"))[:-1],
        npy(np.zeros(2, "f8")) + b"\0",
        npy(np.zeros(2, "m8[s]")),
        npy(np.zeros(2, "V4")),
        npy(np.array([False, True]))[:-1] + b"\2",
        npy(np.array(["a"]))[:-4] + b"\xff\xff\xff\xff",
        npy(np.array(["a"]))[:-4] + b"\x00\xd8\x00\x00",
        b"\x93NUMPY\3\0" + npy(np.zeros(2))[8:],
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,)}"),
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", b"\0" * 8),
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': (True,)}", b"\0" * 8),
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': [1]}", b"\0" * 8),
        headed("{'descr': '<f8', 'fortran_order': 1, 'shape': (1,)}", b"\0" * 8),
        headed("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000, 0)}"),
        headed("{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000,)}"),
        headed("{'descr': '<U500000000', 'fortran_order': False, 'shape': (0,)}"),
        headed("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\0" * 8),
        headed("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}", b"\0" * 8),
        headed("{'descr': '(1000000000,)f8', 'fortran_order': False, 'shape': (0,)}"),
        headed("{'descr': 'nothing', 'fortran_order': False, 'shape': (1,)}"),
        headed("{'descr': '<f8', 'fortran_order': False}"),
        headed("__import__('os').getcwd()"),
        headed("[" * 5000),
        headed("-" * 9000 + "1"),
        headed(" " * 20_000),
    ],
)
def test_npy_bodies_that_are_no_plain_arrays_are_refused_without_memory(content: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest):
            decode_npy(content, PLAIN)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
    assert not Trap.sprung


class Secret(pa.ExtensionType):  # type: ignore[misc]
    """An extension type whose reader leaves a trace."""

    read: list[bytes] = []  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__(pa.int64(), "test.secret")

    def __arrow_ext_serialize__(self) -> bytes:
        return b"x"

    @classmethod
    def __arrow_ext_deserialize__(cls, storage: Any, serialized: bytes) -> Secret:
        cls.read.append(serialized)
        return cls()


def test_an_extension_type_is_refused_before_its_code_runs(tmp_path: Path) -> None:
    kind = Secret()
    pa.register_extension_type(kind)
    try:
        content = stream(pa.table({"age": pa.ExtensionArray.from_storage(kind, pa.array([1]))}))
        with pytest.raises(BadRequest, match="extension type"):
            read_table(content)
        assert not Secret.read
    finally:
        pa.unregister_extension_type("test.secret")
    with pytest.raises(BadRequest, match="extension type"):
        read_table(content)


def wide(values: Any, times: int) -> bytes:
    """A stream whose dictionary is written out `times` times where it is decoded."""
    return stream(pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int8()), pa.array(values))}))


def rows_of_nothing(rows: int) -> bytes:
    return stream(pa.table({"x": pa.nulls(rows)}))


def lists_of_nothing(items: int) -> bytes:
    return stream(pa.table({"x": pa.ListArray.from_arrays(pa.array([0, items], pa.int32()), pa.nulls(items))}))


def many_batches(batches: int) -> bytes:
    schema = pa.schema([("x", pa.int8())])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for _ in range(batches):
            writer.write_batch(pa.record_batch([pa.array([], pa.int8())], schema))
    return bytes(sink.getvalue().to_pybytes())


GOOD = stream(pa.table({"x": pa.array(["a", "b"]), "y": [1, 2]}))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        pickle.dumps(Trap()),
        GOOD[:-60],
        GOOD[:40],
        stream(pa.table({"x": list(range(10_000))}), compression="zstd"),
        stream(pa.table({"x": ["a" * 10_000]}), compression="lz4"),
        stream(pa.table({"x": pa.array(["a"] * 9).dictionary_encode()}), compression="zstd"),
        stream(pa.table({})),
        stream(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])),
        stream(pa.table({"x": pa.array([[1]], pa.list_view(pa.int64()))})),
        stream(pa.table({"x": pa.array(["a"], pa.string_view())})),
        stream(pa.table({"x": pa.RunEndEncodedArray.from_arrays(pa.array([2**30], pa.int32()), pa.array([1]))})),
        stream(pa.table({"x": pa.array([b""], pa.binary(0))})),
        stream(pa.table({"x": pa.array([[]], pa.list_(pa.int8(), 0))})),
        stream(pa.table({"x": pa.array([{}], pa.struct([]))})),
        stream(pa.table({"x": pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])})),
        lists_of_nothing(10**8),
    ],
)
def test_arrow_bodies_that_cannot_be_vouched_for_are_a_400(content: bytes) -> None:
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(BadRequest):
        read_table(content)
    assert pa.default_memory_pool().max_memory() - before < 64 * 2**20
    assert not Trap.sprung


@pytest.mark.parametrize(
    "content", [wide(["x" * 1_000_000], 10_000), rows_of_nothing(10**8), many_batches(MAX_BATCHES + 2)]
)
def test_arrow_bodies_that_would_grow_are_a_413(content: bytes) -> None:
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(TooLarge):
        read_table(content)
    assert pa.default_memory_pool().max_memory() - before < 64 * 2**20


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8))
@settings(deadline=None, max_examples=100)
def test_damaged_streams_are_read_or_refused_never_worse(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(GOOD)
    for place, value in changes:
        damaged[place] = value
    try:
        decode_arrow(bytes(damaged), PLAIN)
    except PackError:
        return


@pytest.mark.parametrize(
    ("predictions", "schema", "expected"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), None, {"a": [1, 2], "b": ["x", None]}),
        (pd.Series([1.5, 2], name="s"), None, {"s": [1.5, 2.0]}),
        (pd.Series([1]), None, {"0": [1]}),
        (np.array([1, 2]), None, {"predictions": [1, 2]}),
        (np.array([1, 2]), Schema([ColSpec("long", "label")]), {"label": [1, 2]}),
        (np.array([[1, 2], [3, 4]]), None, {"0": [1, 3], "1": [2, 4]}),
        (np.array([[1, 2]]), Schema([ColSpec("long", "p"), ColSpec("long", "q")]), {"p": [1], "q": [2]}),
        (["a", None], None, {"predictions": ["a", None]}),
        ({"a": np.array([1, 2]), "b": ["x", "y"]}, None, {"a": [1, 2], "b": ["x", "y"]}),
        ([{"a": 1}, {"a": 2}], None, {"a": [1, 2]}),
    ],
)
def test_predictions_become_an_arrow_table(predictions: Any, schema: Any, expected: Any) -> None:
    assert pa.ipc.open_stream(encode_arrow(predictions, schema)).read_all().to_pydict() == expected


def test_a_time_zone_that_nobody_knows_is_a_400() -> None:
    content = stream(pa.table({"t": pa.array([1], pa.timestamp("us", "Nowhere/None"))}))
    with pytest.raises(BadRequest):
        decode_arrow(content, PLAIN)


def test_floats_that_are_no_numbers_stay_what_they_are() -> None:
    for predictions in (np.array([np.nan, np.inf]), pd.Series([np.nan, np.inf], name="predictions")):
        found = pa.ipc.open_stream(encode_arrow(predictions)).read_all().column(0)
        assert found.null_count == 0
        np.testing.assert_array_equal(found.to_numpy(), [np.nan, np.inf])


@pytest.mark.parametrize(
    "predictions", [None, "text", {1, 2}, object(), {"a": [1], "b": [1, 2]}, [1, "a"], np.zeros((2, 2, 2)), {}, 5]
)
def test_predictions_that_make_no_table_are_a_406(predictions: Any) -> None:
    with pytest.raises(NotAcceptable, match="application/json") as raised:
        encode_arrow(predictions)
    assert raised.value.http_status == 406


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (np.array([[1.5, np.nan]], "float32"), np.array([[1.5, np.nan]], "float32")),
        (pd.Series([1, 2]), np.array([1, 2])),
        (pd.DataFrame({"a": [1], "b": [2]}), np.array([[1, 2]])),
        ([1, 2.5], np.array([1, 2.5])),
        (["a", "bc"], np.array(["a", "bc"])),
    ],
)
def test_predictions_become_an_npy_array(predictions: Any, expected: Any) -> None:
    found = np.load(io.BytesIO(encode_npy(predictions)), allow_pickle=False)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "predictions",
    [
        None,
        {"a": 1},
        object(),
        [1, None],
        [[1], [2, 3]],
        pd.DataFrame({"a": [1], "b": [1.5]}),
        [1, "a"],
        [2**53 + 1, 0.5],
    ],
)
def test_predictions_that_make_no_array_are_a_406(predictions: Any) -> None:
    with pytest.raises(NotAcceptable):
        encode_npy(predictions)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", None),
        ("*/*", None),
        ("application/json", None),
        (ARROW, ARROW),
        (NPY.upper(), NPY),
        (f"{ARROW};q=0.5, application/json", None),
        (f"{ARROW}, application/json;q=0.5", ARROW),
        (f"{NPY};q=0.9, {ARROW};q=0.1", NPY),
        (f"{ARROW}, application/json", None),
        (f"{ARROW};q=0", None),
        (f"{ARROW};q=x", None),
        (f"text/html, {ARROW}", ARROW),
    ],
)
def test_the_accept_header_says_how_the_answer_is_written(accept: str, kind: str | None) -> None:
    found = encoder_of(accept, None)
    assert (None if found is None else found.content_type) == kind


def test_each_request_of_a_batch_gets_its_answer_in_its_own_type(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    scorer = Scorer(pack.pyfunc.load_model(tmp_path / "model"))
    rows = models.iris()[0]
    bodies = [json.dumps({"inputs": rows[place : place + 2].tolist()}).encode() for place in (0, 60, 120)]
    parcels = [scorer.read(body) for body in bodies]
    parcels[1] = parcels[1]._replace(encode=encode_npy)
    parcels[2] = parcels[2]._replace(encode=lambda predictions: encode_arrow(predictions, None))
    plain, array, table = scorer.answers(parcels).bodies
    expected = models.classifier().predict(rows).tolist()
    assert isinstance(plain, bytes)
    assert isinstance(array, bytes)
    assert json.loads(plain) == {"predictions": expected[:2]}
    assert np.load(io.BytesIO(array)).tolist() == expected[60:62]
    assert pa.ipc.open_stream(table).read_all().to_pydict() == {"predictions": expected[120:122]}


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    written = io.BytesIO()
    pa.parquet.write_table(table, written, **options)
    return written.getvalue()


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"x": pa.array([1.0]).take(pa.array([0] * 20_000_000, pa.int32()))}),
        pa.table({"x": pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["a" * 10_000]))}),
    ],
    ids=["a number twenty million times", "a long text for each of many rows"],
)
def test_a_small_parquet_file_that_unpacks_to_far_more_is_refused(table: pa.Table) -> None:
    with pytest.raises(TooLarge):
        decode_parquet(parquet_of(table, compression="zstd"), compile_plan(None))


def test_a_parquet_file_with_an_extension_type_is_refused() -> None:
    table = pa.table({"x": pa.array([b"0" * 16] * 2, pa.uuid())})
    with pytest.raises(BadRequest, match="types that are not taken"):
        decode_parquet(parquet_of(table), compile_plan(None))


def test_parquet_keeps_text_numbers_dates_and_gaps() -> None:
    frame = pd.DataFrame(
        {"t": ["x", None, "x"], "n": [1, 2, 3], "f": [0.5, None, 1.5], "d": pd.to_datetime(["2020-01-01"] * 3)}
    )
    found, params, bare = decode_parquet(parquet_of(pa.Table.from_pandas(frame)), compile_plan(None))
    pd.testing.assert_frame_equal(found, frame)
    assert (params, bare) == (None, False)


def test_what_needs_a_package_that_is_not_here_is_a_type_that_is_not_taken(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    code = (
        "import importlib.util as util, sys\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'pyarrow' else found(name, *rest)\n"
        "from pack.serving import app\n"
        "from starlette.testclient import TestClient\n"
        "client = TestClient(app(sys.argv[1]))\n"
        "for kind in ('application/vnd.apache.parquet', 'application/vnd.apache.arrow.stream'):\n"
        "    print(client.post('/invocations', content=b'x', headers={'Content-Type': kind}).status_code)\n"
        "headers = {'Accept': 'application/vnd.apache.arrow.stream'}\n"
        "print(client.post('/invocations', json={'inputs': [[5.1, 3.5, 1.4, 0.2]]}, headers=headers).status_code)\n"
        "print('parquet' in client.get('/openapi.json').text)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["415", "415", "406", "False"], done.stderr
