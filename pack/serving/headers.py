"""What the headers of a request say: the type of its body, and whether its answer is to come as a stream."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.exceptions import HTTPException
from starlette.types import Scope

EVENTS, LINES = "text/event-stream", "application/x-ndjson"
_LINES = {LINES, "application/ndjson", "application/jsonl"}
_WHOLE = {"application/json", "application/*", "*/*"}


def content_type_of(scope: Scope, taken: tuple[str, ...]) -> str:
    """The content type of a body that is taken; answers 415 for every other."""
    given = [value for name, value in scope["headers"] if name == b"content-type"]
    text = given[0].decode("latin-1") if len(given) == 1 else ""
    if text in taken:
        return text
    name, _, rest = text.partition(";")
    options = [part.strip().lower() for part in rest.split(";") if part.strip()]
    kind = name.strip().lower()
    plain = all(option.replace('"', "") in {"charset=utf-8", "charset=utf8"} for option in options)
    if kind in taken and plain:
        return kind
    listed = ", ".join(taken)
    raise HTTPException(
        415, f"the Content-Type must be one of: {listed} (UTF-8, without other parameters); e.g. application/json"
    )


def wants_stream(scope: Scope) -> bool:
    """Whether the Accept header asks for events or lines before it asks for a whole answer."""
    for name, value in scope["headers"]:
        if name == b"accept" and (b"event-stream" in value or b"ndjson" in value or b"jsonl" in value):
            return next((kind not in _WHOLE for kind in _accepted(scope) if kind in {EVENTS, LINES, *_WHOLE}), False)
    return False


def stream_type(scope: Scope) -> str:
    """The content type of a streamed answer: lines where the Accept header prefers them, else events."""
    return next((kind for kind in _accepted(scope) if kind in {EVENTS, LINES}), EVENTS)


def _accepted(scope: Scope) -> Iterator[str]:
    """The content types that the Accept header names, those that it prefers first (RFC 9110, section 12.5.1)."""
    text = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
    ranges = [(_quality(rest), name.strip().lower()) for name, _, rest in (r.partition(";") for r in text.split(","))]
    for quality, name in sorted(ranges, key=lambda one: -one[0]):
        if quality > 0:
            yield LINES if name in _LINES else name


def _quality(options: str) -> float:
    for option in options.split(";"):
        name, _, value = option.partition("=")
        if name.strip().lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
