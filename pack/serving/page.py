"""The page at `/` on which the models can be tried by hand, and the server's description.

What a model says of itself goes into the page as one attribute of JSON, and the script shows it as text: the page is
the same for every model but for that attribute, and its security policy lets no other script run.
"""

from __future__ import annotations

import html
import json
import weakref
from collections.abc import Callable
from functools import cache
from importlib import resources
from itertools import islice
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pack.mlmodel.schema import Schema, TensorSpec
from pack.serving.endpoint import Endpoint, Endpoints
from pack.serving.example_bodies import example_body
from pack.serving.openapi import MOST_TEXT, document, path_of, told_description, version_of
from pack.serving.shapes import told
from pack.version import __version__
from pack.web.answers import REQUEST_ID, json_answer, request_id

MOST_ROWS = 200
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "cache-control": "no-cache",
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_KINDS = {"try.css": "text/css", "try.js": "text/javascript"}


async def page(request: Request) -> Response:
    """A page to try the models by hand."""
    return _answer(request, await _kept(request, "kept_page", _page), "text/html")


async def openapi(request: Request) -> Response:
    """The description of this server in OpenAPI 3.1."""
    return json_answer(request, await _kept(request, "kept_openapi", _openapi))


async def docs(request: Request) -> Response:
    """Lead those who look for the description under this name to the page."""
    return RedirectResponse("./", headers={**HEADERS, REQUEST_ID: request_id(request)})


async def asset(request: Request) -> Response:
    """The script or the style sheet of the page."""
    name = request.url.path.rpartition("/")[2]
    return _answer(request, _read(name).encode(), _KINDS[name])


def facts_of(endpoint: Endpoint) -> dict[str, Any]:
    """What the page shows of one model, as plain data."""
    version = version_of(endpoint)
    shown: dict[str, Any] = {"name": endpoint.name, "path": path_of(endpoint)}
    if version is None:
        return {**shown, "about": {"state": "loaded by the first request"}, "example": {"inputs": []}, "is_made": True}
    model = version.model
    signature, metadata = model.signature, model.metadata
    body, is_made = example_body(model)
    told_of = version.shown()
    about = {
        "version": told_of["version"],
        "uri": told_of["uri"],
        "flavor": model.flavor,
        "model id": metadata.model_id,
        "saved": f"{metadata.utc_time_created[:16]} UTC" if metadata.utc_time_created else None,
        "digest": model.digest[:12],
    }
    return {
        **shown,
        "about": {name: value for name, value in about.items() if value},
        "description": told_description(version),
        "inputs": _rows(signature.inputs if signature else None),
        "outputs": _rows(signature.outputs if signature else None),
        "params": [
            [
                _cut(param.name),
                f"{param.dtype!r}{'[]' if param.shape else ''}"[:MOST_TEXT],
                _cut(json.dumps(told(param))),
            ]
            for param in islice(signature.params or () if signature else (), MOST_ROWS)
        ],
        "example": json.dumps(body),
        "is_made": is_made,
    }


def _rows(schema: Schema | None) -> list[list[str]] | None:
    """A row of name, type and whether it is required for each column or tensor; a last one says how many are left."""
    if schema is None:
        return None
    found = [
        [_cut(str(name)), _type(spec), "yes" if spec.required else "no"]
        for name, spec in islice(zip(schema.input_names(), schema, strict=True), MOST_ROWS)
    ]
    if not schema.has_input_names() and len(found) == 1:
        found[0][0] = "(without a name)"
    left = len(schema) - len(found)
    return [*found, [f"and {left:,} more", "", ""]] if left else found


def _type(spec: Any) -> str:
    if not isinstance(spec, TensorSpec):
        return _cut(repr(spec.type))
    sizes = ", ".join("any" if size < 0 else str(size) for size in spec.shape)
    return f"{spec.type.name} ({sizes})"


def _cut(text: str) -> str:
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}…"


def _page(request: Request) -> bytes:
    models = [facts_of(endpoint) for endpoint in _endpoints(request)]
    facts = {"version": __version__, "needs_key": request.app.keys is not None, "models": models}
    return _read("try.html").replace("{{facts}}", html.escape(json.dumps(facts), quote=True)).encode()


def _openapi(request: Request) -> bytes:
    return json.dumps(document(_endpoints(request), request.app.routes)).encode()


async def _kept(request: Request, name: str, make: Callable[[Request], bytes]) -> bytes:
    """What was made before, as long as the same versions are served; a version that is gone is not held by it."""
    current = [version_of(endpoint) for endpoint in _endpoints(request)]
    key = [None if version is None else weakref.ref(version) for version in current]
    kept: tuple[list[Any], bytes] | None = getattr(request.app.state, name, None)
    if kept is None or kept[0] != key:
        kept = (key, await run_in_threadpool(make, request))
        setattr(request.app.state, name, kept)
    return kept[1]


def _endpoints(request: Request) -> Endpoints:
    found: Endpoints = request.app.state.endpoints
    return found


@cache
def _read(name: str) -> str:
    return resources.files("pack.serving").joinpath("assets", name).read_text(encoding="utf-8")


def _answer(request: Request, body: bytes, kind: str) -> Response:
    return Response(body, media_type=kind, headers={**HEADERS, REQUEST_ID: request_id(request)})


ROUTES = [
    Route("/", page, include_in_schema=False),
    Route("/docs", docs, include_in_schema=False),
    Route("/openapi.json", openapi, include_in_schema=False),
    Route("/assets/try.js", asset, include_in_schema=False),
    Route("/assets/try.css", asset, include_in_schema=False),
]
