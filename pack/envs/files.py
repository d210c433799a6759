"""The environment files of a model directory: requirements.txt, conda.yaml, python_env.yaml, constraints.txt.

Their bytes are laid out as MLflow lays them out (interoperability facts, model directory, section 6).
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pack import yamls
from pack.envs.requirements import check_line, merged, parse_lines
from pack.errors import InvalidValue, NotFound

REQUIREMENTS = "requirements.txt"
CONSTRAINTS = "constraints.txt"
CONDA = "conda.yaml"
PYTHON_ENV = "python_env.yaml"
BLOCK = {"conda": CONDA, "virtualenv": PYTHON_ENV}
_BUILD = ("pip", "setuptools", "wheel")
_CONDA_PIN = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)\s*(?P<operator>==|=|<=|>=)\s*(?P<version>[0-9.]+)")


@dataclass(frozen=True)
class Environment:
    """What an environment for a model needs: a Python version, build packages, requirements, constraints."""

    python: str = field(default_factory=platform.python_version)
    build_dependencies: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


def write_environment(
    home: Path,
    requirements: Sequence[str],
    *,
    constraints: Sequence[str] = (),
    conda_env: Mapping[str, Any] | str | Path | None = None,
) -> Environment:
    """Write the environment files; with `conda_env` that file is kept as given and the others derive from it."""
    if conda_env is not None:
        conda = _conda(conda_env)
        environment = from_conda(conda)
    else:
        environment = Environment(
            build_dependencies=build_dependencies(), requirements=tuple(requirements), constraints=tuple(constraints)
        )
        conda = _conda_of(environment)
    lines = [*environment.requirements, *([f"-c {CONSTRAINTS}"] if environment.constraints else [])]
    _write(home / REQUIREMENTS, "\n".join(lines))
    if environment.constraints:
        _write(home / CONSTRAINTS, "\n".join(environment.constraints))
    _write(home / CONDA, yamls.dump(conda))
    _write(home / PYTHON_ENV, yamls.dump(_python_env(environment), sort_keys=False))
    return environment


def read_environment(home: Path) -> Environment:
    """What the files of a model directory say; raises `InvalidValue` for lines that are no requirements."""
    found = _yaml(home / PYTHON_ENV)
    if found is None:
        conda = _yaml(home / CONDA)
        if conda is None:
            lines, constraints = _lines(home)
            return Environment(requirements=lines, constraints=constraints)
        return from_conda(conda)
    build = [check_line(str(line), PYTHON_ENV) for line in found.get("build_dependencies") or []]
    requirements: list[str] = []
    pinned: tuple[str, ...] = ()
    for line in found.get("dependencies") or []:
        if str(line).strip() == f"-r {REQUIREMENTS}":
            lines, pinned = _lines(home)
            requirements += lines
        else:
            requirements.append(check_line(str(line), PYTHON_ENV))
    return Environment(str(found.get("python") or platform.python_version()), tuple(build), tuple(requirements), pinned)


def read_conda(home: Path) -> dict[str, Any] | None:
    """The conda file of a model directory, unchecked; None where there is none."""
    return _yaml(home / CONDA)


def from_conda(conda: Mapping[str, Any]) -> Environment:
    """The environment that a conda file describes, without conda; packages that only conda has are left out."""
    python = platform.python_version()
    build: list[str] = []
    requirements: list[str] = []
    for item in conda.get("dependencies") or []:
        if isinstance(item, Mapping):
            requirements += _pip_section(item)
            continue
        found = _CONDA_PIN.fullmatch(str(item).strip())
        name = found["name"] if found else str(item).strip()
        if re.match(r"python\s*([<>!=]|$)", str(item)):
            python = _python_version(item, found)
        elif name in _BUILD:
            operator = "==" if found and found["operator"] == "=" else (found["operator"] if found else "")
            build.append(f"{name}{operator}{found['version'] if found else ''}")
    return Environment(python, tuple(build), tuple(requirements))


def build_dependencies() -> tuple[str, ...]:
    """pip, setuptools and wheel as they are installed here."""
    from pack.envs.installed import version_of

    found = {name: version_of(name) for name in _BUILD}
    return tuple(f"{name}=={version}" for name, version in found.items() if version)


def _conda_of(environment: Environment) -> dict[str, Any]:
    pip = next((line.replace("==", "<=") for line in environment.build_dependencies if line.startswith("pip==")), "pip")
    lines = [*environment.requirements, *([f"-c {CONSTRAINTS}"] if environment.constraints else [])]
    return {
        "channels": ["conda-forge"],
        "dependencies": [f"python={environment.python}", pip, {"pip": lines}],
        "name": "mlflow-env",
    }


def _python_env(environment: Environment) -> dict[str, Any]:
    parts = {
        "python": environment.python,
        "build_dependencies": list(environment.build_dependencies),
        "dependencies": [f"-r {REQUIREMENTS}"],
    }
    return {key: value for key, value in parts.items() if value}


def _conda(given: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    if isinstance(given, Mapping):
        return dict(given)
    found = _yaml(Path(given))
    if found is None:
        raise NotFound(f"there is no conda file {given}", hint="give a dict, or the path of a conda.yaml")
    return found


def _pip_section(item: Mapping[Any, Any]) -> list[str]:
    if set(item) != {"pip"} or not isinstance(item["pip"], list):
        raise InvalidValue(f"a conda dependency is a mapping other than pip: {sorted(map(str, item))[:5]}")
    plain = [str(line) for line in item["pip"] if not str(line).startswith("-c ")]
    return merged(check_line(line, CONDA) for line in plain)


def _python_version(item: Any, found: re.Match[str] | None) -> str:
    if found is None or found["name"] != "python":
        raise InvalidValue(f"{str(item)[:80]!a} pins no Python version", hint="write python=3.11")
    return found["version"]


def _lines(home: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    path = home / REQUIREMENTS
    if not path.is_file():
        return (), ()
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip() not in {"", f"-c {CONSTRAINTS}"}]
    if any(line.lstrip().startswith(("-r", "-c", "--requirement", "--constraint")) for line in lines):
        raise InvalidValue(
            f"{REQUIREMENTS} of the model refers to other files", hint="list the requirements themselves"
        )
    requirements, _ = parse_lines(lines, origin=REQUIREMENTS)
    constraints = home / CONSTRAINTS
    pinned = (
        parse_lines(constraints.read_text("utf-8").splitlines(), origin=CONSTRAINTS)[0] if constraints.is_file() else []
    )
    return tuple(requirements), tuple(pinned)


def _yaml(path: Path) -> dict[str, Any] | None:
    """The mapping in a YAML file that strangers may have written; None where there is no file."""
    if not path.is_file():
        return None
    found = yamls.load(path.read_bytes(), path.name)
    if not isinstance(found, dict):
        raise InvalidValue(f"{path.name} is not a mapping")
    return found


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
