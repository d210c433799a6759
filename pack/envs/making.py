"""Environments made from a lock, by uv, venv or conda, in a cache of this user that all processes share.

An environment lies under the SHA-256 of what is in it: the lock, the wheel of pack, the Python. It is made under a lock
of its own, and a mark is written last; what a killed process left half made has no mark, and is made again.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pack.envs import conda, kept
from pack.envs.conda import Wanted
from pack.envs.locking import Lock, uv_program
from pack.envs.programs import run
from pack.envs.targets import Target
from pack.envs.wheels import wheel_of_pack
from pack.errors import InvalidState
from pack.locks import locked

FORMAT = 1


@dataclass(frozen=True)
class Recipe:
    """What an environment is made of: a Python, and lines to install; `hashed` where each is a pin with its hashes.

    `conda` is what conda installs below them.
    """

    target: Target
    text: str
    hashed: bool
    conda: Wanted | None = None

    @classmethod
    def of(cls, lock: Lock) -> Recipe:
        """What a lock pins."""
        return cls(lock.target, lock.text, hashed=True)


def python_for(recipe: Recipe, *, manager: str = "uv", say: Callable[[str], None] = lambda _: None) -> Path:
    """The Python of an environment that has what the recipe says, and this pack; made where there is none yet.

    `manager` is `uv`, `virtualenv` or `conda`; `say` is told what takes its time. Raises `InvalidState` where there is
    no such Python or a package is not found, `Damaged` where one differs from its hash, `MissingPackage` without uv or
    conda.
    """
    with tempfile.TemporaryDirectory(prefix="pack-env-") as folder:
        wheel = wheel_of_pack(Path(folder))
        home = kept.root() / _key(recipe, manager, wheel)
        ready = home / kept.READY
        if not ready.is_file():
            _make(home, recipe, manager, wheel, say)
        ready.touch()  # when it was used last
    return home / "bin" / "python"


def _make(home: Path, recipe: Recipe, manager: str, wheel: Path, say: Callable[[str], None]) -> None:
    """Make an environment, unless another process did meanwhile; what fails or is broken off leaves nothing."""
    with locked(kept.lock_of(home), exclusive=True, busy=lambda: say("another process makes it; waiting")):
        if (home / kept.READY).is_file():
            return
        say(f"making an environment with {manager} in {home}")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(mode=0o700)
        try:
            _MAKERS[manager](home, recipe, wheel)
            (home / kept.READY).write_text(f"{recipe.target.name} by {manager}\n", encoding="utf-8")
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise


def _by_uv(home: Path, recipe: Recipe, wheel: Path) -> None:
    uv = uv_program()
    run(uv, "venv", "--quiet", "--allow-existing", "--python", recipe.target.python, str(home))
    into = (uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"))
    run(*into, *_wanted(recipe, wheel))
    run(*into, "--no-deps", str(wheel))


def _by_virtualenv(home: Path, recipe: Recipe, wheel: Path) -> None:
    run(_python_of(recipe.target), "-m", "venv", str(home))
    _by_pip(home, recipe, wheel)


def _by_conda(home: Path, recipe: Recipe, wheel: Path) -> None:
    home.rmdir()  # conda makes it
    conda.create(home, recipe.conda or conda.Wanted(("conda-forge",), (f"python={recipe.target.python}", "pip")))
    _by_pip(home, recipe, wheel)


def _by_pip(home: Path, recipe: Recipe, wheel: Path) -> None:
    into = (str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*into, *_wanted(recipe, wheel))
    run(*into, "--no-deps", str(wheel))


_MAKERS = {"uv": _by_uv, "virtualenv": _by_virtualenv, "conda": _by_conda}


def _wanted(recipe: Recipe, wheel: Path) -> tuple[str, ...]:
    """Wheels alone: building a package would run its code."""
    lines = wheel.with_name("wanted.txt")
    lines.write_text(recipe.text, encoding="utf-8")
    return (*(("--no-deps", "--require-hashes") if recipe.hashed else ()), "--only-binary", ":all:", "-r", str(lines))


def _python_of(target: Target) -> str:
    """A Python of the version that is asked for, on the path."""
    if Target.of().python == target.python:
        return sys.executable
    found = shutil.which(f"python{target.python}")
    if found is None:
        raise InvalidState(
            f"there is no Python {target.python} here", hint=f"install python{target.python}, or use --env-manager uv"
        )
    return found


def _key(recipe: Recipe, manager: str, wheel: Path) -> str:
    words = (*recipe.conda.channels, "", *recipe.conda.packages) if recipe.conda else ()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    parts = (str(FORMAT), manager, recipe.target.name, recipe.text, digest, *words)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
