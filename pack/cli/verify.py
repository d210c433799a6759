"""`pack verify`."""

from __future__ import annotations

import click

from pack.cli.table import as_json, show_json
from pack.cli.words import word


@click.command()
@word("model_uri", "-m", "--model-uri", metavar="URI", help="The same, spelled as an option.")
@as_json
def verify(model_uri: str, as_json: bool) -> None:
    """Compare every file of a model with the digests it was saved with. Nothing of it is loaded or run.

    \b
    Example:
      pack verify models:/churn/3

    Exit codes: 0 every file matches, 1 something differs or there are no digests to compare with.
    """
    from pack import uris
    from pack.artifacts import local_path
    from pack.mlmodel import digests

    report = digests.check(local_path(model_uri))
    registered = _registered_digest(uris.parse(model_uri))
    moved = registered is not None and registered != report.digest
    good = report.intact and not moved and (report.sealed or registered is not None)
    if as_json:
        show_json(
            {
                "model": model_uri,
                "verified": good,
                "sealed": report.sealed,
                "digest": report.digest,
                "registered_digest": registered,
                "missing": report.missing,
                "added": report.added,
                "changed": report.changed,
            }
        )
    elif good:
        same = ", the digest it was registered with" if registered else ""
        click.echo(f"OK: {len(report.files)} files match their digests{same}\n{report.digest}")
    else:
        _say_what_differs(report, moved=moved)
    raise SystemExit(0 if good else 1)


def _say_what_differs(report: object, *, moved: bool) -> None:
    if not (report.sealed or moved):  # type: ignore[attr-defined]
        click.echo("NOT VERIFIED: the model was written without digests, there is nothing to compare with", err=True)
        return
    click.echo("FAILED: the model differs from its digests", err=True)
    for kind in ("changed", "missing", "added"):
        for name in getattr(report, kind):
            click.echo(f"  {kind}: {name!a}", err=True)
    if moved:
        click.echo("  the whole is not what was registered under this version", err=True)


def _registered_digest(uri: object) -> str | None:
    """The digest that a version was registered with."""
    from pack.fluent import state
    from pack.uris import ModelUri

    return state.registry().resolve(uri).digest if isinstance(uri, ModelUri) else None
