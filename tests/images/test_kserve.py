"""The manifests for KServe, and the server under the name that KServe gives it."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

import pack
from pack.serving import app
from tests import models
from tests.images.manifests import faults, generate, objects, variables_of

pytestmark = pytest.mark.sklearn
STORED = ("--kserve", "--storage-uri", "s3://models/churn")


@pytest.mark.parametrize("words", [("--kserve",), STORED, (*STORED, "--gpu", "1", "--replicas", "1", "--env", "A=1")])
def test_both_objects_are_what_kserve_takes(churn: str, words: tuple[str, ...]) -> None:
    found = objects(*words)
    assert found.keys() == {"ServingRuntime", "InferenceService"}
    assert [fault for each in found.values() for fault in faults(each)] == []


def test_a_misspelled_field_would_be_found(churn: str) -> None:
    found = objects(*STORED)
    found["ServingRuntime"]["spec"]["containers"][0]["enviroment"] = []
    found["InferenceService"]["spec"]["predictor"]["model"]["storageURI"] = "s3://a/b"
    assert "enviroment" in faults(found["ServingRuntime"])[0]
    assert "storageURI" in faults(found["InferenceService"])[0]


def test_the_service_asks_for_its_own_runtime_and_protocol(churn: str) -> None:
    found = objects(*STORED)
    runtime, model = found["ServingRuntime"], found["InferenceService"]["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    formats = runtime["spec"]["supportedModelFormats"]
    assert model["modelFormat"]["name"] in {each["name"] for each in formats}
    assert not any(each["autoSelect"] for each in formats)
    container = runtime["spec"]["containers"][0]
    assert container["name"] == "kserve-container"
    # Knative refuses hooks, and names of ports but its own.
    assert "lifecycle" not in container
    assert "name" not in container["ports"][0]


def test_a_model_is_served_where_it_lies(churn: str) -> None:
    def home(*words: str) -> str:
        container = objects(*words)["ServingRuntime"]["spec"]["containers"][0]
        return str(variables_of(container)["PACK_MODEL_URI"])

    assert home("--kserve") == "/opt/ml/model"
    assert home(*STORED) == "/mnt/models"
    assert "storageUri" not in objects("--kserve")["InferenceService"]["spec"]["predictor"]["model"]


def test_a_value_that_kserve_would_fill_in_is_refused(churn: str) -> None:
    assert "KServe" in generate(*STORED, "--env", "A={{.Namespace}}", code=1).output


def test_the_protocols_routes_answer_for_the_name_of_the_service(tmp_path: Path) -> None:
    pack.sklearn.save_model(models.classifier(), tmp_path / "models")
    with TestClient(app({"churn-eu": str(tmp_path / "models")})) as client:
        assert client.get("/v2/models/churn-eu/ready").json() == {"name": "churn-eu", "ready": True}
        tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": models.iris()[0][0].tolist()}
        answer = client.post("/v2/models/churn-eu/infer", json={"inputs": [tensor]}).json()
        assert answer["model_name"] == "churn-eu"
        assert answer["outputs"][0]["data"] == [0]
