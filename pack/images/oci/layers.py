"""The layers over a base: packages, pack itself, files of the model, a file with what all of it is.

Packages and pack are packed with gzip and kept for the next build; files of the model, most of which cannot be made
smaller, are tar files as they are, and are read where they lie, piece by piece, as often as they are written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pack.envs import wheels
from pack.envs.locking import Lock
from pack.envs.targets import Target
from pack.images.oci import blobs, environments, tars
from pack.images.oci.blobs import TAR, Blob, Layer
from pack.images.oci.interpreters import Interpreter
from pack.images.oci.kept import Shelf
from pack.images.oci.tars import Entry

# Counts what is made of the same lock or the same wheel, so that what older versions made is not used.
_FORMAT = 1


def dependencies(
    lock: Lock, python: Interpreter, *, kept: Shelf, time: int, wheelhouse: Path | None = None
) -> tuple[Layer, bool]:
    """The environment with the packages of a lock, for the base's Python; whether it was there already."""
    version = lock.target.python

    def make() -> Iterator[bytes]:
        with TemporaryDirectory(prefix="pack-image-") as name:
            home, folder = Path(name) / "environment", Path(name) / "work"
            folder.mkdir()
            environments.install(lock, home, folder=folder, wheelhouse=wheelhouse)
            environments.compile_for(home / "lib", f"/{environments.ROOT}/lib", python=version)
            made = environments.settings(python.path, python=version)
            held = environments.installed(home, python=version, headers=python.compiler)
            yield from tars.tar([*made, *held], time=time)

    pins = [str(pin) for pin in lock.packages]
    facts = (lock.target.name, python.path, python.compiler, environments.bytecode_of(version), time)
    return kept.packed(_key("dependencies", *facts, *pins), make)


def own_wheel(target: Target, *, kept: Shelf, time: int) -> tuple[Layer, bool]:
    """The running pack, in the same environment; whether it was there already."""

    def make() -> Iterator[bytes]:
        with TemporaryDirectory(prefix="pack-image-") as name:
            wheel = wheels.wheel_of_pack(Path(name))
            yield from tars.tar(environments.unpacked(wheel, Path(name) / "site", python=target.python), time=time)

    bytecode = environments.bytecode_of(target.python)
    return kept.packed(_key("pack", wheels.digest_of_pack(), target.name, bytecode, time), make)


def of_files(files: Mapping[str, Path | bytes], *, time: int) -> Layer:
    """Files by their paths in the image, such as `opt/ml/model/MLmodel`; they are read once for their digest."""
    entries = [Entry(path, source) for path, source in files.items()]
    make = partial(tars.tar, entries, time=time)
    digest, size = blobs.measured(make())
    return Layer(Blob(TAR, digest, size, make), digest)


def _key(kind: str, *facts: Any) -> str:
    lines: Iterable[str] = (str(fact) for fact in (_FORMAT, *facts))
    return f"{kind}-{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"
