"""The Python of a base image: where it lies and what machine it is for, and whether there is a compiler beside it.

Nothing is unpacked. Of each layer the names of the files are read, one after the other as they lie over each other,
with the links and the files that a layer above takes away (whiteouts, OCI image layer specification).
"""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from pack.errors import InvalidState, InvalidValue

_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PYTHON = re.compile(r"(?:.*/)?bin/python[0-9.]*")
_COMPILER = re.compile(r"(?:.*/)?bin/(?:[a-z0-9_]+-)*(?:cc|gcc|g\+\+|c\+\+|clang)(?:-[0-9.]+)?")
_GONE, _ALL_GONE = ".wh.", ".wh..wh..opq"
_MOST_LINKS = 40
# The machine in the head of an ELF file, bytes 18 and 19, and Docker's word for it.
_MACHINES = {62: "amd64", 183: "arm64"}


@dataclass(frozen=True)
class Interpreter:
    """The Python of a base: its path, Docker's word for its machine where that is known, a compiler beside it."""

    path: str
    machine: str | None
    compiler: bool = False


@dataclass
class Tree:
    """What lies in the layers seen so far: every link, the files that may be a Python, and the compilers."""

    links: dict[str, str] = field(default_factory=dict)
    files: dict[str, str | None] = field(default_factory=dict)
    compilers: set[str] = field(default_factory=set)

    def add(self, layer: BinaryIO) -> None:
        """Lay a layer, an uncompressed tar file that is read once from its start, over what is there."""
        try:
            with tarfile.open(fileobj=layer, mode="r|") as members:
                for member in members:
                    self._lay(member, members)
        except tarfile.TarError as error:
            raise InvalidValue(f"a layer of the base is no tar file: {error}", hint="export the base again") from error
        while layer.read(1 << 20):  # what follows the last entry counts for the digest
            pass

    def find(self, version: str, *, searched: str | None) -> Interpreter:
        """The Python of a version such as `3.11` on the base's path; raises `InvalidState` where there is none."""
        found = []
        for folder in (searched or _SEARCHED).split(":"):
            for name in (f"python{version}", "python3"):
                path = self._real(posixpath.join(folder, name)) if folder.startswith("/") else None
                if path is not None and path in self.files:
                    found.append(path)
        for path in found:
            if posixpath.basename(path) == f"python{version}":
                return Interpreter(f"/{path}", self.files[path], bool(self.compilers))
        there = f"it has /{found[0]}" if found else "it has none"
        raise InvalidState(
            f"the base has no Python {version}: {there}",
            hint=f"give a base with python{version} on its path, such as --base-image python:{version}-slim",
        )

    def _lay(self, member: tarfile.TarInfo, members: tarfile.TarFile) -> None:
        name = posixpath.normpath("/" + member.name).lstrip("/")
        folder, base = posixpath.split(name)
        if base == _ALL_GONE:
            self._remove(folder, itself=False)
        elif base.startswith(_GONE):
            self._remove(posixpath.join(folder, base.removeprefix(_GONE)))
        elif member.isdir():
            self.links.pop(name, None)
            self.files.pop(name, None)
        elif _COMPILER.fullmatch(name):
            self.compilers.add(name)
        elif member.issym():
            self.files.pop(name, None)
            self.links[name] = member.linkname
        elif _PYTHON.fullmatch(name):
            self.links.pop(name, None)
            self._keep(name, member, members)
        else:
            self.links.pop(name, None)

    def _keep(self, name: str, member: tarfile.TarInfo, members: tarfile.TarFile) -> None:
        if member.islnk():
            target = posixpath.normpath("/" + member.linkname).lstrip("/")
            if target in self.files:
                self.files[name] = self.files[target]
        elif member.isreg() and member.mode & 0o111:
            file = members.extractfile(member)
            self.files[name] = _machine(file.read(20) if file else b"")
        else:
            self.files.pop(name, None)

    def _remove(self, name: str, *, itself: bool = True) -> None:
        inside = f"{name}/" if name else ""
        for table in (self.links, self.files):
            for path in [path for path in table if path.startswith(inside) or (itself and path == name)]:
                del table[path]
        self.compilers -= {path for path in self.compilers if path.startswith(inside) or (itself and path == name)}

    def _real(self, path: str) -> str | None:
        """The path with its links followed, without the leading slash; None where they lead in a circle."""
        waiting, done = list(reversed(_parts(path))), ""
        followed = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                done = posixpath.dirname(done)
                continue
            here = posixpath.join(done, part)
            if here not in self.links:
                done = here
                continue
            followed += 1
            if followed > _MOST_LINKS:
                return None
            target = self.links[here]
            waiting.extend(reversed(_parts(target)))
            done = "" if target.startswith("/") else done
        return done


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]


def _machine(head: bytes) -> str | None:
    """Docker's word for the machine of an ELF file; None for anything else."""
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    order = "big" if head[5] == 2 else "little"
    number = int.from_bytes(head[18:20], order)  # type: ignore[arg-type,unused-ignore]
    return _MACHINES.get(number, f"machine {number}")


def tree_of(layers: Iterable[BinaryIO]) -> Tree:
    """The tree of layers, the lowest first."""
    tree = Tree()
    for layer in layers:
        tree.add(layer)
    return tree
