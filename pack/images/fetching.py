"""A model put at a place of this disk, and proved to be the right one: what the init container of a pod does.

The files come into a folder inside the place, are compared there with the digest that was expected, and move up only
then. So a place that cannot be written beside, such as a volume, will do, and what differs never lies there.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pack import artifacts
from pack.artifacts.registered import DIGEST_TAG
from pack.errors import Damaged, InvalidState, InvalidValue, NotFound, PackError
from pack.mlmodel import digests
from pack.mlmodel.model import MLMODEL

# Where files lie until they are compared; what it stands beside was put there by a fetch that did not end.
WORK = ".pack-fetching"
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True)
class Fetched:
    """A model at its place: where it came from, the digest that it was compared with, whether it was there before."""

    uri: str
    home: Path
    digest: str
    was_there: bool = False


def fetch(uri: str, home: Path, *, digest: str | None = None, replace: bool = False) -> Fetched:
    """Put the model behind a URI into the folder `home`, which holds nothing else.

    Its digest must be `digest`, without one that of the registry's record. A model that is there already and has this
    digest stays; another one gives way only with `replace`. One process at a time may write to a place.

    Raises `Damaged` where the digest is another, `InvalidState` where the registry has no record or something else lies
    at the place; what was fetched is gone then.
    """
    wanted = None if digest is None else plain_digest(digest)
    if wanted is not None and _digest_at(home) == wanted:
        return Fetched(uri, home, wanted, was_there=True)
    pinned = artifacts.pinned(uri)
    expected = wanted or recorded_digest(str(pinned))
    if wanted is None and _digest_at(home) == expected:
        return Fetched(str(pinned), home, expected, was_there=True)
    _make_room(home, replace=replace)
    with _work_folder(home) as work:
        artifacts.fetch_to(pinned, work / "model")
        _prove(work / "model", str(pinned), expected)
        _move_up(work / "model", home)
    return Fetched(str(pinned), home, expected)


def recorded_digest(uri: str) -> str:
    """The digest that the registry recorded for a version; raises `InvalidState` where there is no such record."""
    found = artifacts.registered_digest(uri)
    if found is None:
        raise InvalidState(
            f"the registry has no digest of {uri} to compare with",
            hint=f"give it with --digest SHA256, or record it as the version's tag {DIGEST_TAG}; "
            "pack verify and pack inspect show the digest of a model",
        )
    return found


def plain_digest(text: str) -> str:
    """The 64 hexadecimal digits of a digest, with or without `sha256:`; raises `InvalidValue` for anything else."""
    match = _DIGEST.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidValue(
            f"{text[:100]!a} is no digest", hint="give 64 hexadecimal digits, as pack inspect and pack verify show them"
        )
    return match.group(1)


def _digest_at(home: Path) -> str | None:
    """The digest of the model at a place; None where there is none that is whole."""
    if not (home / MLMODEL).is_file() or (home / WORK).exists():
        return None
    try:
        report = digests.check(home)
    except PackError:
        return None
    return report.digest if report.intact else None


def _make_room(home: Path, *, replace: bool) -> None:
    """Empty a place of what an earlier fetch left, or of the model that is to give way."""
    home.mkdir(parents=True, exist_ok=True)
    there = {entry.name for entry in home.iterdir()}
    ours = WORK in there or (replace and MLMODEL in there)
    if there and not ours:
        what = "another model" if MLMODEL in there else "something else"
        raise InvalidState(
            f"{what} lies in {str(home)!a}", hint="give an empty folder, or a new one; --replace replaces a model"
        )
    for name in sorted(there - {WORK}):
        _remove(home / name)
    if WORK in there:
        _remove(home / WORK)


@contextmanager
def _work_folder(home: Path) -> Iterator[Path]:
    """A folder inside a place, which goes in the end; where moving up fails it stays, and says that all is ours."""
    work = home / WORK
    work.mkdir(mode=0o700)
    try:
        yield work
    except PackError:
        _remove(work)
        raise
    _remove(work)


def _prove(home: Path, uri: str, expected: str) -> None:
    if not (home / MLMODEL).is_file():
        raise NotFound(f"there is no model at {uri}: no MLmodel file", hint="name a model, not a file or folder in one")
    report = digests.check(home)
    report.raise_if_damaged()
    if report.digest != expected:
        raise Damaged(
            f"{uri} has the digest {report.digest}, and {expected} was expected",
            hint="it is another model, or was changed: look at it with pack verify, or pin the digest that it has now",
        )


def _move_up(model: Path, home: Path) -> None:
    """Move all parts of a model up into the place, the MLmodel file last."""
    for entry in sorted(model.iterdir(), key=lambda entry: (entry.name == MLMODEL, entry.name)):
        entry.replace(home / entry.name)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
