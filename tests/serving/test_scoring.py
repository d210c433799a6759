"""Scoring over HTTP, in process: bodies, answers, errors."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from starlette.testclient import TestClient

import pack
from pack.serving import app
from tests import models

JSON = {"Content-Type": "application/json"}


def client_of(tmp_path: Path, model: Any, **options: Any) -> TestClient:
    served = {name: options.pop(name) for name in ("max_body", "timeout", "allowed_hosts") if name in options}
    pack.save_model(model, tmp_path / "model", **options)
    return TestClient(app(str(tmp_path / "model"), **served), raise_server_exceptions=False)


@pytest.fixture
def iris(tmp_path: Path) -> TestClient:
    return client_of(tmp_path, models.classifier(), input_example=models.iris()[0][:3])


@pytest.fixture
def mixed(tmp_path: Path) -> TestClient:
    return client_of(tmp_path, models.mixed_pipeline(), input_example=models.mixed_frame(3))


def post(client: TestClient, body: Any, **headers: str) -> Any:
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return client.post("/invocations", content=content, headers={**JSON, **headers})


def test_an_array_model_takes_inputs_and_instances(iris: TestClient) -> None:
    features, _ = models.iris()
    expected = {"predictions": models.classifier().predict(features[::50]).tolist()}
    for key in ("inputs", "instances"):
        answer = post(iris, {key: features[::50].tolist()})
        assert (answer.status_code, answer.json()) == (200, expected)
        assert answer.headers["content-type"] == "application/json"


def test_a_frame_model_takes_split_records_inputs_csv_and_parquet(mixed: TestClient) -> None:
    import io

    frame = models.mixed_frame(4)
    expected = {"predictions": models.mixed_pipeline().predict(frame).tolist()}
    split = frame.to_dict(orient="split", index=False)
    records = frame.to_dict(orient="records")
    columns = frame.to_dict(orient="list")
    bodies = [("dataframe_split", split), ("dataframe_records", records), ("instances", records), ("inputs", columns)]
    for body in ({key: value} for key, value in [*bodies, ("inputs", records)]):
        assert post(mixed, body).json() == expected
    answer = mixed.post(
        "/invocations", content=frame.to_csv(index=False), headers={"Content-Type": "text/csv; charset=utf-8"}
    )
    assert answer.json() == expected
    out = io.BytesIO()
    frame.to_parquet(out)
    parquet = {"Content-Type": "application/vnd.apache.parquet"}
    assert mixed.post("/invocations", content=out.getvalue(), headers=parquet).json() == expected
    frame.assign(extra=1).to_parquet(extra := io.BytesIO())
    answer = mixed.post("/invocations", content=extra.getvalue(), headers=parquet)
    assert (answer.status_code, "extra" in answer.json()["message"]) == (400, True)


def test_the_serving_example_that_was_saved_is_a_body_that_works(mixed: TestClient, tmp_path: Path) -> None:
    body = (tmp_path / "model" / "serving_input_example.json").read_text(encoding="utf-8")
    assert post(mixed, body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "", "{}", "[]", "null", '"x"', "5", "{bad", "[1]", '{"inputs": [1]} trailing',
        '{"inputs": [1], "instances": [1]}',
        '{"unknown": 1}', '{"dataframe_split": {"columns": ["a"]}}', '{"dataframe_split": [1]}',
        '{"dataframe_split": {"data": [[1]], "evil": 1}}', '{"dataframe_records": {"a": 1}}',
        '{"dataframe_records": [1]}',
        '{"inputs": [1], "inputs": [2]}', '{"inputs": [1], "params": [1]}', '{"inputs": "\\ud800"}', "\ufeff{}",
        '{"inputs": ' + "[" * 100_000 + "]" * 100_000 + "}", '{"inputs": ' + "9" * 5000 + "}",
        '{"inputs": {"a": [1], "b": [1, 2]}}',
        '{"inputs": [[1, 2], [3]]}', '{"inputs": [[1, 2, 3]]}', '{"inputs": [["a", "b", "c", "d"]]}',
        '{"inputs": [[1, 2, 3, true]]}',
        '{"inputs": [[1, 2, 3, null]], "params": {"__class__": 1}}', '{"inputs": 3}', '{"inputs": {"__proto__": 1}}',
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_scored_is_a_400_that_says_why_within_a_second(iris: TestClient, body: str) -> None:
    start = time.process_time()
    answer = post(iris, body.encode())
    assert answer.status_code == 400, answer.text
    assert time.process_time() - start < 1
    found = answer.json()
    assert found["error_code"] in {"BAD_REQUEST", "INVALID_PARAMETER_VALUE"}
    assert found["message"]
    assert found["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("body", [b"\xff\xfe{\x00", '{"inputs": [1]}'.encode("utf-16"), b"\x80", b"\x00"])
def test_text_that_is_not_utf8_is_a_400(iris: TestClient, body: bytes) -> None:
    assert post(iris, body).status_code == 400


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({"city": "Lima", "income": 1.0, "age": 1.5}, "'age' is declared long: row 0 holds a number with a fraction"),
        ({"city": "Lima", "income": 1.0, "age": "001"}, "'age' is declared long: row 0 holds text"),
        ({"city": "Lima", "income": 1.0, "age": True}, "'age' is declared long: row 0 holds a boolean"),
        ({"city": "Lima", "income": 1.0, "age": 2**63}, "'age' is declared long"),
        ({"city": "Lima", "income": 1.0, "age": None}, "'age' is declared long: row 0 holds a missing value"),
        ({"city": "Lima", "income": 2**53 + 1, "age": 1}, "'income' is declared double"),
        ({"city": "Lima", "income": "1.0", "age": 1}, "'income' is declared double: row 0 holds text"),
        ({"city": 5, "income": 1.0, "age": 1}, "'city' is declared string: row 0 holds a whole number"),
        ({"city": "Lima", "income": 1.0}, "missing: ['age']"),
        ({"city": "Lima", "income": 1.0, "age": 1, "extra": 1}, "not declared: ['extra']"),
    ],
)
def test_a_value_that_would_be_changed_is_refused_by_name(mixed: TestClient, record: dict[str, Any], word: str) -> None:
    answer = post(mixed, {"dataframe_records": [record]})
    assert answer.status_code == 400
    assert word in answer.json()["message"]


@pytest.mark.parametrize("cell", ["001", "1.5", "true", "", "1e3", "+1", "0x1", " 1"])
def test_csv_text_that_is_not_exactly_a_whole_number_is_refused(mixed: TestClient, cell: str) -> None:
    answer = mixed.post(
        "/invocations", content=f"city,income,age\nLima,1.5,{cell}\n", headers={"Content-Type": "text/csv"}
    )
    assert answer.status_code == 400
    assert "'age'" in answer.json()["message"]


@pytest.mark.parametrize("text", ["", "\n", 'a,b\n"unclosed', "a,b\n1\n", "\x00", "a,a\n1,2\n", "x" * 1000])
def test_csv_that_cannot_be_read_is_a_400(mixed: TestClient, text: str) -> None:
    answer = mixed.post("/invocations", content=text, headers={"Content-Type": "text/csv"})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
     "application/x-pickle",
     "application/vnd.bentoml+pickle", "x-python-serialize", "application/json; charset=latin-1",
     "application/json; format=pandas-split", "text/csv; charset=utf-16"],
)  # fmt: skip
def test_other_content_types_are_a_415(iris: TestClient, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = iris.post("/invocations", content=b'{"inputs": [[1,2,3,4]]}', headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["message"]


def test_a_body_over_the_limit_is_a_413_before_it_is_read(tmp_path: Path) -> None:
    client = client_of(tmp_path, models.classifier(), max_body=1000)
    sent: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(1000):
            sent.append(number)
            yield b"x" * 100

    assert client.post("/invocations", content=b"x" * 1001, headers=JSON).status_code == 413
    assert client.post("/invocations", content=chunks(), headers=JSON).status_code == 413
    assert client.post("/invocations", content=b"x" * 1000, headers=JSON).status_code == 400
    assert client.post("/invocations", content=b"x", headers={**JSON, "Content-Encoding": "gzip"}).status_code == 415


def answering(value: Any) -> Any:
    def predict(model_input: Any) -> Any:
        return value

    return predict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", None]}), '[{"a": 1, "b": "x"}, {"a": 2, "b": null}]'),
        (pd.Series([1, 2], name="s"), '[{"s": 1}, {"s": 2}]'),
        (pd.Series([1]), '[{"0": 1}]'),
        (np.array([[1.5, np.nan], [np.inf, -np.inf]]), "[[1.5, NaN], [Infinity, -Infinity]]"),
        (np.float32(1.1), "1.100000023841858"),
        (np.array(["2020-01-01"], "datetime64[ns]"), "[1577836800000000000]"),
        (pd.DataFrame({"t": [pd.Timestamp("2020-01-01")]}), '[{"t": "2020-01-01T00:00:00"}]'),
        ([b"x" * 60], json.dumps([base64.encodebytes(b"x" * 60).decode()])),
        ({"a": [1, None, True]}, '{"a": [1, null, true]}'),
        (None, "null"),
        ("text", '"text"'),
        (2**70, str(2**70)),
    ],
)
def test_answers_are_encoded_as_mlflows_clients_expect(tmp_path: Path, value: Any, text: str) -> None:
    client = client_of(tmp_path, answering(value))
    answer = post(client, {"inputs": [1]})
    assert (answer.status_code, answer.text) == (200, f'{{"predictions": {text}}}')


@pytest.mark.parametrize("value", [{1, 2}, object(), 1j])
def test_an_answer_that_json_cannot_hold_is_a_500_that_says_so(tmp_path: Path, value: Any) -> None:
    answer = post(client_of(tmp_path, answering(value)), {"inputs": [1]})
    assert answer.status_code == 500
    assert type(value).__name__ in answer.json()["message"]


def test_a_model_that_raises_is_a_500_without_its_message_its_traceback_or_the_data(tmp_path: Path) -> None:
    def predict(model_input: Any) -> Any:
        raise RuntimeError(f"the secret of {__file__} is {model_input}")

    answer = post(client_of(tmp_path, predict), {"inputs": ["my data"]})
    assert answer.status_code == 500
    assert answer.json()["message"] == "the model raised RuntimeError"
    for leak in ("secret", "my data", "Traceback", str(Path(__file__).parent)):
        assert leak not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_a_model_that_hangs_is_a_504(tmp_path: Path) -> None:
    def predict(model_input: Any) -> Any:
        time.sleep(1)

    answer = post(client_of(tmp_path, predict, timeout=0.1), {"inputs": [1]})
    assert answer.status_code == 504
    assert "0.1 seconds" in answer.json()["message"]


def test_params_reach_the_model_and_wrong_ones_are_refused(tmp_path: Path) -> None:
    def predict(model_input: Any, params: dict[str, Any]) -> Any:
        return [params["by"]]

    client = client_of(tmp_path, predict, input_example=([1], {"by": 2.0}))
    assert post(client, {"inputs": [1], "params": {"by": 3}}).json() == {"predictions": [3.0]}
    assert post(client, {"inputs": [1]}).json() == {"predictions": [2.0]}
    for params in ({"by": "x"}, {"unknown": 1}, {"__class__": 1}, {"by": True}):
        assert post(client, {"inputs": [1], "params": params}).status_code == 400


def test_a_language_models_body_goes_in_and_out_without_a_wrapper(tmp_path: Path) -> None:
    def predict(model_input: Any) -> Any:
        return {"seen": sorted(model_input)}

    answer = post(client_of(tmp_path, predict), {"messages": [{"role": "user", "content": "hi"}], "stream": False})
    assert answer.json() == {"seen": ["messages", "stream"]}


def test_a_model_with_type_hints_takes_lists_of_them(tmp_path: Path) -> None:
    def predict(model_input: list[dict[str, int]]) -> list[int]:
        return [sum(item.values()) for item in model_input]

    client = client_of(tmp_path, predict)
    assert post(client, {"inputs": [{"a": 1, "b": 2}]}).json() == {"predictions": [3]}
    assert post(client, {"inputs": [{"a": "x"}]}).status_code == 400
    assert "item 1 is null" in post(client, {"inputs": [{"a": 1}, None]}).json()["message"]
    assert post(client, {"dataframe_records": [{"a": 1}]}).status_code == 400


def test_values_that_look_like_urls_are_text(tmp_path: Path) -> None:
    def predict(model_input: Any) -> Any:
        return model_input["u"].tolist()

    client = client_of(tmp_path, predict, input_example=pd.DataFrame({"u": ["x"]}))
    for text in ("http://127.0.0.1:1/x", "file:///etc/passwd"):
        assert post(client, {"dataframe_records": [{"u": text}]}).json() == {"predictions": [text]}


def test_headers_with_payloads_are_inert(iris: TestClient) -> None:
    headers = {"Payload-Container": "gASV", "X-Amzn-SageMaker-Custom-Attributes": "x" * 10_000, "Args-Number": "2"}
    assert post(iris, {"inputs": [[1, 2, 3, 4]]}, **headers).status_code == 200


def test_health_and_version_answer(iris: TestClient) -> None:
    for path in ("/ping", "/livez", "/readyz"):
        assert (iris.get(path).status_code, iris.get(path).text) == (200, "\n")
    found = iris.get("/health")
    assert (found.status_code, found.json()["status"]) == (200, "ok")
    assert found.json()["models"][0]["champion"]["digest"].startswith("sha256:")
    assert iris.get("/version").text == pack.__version__


def test_what_is_not_there_or_not_allowed_is_said_as_json(iris: TestClient) -> None:
    for method, path, status in (
        ("GET", "/invocations", 405), ("DELETE", "/invocations", 405), ("TRACE", "/invocations", 405),
        ("POST", "/ping", 405),
        ("POST", "http://testserver//invocations", 404), ("GET", "/x", 404),
    ):  # fmt: skip
        answer = iris.request(method, path)
        assert answer.status_code == status
        assert answer.json()["error_code"]


def test_the_request_id_is_the_callers_where_it_is_a_plain_word(iris: TestClient) -> None:
    assert iris.get("/ping", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert iris.get("/ping", headers={"X-Request-Id": "<script>"}).headers["x-request-id"] != "<script>"


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "10.evil.example", "192.168.evil.example:5000", "172.16.evil.example",
     "localhost:evil.example", "127.0.0.1.evil.example", "fd00:evil", "[::1", "a@localhost", ""],
)  # fmt: skip
def test_alien_hosts_are_refused(tmp_path: Path, host: str) -> None:
    client = client_of(tmp_path, models.classifier(), allowed_hosts=["models.example"])
    assert client.get("/ping", headers={"Host": host}).status_code in {400, 403}


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:80", "[::1]:80", "10.1.2.3", "models.example:1"]
)
def test_addresses_and_configured_hosts_are_served(tmp_path: Path, host: str) -> None:
    client = client_of(tmp_path, models.classifier(), allowed_hosts=["models.example"])
    assert client.get("/ping", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost.evil"},
     {"Origin": "http://127.0.0.1.evil"}, {"Sec-Fetch-Site": "cross-site"}],
)  # fmt: skip
def test_pages_of_other_origins_may_not_score(tmp_path: Path, headers: dict[str, str]) -> None:
    client = client_of(tmp_path, models.classifier(), allowed_hosts=[])
    body = {"inputs": models.iris()[0][:1].tolist()}
    assert post(client, body, Host="localhost", **headers).status_code == 403
    assert post(client, body, Host="localhost", Origin="http://localhost:3000").status_code == 200


def test_several_models_answer_under_their_names(tmp_path: Path) -> None:
    for name, by in [("one", 1), ("two", 2)]:

        def predict(model_input: Any, by: int = by) -> Any:
            return [by]

        pack.save_model(predict, tmp_path / name)
    served = app({name: str(tmp_path / name) for name in ("one", "two")}, trust=True)
    client = TestClient(served, raise_server_exceptions=False)
    for path, by in [("/models/one/invocations", 1), ("/models/two/invocations", 2), ("/invocations", 1)]:
        assert client.post(path, json={"inputs": [0]}).json() == {"predictions": [by]}
    assert client.post("/models/three/invocations", json={"inputs": [0]}).status_code == 404


def test_an_answer_says_where_its_time_went(iris: TestClient) -> None:
    answer = post(iris, {"inputs": [[5.1, 3.5, 1.4, 0.2]]})
    spans = dict(span.split(";dur=") for span in answer.headers["server-timing"].split(", "))
    assert list(spans) == ["parse", "queue", "validate", "predict", "encode"]
    assert all(float(milliseconds) >= 0 for milliseconds in spans.values())
