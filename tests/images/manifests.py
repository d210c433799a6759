"""What the tests of manifests share: a registered model, the command, and validators of the API schemas."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import pack
from pack.cli import main
from pack.mlmodel import digests
from tests import models

# The releases of Kubernetes whose schemas the manifests are held against; the first is the oldest that is promised.
RELEASES = ("1.27", "1.29", "1.31", "1.33", "1.35", "1.37")
_KSERVE = Path(__file__).parent.parent / "samples" / "kserve" / "schema.json"
_KINDS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}


def register(name: str = "churn") -> str:
    """A model that runs no code, registered with an alias; its digest."""
    with pack.start_run():
        info = pack.log_model(models.classifier(), "model", registered_model_name=name)
    pack.set_alias(name, "champion", 1)
    return digests.check(Path(pack.artifacts.download_artifacts(info.model_uri))).digest


def generate(*words: str, uri: str = "models:/churn@champion", code: int = 0) -> Result:
    """Run `pack generate-k8s`."""
    done = CliRunner().invoke(main, ["generate-k8s", "-m", uri, *words])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return done


def objects(*words: str, uri: str = "models:/churn@champion") -> dict[str, Any]:
    """The objects that the command writes, by their kinds."""
    items = json.loads(generate(*words, "--json", uri=uri).stdout)["items"]
    return {each["kind"]: each for each in items}


def server_of(deployment: dict[str, Any]) -> dict[str, Any]:
    """The container that serves."""
    found: dict[str, Any] = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


def variables_of(container: dict[str, Any]) -> dict[str, Any]:
    """The environment of a container; a variable without a value by where it comes from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def faults(each: dict[str, Any], release: str = RELEASES[-1]) -> list[str]:
    """What a Kubernetes of this release, or KServe, would not take of an object; unknown fields count."""
    if each["kind"] in _KINDS:
        return [fault.message for fault in _kserve_validator(each["kind"]).iter_errors(each)]
    try:
        kubernetes_validate.validate(each, release, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [error.message]
    return []


@cache
def _kserve_validator(kind: str) -> Draft202012Validator:
    folder = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    core = json.loads((folder / f"v{RELEASES[-1]}.0-local-strict" / "_definitions.json").read_text(encoding="utf-8"))
    own = json.loads(_KSERVE.read_text(encoding="utf-8"))
    known = Resource.from_contents(own) @ (Resource.from_contents(core) @ Registry())
    return Draft202012Validator({"$ref": f"{own['$id']}#/$defs/{_KINDS[kind]}"}, registry=known)
