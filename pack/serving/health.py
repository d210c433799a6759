"""Health, metrics, and what an operator may ask for: routes that answer in every phase of a server's life."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pack.serving import metrics
from pack.serving.endpoint import Endpoint, Endpoints
from pack.serving.following import look
from pack.serving.gathering import Gathering
from pack.serving.metrics import Family, Sample
from pack.serving.reports import reported
from pack.version import __version__
from pack.web.answers import json_answer


async def live(request: Request) -> Response:
    """Say that the process answers."""
    return json_answer(request, b"\n")


async def ready(request: Request) -> Response:
    """Say whether requests are taken: 200, or 503 while a model is missing or the server drains."""
    return json_answer(request, b"\n", status=200 if is_ready(request) else 503)


async def health(request: Request) -> Response:
    """Whether requests are taken, and what is served: versions, digests, what was refused and why."""
    good = is_ready(request)
    body = {
        "status": "ok" if good else "draining" if request.app.state.drains else "loading",
        "version": __version__,
        "models": [endpoint.shown() for endpoint in _endpoints(request)],
    }
    return json_answer(request, json.dumps(body).encode(), status=200 if good else 503)


async def version(request: Request) -> Response:
    """The version of pack."""
    return json_answer(request, __version__.encode())


async def model_health(request: Request) -> Response:
    """What is served under one name."""
    endpoint = _endpoints(request).get(request.path_params["name"])
    good = endpoint.is_ready and not request.app.state.drains
    return json_answer(request, json.dumps(endpoint.shown()).encode(), status=200 if good else 503)


async def report(request: Request) -> Response:
    """How the versions of one endpoint do beside each other: requests, errors, latency, disagreement."""
    endpoint = _endpoints(request).get(request.path_params["name"])
    return json_answer(request, json.dumps(reported(endpoint, _gathered(request))).encode())


async def exposition(request: Request) -> Response:
    """All metrics in Prometheus' text format."""
    return Response(metrics.text(_gathered(request)), media_type=metrics.TEXT, headers={"cache-control": "no-store"})


async def reload(request: Request) -> Response:
    """Look at once where the aliases stand, and go there; what was refused is tried again.

    Among several workers the others do the same meanwhile; the answer is this one's.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "the Content-Type must be application/json; the body may be empty")
    if request.app.hang_up_others is not None:
        request.app.hang_up_others()
    found = {endpoint.name: await look(endpoint, again=True) for endpoint in _endpoints(request)}
    return json_answer(request, json.dumps(found).encode())


def is_ready(request: Request) -> bool:
    """Whether requests are taken: every model is there, and the server does not drain."""
    return not request.app.state.drains and all(endpoint.is_ready for endpoint in _endpoints(request))


def families_of(endpoints: Endpoints) -> list[Family]:
    """All metrics of this process."""
    return [*_of_requests(endpoints), *_of_slots(endpoints)]


def _gathered(request: Request) -> list[Family]:
    """What this process counted, and the other workers with it."""
    found = families_of(_endpoints(request))
    gathering: Gathering | None = request.app.state.gathering
    return found if gathering is None else gathering.all(found)


def _endpoints(request: Request) -> Endpoints:
    found: Endpoints = request.app.state.endpoints
    return found


def _of_requests(endpoints: Endpoints) -> list[Family]:
    return metrics.of_tallies(
        (_labels(endpoint, role, number=each.number, digest=each.digest), each.tally)
        for endpoint in endpoints
        for role, slot in endpoint.slots.items()
        for each in (slot.current, slot.previous)
        if each is not None
    )


def _of_slots(endpoints: Endpoints) -> Iterator[Family]:
    slots = [(_labels(one, role), slot) for one in endpoints for role, slot in one.slots.items()]

    def family(name: str, meaning: str, kind: str, value: Any) -> Family:
        return Family(name, meaning, kind, [Sample(name, labels, value(slot)) for labels, slot in slots])

    yield family(
        "pack_model_ready", "1 where a version is loaded.", "gauge", lambda slot: int(slot.current is not None)
    )
    yield family("pack_in_flight", "Requests that wait or are being scored.", "gauge", lambda slot: slot.in_flight)
    yield family("pack_queue", "Requests that wait.", "gauge", lambda slot: slot.waiting)
    yield family("pack_swaps_total", "Times that another version took over.", "counter", lambda slot: slot.swaps)
    yield family("pack_refusals_total", "Versions that did not take over.", "counter", lambda slot: slot.refusals)
    counts = [
        Sample("pack_shadow_total", {"model": one.name, "outcome": outcome}, count)
        for one in endpoints
        if one.shadow is not None
        for outcome, count in one.shadow.counts.items()
    ]
    yield Family("pack_shadow_total", "Mirrored requests by what came of them.", "counter", counts)
    seconds = [
        sample
        for one in endpoints
        if one.shadow is not None
        for sample in metrics.buckets("pack_shadow_seconds", {"model": one.name}, one.shadow.seconds)
    ]
    yield Family("pack_shadow_seconds", "Seconds that the shadow took for what it answered.", "histogram", seconds)
    captured = [
        Sample("pack_capture_total", {"model": one.name, "outcome": outcome}, count)
        for one in endpoints
        if one.capture is not None
        for outcome, count in (("rows written", one.capture.written), ("requests dropped", one.capture.dropped))
    ]
    yield Family("pack_capture_total", "What was captured, and what came too fast to be.", "counter", captured)


def _labels(endpoint: Endpoint, role: str, *, number: str | None = None, digest: str = "") -> dict[str, str]:
    labels = {"model": endpoint.name, "role": role}
    return labels if number is None else {**labels, "version": number, "digest": digest[:12]}


ROUTES = [
    Route("/ping", ready),
    Route("/livez", live),
    Route("/readyz", ready),
    Route("/health", health),
    Route("/version", version),
    Route("/metrics", exposition),
    Route("/models/{name}/health", model_health),
    Route("/models/{name}/report", report),
    Route("/admin/reload", reload, methods=["POST"]),
]
