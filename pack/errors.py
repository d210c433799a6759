"""Every error that `pack` raises on purpose.

    PackError ─┬─ InvalidValue ──┬─ InvalidUri           a URI outside the grammar
               │                 ├─ SchemaMismatch       data that does not fit a signature
               │                 └─ CannotInfer          data that no signature can describe
               ├─ BadRequest                             a body that cannot be read
               ├─ NotFound                               nothing there under that name
               ├─ AlreadyExists                          the name or the folder is taken
               ├─ InvalidState ─── Deleted               right call, wrong moment; what it is about is in the trash
               ├─ PermissionDenied ── Untrusted          the load policy says no
               ├─ Damaged                                bytes differ from their digest
               ├─ TooLarge                               over a limit
               ├─ Unavailable ──── TimedOut              try again later; it took too long
               ├─ StorageFailed                          the disk or database said no
               ├─ MissingPackage                         an optional package is not installed
               └─ ModelFailed                            the model's own code raised

Each carries MLflow's error code and HTTP status, and a hint: what to do next.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar


class PackError(Exception):
    """The base of every error here: a message for people, a code for programs, a hint for what to do next."""

    error_code: ClassVar[str] = "INTERNAL_ERROR"
    error_class: ClassVar[str | None] = None
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts = facts

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message

    def get_http_status_code(self) -> int:
        """The HTTP status this error answers with, under MLflow's name for it."""
        return self.http_status

    def to_dict(self) -> dict[str, Any]:
        """The JSON body of this error on the wire: MLflow's fields, and the hint where there is one."""
        body: dict[str, Any] = {"error_code": self.error_code, "message": self.message}
        if self.error_class:
            body["error_class"] = self.error_class
        if self.hint:
            body["hint"] = self.hint
        return body

    def serialize_as_json(self) -> str:
        """The JSON text of this error, under MLflow's name for it."""
        return json.dumps(self.to_dict())


class InvalidValue(PackError):
    """An argument, a setting or a field has a value that cannot be used."""

    error_code = "INVALID_PARAMETER_VALUE"
    error_class: ClassVar[str | None] = "INVALID_PARAMETER_VALUE"
    http_status = 400


class InvalidUri(InvalidValue):
    """A URI lies outside the grammar of `pack.uris`."""


class SchemaMismatch(InvalidValue):
    """Data does not fit the signature; names the column, what was declared and what came."""

    error_class = "SCHEMA_ENFORCEMENT_FAILED"


class CannotInfer(InvalidValue):
    """No signature can describe this data; says which column and why."""


class BadRequest(PackError):
    """A request body cannot be read."""

    error_code = "BAD_REQUEST"
    error_class = "INVALID_PARAMETER_VALUE"
    http_status = 400


class NotFound(PackError):
    """Nothing exists under that name, id or path."""

    error_code = "RESOURCE_DOES_NOT_EXIST"
    http_status = 404


class AlreadyExists(PackError):
    """Something exists under that name already, and nothing was overwritten."""

    error_code = "RESOURCE_ALREADY_EXISTS"
    http_status = 400


class InvalidState(PackError):
    """The call is right, but not in the state that things are in."""

    error_code = "INVALID_STATE"
    http_status = 409


class Deleted(InvalidState):
    """What would be changed lies in the trash; MLflow answers a wrong value here."""

    error_code = "INVALID_PARAMETER_VALUE"
    http_status = 400


class PermissionDenied(PackError):
    """The caller may not do this."""

    error_code = "PERMISSION_DENIED"
    http_status = 403


class Untrusted(PermissionDenied):
    """The load policy does not let this model run its code; the hint lists the ways forward."""


class Damaged(PackError):
    """Bytes differ from the digest that was recorded for them."""

    error_code = "DATA_LOSS"
    http_status = 500


class TooLarge(PackError):
    """Something is over a limit; the message names the limit and the setting that moves it."""

    error_code = "REQUEST_LIMIT_EXCEEDED"
    http_status = 413


class Unavailable(PackError):
    """The service cannot answer now; trying again later can help."""

    error_code = "TEMPORARILY_UNAVAILABLE"
    http_status = 503


class TimedOut(Unavailable):
    """An answer did not come within its time."""

    error_code = "DEADLINE_EXCEEDED"
    http_status = 504


class StorageFailed(PackError):
    """A disk or a database refused a write or a read; what was there before is untouched."""

    error_code = "IO_ERROR"
    http_status = 503


class MissingPackage(PackError):
    """An optional package is not installed; the hint is the exact install command."""

    error_code = "FEATURE_DISABLED"
    http_status = 500


class ModelFailed(PackError):
    """The model's own code raised; the original is the cause."""

    error_code = "BAD_REQUEST"
    http_status = 500
