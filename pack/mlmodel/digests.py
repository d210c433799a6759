"""Digests of a model directory: of each file, of the MLmodel file that lists them, and of the whole.

Format 1. The MLmodel file holds, under `pack`, `files` (path → SHA-256 of every file but itself) and `self`: the
SHA-256 of its own text with 64 zeros in the place of `self`. The digest of a directory is the SHA-256 of one line
`path NUL sha256 LF` for each file in the order of paths, the MLmodel file included.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pack.errors import Damaged, InvalidValue, NotFound, StorageFailed
from pack.mlmodel.model import MLMODEL, Model

# Device, inode, size, and when its bytes and its entry last changed (ns): nobody but the system's owner can forge all.
Stamp: TypeAlias = tuple[int, int, int, int, int]
ZEROS = "0" * 64
MAX_FILES = 100_000
_READ = "check the rights of the file, and the disk that it lies on"
# The signature over these files (docs/trust.md): it cannot be among them, and is never read as part of the model.
SIGNATURE = "model.sig"
# MLflow writes this one into a model directory that it downloads.
REGISTERED_MODEL_META = "registered_model_meta"
# Written into a model directory after its digests, and never loaded.
LEFT_OUT = (SIGNATURE, REGISTERED_MODEL_META)
_SELF = re.compile(rb"^(  self: '?)([0-9a-f]{64})('?)$", re.MULTILINE)


@dataclass(frozen=True)
class Report:
    """What a look at a directory found; `sealed` says whether there were digests to compare with."""

    home: Path
    model: Model
    sealed: bool
    files: dict[str, str]
    missing: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    stamps: dict[str, Stamp] = field(default_factory=dict, repr=False)

    @property
    def intact(self) -> bool:
        """Whether nothing differs; true for a directory without digests too."""
        return not (self.missing or self.added or self.changed)

    @property
    def digest(self) -> str:
        """The identity of the whole directory."""
        return tree_digest(self.files)

    def raise_if_damaged(self) -> None:
        """Raise `Damaged`, naming the files, where anything differs."""
        if self.intact:
            return
        kinds = {"changed": self.changed, "missing": self.missing, "added": self.added}
        what = "; ".join(f"{kind}: {', '.join(map(ascii, names[:5]))}" for kind, names in kinds.items() if names)
        raise Damaged(
            f"the model differs from its digests ({what})",
            hint="fetch it again from where it was saved, or save it again",
        )


def check(home: Path) -> Report:
    """Read every file of a model directory once and compare; raises `NotFound` where there is no MLmodel file."""
    try:
        data = (home / MLMODEL).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            "there is no MLmodel file there", hint="give the directory that holds it, or a models:/ or runs:/ URI"
        ) from error
    except OSError as error:
        raise StorageFailed(f"the MLmodel file cannot be read: {error.strerror}", hint=_READ) from error
    model = Model.parse(data)
    stamps: dict[str, Stamp] = {}
    files = manifest(home, stamps)
    recorded = model.pack.get("files") if isinstance(model.pack, dict) else None
    everything = {**files, MLMODEL: hashlib.sha256(data).hexdigest()}
    if not isinstance(recorded, dict):
        return Report(home, model, sealed=False, files=everything, stamps=stamps)
    changed = [name for name in files if name in recorded and recorded[name] != files[name]]
    return Report(
        home,
        model,
        sealed=True,
        files=everything,
        missing=tuple(sorted(map(str, recorded.keys() - files.keys()))),
        added=tuple(sorted(files.keys() - recorded.keys())),
        changed=tuple(changed if seal_holds(data) else [*changed, MLMODEL]),
        stamps=stamps,
    )


def manifest(home: Path, stamps: dict[str, Stamp] | None = None) -> dict[str, str]:
    """Path → SHA-256 of every file below `home` but MLmodel; raises `InvalidValue` for links and devices.

    `stamps` is filled with how each file stood when its bytes were read.
    """
    found = {}
    for name, path in _files(home, ""):
        found[name], stamp = _sha256(path)
        if stamps is not None:
            stamps[name] = stamp
        if len(found) > MAX_FILES:
            raise InvalidValue(f"a model directory may hold at most {MAX_FILES:,} files")
    return dict(sorted(found.items()))


def tree_digest(files: dict[str, str]) -> str:
    """The digest of a directory from the digests of its files."""
    lines = "".join(f"{name}\0{files[name]}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def counts(name: str) -> bool:
    """Whether a file of a model directory is part of its digest: bytecode, and what others write there, is not."""
    *folders, _ = name.split("/")
    above = ["".join(f"{one}/" for one in folders[:place]) for place in range(len(folders))]
    return name not in LEFT_OUT and not any(map(_is_bytecode, folders, above))


def file_digest(path: Path) -> str:
    """The SHA-256 of one file's bytes; raises `StorageFailed` for a link."""
    return _sha256(path)[0]


def text_digest(text: str) -> str:
    """The SHA-256 of a text as it stands in a file."""
    return hashlib.sha256(text.encode()).hexdigest()


def seal(text: str) -> str:
    """MLmodel text with its own digest in the place of the zeros."""
    data = text.encode()
    if len(_SELF.findall(data)) != 1 or ZEROS not in text:
        raise InvalidValue("an MLmodel text to seal holds `self` once, as 64 zeros")
    return text.replace(ZEROS, hashlib.sha256(data).hexdigest(), 1)


def seal_holds(data: bytes) -> bool:
    """Whether MLmodel bytes are the ones that were sealed."""
    found = _SELF.findall(data)
    if len(found) != 1:
        return False
    blank = _SELF.sub(rb"\g<1>" + ZEROS.encode() + rb"\g<3>", data)
    return bool(hashlib.sha256(blank).hexdigest().encode() == found[0][1])


def _files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise StorageFailed(f"a folder of the model cannot be read: {error.strerror}", hint=_READ) from error
    for entry in entries:
        name = f"{prefix}{entry.name}"
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            if not _is_bytecode(entry.name, prefix):
                yield from _files(Path(entry.path), f"{name}/")
        elif not stat.S_ISREG(mode):
            raise InvalidValue(
                f"{name!a} is not a plain file", hint="a model directory holds neither links nor devices"
            )
        elif name not in LEFT_OUT and name != MLMODEL:
            yield name, Path(entry.path)


def _is_bytecode(folder: str, prefix: str) -> bool:
    """Whether a folder is where Python, run by others on this directory, leaves bytecode, which we never read."""
    return folder == "__pycache__" and (not prefix or prefix.startswith("code/"))


def stamp_of(path: Path) -> Stamp | None:
    """How a file stands now, without following a link; None where it cannot be seen."""
    try:
        return _stamp(path.lstat())
    except OSError:
        return None


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _sha256(path: Path) -> tuple[str, Stamp]:
    """The digest of one file's bytes, read without following a link, and how it stood before they were read."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            stamp = _stamp(os.fstat(handle))
            return _digest_of(file), stamp
    except OSError as error:
        raise StorageFailed(f"{path.name!a} cannot be read: {error.strerror}", hint=_READ) from error


def _digest_of(file: object) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(1 << 20):  # type: ignore[attr-defined]
        digest.update(chunk)
    return digest.hexdigest()
