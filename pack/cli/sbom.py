"""`pack sbom`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pack.cli.words import word

if TYPE_CHECKING:
    from pack.envs.bill import Named
    from pack.mlmodel.digests import Report


@click.command()
@word("model_uri", "-m", "--model-uri", metavar="URI", help="The same, spelled as an option.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@click.option("--target", metavar="NAME", help="The lock to take, by its target, where the model has several.")
def sbom(model_uri: str, output: Path | None, target: str | None) -> None:
    """Write a model's bill of materials: CycloneDX 1.6, JSON. Nothing of the model is loaded or run.

    The packages are those of the model's lock, else of its requirement lines, with versions where these pin one.
    Without -o the bill goes to standard output.

    \b
    Example:
      pack sbom models:/churn@champion -o bom.json
    """
    from pack.artifacts import pinned
    from pack.cli.intact import intact
    from pack.envs.bill import bill_of_materials
    from pack.uris import ModelUri

    found = pinned(model_uri)
    report = intact(model_uri if not isinstance(found, ModelUri) else str(found))
    lock = _lock(sorted(name for name in report.files if name.startswith("locks/")), target)
    bill = bill_of_materials(
        report.home,
        _packages(report.home, lock),
        name=found.name if isinstance(found, ModelUri) else None,
        version=str(found.version) if isinstance(found, ModelUri) else None,
        report=report,
        facts={**({"lock": _target_of(lock)} if lock else {}), **_signature(report)},
    )
    if output is None:
        click.echo(bill.decode(), nl=False)
    else:
        output.write_bytes(bill)


def _signature(report: Report) -> dict[str, str]:
    """Whose signature the model carries, where the environment says whose signatures count."""
    from pack.cli.verify import signature_state

    state = signature_state(report)
    known = f"verified: {state.signer}" if state.signer else f"refused: {state.problem}" if state.problem else None
    return {"signature": known} if known else {}


def _lock(locks: list[str], target: str | None) -> str | None:
    """The lock of a target, or the only one; None where the model has none."""
    from pack.errors import InvalidValue

    chosen = [lock for lock in locks if target in (None, _target_of(lock))]
    if len(chosen) == 1 or not locks:
        return next(iter(chosen), None)
    said = f"it has no lock of {target!a}" if target else f"it has {len(locks)} locks"
    ways = " or ".join(f"--target {_target_of(lock)}" for lock in locks[:10])
    raise InvalidValue(f"{said}; a bill is of one of them", hint=f"give {ways}")


def _target_of(lock: str) -> str:
    return lock.removeprefix("locks/").removesuffix(".txt")


def _packages(home: Path, lock: str | None) -> list[Named]:
    from pack.envs import read_environment, requirements
    from pack.envs.bill import packages_of

    lines = requirements.parse_lines(home / lock)[0] if lock else read_environment(home).requirements
    return packages_of(lines)
