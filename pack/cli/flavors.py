"""`pack flavors`."""

from __future__ import annotations

import click

from pack.cli.table import as_json, show, show_json


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
    rows = [
        (
            one.name,
            "no" if one.version is None else one.version or "yes",
            ", ".join(name for name in one.formats if name not in one.code) or "-",
            ", ".join(one.code) or "-",
            one.install or "",
        )
        for one in found
    ]
    show(("flavor", "installed", "formats of data", "formats that run code", "to install"), rows, empty="no flavors")
