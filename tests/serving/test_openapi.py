"""The description in OpenAPI: valid for models of every kind, and true to what the server takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate
from starlette.testclient import TestClient

import pack
from pack.mlmodel.examples import SERVING
from pack.mlmodel.params import ParamSchema, ParamSpec
from pack.mlmodel.schema import ColSpec, Schema, TensorSpec
from pack.mlmodel.signature import ModelSignature
from pack.mlmodel.types import AnyType, Array, DataType, Map, Object, Property, Type
from pack.serving import v2
from pack.serving.endpoint import Endpoints
from pack.serving.openapi import document
from pack.serving.page import ROUTES
from tests import models
from tests.serving.live import described

HOSTILE = "<img src=x onerror=window.__pwn=1>'\"\u202e</script>"
DTYPES = ("int8", "uint8", "int64", "uint64", "float32", "float64", "bool", "str", "bytes", "datetime64[ns]", "object")


class Echo(pack.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return model_input


class Shout(pack.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:  # type: ignore[override]
        return [text.upper() for text in model_input]


def every_column() -> Schema:
    nested = Object([Property("day", "datetime"), Property("parts", Array("binary"), required=False)])
    scalars = [ColSpec(kind, kind.name, required=place % 2 == 0) for place, kind in enumerate(DataType)]
    others: dict[str, Type] = {"list": Array("string"), "map": Map(Array("long")), "any": AnyType(), "object": nested}
    return Schema([*scalars, *(ColSpec(kind, name) for name, kind in others.items())])


def every_param() -> ParamSchema:
    defaults: list[tuple[str, Any, Any, Any]] = [
        ("whole", "long", 3, None), ("nan", "double", float("nan"), None), ("none", "string", None, None),
        ("time", "datetime", datetime(2024, 1, 1, 12), None), ("day", "datetime", date(2024, 1, 1), None),  # noqa: DTZ001
        ("list", "double", [1.0, float("inf")], (-1,)), ("object", Object([Property("x", "long")]), {"x": 1}, None),
        ("times", "datetime", [datetime(2024, 1, 1)], (-1,)), (HOSTILE, "string", HOSTILE, None),  # noqa: DTZ001
    ]  # fmt: skip
    return ParamSchema([ParamSpec(name, kind, default, shape) for name, kind, default, shape in defaults])


def signature_of(kind: str) -> ModelSignature | None:
    tensors = [TensorSpec(np.dtype(name), (-1, 2), name) for name in DTYPES]
    long, text = ColSpec("long"), ColSpec("string")
    made = {
        "columns": lambda: ModelSignature(every_column(), every_column(), every_param()),
        "tensors": lambda: ModelSignature(Schema(tensors), Schema(tensors)),
        "image": lambda: ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2, 2, 3))])),
        "unnamed": lambda: ModelSignature(Schema([long, text]), Schema([long, text])),
        "single": lambda: ModelSignature(Schema([text]), Schema([text])),
        "numbered": lambda: ModelSignature(Schema([ColSpec("long", 5), ColSpec("long", 7, required=False)])),
        "chat": lambda: ModelSignature(Schema([ColSpec(AnyType(), "messages")]), params=every_param()),
        "hostile": lambda: ModelSignature(Schema([ColSpec("string", HOSTILE)]), Schema([ColSpec("string", HOSTILE)])),
        "params": lambda: ModelSignature(params=every_param()),
    }
    return made[kind]() if kind in made else None


KINDS = ("columns", "tensors", "image", "unnamed", "single", "numbered", "chat", "hostile", "params", "nothing")


def saved(tmp_path: Path, kind: str, **options: Any) -> str:
    path = tmp_path / kind
    if kind == "hints":
        pack.pyfunc.save_model(path, python_model=Shout(), **options)
    else:
        pack.pyfunc.save_model(path, python_model=Echo(), signature=signature_of(kind), **options)
    return str(path)


@contextmanager
def client_of(served: Any) -> Iterator[TestClient]:
    with TestClient(described(served), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


def description(client: TestClient) -> Any:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    return answer.json()


def body_schema(told: Any, name: str = "model") -> Any:
    return {"$ref": f"#/components/schemas/{name}.Body", "components": told["components"]}


def fits(body: Any, schema: Any) -> bool:
    return bool(OAS31Validator(schema).is_valid(body))


@pytest.mark.parametrize("kind", [*KINDS, "hints"])
def test_it_is_valid_and_a_body_made_from_the_signature_fits_it_and_is_scored(tmp_path: Path, kind: str) -> None:
    from pack.serving.page import facts_of

    with client_of(saved(tmp_path, kind)) as client:
        told = description(client)
        validate(told)
        (endpoint,) = client.app.state.endpoints  # type: ignore[attr-defined]
        made = facts_of(endpoint)
        assert made["is_made"]
        answer = client.post("/invocations", content=made["example"], headers={"Content-Type": "application/json"})
        assert answer.status_code == 200, answer.text
        assert fits(json.loads(made["example"]), body_schema(told))
        schema = {"$ref": "#/components/schemas/model.Answer", "components": told["components"]}
        OAS31Validator(schema).validate(answer.json())


def test_every_form_of_a_body_that_is_taken_fits_and_what_is_refused_does_not(tmp_path: Path) -> None:
    pack.save_model(models.mixed_pipeline(), tmp_path / "m", input_example=models.mixed_frame(2))
    row = {"city": "Lima", "income": 1.0, "age": 30}
    good = [
        {"dataframe_split": {"columns": ["age", "city", "income"], "data": [[30, "Lima", 1.0]]}},
        {"dataframe_records": [row]}, {"instances": [row]}, {"inputs": [row]},
        {"inputs": {name: [value] for name, value in row.items()}}, {"inputs": row},
    ]  # fmt: skip
    bad: list[Any] = [
        {}, {"dataframe_records": [{**row, "age": 1.5}]}, {"dataframe_records": [{**row, "more": 1}]},
        {"dataframe_records": [{"city": "Lima"}]}, {"dataframe_records": row}, {"inputs": [row], "instances": [row]},
        {"dataframe_split": {"columns": ["age", "age", "city"], "data": []}}, [row], "inputs",
    ]  # fmt: skip
    with client_of(str(tmp_path / "m")) as client:
        schema = body_schema(description(client))
        for body in [*good, *bad]:
            status = client.post("/invocations", json=body).status_code
            assert (status, fits(body, schema)) == ((200, True) if body in good else (400, False)), body


def test_the_examples_are_those_that_the_models_were_saved_with(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "m", input_example=models.iris()[0][:2])
    expected = {"inputs": models.iris()[0][:2].tolist()}
    with client_of(str(tmp_path / "m")) as client:
        assert media(description(client))["example"] == expected
    with client_of(str(tmp_path / "m")) as client:
        (tmp_path / "m" / SERVING).unlink()  # as in the models of an older MLflow
        assert media(description(client))["example"] == expected


def media(told: Any, path: str = "/invocations") -> Any:
    return told["paths"][path]["post"]["requestBody"]["content"]["application/json"]


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 5000, b'{"inputs": "\\ud800"}', b'"' + b"x" * 2**23])
def test_an_example_that_is_damaged_or_too_large_is_left_out(tmp_path: Path, content: bytes) -> None:
    pack.save_model(models.classifier(), tmp_path / "m", input_example=models.iris()[0][:2])
    with client_of(str(tmp_path / "m")) as client:
        for name in (SERVING, "input_example.json"):
            (tmp_path / "m" / name).write_bytes(content)
        told = description(client)
    validate(told)
    assert "example" not in media(told)


def test_of_a_long_example_the_first_rows_are_told(tmp_path: Path) -> None:
    pack.save_model(models.wide_pipeline(), tmp_path / "m", input_example=models.wide_frame(400))
    with client_of(str(tmp_path / "m")) as client:
        split = media(description(client))["example"]["dataframe_split"]
        assert client.post("/invocations", json={"dataframe_split": split}).status_code == 200
    assert len(split["data"]) == 5


def test_each_model_has_a_path_whatever_it_is_called(tmp_path: Path) -> None:
    path = saved(tmp_path, "single")
    names = ["churn", "odd näme/{x}", HOSTILE]
    with client_of(dict.fromkeys(names, path)) as client:
        told = description(client)
        validate(told)
        paths = [path for path in told["paths"] if path.endswith("/invocations")]
        assert paths[:3] == [
            "/invocations",
            "/models/churn/invocations",
            "/models/odd%20n%C3%A4me%2F%7Bx%7D/invocations",
        ]
        for path in paths:
            assert client.post(path, json={"inputs": ["x"]}).status_code == 200
        assert [one["post"]["tags"][0] for key, one in told["paths"].items() if key in paths] == ["churn", *names]


def test_the_other_routes_are_described_too(tmp_path: Path) -> None:
    with client_of(saved(tmp_path, "nothing")) as client:
        endpoints: Endpoints = client.app.state.endpoints  # type: ignore[attr-defined]
        told = document(endpoints, [*client.app.routes, *v2.ROUTES])  # type: ignore[attr-defined]
    validate(told)
    assert {"/ping", "/health", "/version", "/metrics", "/v2/models/{name}/infer"} <= told["paths"].keys()
    assert "/" not in told["paths"]
    assert told["paths"]["/health"]["get"]["summary"].startswith("Whether requests are taken")


def test_the_same_models_are_described_in_the_same_bytes_and_others_anew(tmp_path: Path) -> None:
    with client_of(saved(tmp_path, "columns")) as client:
        first = client.get("/openapi.json").content
        assert client.get("/openapi.json").content == first
        endpoint = client.app.state.endpoints.default  # type: ignore[attr-defined]
        pack.pyfunc.save_model(tmp_path / "next", python_model=Echo(), signature=signature_of("single"))
        limits = endpoint.main._limits
        endpoint.main.current = type(endpoint.current).of("next", pack.pyfunc.load_model(tmp_path / "next"), limits)
        assert client.get("/openapi.json").content != first


def test_a_model_that_is_not_loaded_yet_is_described_without_its_signature(tmp_path: Path) -> None:
    from pack.serving.options import Options

    path = saved(tmp_path, "columns")
    with TestClient(
        described({"one": path, "two": path}, options=Options(lazy=True)), base_url="http://localhost"
    ) as one:
        told = description(one)
        validate(told)
        assert one.get("/").status_code == 200
        body = {"dataframe_records": [dict.fromkeys(map(str, every_column().input_names()), None)]}
        assert one.post("/invocations", json=body).status_code in {200, 400}
        assert "one.Row" in description(one)["components"]["schemas"]


def test_hostile_names_stand_in_it_as_plain_data(tmp_path: Path) -> None:
    path = saved(tmp_path, "hostile", metadata={"description": HOSTILE})
    with client_of(path) as client:
        answer = client.get("/openapi.json")
        told = answer.json()
        validate(told)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert told["paths"]["/invocations"]["post"]["description"] == HOSTILE
    assert list(told["components"]["schemas"]["model.Row"]["properties"]) == [HOSTILE]


def test_a_hundred_thousand_columns_are_described(tmp_path: Path) -> None:
    signature = ModelSignature(Schema([ColSpec("double", f"c{place}") for place in range(100_000)]))
    pack.pyfunc.save_model(tmp_path / "m", python_model=Echo(), signature=signature)
    with client_of(str(tmp_path / "m")) as client:
        assert len(description(client)["components"]["schemas"]["model.Row"]["properties"]) == 100_000
        assert len(client.get("/").content) < 100_000


def test_the_routes_of_the_page_are_not_in_it() -> None:
    assert not any(route.include_in_schema for route in ROUTES)
