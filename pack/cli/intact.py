"""A model behind a URI, proved to be what was saved and registered before a command works on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pack.mlmodel.digests import Report


def intact(model_uri: str) -> Report:
    """Every file of the model and its digest; raises `Damaged` where it is not what was saved or registered."""
    from pack.artifacts import local_path, registered_digest
    from pack.errors import Damaged
    from pack.mlmodel import digests

    report = digests.check(local_path(model_uri))
    report.raise_if_damaged()
    registered = registered_digest(model_uri)
    if registered not in (None, report.digest):
        raise Damaged(
            f"{model_uri} is not what was registered under this version",
            hint="look at what differs: pack verify; then register it again, or bring the files back",
        )
    return report
