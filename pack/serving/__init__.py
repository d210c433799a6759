"""The scoring server: `app(model)` is a Starlette application that can be mounted, tested and served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pack.serving.app import app as app
    from pack.serving.scoring import Scorer as Scorer

__all__ = ["Scorer", "app", "check_installed"]
_NEEDED = ("starlette", "uvicorn", "httptools", "msgspec")


def check_installed() -> None:
    """Raise `MissingPackage` with the install command where a package that serving needs is not there."""
    from importlib.util import find_spec

    from pack.plugins import missing

    for name in _NEEDED:
        if find_spec(name) is None:
            raise missing(name, "'packml[serving]'")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    homes = {"Scorer": "scoring", "app": "app"}
    if name not in homes:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_installed()
    found = getattr(import_module(f"{__name__}.{homes[name]}"), name)
    globals()[name] = found
    return found
