"""Environments made from a lock, by uv or by venv and pip, in a cache of this user that all processes share.

An environment lies under the SHA-256 of what is in it: the lock, the wheel of pack, the Python. It is made under a lock
of its own, and a mark is written last; what a killed process left half made has no mark, and is made again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pack import settings
from pack.envs import indexes
from pack.envs.locking import Lock, uv_program
from pack.envs.targets import Target
from pack.envs.wheels import wheel_of_pack
from pack.errors import InvalidState, StorageFailed
from pack.locks import locked

FORMAT = 1
SECONDS = 1800
_READY = "pack-ready"


@dataclass(frozen=True)
class Recipe:
    """What an environment is made of: a Python, and lines to install; `hashed` where each is a pin with its hashes."""

    target: Target
    text: str
    hashed: bool

    @classmethod
    def of(cls, lock: Lock) -> Recipe:
        """What a lock pins."""
        return cls(lock.target, lock.text, hashed=True)


def python_for(recipe: Recipe, *, manager: str = "uv", say: Callable[[str], None] = lambda _: None) -> Path:
    """The Python of an environment that has what the recipe says, and this pack; made where there is none yet.

    `manager` is `uv` or `virtualenv`; `say` is told what takes its time. Raises `InvalidState` where there is no such
    Python, or a package is refused, whose hash may differ; `MissingPackage` without uv.
    """
    with tempfile.TemporaryDirectory(prefix="pack-env-") as folder:
        wheel = wheel_of_pack(Path(folder))
        home = _root() / _key(recipe, manager, wheel)
        python = home / "bin" / "python"
        if (home / _READY).is_file():
            return python
        with locked(home.with_suffix(".lock"), exclusive=True, busy=lambda: say("another process makes it; waiting")):
            if not (home / _READY).is_file():
                say(f"making an environment with {manager} in {home}")
                shutil.rmtree(home, ignore_errors=True)
                home.mkdir(mode=0o700)
                _MAKERS[manager](home, recipe, wheel)
                (home / _READY).touch()
    return python


def _by_uv(home: Path, recipe: Recipe, wheel: Path) -> None:
    uv = uv_program()
    _run(uv, "venv", "--quiet", "--allow-existing", "--python", recipe.target.python, str(home))
    into = (uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python"))
    _run(*into, *_wanted(recipe, wheel))
    _run(*into, "--no-deps", str(wheel))


def _by_virtualenv(home: Path, recipe: Recipe, wheel: Path) -> None:
    _run(_python_of(recipe.target), "-m", "venv", str(home))
    into = (str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    _run(*into, *_wanted(recipe, wheel))
    _run(*into, "--no-deps", str(wheel))


_MAKERS = {"uv": _by_uv, "virtualenv": _by_virtualenv}


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


def _run(*words: str) -> None:
    """Run a program, outside of every project; its own words where it fails."""
    folder = tempfile.gettempdir()
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=indexes.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidState(
            f"{Path(words[0]).name} did not end within {SECONDS} s", hint="look at your index: pip config list"
        ) from error
    if done.returncode:
        raise InvalidState(
            f"{Path(words[0]).name} could not make the environment: {' '.join(done.stderr.split())[:600]}",
            hint="a hash that differs means that the index has another file than the one that was locked",
        )


def _key(recipe: Recipe, manager: str, wheel: Path) -> str:
    parts = (str(FORMAT), manager, recipe.target.name, recipe.text, hashlib.sha256(wheel.read_bytes()).hexdigest())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _root() -> Path:
    """The folder of this user's environments, which only they can enter."""
    given = settings.cache_dir()
    if given is None:
        from platformdirs import user_cache_path

        given = user_cache_path("pack-models")
    root = given / "environments-v1"
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)
    except OSError as error:
        raise StorageFailed(
            f"environments cannot be kept in {root}: {error.strerror}", hint="PACK_CACHE_DIR names another folder"
        ) from error
    return root
