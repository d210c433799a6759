"""Environments made by uv from a lock, in a cache of this user that all processes share.

An environment lies under the SHA-256 of what is in it: the lock, the wheel of pack, the Python. It is made under a lock
of its own, and a mark is written last; what a killed process left half made has no mark, and is made again.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from pack import settings
from pack.envs import indexes
from pack.envs.locking import Lock, uv_program
from pack.envs.wheels import wheel_of_pack
from pack.errors import InvalidState, StorageFailed
from pack.locks import locked

FORMAT = 1
SECONDS = 1800
_READY = "pack-ready"


def python_for(lock: Lock, *, say: Callable[[str], None] = lambda _: None) -> Path:
    """The Python of an environment that has what the lock pins, and this pack; made where there is none yet.

    `say` is told what takes its time. Raises `InvalidState` where uv finds no such Python or refuses a package, whose
    hash may differ; `MissingPackage` without uv.
    """
    with tempfile.TemporaryDirectory(prefix="pack-env-") as folder:
        wheel = wheel_of_pack(Path(folder))
        home = _root() / _key(lock, wheel)
        python = home / "bin" / "python"
        if (home / _READY).is_file():
            return python
        with locked(home.with_suffix(".lock"), exclusive=True, busy=lambda: say("another process makes it; waiting")):
            if not (home / _READY).is_file():
                say(f"making an environment of {len(lock.packages)} packages in {home}")
                _make(home, python, lock, wheel)
                (home / _READY).touch()
    return python


def _make(home: Path, python: Path, lock: Lock, wheel: Path) -> None:
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
    pins = wheel.with_name("lock.txt")
    pins.write_text(lock.text, encoding="utf-8")
    _uv("venv", "--quiet", "--allow-existing", "--python", lock.target.python, str(home))
    into = ("pip", "install", "--quiet", "--python", str(python), "--no-deps")
    _uv(*into, "--require-hashes", "--only-binary", ":all:", "-r", str(pins))
    _uv(*into, str(wheel))


def _uv(*words: str) -> None:
    """Run uv, outside of every project; its own words where it fails."""
    folder = tempfile.gettempdir()
    try:
        done = subprocess.run(
            (uv_program(), *words),
            cwd=folder,
            env=indexes.environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidState(f"uv did not end within {SECONDS} s", hint="look at your index: pip config list") from error
    if done.returncode:
        raise InvalidState(
            f"uv could not make the environment: {' '.join(done.stderr.split())[:600]}",
            hint="a hash that differs means that the index has another file than the one that was locked",
        )


def _key(lock: Lock, wheel: Path) -> str:
    parts = (str(FORMAT), lock.target.name, lock.text, hashlib.sha256(wheel.read_bytes()).hexdigest())
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
