"""What an environment that serves a model installs: the model's requirements, and those of pack and its server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pack.envs.files import read_environment
from pack.envs.locking import Lock, lock, plain_line
from pack.envs.requirements import name_of
from pack.envs.targets import Target

DISTRIBUTION = "packml"
# Ours reads models of MLflow's without it; pack itself is installed beside the lock.
_NOT_NEEDED = {"mlflow", "mlflow-skinny", "mlflow-tracing", DISTRIBUTION}
_PANDAS = "pandas"


def needed_lines(requirements: Sequence[str]) -> list[str]:
    """The lines that ours needs of a model's: MLflow's models are read without MLflow."""
    return [line for line in requirements if name_of(line) not in _NOT_NEEDED]


def serving_lines(requirements: Sequence[str], *, frames: bool) -> tuple[str, ...]:
    """The lines of such an environment. `frames` says whether the model takes data frames: then pandas is among them.

    >>> serving_lines(["mlflow==3.1", "scikit-learn==1.9.1"], frames=False)[0]
    'scikit-learn==1.9.1'
    """
    own = needed_lines(requirements)
    named = {name_of(line) for line in own}
    more = [line for line in _of_ourselves() if name_of(line) not in named]
    return (*own, *(line for line in more if frames or name_of(line) != _PANDAS))


def lock_for(home: Path, target: Target, *, frames: bool, wheelhouse: Path | None = None) -> Lock:
    """The lock of an environment that serves the model in `home`; raises what `lock` does."""
    needed = read_environment(home)
    lines = serving_lines(needed.requirements, frames=frames)
    return lock(lines, target, constraints=needed.constraints, wheelhouse=wheelhouse)


def lines_for(home: Path, *, frames: bool) -> tuple[str, ...]:
    """The same as lines that are not solved yet; raises `InvalidValue` for what is more than a requirement."""
    return tuple(map(plain_line, serving_lines(read_environment(home).requirements, frames=frames)))


def _of_ourselves() -> list[str]:
    """pack's core and its server, as the installed metadata say; markers stay, the name of the extra goes."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    found = []
    for line in requires(DISTRIBUTION) or []:
        wanted = Requirement(line)
        marker = str(wanted.marker or "")
        if "extra ==" in marker and 'extra == "serving"' not in marker:
            continue
        kept = marker.replace(' and extra == "serving"', "").replace('extra == "serving"', "").strip(" ()")
        found.append(f"{wanted.name}{wanted.specifier}" + (f" ; {kept}" if kept else ""))
    return found
