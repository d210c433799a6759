"""Derive schema.json from a wheel of KServe's own SDK: python derive.py kserve-0.21.0-py3-none-any.whl > schema.json

The SDK's models are generated from KServe's OpenAPI: each class says the JSON names of its fields, their types, and in
its setters which of them are required. Nothing of the wheel is run. Types of Kubernetes itself become references into
the schemas that kubernetes-validate brings along.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile

ROOTS = ("V1alpha1ServingRuntime", "V1beta1InferenceService")
PLAIN = {"str": "string", "int": "integer", "bool": "boolean", "float": "number", "object": "object"}
# What no manifest holds, or the wheel does not describe.
ANY = {"V1beta1InferenceServiceStatus", "V1beta1MetricQuantity", "V1alpha1WorkerSpec"}
KUBERNETES = {
    "K8sIoApiAppsV1DeploymentStrategy": "io.k8s.api.apps.v1.DeploymentStrategy",
    "K8sIoApiAutoscalingV2HorizontalPodAutoscalerBehavior": (
        "io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior"
    ),
    "ResourceQuantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "V1ObjectMeta": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
}


def models(wheel: str) -> dict[str, tuple[dict[str, dict[str, str]], set[str]]]:
    """The tables of each model class, and its required attributes."""
    found = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"kserve/models/[a-z0-9_]+\.py", name):
                for node in ast.parse(archive.read(name)).body:
                    if isinstance(node, ast.ClassDef):
                        found[node.name] = (tables(node), required(node))
    return {name: each for name, each in found.items() if each[0]}


def tables(node: ast.ClassDef) -> dict[str, dict[str, str]]:
    wanted = {"openapi_types", "attribute_map"}
    assigned = [each for each in node.body if isinstance(each, ast.Assign) and each.targets[0].id in wanted]
    return {each.targets[0].id: ast.literal_eval(each.value) for each in assigned}


def required(node: ast.ClassDef) -> set[str]:
    setters = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    return {each.name for each in setters if "must not be `None`" in ast.unparse(each)}


def schema_of(kind: str, known: set[str]) -> dict[str, object]:
    """The schema of one type as the SDK writes it."""
    if match := re.fullmatch(r"list\[(.+)\]", kind):
        return {"type": "array", "items": schema_of(match[1], known)}
    if match := re.fullmatch(r"dict\(str, (.+)\)", kind):
        return {"type": "object", "additionalProperties": schema_of(match[1], known)}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if kind in ANY:
        return {}
    if kind in known:
        return {"$ref": f"#/$defs/{kind}"}
    name = KUBERNETES.get(kind) or f"io.k8s.api.core.v1.{kind.removeprefix('V1')}"
    return {"$ref": f"https://kubernetes.io/api/_definitions.json#/$defs/{name}"}


def derive(wheel: str) -> dict[str, object]:
    """The schemas of both kinds and of everything in them."""
    known = models(wheel)
    schemas: dict[str, dict[str, object]] = {}
    waiting = list(ROOTS)
    while waiting:
        name = waiting.pop()
        if name in schemas:
            continue
        found, needed = known[name]
        names = found["attribute_map"]
        fields = {names[key]: schema_of(kind, set(known)) for key, kind in found["openapi_types"].items()}
        schemas[name] = {"type": "object", "properties": fields, "additionalProperties": False}
        if needed:
            schemas[name]["required"] = sorted(names[key] for key in needed)
        waiting += re.findall(r"#/\$defs/(V1(?:alpha1|beta1)\w+)", json.dumps(fields))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:kserve:0.21",
        "$comment": f"Derived from {wheel.rpartition('/')[2]} of The KServe Authors, Apache License 2.0.",
        "$defs": dict(sorted(schemas.items())),
    }


if __name__ == "__main__":
    json.dump(derive(sys.argv[1]), sys.stdout, indent=1, sort_keys=True)
    print()
