"""`pack predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pack.cli.elsewhere import settle
from pack.cli.table import model_uri, trust_option
from pack.cli.words import env_manager
from pack.errors import InvalidValue, NotFound

_TYPES = {"json": "application/json", "csv": "text/csv", "parquet": "application/vnd.apache.parquet"}


@click.command()
@model_uri
@click.option("-i", "--input-path", type=click.Path(path_type=Path), help="File to score. [default: standard input]")
@click.option("-o", "--output-path", type=click.Path(path_type=Path), help="File to write. [default: standard output]")
@click.option("-t", "--content-type", type=click.Choice(list(_TYPES)), help="Kind of the input. [default: by its name]")
@click.option("--output-type", type=click.Choice(list(_TYPES)), help="Kind of the output. [default: by its name, json]")
@trust_option
@env_manager
def predict(
    model_uri: str,
    input_path: Path | None,
    output_path: Path | None,
    content_type: str | None,
    output_type: str | None,
    trust: bool,
    env_manager: str,
) -> None:
    """Score a file: CSV with a header, JSON as /invocations takes it, or Parquet.

    \b
    Example:
      pack predict -m models:/churn@champion -i customers.csv -o scores.csv
    """
    settle([model_uri], env_manager, trust=trust)
    from pack.pyfunc import load_model
    from pack.serving.scoring import Scorer

    kind = content_type or _kind(input_path) or "json"
    wanted = output_type or _kind(output_path) or "json"
    body = _read(input_path)
    scorer = Scorer(load_model(model_uri, trust=trust or None))
    if wanted == "json":
        _write(output_path, scorer.score(body, _TYPES[kind]) + b"\n")
        return
    _write_table(scorer.predictions(body, _TYPES[kind]), output_path, wanted)


def _kind(path: Path | None) -> str | None:
    """The kind of a file by its ending."""
    ending = path.suffix.lower().lstrip(".") if path else ""
    return {"pq": "parquet"}.get(ending, ending if ending in _TYPES else None)


def _read(path: Path | None) -> bytes:
    if path is None:
        return sys.stdin.buffer.read()
    if not path.is_file():
        raise NotFound(f"there is no file {path}", hint="give the path of a CSV, JSON or Parquet file")
    return path.read_bytes()


def _write(path: Path | None, data: bytes) -> None:
    if path is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        path.write_bytes(data)


def _write_table(predictions: Any, path: Path | None, kind: str) -> None:
    import io

    frame = _frame(predictions)
    out = io.BytesIO()
    if kind == "csv":
        frame.to_csv(out, index=False)
    else:
        frame.to_parquet(out, index=False)
    _write(path, out.getvalue())


def _frame(predictions: Any) -> Any:
    """Predictions as a table: one column `prediction`, or several by number or name."""
    import pandas as pd

    if isinstance(predictions, pd.DataFrame):
        return predictions
    if isinstance(predictions, pd.Series):
        return predictions.to_frame(name=predictions.name or "prediction")
    if getattr(predictions, "ndim", 1) > 2:
        raise InvalidValue("these predictions make no table", hint="write JSON instead: --output-type json")
    frame = pd.DataFrame(predictions)
    return frame.rename(columns={0: "prediction"} if frame.shape[1] == 1 else lambda name: f"prediction_{name}")
