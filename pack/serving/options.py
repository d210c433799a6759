"""How models are served, and the endpoints that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pack.errors import InvalidValue
from pack.pyfunc.wrapper import PyFuncModel
from pack.serving.batching import Limits
from pack.serving.capture import Capture, CapturePlan
from pack.serving.endpoint import Endpoint, Endpoints, Room
from pack.serving.following import EVERY
from pack.serving.rehearsal import Rehearsal
from pack.serving.shadow import Shadow
from pack.serving.slots import Slot
from pack.serving.versions import Source

Given = PyFuncModel | str | Path


@dataclass(frozen=True)
class Canary:
    """A version that answers a share of the requests, from 0 to 1."""

    uri: str
    share: float


@dataclass(frozen=True)
class Options:
    """How models are served; `canaries` and `shadows` by the name of the endpoint.

    `follow_every` is in seconds, `shadow_deadline` too. With `lazy` a model is loaded by its first request, and with
    `max_model_bytes` those that were not used for longest are let go of when the files of all are larger. Workers add
    up their metrics through `metrics_folder`. `also` has further paths, and those that they stand for.
    """

    limits: Limits = field(default_factory=Limits)
    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    follow: bool = True
    follow_every: float = EVERY
    canaries: Mapping[str, Canary] = field(default_factory=dict)
    shadows: Mapping[str, str] = field(default_factory=dict)
    shadow_deadline: float = 5.0
    lazy: bool = False
    max_model_bytes: int | None = None
    capture: CapturePlan | None = None
    access_log: bool = False
    metrics_folder: Path | None = None
    also: Mapping[str, str] = field(default_factory=dict)


def endpoints_of(models: Mapping[str, Given], trust: Any, options: Options) -> Endpoints:
    """The endpoints of these models, loaded unless they are lazy.

    Raises what `load_model` does, and `InvalidValue` for a canary or a shadow of a model that is not served.
    """
    unknown = sorted({*options.canaries, *options.shadows} - set(models))
    if unknown:
        raise InvalidValue(f"no model is served as {unknown[0]!r}", hint=f"served: {', '.join(models)}")
    made = Endpoints({name: _endpoint(name, model, trust, options) for name, model in models.items()})
    if options.capture is not None:
        for endpoint in made:
            names = None if options.lazy else _columns(endpoint)
            endpoint.capture = Capture(endpoint.name, options.capture, names)
    if options.max_model_bytes is not None:
        room = Room(made, options.max_model_bytes)
        for endpoint in made:
            endpoint.room = room
    return made


def _endpoint(name: str, model: Given, trust: Any, options: Options) -> Endpoint:
    def slot(given: Given, *, lazy: bool = False) -> Slot:
        made = Slot(Source.of(given, trust), options.limits, options.rehearsal, follows=options.follow, is_lazy=lazy)
        if not lazy:
            made.load_now()
        return made

    canary, shadow = options.canaries.get(name), options.shadows.get(name)
    return Endpoint(
        name,
        slot(model, lazy=options.lazy),
        canary=None if canary is None else slot(canary.uri),
        share=0.0 if canary is None else canary.share,
        shadow=None if shadow is None else Shadow(slot(shadow), options.shadow_deadline),
    )


def _columns(endpoint: Endpoint) -> list[str]:
    signature = endpoint.current.model.signature
    return [] if signature is None or signature.inputs is None else list(map(str, signature.inputs.input_names()))
