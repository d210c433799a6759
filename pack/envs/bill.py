"""The bill of materials of a model: what it is and what it is made of, as CycloneDX 1.6 JSON.

The model is a machine-learning-model component, whose SHA-256 is the digest of its directory (`pack.mlmodel.digests`);
every package is a library with its purl. The same model and packages give the same bytes.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pack.envs.files import Environment, read_environment
from pack.mlmodel import digests
from pack.mlmodel.model import Model
from pack.plugins import missing
from pack.version import __version__

if TYPE_CHECKING:
    from cyclonedx.model import ExternalReference
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component

# The namespace of serial numbers, which follow from what a bill says.
_SERIALS = uuid.UUID("5f0c9d0c-6a0f-5c43-9f5e-6f0f8f1d0b5a")


class Package(Protocol):
    """A package that a model needs: `Pin` of a lock, or a requirement that pins nothing."""

    @property
    def name(self) -> str:
        """The name of the distribution."""

    @property
    def version(self) -> str | None:
        """The version, where one is pinned."""

    @property
    def hashes(self) -> Sequence[str]:
        """The SHA-256 of the files that may be installed, in hexadecimal, with or without `sha256:` before it."""


@dataclass(frozen=True)
class Named:
    """A package as a requirement line names it; the version only where the line pins one."""

    name: str
    version: str | None = None
    hashes: tuple[str, ...] = ()


def bill_of_materials(
    model_home: Path,
    packages: Sequence[Package],
    *,
    name: str | None = None,
    version: str | None = None,
    report: digests.Report | None = None,
    created: datetime | None = None,
    facts: Mapping[str, str] | None = None,
) -> bytes:
    """The bill of the model in a directory and of these packages.

    `name` and `version` are those of the registry, `report` what `digests.check` found just now, `facts` further
    properties of the model. Raises `Damaged` where files differ from their digests, `MissingPackage` where
    cyclonedx-python-lib is not installed.
    """
    report = report or digests.check(model_home)
    report.raise_if_damaged()
    known = {**_facts(report.model, read_environment(model_home)), **(facts or {})}
    try:
        model = _model(report, name or report.model.model_id or "model", version, known)
        return _written(_bom(model, [_library(package) for package in packages]), created)
    except ModuleNotFoundError as error:
        raise missing(error.name or "cyclonedx", "'packml[sbom]'") from error


def packages_of(requirements: Iterable[str]) -> list[Named]:
    """What requirement lines ask for, in the order of names; URLs, paths and index options are never repeated."""
    found = {package.name.lower(): package for package in map(_package, requirements) if package}
    return [found[name] for name in sorted(found)]


def _package(line: str) -> Named | None:
    from packaging.requirements import InvalidRequirement, Requirement

    words = line.split(" --hash=")
    try:
        wanted = Requirement(words[0].partition(" #")[0].strip())
    except InvalidRequirement:
        return _wheel(line)
    pins = [one.version for one in wanted.specifier if one.operator in {"==", "==="} and not one.version.endswith("*")]
    return Named(wanted.name, pins[0] if len(pins) == 1 else None, tuple(word.strip() for word in words[1:]))


def _wheel(line: str) -> Named | None:
    """The package of a wheel that a line names by its path; None for another path, or an option."""
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    if line.startswith("-"):
        return None
    try:
        name, version, *_ = parse_wheel_filename(line.rpartition("/")[2])
    except InvalidWheelFilename:
        return Named(line.rstrip("/").rpartition("/")[2]) if "/" in line else None
    return Named(name, str(version))


def _bom(model: Component, libraries: list[Component]) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.tool import ToolRepository

    ours = Component(name="pack", version=__version__, type=ComponentType.APPLICATION)
    bom = Bom(components=libraries, metadata=BomMetaData(component=model, tools=ToolRepository(components=[ours])))
    bom.register_dependency(model, libraries)
    return bom


def _model(report: digests.Report, name: str, version: str | None, facts: Mapping[str, str]) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType

    signature = _signature(report.home)
    state = {"signature": f"{digests.SIGNATURE}, not verified here" if signature else "none", **facts}
    return Component(
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        name=name,
        version=version,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=report.digest)],
        external_references=signature,
        properties=[Property(name=f"pack:{key}", value=value) for key, value in sorted(state.items())],
    )


def _library(package: Package) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL
    from packaging.utils import canonicalize_name

    name = canonicalize_name(package.name)
    return Component(
        type=ComponentType.LIBRARY,
        bom_ref=f"{name}@{package.version}" if package.version else name,
        name=name,
        version=package.version,
        purl=PackageURL("pypi", None, name, package.version),
        hashes=[
            HashType(alg=HashAlgorithm.SHA_256, content=digest.removeprefix("sha256:")) for digest in package.hashes
        ],
    )


def _facts(model: Model, environment: Environment) -> dict[str, str]:
    """What the MLmodel file knows of where the model comes from; no paths, which name somebody's machine."""
    written = model.pack.get("version") if isinstance(model.pack, dict) else None
    known = {
        "flavors": ", ".join(sorted(model.flavors)),
        "model_id": model.model_id,
        "run_id": model.run_id,
        "created": model.utc_time_created,
        "python": environment.python,
        "size_bytes": model.model_size_bytes,
        "written_by": f"pack {written}" if written else f"MLflow {model.mlflow_version or 'of unknown version'}",
    }
    return {key: str(value) for key, value in known.items() if value not in (None, "")}


def _signature(home: Path) -> list[ExternalReference]:
    """The signature beside the model's files, as a reference with its digest; whose it is, is not asked here."""
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri

    if not (home / digests.SIGNATURE).is_file():
        return []
    digest = HashType(alg=HashAlgorithm.SHA_256, content=digests.file_digest(home / digests.SIGNATURE))
    kind = ExternalReferenceType.DIGITAL_SIGNATURE
    return [ExternalReference(type=kind, url=XsUri(digests.SIGNATURE), hashes=[digest])]


def _written(bom: Bom, created: datetime | None) -> bytes:
    """The JSON of a bill, with a serial number that follows from the rest of it, and no time but one that was given."""
    from cyclonedx.output.json import JsonV1Dot6

    found: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    found.pop("serialNumber")
    found["metadata"].pop("timestamp")
    if created is not None:
        found["metadata"]["timestamp"] = created.isoformat()
    found["serialNumber"] = f"urn:uuid:{uuid.uuid5(_SERIALS, json.dumps(found, sort_keys=True))}"
    return (json.dumps(found, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
