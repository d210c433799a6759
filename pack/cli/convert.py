"""`pack convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pack.cli.table import as_json, show, show_facts, show_json, trust_option
from pack.cli.words import word

if TYPE_CHECKING:
    from pack.conversion import Conversion


@click.command()
@word("model_uri", "-m", "--model-uri", metavar="URI", help="The same, spelled as an option.")
@click.option("--to", type=click.Choice(["onnx"]), default="onnx", help="What to make of it.")
@click.option("--name", help="Registered model that gets the new version. [default: the source's own]")
@click.option("--output", type=click.Path(path_type=Path), help="Folder to write instead of a new version.")
@click.option("--opset", type=click.IntRange(min=7), help="Operator set of the graph. [default: the library's]")
@click.option("--rtol", type=float, default=1e-4, show_default=True, help="How far numbers may differ, relatively.")
@click.option("--atol", type=float, default=1e-5, show_default=True, help="How far numbers may differ, absolutely.")
@click.option(
    "--input-example",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV file of rows for a model that has no input example.",
)
@trust_option
@as_json
def convert(
    model_uri: str,
    to: str,
    name: str | None,
    output: Path | None,
    opset: int | None,
    rtol: float,
    atol: float,
    input_example: Path | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Convert a model to ONNX, prove that it answers alike, and log it as a new version.

    The new version takes what its source takes and answers in the same form. Both answer the input example and random
    rows within the signature; where they differ beyond the tolerances, nothing is logged. No alias moves.

    \b
    Example:
      pack convert models:/churn@champion --to onnx
      pack convert models:/churn/3 --output churn-onnx --rtol 1e-3
    """
    from pack.conversion import convert as run

    example = None if input_example is None else _rows(input_example)
    done = run(
        model_uri,
        to,
        name=name,
        output=output,
        opset=opset,
        rtol=rtol,
        atol=atol,
        input_example=example,
        trust=trust or None,
    )
    if as_json:
        show_json(done.to_dict())
        return
    _show(done)


def _rows(path: Path) -> Any:
    import pandas as pd

    return pd.read_csv(path)


def _show(done: Conversion) -> None:
    rows = [
        ("flavor", done.source.flavor, done.converted.flavor),
        ("size", f"{done.source.size_bytes:,} B", f"{done.converted.size_bytes:,} B"),
        ("one row", f"{done.source.one_row_ms:.3f} ms", f"{done.converted.one_row_ms:.3f} ms"),
        ("1,000 rows", f"{done.source.thousand_rows_ms:.3f} ms", f"{done.converted.thousand_rows_ms:.3f} ms"),
    ]
    show(("", done.source_uri, done.uri), rows, empty="")
    proof = done.proof
    refused = [f"{one.kind}: {one.refused}" for one in proof.compared if one.refused]
    click.echo()
    show_facts(
        {
            "alike": f"{proof.rows:,} rows, within rtol={proof.tolerances.rtol:g}, atol={proof.tolerances.atol:g}",
            "largest difference": f"{proof.largest:.3g}",
            "ties": f"{proof.ties} labels differ where the source's own scores tie" if proof.ties else "",
            "not compared": "\n".join(refused),
            "libraries": ", ".join(f"{name} {version}" for name, version in done.libraries.items()),
        }
    )
