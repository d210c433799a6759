"""OpenTelemetry: a span for each request, by its own ASGI instrumentation, where that is installed and configured.

Run under `opentelemetry-instrument`, or set its `OTEL_*` variables. The phases of `Server-Timing` become attributes.
"""

from __future__ import annotations

import os
from typing import Any

from starlette.types import ASGIApp


def traced(app: ASGIApp) -> ASGIApp:
    """The application with a span for each request; the application itself where nobody wants spans."""
    if not any(name.startswith("OTEL_") for name in os.environ):
        return app
    try:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    except ModuleNotFoundError:
        return app
    made: ASGIApp = OpenTelemetryMiddleware(app, client_response_hook=_note)
    return made


def _note(span: Any, scope: dict[str, Any], message: dict[str, Any]) -> None:
    """Put the request's id and the milliseconds of each phase on its span."""
    for name, value in message.get("headers", ()):
        if name == b"x-request-id":
            span.set_attribute("pack.request_id", value.decode("latin-1"))
        if name == b"server-timing":
            for phase in value.decode("latin-1").split(", "):
                label, _, milliseconds = phase.partition(";dur=")
                span.set_attribute(f"pack.phase.{label}", float(milliseconds))
