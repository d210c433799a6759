"""Manifests as text: one stream of YAML, one document of JSON, or a folder with a file for each object."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pack import folders, yamls

KUSTOMIZATION = "kustomization.yaml"
_HEAD = "# Written by pack generate-k8s.\n"


def stream(objects: Sequence[dict[str, Any]]) -> str:
    """All objects in one text, as `kubectl apply -f -` reads it."""
    return "---\n".join(map(_text, objects))


def listed(objects: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All objects as a `List`, for JSON."""
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def write(objects: Sequence[dict[str, Any]], folder: Path) -> list[Path]:
    """A file for each object, named by its kind, and a kustomization of them, over files of these names."""
    folders.make(folder)
    texts = {f"{each['kind'].lower()}.yaml": _text(each) for each in objects}
    texts[KUSTOMIZATION] = _text(kustomization(list(texts)))
    return [_written(folder / name, _HEAD + text) for name, text in texts.items()]


def kustomization(names: Sequence[str]) -> dict[str, Any]:
    """What `kubectl apply -k` reads of a folder."""
    return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": list(names)}


def _text(value: dict[str, Any]) -> str:
    # A value that stands in two places would be written once, with an anchor; after a journey through JSON none does.
    return yamls.dump(json.loads(json.dumps(value)), sort_keys=False, guarded=True)


def _written(path: Path, text: str) -> Path:
    beside = path.with_name(f".new-{secrets.token_hex(8)}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path
