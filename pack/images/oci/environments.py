"""The packages of an image, installed on this machine for the machine that the image is for.

uv puts the wheels of the lock, whose hashes it compares, into a folder of the shape of an environment; nothing of a
package is run. What would tell this machine from another stays out: scripts that name its Python, and what was noted
of the installation. pip could do no more: only for a flat folder does it install for another platform.

Bytecode goes along where this Python is of the version that the image has: a container could keep none, and would
compile everything each time that it starts. It is not compared with the time of the source (PEP 552), and the same for
the same source.
"""

from __future__ import annotations

import csv
import io
import platform
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pack.envs import programs
from pack.envs.locking import Lock, uv_program
from pack.envs.targets import PLATFORMS, Target
from pack.images.oci.tars import Entry

ROOT = "opt/pack"
# What installers note of where a package came from.
_NOTES = {"direct_url.json", "uv_build.json", "uv_cache.json", "REQUESTED"}
_SCRIPTS = {"bin", "Scripts"}
# What only a compiler reads.
_HEADERS = ("torch/include/",)
_NEVER_IMPORTED = r"/(tests?|testing)/"


def install(lock: Lock, home: Path, *, folder: Path, wheelhouse: Path | None = None) -> None:
    """Put the packages of a lock into `home`; uv reads the lock in `folder`, an empty one.

    With a wheelhouse, a folder of wheels, there are no others. Raises `Damaged` where a wheel differs from its hash,
    `InvalidState` with what uv said for anything else, `MissingPackage` without uv.
    """
    pins = folder / "lock.txt"
    pins.write_text(lock.text, encoding="utf-8")
    target = lock.target
    programs.run(
        *(uv_program(), "pip", "install", "--quiet", "--prefix", home, "--requirement", pins),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile-bytecode"),
        *("--python", sys.executable, "--python-version", target.python),
        *("--python-platform", PLATFORMS[target.platform]),
        wheelhouse=wheelhouse,
    )


def compile_for(folder: Path, place: str, *, python: str) -> None:
    """Put bytecode beside the sources in a folder, which will lie at `place`; none where another Python is to read it.

    What does not compile, such as a template, is left as it is.
    """
    if bytecode_of(python) is None:
        return
    words = ["-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-x", _NEVER_IMPORTED]
    command = [sys.executable, "-I", *words, "-s", str(folder), "-p", place, str(folder)]
    subprocess.run(command, capture_output=True, timeout=programs.SECONDS, check=False)


def bytecode_of(python: str) -> str | None:
    """The version of the Python that makes bytecode for another of its kind; None where there is none here."""
    return platform.python_version() if Target.of().python == python else None


def installed(home: Path, *, python: str, headers: bool = False) -> Iterator[Entry]:
    """The files of an installed environment as they go into an image; `headers` are of use where it has a compiler."""
    libraries = home / "lib" / f"python{python}" / "site-packages"
    if not libraries.is_dir():
        return
    tops = tuple(f"{libraries.relative_to(home).as_posix()}/{one}" for one in _HEADERS)
    for path in sorted(home.rglob("*")):
        parts = path.relative_to(home).parts
        if path.is_dir() or parts[0] in _SCRIPTS or path.name == ".lock":
            continue
        if not headers and "/".join(parts).startswith(tops):
            continue
        if parts[-2].endswith(".dist-info") and path.name in _NOTES:
            continue
        source: Path | bytes = path
        if path.name == "RECORD" and parts[-2].endswith(".dist-info"):
            source = neutral_record(path.read_bytes())
        yield Entry(f"{ROOT}/{'/'.join(parts)}", source, executable=bool(path.stat().st_mode & 0o100))


def neutral_record(data: bytes) -> bytes:
    """A list of installed files without those that are left out."""
    rows = csv.reader(io.StringIO(data.decode()))
    kept = [row for row in rows if row and not row[0].startswith("../") and row[0].rpartition("/")[2] not in _NOTES]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(sorted(kept))
    return out.getvalue().encode()


def unpacked(wheel: Path, home: Path, *, python: str) -> Iterator[Entry]:
    """The files of a wheel that holds Python only, as they lie in an environment; they are unpacked to `home`."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    place = f"{ROOT}/lib/python{python}/site-packages"
    compile_for(home, f"/{place}", python=python)
    for path in sorted(home.rglob("*")):
        if path.is_file():
            yield Entry(f"{place}/{path.relative_to(home).as_posix()}", path)


def settings(interpreter: str, *, python: str) -> Iterator[Entry]:
    """What makes a folder an environment of the base's Python."""
    home = interpreter.rpartition("/")[0]
    lines = f"home = {home}\ninclude-system-site-packages = false\nversion = {python}\n"
    yield Entry(f"{ROOT}/pyvenv.cfg", lines.encode())
    yield Entry(f"{ROOT}/bin/python", link=interpreter)
