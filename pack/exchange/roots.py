"""The folders of this disk that the files of a source may be read from, and where its locations lead among them.

A location in a source is a text that somebody wrote. It is looked for below the source's own folder and the folders
that the user named, nowhere else. Where it was written on another machine, or the folder has been moved since, the
longest end of it that is a folder below one of these is taken, as long as that names the run or model itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePosixPath, PureWindowsPath

from pack import uris
from pack.errors import InvalidValue
from pack.exchange.findings import Findings
from pack.exchange.source import Files
from pack.exchange.tree import Parts, Tree
from pack.exchange.values import shown
from pack.uris import PathUri, StoreUri

# Below the folder of a project: nothing more, MLflow's two usual folders, and where its file store puts deleted things.
_INSIDE: tuple[Parts, ...] = ((), ("mlruns",), ("mlartifacts",), (".trash",))
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True)
class Location:
    """A location, taken apart: its parts, whether they begin at the root of a disk, and the scheme of another place."""

    parts: Parts
    absolute: bool = False
    scheme: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether no folder of this disk can stand for it."""
        return self.scheme not in {"", "mlflow-artifacts"}

    def before(self, owner: str) -> str:
        """The folder that many runs and models have in common, for people."""
        place = self.parts.index(owner) if owner in self.parts else len(self.parts)
        common = self.parts[: max(place - (2 if self.parts[place - 1 : place] == ("models",) else 1), 0)]
        start = "/" if self.absolute else ""
        if self.scheme:
            start = f"{self.scheme}:/" if self.scheme == "mlflow-artifacts" else f"{self.scheme}://"
        return shown(start + "/".join(common))


def location(text: str) -> Location | None:
    """Take a location apart; None for a text that is none, or that could lead out of a folder."""
    if _WINDOWS.match(text):
        return _plain(PureWindowsPath(text).parts[1:], absolute=True)
    try:
        uri = uris.parse(text)
    except InvalidValue:
        scheme = re.match(r"([a-z][a-z0-9+.-]+):/", text)
        return Location((), scheme=scheme.group(1)) if scheme else None
    if isinstance(uri, PathUri):
        path = PurePosixPath(uri.path.as_posix())
        return _plain([part for part in path.parts if part != "/"], absolute=path.is_absolute())
    if isinstance(uri, StoreUri):
        found = _plain([part for part in (uri.host, *uri.path.split("/")) if part], absolute=False)
        return found and Location(found.parts, scheme=uri.scheme)
    return None


class Roots:
    """`own` is the source's folder; `named` are those that the user allowed besides."""

    def __init__(self, own: Path, named: tuple[Path, ...], findings: Findings) -> None:
        self._findings = findings
        self._named = bool(named)
        self._trees = [Tree(folder) for folder in dict.fromkeys((*map(Path.absolute, named), own.absolute()))]

    def files(self, text: str, *, owner: str, what: str) -> Files | None:
        """The files at the location of a run or logged model, its `owner`; says why where they cannot be looked for."""
        found = location(text)
        if found is None or found.elsewhere or owner not in found.parts:
            self._elsewhere(text, found, owner, what)
            return None
        below = self._below(found)
        if below is not None:
            return self._files(*below, what) if below[0].is_folder(below[1]) else None
        guessed = next(self._guesses(found, owner), None)
        if guessed is None:
            self._outside(found, owner)
            return None
        return self._files(*guessed, what)

    def directory(self, text: str, *, what: str) -> Files | None:
        """The model directory at a location that names neither a run nor a logged model; it holds an MLmodel file."""
        found = location(text)
        if found is None or found.elsewhere or not found.parts:
            return None
        below = self._below(found)
        for tree, parts in [below] if below else self._guesses(found, found.parts[-1]):
            if tree.has((*parts, "MLmodel")):
                return self._files(tree, parts, what)
        return None

    def _files(self, tree: Tree, parts: Parts, what: str) -> Files:
        return Files(tree, parts, what, self._findings)

    def _below(self, found: Location) -> tuple[Tree, Parts] | None:
        """Where an absolute path is as it stands."""
        path = Path("/", *found.parts)
        for tree in self._trees:
            for root in dict.fromkeys((tree.root, tree.root.resolve())):
                if found.absolute and path.is_relative_to(root):
                    return tree, path.relative_to(root).parts
        return None

    def _guesses(self, found: Location, owner: str) -> Iterator[tuple[Tree, Parts]]:
        """Folders at an end of the path, the longest first."""
        ends = (found.parts[start:] for start in range(found.parts.index(owner) + 1))
        for end, tree, inside in product(ends, self._trees, _INSIDE):
            if tree.is_folder((*inside, *end)):
                yield tree, (*inside, *end)

    def _elsewhere(self, text: str, found: Location | None, owner: str, what: str) -> None:
        if not text:
            return
        if found is not None and found.elsewhere:
            self._findings.note(f"files at {found.before(owner)} are kept there, and were not copied")
        else:
            self._findings.skip(what, f"its location {shown(text)} is not one of its own")

    def _outside(self, found: Location, owner: str) -> None:
        common = found.before(owner)
        if self._named:
            self._findings.note(f"files of {common} were looked for in the folders named, and some are not there")
        elif found.scheme:
            self._findings.skip(
                f"files of {common}", "they lie with the server; name its artifacts folder: --artifacts-root FOLDER"
            )
        else:
            self._findings.skip(
                f"files below {common}", f"the folder is not the source's own; allow it: --artifacts-root {common}"
            )


def _plain(parts: object, *, absolute: bool) -> Location | None:
    found = tuple(str(part) for part in parts)  # type: ignore[attr-defined]
    bad = any(part in {"", ".", ".."} or set(part) & {"/", "\\", "\0"} for part in found)
    return None if bad else Location(found, absolute=absolute)
