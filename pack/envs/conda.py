"""Environments by conda, mamba or micromamba: the Python and the packages of conda.yaml; pip installs the rest.

What a conda file of a model says is checked item by item, and given to conda as words. Channels are names, which conda
looks up where its user configured it to.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack.envs.files import read_conda
from pack.envs.programs import run
from pack.errors import InvalidValue, MissingPackage

_PROGRAMS = ("conda", "mamba", "micromamba")
_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?")
_VERSION = r"[A-Za-z0-9_.*+!]{1,100}"
_BOUND = rf"(==|=|<=|>=|<|>|!=|~=)\s*{_VERSION}"
_PACKAGE = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_.-]{{0,99}}(\s*{_BOUND}(,\s*{_BOUND})*(={_VERSION})?)?")


@dataclass(frozen=True)
class Wanted:
    """What conda itself installs: packages as conda writes them, from channels by name."""

    channels: tuple[str, ...]
    packages: tuple[str, ...]


def wanted(home: Path, *, python: str) -> Wanted:
    """The part of a model's conda file that is not pip's; raises `InvalidValue` naming an item that is refused.

    Without a conda file, or a Python in it, that of `python` is wanted.
    """
    conda = read_conda(home) or {}
    channels = [_checked(item, _CHANNEL, "channel") for item in _list(conda, "channels")]
    packages = [
        _checked(item, _PACKAGE, "dependency") for item in _list(conda, "dependencies") if not isinstance(item, Mapping)
    ]
    named = {re.split("[=<>!~]", item)[0] for item in packages}
    more = [line for name, line in (("python", f"python={python}"), ("pip", "pip")) if name not in named]
    return Wanted(tuple(channels) or ("conda-forge",), (*packages, *more))


def create(home: Path, what: Wanted) -> None:
    """Let conda make an environment in a folder that is not there; raises `MissingPackage` without conda."""
    channels = [word for channel in what.channels for word in ("--channel", channel)]
    run(program(), "create", "--yes", "--quiet", "--prefix", home, "--override-channels", *channels, *what.packages)


def program() -> str:
    """The path of conda, mamba or micromamba; raises `MissingPackage` where none is on the path."""
    found = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        raise MissingPackage(
            f"none of {', '.join(_PROGRAMS)} is on the path", hint="install one of them, or use --env-manager uv"
        )
    return found


def _list(conda: Mapping[str, Any], key: str) -> list[Any]:
    found = conda.get(key) or []
    if not isinstance(found, list):
        raise InvalidValue(f"{key} of conda.yaml is no list", hint="write it as conda does: - numpy=1.26")
    return found


def _checked(item: Any, allowed: re.Pattern[str], noun: str) -> str:
    text = item.strip() if isinstance(item, str) else ""
    if allowed.fullmatch(text) is None:
        raise InvalidValue(
            f"{str(item)[:100]!a} of conda.yaml is no {noun} that is passed on to conda",
            hint="channels are names such as conda-forge, dependencies such as numpy=1.26",
        )
    return "".join(text.split())
