"""The documents of an image: its configuration, its manifest, and what an index says of it.

The configuration is the base's with ours laid over it, the way that a Dockerfile does: variables and labels are added,
the entry point takes the place of the base's entry point and command.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pack.images.oci import blobs
from pack.images.oci.bases import Base
from pack.images.oci.blobs import Blob, Layer
from pack.images.oci.references import Reference

_VARIANTS = {"arm64": "v8"}


@dataclass(frozen=True)
class Added:
    """A layer over the base: what made it, and what it is known by."""

    layer: Layer
    made_by: str
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Running:
    """What runs in a container of the image, as whom, and with what around it."""

    entrypoint: Sequence[str]
    variables: Mapping[str, str]
    user: str
    workdir: str
    port: int
    labels: Mapping[str, str]
    healthcheck: Mapping[str, Any]
    stop_signal: str = "SIGTERM"


def configuration(base: Base, added: Sequence[Added], running: Running, *, time: int) -> Blob:
    """The configuration of an image; its digest is what Docker calls the image ID."""
    found: dict[str, Any] = {
        key: base.config[key] for key in ("architecture", "os", "variant", "os.version") if key in base.config
    }
    if "variant" not in found and found["architecture"] in _VARIANTS:
        found["variant"] = _VARIANTS[found["architecture"]]
    diff_ids = [*(layer.diff_id for layer in base.layers), *(one.layer.diff_id for one in added)]
    document: dict[str, Any] = {
        **found,
        "created": moment(time),
        "config": _run(base, running),
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [*_history(base), *({"created": moment(time), "created_by": one.made_by} for one in added)],
    }
    return blobs.of_document(document, blobs.CONFIG)


def manifest(base: Base, added: Sequence[Added], config: Blob, *, annotations: Mapping[str, str]) -> Blob:
    """The manifest: the configuration and the layers, by digest."""
    ours = [one.layer.blob.descriptor(annotations=dict(one.annotations)) for one in added]
    document = {
        "schemaVersion": 2,
        "mediaType": blobs.MANIFEST,
        "config": config.descriptor(),
        "layers": [*(layer.blob.descriptor() for layer in base.layers), *ours],
        "annotations": dict(annotations),
    }
    return blobs.of_document(document, blobs.MANIFEST)


def listed(found: Blob, *, name: Reference, config: dict[str, Any]) -> dict[str, Any]:
    """What an index says of a manifest: its platform and its name."""
    platform = {key: config[key] for key in ("architecture", "os", "variant") if key in config}
    named = {"org.opencontainers.image.ref.name": name.tag or "latest", "io.containerd.image.name": str(name)}
    return found.descriptor(platform=platform, annotations=named)


def moment(time: int) -> str:
    """Seconds since 1970 as the documents write a time."""
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _run(base: Base, running: Running) -> dict[str, Any]:
    """The part of the configuration that says what runs."""
    below = base.config.get("config")
    kept = {key: value for key, value in (below or {}).items() if key in _KEPT and value}
    return {
        **kept,
        "Env": [f"{name}={value}" for name, value in {**_variables(below), **running.variables}.items()],
        "Labels": {**(kept.get("Labels") or {}), **running.labels},
        "Entrypoint": list(running.entrypoint),
        "User": running.user,
        "WorkingDir": running.workdir,
        "ExposedPorts": {**(kept.get("ExposedPorts") or {}), f"{running.port}/tcp": {}},
        "StopSignal": running.stop_signal,
        "Healthcheck": dict(running.healthcheck),
    }


_KEPT = ("Labels", "Volumes", "ExposedPorts", "Shell")


def _variables(config: Any) -> dict[str, str]:
    """The variables that a base sets, in its order."""
    lines = (config or {}).get("Env") or ()
    pairs = (line.partition("=") for line in lines if isinstance(line, str))
    return {name: value for name, mark, value in pairs if mark}


def _history(base: Base) -> list[dict[str, Any]]:
    """The base's history; one step for each layer where it has none that goes with its layers."""
    found = base.config.get("history")
    steps = [step for step in found if isinstance(step, dict)] if isinstance(found, list) else []
    if sum(not step.get("empty_layer") for step in steps) == len(base.layers):
        return steps
    return [{"created": moment(0), "created_by": f"base {base.name}"} for _ in base.layers]
