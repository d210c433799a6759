"""Answers: JSON bodies, request ids, and the one place where an error becomes a response.

An error says what the caller did wrong and carries the request id; never a traceback, a path of the host, or data.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
import uuid
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from pack.errors import PackError

REQUEST_ID = "x-request-id"
logger = logging.getLogger("pack.web")
# No two processes share a prefix, and so no two requests an id.
_PREFIX = uuid.uuid4().hex[:20]
_NUMBERS = itertools.count(1)
_ID_HEADER = REQUEST_ID.encode()
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODES = {404: "ENDPOINT_NOT_FOUND", 405: "BAD_REQUEST", 415: "BAD_REQUEST"}
SAFE_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


def request_id(request: Request) -> str:
    """The id of a request: the caller's where it is a plain word, else a new one; always the same for one request."""
    return request_id_of(request.scope)


def request_id_of(scope: Scope) -> str:
    """The id of the request of this scope."""
    found: str | None = scope.get("pack.request_id")
    if found is None:
        found = _given_id(scope) or f"{_PREFIX}{next(_NUMBERS):012x}"
        scope["pack.request_id"] = found
    return found


def _given_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == _ID_HEADER:
            given: str = value.decode("latin-1")
            return given if _GIVEN_ID.fullmatch(given) else None
    return None


def json_answer(request: Request, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response with the request's id."""
    every = {**SAFE_HEADERS, REQUEST_ID: request_id(request), **(headers or {})}
    return Response(body, status_code=status, media_type="application/json", headers=every)


async def answer_error(request: Request, error: Exception) -> Response:
    """The response to an exception of any kind."""
    if isinstance(error, PackError):
        return _answer(request, error.http_status, error.to_dict(), _retry(error.http_status))
    if isinstance(error, HTTPException):
        code = _CODES.get(error.status_code, "BAD_REQUEST")
        return _answer(request, error.status_code, {"error_code": code, "message": error.detail}, error.headers)
    # Whatever it was goes to the log, where the request id finds it.
    logger.error("request %s failed", request_id(request), exc_info=error)
    body = {"error_code": "INTERNAL_ERROR", "message": "the server failed; its log has the request id"}
    return _answer(request, 500, body, None)


def _answer(request: Request, status: int, body: dict[str, Any], headers: Any) -> Response:
    body = {**body, "request_id": request_id(request)}
    return json_answer(request, json.dumps(body).encode(), status=status, headers=dict(headers or {}))


def _retry(status: int) -> dict[str, str]:
    return {"retry-after": "1"} if status == 503 else {}
