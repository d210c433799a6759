"""The Open Inference Protocol on a running server: Triton's client, and requests that it would never send."""

from __future__ import annotations

import http.client
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
from starlette.testclient import TestClient

import pack
from pack.mlmodel import ModelSignature, ParamSchema, ParamSpec, Schema, TensorSpec
from pack.serving.tensors import DTYPES
from tests import models
from tests.serving.test_server import Server

ROWS = models.iris()[0][::30]


def save_all(home: Path) -> list[str]:
    def echo(model_input: Any) -> Any:
        return model_input

    def named(model_input: Any, params: dict[str, Any]) -> Any:
        total = model_input["a"].sum(axis=1) * params["by"] + model_input["b"]
        return {"total": total, "text": [f"é{value:g}" for value in total]}

    def failing(model_input: Any) -> Any:
        raise RuntimeError(f"the secret is {model_input}")

    tensors = Schema([TensorSpec(np.dtype("float32"), (-1, 2), "a"), TensorSpec(np.dtype("int32"), (-1,), "b")])
    by = ParamSchema([ParamSpec("by", "double", 1.0)])
    outputs = Schema([TensorSpec(np.dtype("float32"), (-1,), "total"), TensorSpec(np.dtype("str"), (-1,), "text")])
    pack.save_model(models.classifier(), home / "iris", input_example=models.iris()[0][:2])
    pack.save_model(models.mixed_pipeline(), home / "mixed", input_example=models.mixed_frame(2))
    pack.save_model(models.wide_pipeline(), home / "wide", input_example=models.wide_frame(2))
    pack.save_model(echo, home / "echo")
    pack.save_model(named, home / "named", signature=ModelSignature(tensors, outputs, by))
    pack.save_model(failing, home / "failing")
    return [f"{name}={home / name}" for name in ("iris", "mixed", "wide", "echo", "named", "failing")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("v2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PACK_STATE_DIR", str(home / "state"))
        running = Server(*(part for one in save_all(home) for part in ("-m", one)))
        yield running
        running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    found = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    yield found
    found.close()


def tensor(name: str, values: Any, datatype: str, *, binary: bool = True) -> Any:
    found = triton.InferInput(name, list(values.shape), datatype)
    return found.set_data_from_numpy(values, binary_data=binary)


def send(
    server: Server, body: Any, *, model: str = "echo", method: str = "POST", path: str = "", **headers: str
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path or f"/v2/models/{model}/infer", content, given)
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read() or b"null")
    connection.close()
    return found


def one(**changes: Any) -> dict[str, Any]:
    """A request of one tensor of two floats."""
    return {"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2], **changes}]}


def sized(size: int, rest: bytes, **changes: Any) -> tuple[bytes, int]:
    """A request whose tensor announces so many bytes behind the JSON, and the length of that JSON."""
    item = {"name": "x", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": size}, **changes}
    header = json.dumps({"inputs": [item]}).encode()
    return header + rest, len(header)


def test_the_server_and_its_models_are_alive_and_described(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("iris")
    assert client.is_model_ready("iris", "1")
    assert not client.is_model_ready("iris", "2")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata() == {
        "name": "pack",
        "version": pack.__version__,
        "extensions": ["binary_tensor_data"],
    }
    assert client.get_model_metadata("iris", "1") == {
        "name": "iris",
        "versions": ["1"],
        "platform": "pack_sklearn",
        "inputs": [{"name": "input-0", "datatype": "FP64", "shape": [-1, 4]}],
        "outputs": [{"name": "output-0", "datatype": "INT64", "shape": [-1]}],
    }
    assert client.get_model_metadata("mixed")["inputs"] == [
        {"name": "city", "datatype": "BYTES", "shape": [-1, 1]},
        {"name": "income", "datatype": "FP64", "shape": [-1, 1]},
        {"name": "age", "datatype": "INT64", "shape": [-1, 1]},
    ]
    assert client.get_model_metadata("echo")["inputs"] == []


@pytest.mark.parametrize("sent_binary", [True, False])
@pytest.mark.parametrize("asked_binary", [True, False])
def test_an_array_model_answers_tensors_as_bytes_and_as_json(
    client: Any, sent_binary: bool, asked_binary: bool
) -> None:
    given = [tensor("any name", ROWS, "FP64", binary=sent_binary)]
    asked = [triton.InferRequestedOutput("output-0", binary_data=asked_binary)]
    found = client.infer("iris", given, outputs=asked, request_id="r1", model_version="1")
    np.testing.assert_array_equal(found.as_numpy("output-0"), models.classifier().predict(ROWS))
    response = found.get_response()
    assert (response["model_name"], response["model_version"], response["id"]) == ("iris", "1", "r1")
    assert ("data" in response["outputs"][0]) is not asked_binary


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("shape", [(-1, 1), (-1,)])
def test_a_column_pipeline_takes_one_tensor_for_each_column(client: Any, binary: bool, shape: tuple[int, ...]) -> None:
    frame = models.mixed_frame(40)
    columns = {"city": "BYTES", "age": "INT64", "income": "FP64"}
    given = [
        tensor(
            name, frame[name].to_numpy(dtype=object if kind == "BYTES" else None).reshape(shape), kind, binary=binary
        )
        for name, kind in columns.items()
    ]
    found = client.infer("mixed", given).as_numpy("output-0")
    np.testing.assert_array_equal(found, models.mixed_pipeline().predict(frame))


def test_columns_that_are_all_numbers_also_come_as_one_tensor(client: Any) -> None:
    frame = models.wide_frame(50)
    found = client.infer("wide", [tensor("x", frame.to_numpy(), "FP64")]).as_numpy("output-0")
    np.testing.assert_array_equal(found, models.wide_pipeline().predict(frame))


def test_a_python_model_takes_tensors_and_params_by_name_and_answers_several(client: Any) -> None:
    rows = np.array([[1, 2], [3, 4.5]], "float32")
    given = [tensor("b", np.array([10, 20], "int32"), "INT32", binary=False), tensor("a", rows, "FP32")]
    found = client.infer("named", given, parameters={"by": 2.0})
    np.testing.assert_array_equal(found.as_numpy("total"), [16.0, 35.0])
    assert found.as_numpy("text").tolist() == ["é16".encode(), "é35".encode()]
    asked = [triton.InferRequestedOutput("text", binary_data=False), triton.InferRequestedOutput("total")]
    found = client.infer("named", given, outputs=asked, priority=1, timeout=5)
    assert [output["name"] for output in found.get_response()["outputs"]] == ["text", "total"]
    assert found.as_numpy("text").tolist() == ["é13", "é27.5"]
    assert found.as_numpy("total").dtype == np.float64


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("datatype", [*DTYPES])
def test_each_datatype_goes_there_and_back(client: Any, datatype: str, binary: bool) -> None:
    dtype = DTYPES[datatype]
    ends: list[Any] = [False, True]
    if dtype.kind != "b":
        limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
        ends = [limits.min, limits.max]
    values = np.array([ends, ends, ends], dtype)
    asked = [triton.InferRequestedOutput("output-0", binary_data=binary)]
    found = client.infer("echo", [tensor("x", values, datatype, binary=binary)], outputs=asked).as_numpy("output-0")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("binary", [True, False])
def test_text_goes_there_and_back(client: Any, binary: bool) -> None:
    values = np.array([["", "é"], ["\0a", "x" * 1000]], dtype=object)
    asked = [triton.InferRequestedOutput("output-0", binary_data=binary)]
    found = client.infer("echo", [tensor("x", values, "BYTES", binary=binary)], outputs=asked).as_numpy("output-0")
    texts = [value.decode() if isinstance(value, bytes) else value for value in found.ravel()]
    assert (found.shape, texts) == ((2, 2), values.ravel().tolist())


def test_bytes_are_exact_and_json_has_words_for_what_is_no_number(server: Server, client: Any) -> None:
    odd = np.array([0x7FF8000000000123, 0xFFF0000000000000, 0x8000000000000000], "uint64").view("float64")
    found = client.infer("echo", [tensor("x", odd, "FP64")]).as_numpy("output-0")
    assert found.tobytes() == odd.tobytes()
    sent = b'{"inputs": [{"name": "x", "shape": [3], "datatype": "FP64", "data": [NaN, -Infinity, 0.1]}]}'
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/v2/models/echo/infer", sent)
    assert b"[NaN, -Infinity, 0.1]" in connection.getresponse().read()
    connection.close()


def test_several_tensors_for_a_model_without_a_signature_are_a_dict(server: Server) -> None:
    request = one() | {"outputs": [{"name": "y"}]}
    request["inputs"].append({"name": "y", "shape": [1, 2], "datatype": "BYTES", "data": [["a", "b"]]})
    status, found = send(server, request)
    assert (status, found["outputs"]) == (
        200,
        [{"name": "y", "datatype": "BYTES", "shape": [1, 2], "data": ["a", "b"]}],
    )


def test_an_answer_says_where_its_time_went_and_carries_its_id(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("POST", "/v2/models/echo/infer", json.dumps(one()), {"X-Request-Id": "abc"})
    answer = connection.getresponse()
    assert answer.read()
    assert answer.headers["x-request-id"] == "abc"
    spans = [span.partition(";")[0] for span in answer.headers["server-timing"].split(", ")]
    assert spans == ["parse", "queue", "validate", "predict", "encode"]
    connection.close()


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        ([], "an object"),
        ({}, "inputs must be a list"),
        ({"inputs": []}, "inputs must be a list"),
        ({"inputs": [1]}, "an input has no name"),
        ({"inputs": one()["inputs"] * 2}, "tensor 'x' came twice"),
        (one(name=5), "no name"),
        (one(shape=[3]), "tensor 'x' announces 3 values by its shape, 2 came"),
        (one(shape=[10**9]), "tensor 'x' announces 1,000,000,000 values"),
        (one(shape=[10**18] * 32), "tensor 'x'"),
        (one(shape=[-1]), "the shape of tensor 'x'"),
        (one(shape=[2**63]), "the shape of tensor 'x'"),
        (one(shape=[2.0]), "the shape of tensor 'x'"),
        (one(shape=[True, 2]), "the shape of tensor 'x'"),
        (one(shape=[1] * 33), "at most 32"),
        (one(shape="2"), "the shape of tensor 'x'"),
        (one(shape=None), "the shape of tensor 'x'"),
        (one(shape=[10**9, 0], data=[]), "rows without values"),
        (one(shape=[0, 10**9], data=[]), "rows without values"),
        (one(datatype="FP128"), "the datatype of tensor 'x'"),
        (one(datatype=None), "the datatype of tensor 'x'"),
        (one(datatype=["FP32"]), "the datatype of tensor 'x'"),
        (one(data=None), "the data of tensor 'x'"),
        (one(data={"a": 1}), "the data of tensor 'x'"),
        (one(data=[[1], 2]), "the data of tensor 'x' is nested deeper"),
        (one(shape=[2, 1], data=[[[1]], [[2]]]), "the data of tensor 'x' is nested deeper"),
        (one(shape=[2, 1], data=[[1], [2, 3]]), "the data of tensor 'x' is not nested"),
        (one(data=[1, "2"]), "'x'"),
        (one(data=[1, True]), "'x'"),
        (one(data=[1, 2**24 + 1]), "'x'"),
        (one(data=[1, 1e39]), "'x'"),
        (one(datatype="INT8", data=[1, 128]), "'x'"),
        (one(datatype="UINT8", data=[1, -1]), "'x'"),
        (one(datatype="INT32", data=[1, 1.5]), "'x'"),
        (one(datatype="BOOL", data=[1, 0]), "'x'"),
        (one(datatype="BYTES", data=["a", 1]), "tensor 'x' is of BYTES"),
        (one(datatype="BYTES", data=["a", "b\0"]), "ends in a NUL"),
        (one(datatype="BYTES", data=["a", "%"], parameters={"content_type": "base64"}), "base64"),
        (one(parameters=[1]), "parameters of 'x'"),
        (one(parameters={"binary_data_size": 9}), "tensor 'x' has both"),
        (one(parameters={"shared_memory_region": "r"}), "shared memory"),
        (one() | {"id": 5}, "id is"),
        (one() | {"parameters": [1]}, "parameters is"),
        (one() | {"parameters": {"unknown": 1}}, "unknown"),
        (one() | {"parameters": {"__class__": 1}}, "__class__"),
        (one() | {"parameters": {"binary_data_output": "yes"}}, "binary_data_output"),
        (one() | {"outputs": {"name": "x"}}, "outputs is"),
        (one() | {"outputs": [{}]}, "an output has no name"),
        (one() | {"outputs": [{"name": "nothing"}]}, "no output ['nothing']"),
        (one() | {"outputs": [{"name": "output-0"}] * 2}, "asked for twice"),
        (one() | {"outputs": [{"name": "output-0", "parameters": {"classification": 3}}]}, "classification"),
        (one() | {"outputs": [{"name": "output-0", "parameters": {"binary_data": 1}}]}, "binary_data"),
    ],
)
def test_a_request_that_is_wrong_is_a_400_that_names_the_tensor(server: Server, request_: Any, word: str) -> None:
    status, found = send(server, request_)
    assert (status, word in found["error"]) == (400, True), found
    assert found["error"].startswith(found["message"])
    assert found["request_id"]
    assert found["error_code"] in {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (sized(8, b"\0" * 8, shape=[3]), "tensor 'x' needs 12 bytes"),
        (sized(8, b"\0" * 8, shape=[10**9]), "tensor 'x' needs 4,000,000,000 bytes"),
        (sized(8, b"\0" * 4), "tensor 'x' announces 8 bytes, 4 are left"),
        (sized(8, b"\0" * 9), "1 bytes behind the JSON belong to no tensor"),
        (sized(-8, b"\0" * 8), "binary_data_size"),
        (sized(True, b"\0" * 8), "binary_data_size"),
        (sized(10**30, b"\0" * 8), "are left"),
        (sized(2, b"\0\2", datatype="BOOL"), "tensor 'x' is of BOOL"),
        (sized(8, b"\0" * 8, datatype="BYTES", shape=[10**9]), "cannot hold them"),
        (sized(10, struct.pack("<I", 99) + b"abcdef", datatype="BYTES", shape=[2]), "ends inside its value 0"),
        (sized(12, struct.pack("<I", 2**32 - 1) + b"abcdefgh", datatype="BYTES", shape=[1]), "ends inside its value 0"),
        (sized(9, struct.pack("<I", 0) + b"abcde", datatype="BYTES", shape=[1]), "5 bytes behind its last value"),
        (sized(6, struct.pack("<I", 2) + b"\xff\xfe", datatype="BYTES", shape=[1]), "not UTF-8"),
    ],
)
def test_bytes_that_are_not_what_they_announce_are_a_400(server: Server, content: tuple[bytes, int], word: str) -> None:
    sent, length = content
    status, found = send(server, sent, Inference_Header_Content_Length=str(length))
    assert (status, word in found["error"]) == (400, True), found


@pytest.mark.parametrize("length", ["1000000", "x", "-1", "1.5", "", "9" * 5000, "0", "5", "²"])
def test_a_length_of_the_json_that_cannot_be_is_a_400(server: Server, length: str) -> None:
    sent, _ = sized(8, b"\0" * 8)
    assert send(server, sent, Inference_Header_Content_Length=length)[0] == 400


def test_binary_data_without_the_length_of_the_json_is_a_400(server: Server) -> None:
    sent, length = sized(8, b"\0" * 8)
    assert send(server, sent)[0] == 400
    status, found = send(server, sent[:length])
    assert (status, "Inference-Header-Content-Length" in found["error"]) == (400, True)


@pytest.mark.parametrize(
    ("model", "request_", "word"),
    [
        ("iris", one(), "shape"),
        ("iris", one() | {"inputs": one()["inputs"] + one(name="y")["inputs"]}, "one tensor, 2 came"),
        ("iris", one(datatype="BYTES", shape=[1, 4], data=["a", "b", "c", "d"]), "float64"),
        ("mixed", one(), "missing"),
        ("mixed", one(shape=[2, 1]), "tensor 'x' has the shape [2, 1]"),
        ("mixed", one(name="age", shape=[1, 2]), "tensor 'age' is a column"),
        ("wide", one(shape=[1, 2]), "'x'"),
        ("named", one(), "not declared: ['x']"),
        ("named", one(name="a", shape=[1, 2]), "missing: ['b']"),
        ("named", one(name="a") | {"outputs": [{"name": "z"}]}, "no output ['z']"),
        ("named", one(name="a") | {"parameters": {"by": "x"}}, "'by'"),
    ],
)
def test_what_does_not_fit_the_signature_is_a_400(server: Server, model: str, request_: Any, word: str) -> None:
    status, found = send(server, request_, model=model)
    assert (status, word in found["error"]) == (400, True), found


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"age": {"datatype": "FP64", "data": [1.5]}}, "'age'"),
        ({"age": {"datatype": "BYTES", "data": ["1"]}}, "'age' is declared long: row 0 holds text"),
        ({"age": {"datatype": "BOOL", "data": [True]}}, "'age'"),
        ({"income": {"datatype": "INT64", "data": [2**53 + 1]}}, "'income'"),
        ({"city": {"datatype": "INT64", "data": [5]}}, "'city'"),
        ({"income": {"shape": [2], "data": [1.0, 2.0]}}, "different lengths"),
        ({"city": {"name": "town"}}, "missing: ['city']"),
    ],
)
def test_a_column_that_would_be_changed_is_refused_by_name(server: Server, changes: Any, word: str) -> None:
    columns = {"city": ("BYTES", ["Lima"]), "income": ("FP64", [1.0]), "age": ("INT64", [30])}
    inputs = [
        {"name": name, "shape": [1], "datatype": kind, "data": data} | changes.get(name, {})
        for name, (kind, data) in columns.items()
    ]
    status, found = send(server, {"inputs": inputs}, model="mixed")
    assert (status, word in found["error"]) == (400, True), found


def test_hostile_shapes_and_lengths_take_no_memory(server: Server) -> None:
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("this system has no /proc")

    def peak() -> int:
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1])

    assert send(server, one())[0] == 200
    before = peak()
    for shape in ([10**9], [10**9, 0], [2**40, 2**40]):
        for datatype in ("FP64", "BYTES"):
            sent, length = sized(8, b"\0" * 8, datatype=datatype, shape=shape)
            assert send(server, sent, Inference_Header_Content_Length=str(length))[0] == 400
            assert send(server, one(datatype=datatype, shape=shape))[0] == 400
    texts = ["x" * 1_000_000, *[""] * 100_000]
    assert send(server, one(datatype="BYTES", shape=[len(texts)], data=texts))[0] == 413
    assert peak() - before < 64 * 1024


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/nobody", 404),
        ("POST", "/v2/models/nobody/infer", 404),
        ("GET", "/v2/models/iris/versions/2", 404),
        ("GET", "/v2/models/iris/versions/01", 404),
        ("GET", "/v2/models/iris/versions/x/ready", 404),
        ("POST", "/v2/models/iris/versions/2/infer", 404),
        ("GET", "/v2/models/iris/config", 404),
        ("POST", "/v2/repository/index", 404),
        ("GET", "/v2/models/iris/infer", 405),
        ("DELETE", "/v2/models/iris", 405),
        ("POST", "/v2/health/live", 405),
        ("TRACE", "/v2", 405),
    ],
)
def test_what_is_not_there_or_not_allowed_is_said_in_the_protocols_words(
    server: Server, method: str, path: str, status: int
) -> None:
    found = send(server, b"", method=method, path=path)
    assert found[0] == status
    assert found[1]["error"]


@pytest.mark.parametrize("kind", ["application/x-pickle", "text/plain", "application/vnd.bentoml+pickle"])
def test_other_content_types_are_a_415(server: Server, kind: str) -> None:
    status, found = send(server, one(), Content_Type=kind)
    assert (status, "application/json" in found["error"]) == (415, True)


def test_a_model_that_raises_is_a_500_without_its_message(server: Server) -> None:
    status, found = send(server, one(), model="failing")
    assert (status, found["message"]) == (500, "the model raised RuntimeError")
    assert "secret" not in json.dumps(found)


def test_a_body_over_the_limit_is_a_413_before_it_is_read(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "iris", input_example=ROWS)
    served = pack.serving.app({"iris": str(tmp_path / "iris")}, max_body=1000)
    client = TestClient(served, raise_server_exceptions=False)

    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 100] * 1000

    for content in (b"x" * 1001, chunks()):
        answer = client.post("/v2/models/iris/infer", content=content)
        assert (answer.status_code, "1,000 bytes" in answer.json()["error"]) == (413, True)
