"""Moving between stores: from MLflow's, out into a folder of plain files, and in again."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pack.exchange.exporting import export_to
    from pack.exchange.importing import import_from
    from pack.exchange.report import Report

_EXPORTS = {
    "Report": "pack.exchange.report",
    "export_to": "pack.exchange.exporting",
    "import_from": "pack.exchange.importing",
}
__all__ = ["Report", "export_to", "import_from"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
