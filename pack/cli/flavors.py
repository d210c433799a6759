"""`pack flavors`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pack.cli.table import as_json, show, show_json

if TYPE_CHECKING:
    from pack.flavors.catalog import Listed


@click.command()
@as_json
def flavors(as_json: bool) -> None:
    """List the kinds of models: what is installed, in which formats they are kept, and which of those can run code.

    \b
    Example:
      pack flavors
      pack flavors --json
    """
    from pack.flavors.catalog import listed

    found = list(listed())
    if as_json:
        show_json([one.to_dict() for one in found])
        return
    rows = [(one.name, _installed(one.version), *_formats(one), one.install or "") for one in found]
    show(("flavor", "installed", "formats of data", "formats that run code", "to install"), rows, empty="no flavors")


def _installed(version: str | None) -> str:
    return "no" if version is None else version or "yes"


def _formats(one: Listed) -> tuple[str, str]:
    """Those of data, and those that run code."""
    if one.formats is None or one.code is None:
        return "unknown", "unknown"
    data = [name for name in one.formats if name not in one.code]
    return ", ".join(data) or "-", ", ".join(one.code) or "-"
