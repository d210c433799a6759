"""`pack inspect`."""

from __future__ import annotations

from typing import Any

import click

from pack.cli.table import as_json, show, show_facts, show_json
from pack.cli.words import word


@click.command()
@word("model_uri", "-m", "--model-uri", metavar="URI", help="The same, spelled as an option.")
@as_json
def inspect(model_uri: str, as_json: bool) -> None:
    """Show what a model is: flavors, signature, requirements, digests, origin. Nothing of it is loaded or run.

    \b
    Example:
      pack inspect models:/churn@champion
    """
    facts, columns = describe(model_uri)
    if as_json:
        show_json(facts)
        return
    signature = facts.pop("signature")
    show_facts({**facts, "requirements": "\n".join(facts["requirements"])})
    if signature:
        click.echo()
        show(("", "name", "type", "required"), columns, empty="")


def describe(model_uri: str) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    """The facts of a model, and the rows of its signature; reads files, runs nothing."""
    from pack import trust
    from pack.artifacts import local_path
    from pack.envs import read_environment
    from pack.errors import PackError
    from pack.mlmodel import digests
    from pack.pyfunc.load import inspect_code

    home = local_path(model_uri)
    report = digests.check(home)
    model = report.model
    try:
        code = inspect_code(report) or "no"
    except PackError as error:
        code = f"unknown: {error.message}"
    facts = {
        "model": model_uri,
        "path": str(home),
        "flavors": ", ".join(sorted(model.flavors)),
        "created": model.utc_time_created,
        "model_id": model.model_id,
        "run_id": model.run_id,
        "size_bytes": model.model_size_bytes,
        "loading_runs_code": code,
        "saved_by_you": trust.is_remembered(report.digest),
        "digest": report.digest,
        "sealed": report.sealed,
        "intact": report.intact,
        "signed": (home / digests.SIGNATURE).is_file(),
        "requirements": list(read_environment(home).requirements),
        "metadata": model.metadata,
        "signature": model.signature.to_dict() if model.signature else None,
    }
    return facts, _signature_rows(model)


def _signature_rows(model: Any) -> list[tuple[str, ...]]:
    signature = model.signature
    if signature is None:
        return []
    rows: list[tuple[str, ...]] = []
    for part in ("inputs", "outputs"):
        for name, spec in zip(*_named(getattr(signature, part)), strict=True):
            rows.append((part[:-1], str(name), _type(spec), "yes" if spec.required else "no"))
    rows += [("param", param.name, f"{param.dtype!r} = {param.default!r}", "no") for param in signature.params or ()]
    return rows


def _named(schema: Any) -> tuple[list[Any], list[Any]]:
    return (
        (schema.input_names() if schema.has_input_names() else ["-"] * len(schema), list(schema))
        if schema
        else ([], [])
    )


def _type(spec: Any) -> str:
    return f"{spec.type} {list(spec.shape)}" if hasattr(spec, "shape") else repr(spec.type)
