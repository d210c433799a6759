"""The server's description in OpenAPI 3.1, made from the signatures of its models.

It is a function of the models and the routes alone. What a model says of itself (names, a description, an example)
stands in it as plain data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard
from urllib.parse import quote

from starlette.convertors import PathConvertor
from starlette.routing import BaseRoute, Route

from pack.errors import NotFound
from pack.serving.body_shapes import shapes_of
from pack.serving.columnar import ARROW, NPY
from pack.serving.endpoint import Endpoint, Endpoints
from pack.serving.example_bodies import example_body
from pack.serving.scoring import JSON
from pack.serving.shapes import Shape, plain
from pack.serving.versions import Version
from pack.version import __version__

MOST_TEXT = 2000
# Component names may hold only these; another model is named by its place, with a word that no name begins with.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WORDS = re.compile(r"\W+")
_ERRORS = {
    "400": "The body cannot be read, or does not fit the signature; the message names the field.",
    "401": "A key is needed: this server was started with keys.",
    "403": "This Host or Origin may not call.",
    "404": "No model is loaded under this name.",
    "406": "The predictions cannot be written in the type that Accept asks for.",
    "413": "The body is larger than the server takes.",
    "415": "The Content-Type is not one that is taken, or is missing.",
    "500": "The model's own code raised; the server's log has the details under the request id.",
    "503": "Too many requests wait, or the model cannot be loaded; try again after `Retry-After` seconds.",
    "504": "No answer came within the time limit.",
}
_ABOUT = "Models behind one way to call them. Bodies are MLflow's; values that would be changed silently are refused."
_ERROR: Shape = {
    "type": "object",
    "properties": {
        "error_code": {"type": "string", "description": "A word for programs, such as `BAD_REQUEST`."},
        "message": {"type": "string", "description": "What was wrong, for people."},
        "hint": {"type": "string", "description": "What to do next."},
        "error_class": {"type": "string"},
        "request_id": {"type": "string", "description": "The id under which the server's log has this request."},
    },
    "required": ["error_code", "message"],
}
# The Open Inference Protocol's request, as its description has it.
_TENSOR: Shape = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "datatype": {"type": "string", "description": "Such as FP64, INT64, BOOL, BYTES."},
        "parameters": {"type": "object"},
        "data": {"type": "array", "description": "The values, flat or nested."},
    },
    "required": ["name", "shape", "datatype"],
}
_INFER_REQUEST: Shape = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "parameters": {"type": "object"},
        "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
        "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
    "required": ["inputs"],
}
_INFER: Shape = {
    "required": True,
    "content": {JSON: {"schema": {"$ref": "#/components/schemas/InferRequest"}}, "application/octet-stream": {}},
}
_ANYTHING: Shape = {"content": {JSON: {"schema": {"type": "object"}}}}
# A server asks for a key only where it was started with some.
_KEYS: Shape = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_HEADERS: Shape = {
    "RequestId": {
        "description": "The request's id: the one that was sent, else a new one.",
        "schema": {"type": "string"},
    },
    "ServerTiming": {
        "description": "Where the time went, in milliseconds: parse, queue, predict, encode.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {"description": "Seconds to wait.", "schema": {"type": "string"}},
}


def document(endpoints: Endpoints, routes: Iterable[BaseRoute] = ()) -> dict[str, Any]:
    """The description of these models' paths, and of the other routes that want to be described."""
    schemas: dict[str, Shape] = {"Error": _ERROR, "Tensor": _TENSOR, "InferRequest": _INFER_REQUEST}
    paths: dict[str, Shape] = {}
    for place, endpoint in enumerate(endpoints):
        key = endpoint.name if _NAME.fullmatch(endpoint.name) else f"_{place}"
        version = version_of(endpoint)
        schemas |= _schemas(version, key)
        operation = _operation(endpoint, version, key)
        if endpoint is endpoints.default:
            paths["/invocations"] = {"post": {**operation, "operationId": "invoke"}}
        paths[f"/{path_of(endpoint)}"] = {"post": operation}
    names = [endpoint.name for endpoint in endpoints]
    for route in routes:
        if _is_told(route) and route.path_format not in paths:
            paths[route.path_format] = dict(_methods(route, names))
    errors = {f"Error{status}": _error(status, what) for status, what in _ERRORS.items()}
    errors["Other"] = _error("", "It went wrong.")
    return {
        "openapi": "3.1.0",
        "info": {"title": "pack scoring server", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "."}],
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {"schemas": schemas, "responses": errors, "headers": _HEADERS, "securitySchemes": _KEYS},
    }


def version_of(endpoint: Endpoint) -> Version | None:
    """The version that an endpoint would score with now; None where none is loaded yet."""
    try:
        return endpoint.current
    except NotFound:
        return None


def path_of(endpoint: Endpoint) -> str:
    """The path to post to, below that of the server."""
    return f"models/{quote(endpoint.name, safe='')}/invocations"


def told_description(version: Version) -> str:
    """What the model's metadata says under `description`; empty without it."""
    found = (version.model.metadata.metadata or {}).get("description")
    return found[:MOST_TEXT] if isinstance(found, str) else ""


def _schemas(version: Version | None, key: str) -> dict[str, Shape]:
    if version is None:
        return shapes_of(None, key)
    return shapes_of(version.model.signature, key, by_hint=version.model.metadata.is_signature_from_type_hint)


def _operation(endpoint: Endpoint, version: Version | None, key: str) -> Shape:
    content: Shape = {kind: _media(kind, key) for kind in endpoint.content_types}
    if version is not None:
        body, is_made = example_body(version.model)
        content[JSON] |= {} if is_made else {"example": plain(body)}
    described = "It is loaded by the first request." if version is None else told_description(version)
    headers = {"X-Request-Id": _ref("headers", "RequestId"), "Server-Timing": _ref("headers", "ServerTiming")}
    schema = _ref("schemas", f"{key}.Answer")
    answered = {JSON: {"schema": schema}, **{kind: {} for kind in (ARROW, NPY) if kind in content}}
    answer = {"description": "The predictions.", "headers": headers, "content": answered}
    return {
        "operationId": f"invoke.{key}",
        "summary": f"Score with the model {endpoint.name}",
        **({"description": described} if described else {}),
        "tags": [endpoint.name],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": answer, **{status: _ref("responses", f"Error{status}") for status in _ERRORS}},
    }


def _media(kind: str, key: str) -> Shape:
    """A media type: JSON has a schema, other text is text, and the rest is bytes, of which none is declared."""
    if kind == JSON:
        return {"schema": _ref("schemas", f"{key}.Body")}
    return {"schema": {"type": "string"}} if kind.startswith("text/") else {}


def _methods(route: Route, names: list[str]) -> Iterator[tuple[str, Shape]]:
    """What a route answers to, as far as it can be told from the outside: its parameters, and what its handler says."""
    work = getattr(route.endpoint, "work", route.endpoint)
    said = (work.__doc__ or route.name).strip().partition("\n")[0]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", **_names_of(name, names)}}
        for name in route.param_convertors
    ]
    for method in sorted((route.methods or {getattr(route.endpoint, "method", "GET")}) - {"HEAD"}):
        found: Shape = {
            "operationId": f"{method.lower()}{_WORDS.sub('_', route.path_format).rstrip('_')}",
            "summary": said,
            "responses": {"200": {"description": said}, "default": _ref("responses", "Other")},
        }
        if parameters:
            found["parameters"] = parameters
        if method == "POST":
            found["requestBody"] = _INFER if route.path_format.endswith("/infer") else _ANYTHING
        else:
            found["responses"]["503"] = {"description": "The server, or a model, does not take requests."}
        yield method.lower(), found


def _is_told(route: BaseRoute) -> TypeGuard[Route]:
    """Whether a route is to be described: not one that takes all that is left over."""
    if not isinstance(route, Route) or not route.include_in_schema:
        return False
    return not any(isinstance(convertor, PathConvertor) for convertor in route.param_convertors.values())


def _names_of(parameter: str, names: list[str]) -> Shape:
    return {"enum": names} if parameter == "name" else {}


def _error(status: str, what: str) -> Shape:
    headers = {"X-Request-Id": _ref("headers", "RequestId")}
    headers |= {"Retry-After": _ref("headers", "RetryAfter")} if status == "503" else {}
    return {"description": what, "headers": headers, "content": {JSON: {"schema": _ref("schemas", "Error")}}}


def _ref(kind: str, name: str) -> Shape:
    return {"$ref": f"#/components/{kind}/{name}"}
