"""Answers: JSON bodies, request ids, and the one place where an error becomes a response.

An error says what the caller did wrong and carries the request id; never a traceback, a path of the host, or data.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pack.errors import PackError

REQUEST_ID = "x-request-id"
logger = logging.getLogger("pack.web")
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODES = {404: "ENDPOINT_NOT_FOUND", 405: "BAD_REQUEST", 415: "BAD_REQUEST"}
_SAFE_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


def request_id(request: Request) -> str:
    """The id of a request: the caller's where it is a plain word, else a new one; always the same for one request."""
    found = request.scope.get("pack.request_id")
    if found is None:
        given = request.headers.get(REQUEST_ID, "")
        found = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
        request.scope["pack.request_id"] = found
    return str(found)


def json_answer(request: Request, body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response with the request's id."""
    every = {**_SAFE_HEADERS, REQUEST_ID: request_id(request), **(headers or {})}
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
