"""What a disk may hold after the power fails: of what a process wrote, only what it flushed is certain.

The calls of a process are read from a trace of strace, and done again in a model of a file system that knows of each
file which bytes, and of each folder which names, were flushed. It is stricter than most real ones are.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "openat,write,pwrite64,lseek,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,"
    "rmdir,sendfile,copy_file_range,writev,fallocate,link,linkat"
)
OPTIONS = ("-y", "-xx", "-s", "4000000", "-e", f"trace={CALLS}")
_LINE = re.compile(r"(\d+)\s+(\w+)\((.*)\)\s+=\s+(-?\d+)(?:<([^>]*)>)?")
_PLACE = re.compile(r"(\d+|AT_FDCWD)<([^>]*)>")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


@dataclass
class File:
    """Bytes: as the process sees them, and as they were at the last flush."""

    now: bytearray = field(default_factory=bytearray)
    flushed: bytes = b""


@dataclass
class Folder:
    """Names, in the same two ways."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    flushed: dict[str, File | Folder] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """One call of the trace: its name, the open files and the texts among its arguments, the rest, and its answer."""

    name: str
    places: list[tuple[str, str]]
    texts: list[bytes]
    rest: str
    answer: int
    answered: str


def read(log: Path) -> Iterator[Call]:
    """The calls that succeeded, in the order in which they ended."""
    begun: dict[str, str] = {}
    for line in log.read_text(encoding="ascii", errors="replace").splitlines():
        pid = line.split(None, 1)[0]
        if line.endswith("<unfinished ...>"):
            begun[pid] = line.removesuffix("<unfinished ...>")
            continue
        resumed = re.match(r"\d+\s+<\.\.\. \w+ resumed>", line)
        match = _LINE.match(begun.pop(pid) + line[resumed.end() :] if resumed else line)
        if match and int(match[4]) >= 0:
            places = [(place, _plain(path).decode()) for place, path in _PLACE.findall(match[3])]
            texts = [_plain(text) for text in _TEXT.findall(match[3])]
            rest = _TEXT.sub("", _PLACE.sub(r"\1", match[3]))
            yield Call(match[2], places, texts, rest, int(match[4]), _plain(match[5] or "").decode())


def _plain(text: str) -> bytes:
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), text.encode())


class Disk:
    """A model of the folder `world`, in which calls are done again; what lies elsewhere is left out."""

    def __init__(self, world: Path) -> None:
        self.world = world
        self.root = _load(world)
        self._offsets: dict[str, int] = {}

    def do(self, call: Call) -> bool:
        """Do a call again; whether it changed something here."""
        act: Callable[[Call], bool] = getattr(self, f"_{call.name}")
        return act(call)

    def write_out(self, target: Path, chance: random.Random | None) -> None:
        """What is left when the power fails: what was flushed, and with `chance` some of the rest."""
        _write_out(self.root, target, chance)

    def _openat(self, call: Call) -> bool:
        self._offsets[str(call.answer)] = 0
        if not self._inside(call.answered) or "O_DIRECTORY" in call.rest:
            return False
        found = self._find(call.answered)
        if found is None and "O_CREAT" in call.rest:
            self._folder_of(call.answered).now[Path(call.answered).name] = File()
            return True
        if isinstance(found, File) and "O_APPEND" in call.rest:
            self._offsets[str(call.answer)] = len(found.now)
        if isinstance(found, File) and "O_TRUNC" in call.rest:
            found.now.clear()
            return True
        return False

    def _write(self, call: Call) -> bool:
        number = call.places[0][0] if call.places else ""
        at = self._offsets.get(number, 0)
        self._offsets[number] = at + call.answer
        return self._put(call, at)

    def _pwrite64(self, call: Call) -> bool:
        return self._put(call, int(call.rest.rpartition(",")[2]))

    def _put(self, call: Call, at: int) -> bool:
        file = self._find(call.places[0][1]) if call.places and self._inside(call.places[0][1]) else None
        if not isinstance(file, File):
            return False
        data = call.texts[0][: call.answer]
        file.now.extend(bytes(max(0, at - len(file.now))))
        file.now[at : at + len(data)] = data
        return True

    def _lseek(self, call: Call) -> bool:
        self._offsets[call.places[0][0]] = call.answer
        return False

    def _ftruncate(self, call: Call) -> bool:
        file = self._find(call.places[0][1])
        if not isinstance(file, File):
            return False
        size = int(call.rest.rpartition(",")[2])
        del file.now[size:]
        file.now.extend(bytes(size - len(file.now)))
        return True

    def _fsync(self, call: Call) -> bool:
        path = call.places[0][1]
        found = self._find(path) if self._inside(path) else None
        if isinstance(found, File):
            found.flushed = bytes(found.now)
        elif found is not None:
            found.flushed = dict(found.now)
        return found is not None

    _fdatasync = _fsync

    def _rename(self, call: Call) -> bool:
        old, new = self._paths(call)
        if not self._inside(old):
            return False
        before, after = self._folder_of(old), self._folder_of(new)
        moved = before.now.pop(Path(old).name)
        after.now[Path(new).name] = moved
        return True

    _renameat = _renameat2 = _rename

    def _unlink(self, call: Call) -> bool:
        (path,) = self._paths(call)
        return self._inside(path) and self._folder_of(path).now.pop(Path(path).name, None) is not None

    _unlinkat = _rmdir = _unlink

    def _mkdir(self, call: Call) -> bool:
        (path,) = self._paths(call)
        if not self._inside(path):
            return False
        self._folder_of(path).now[Path(path).name] = Folder()
        return True

    _mkdirat = _mkdir

    def _paths(self, call: Call) -> list[str]:
        """The paths that a call names, whole: relative ones start at the open folder before them, or at the world."""
        bases = [path for _, path in call.places] or [str(self.world)] * len(call.texts)
        return [os.path.normpath(Path(base, text.decode())) for base, text in zip(bases, call.texts, strict=True)]

    def _inside(self, path: str) -> bool:
        return Path(path).is_relative_to(self.world) and not path.endswith("-shm")

    def _folder_of(self, path: str) -> Folder:
        found = self._find(str(Path(path).parent))
        assert isinstance(found, Folder), path
        return found

    def _find(self, path: str) -> File | Folder | None:
        if not self._inside(path):
            return None
        found: File | Folder | None = self.root
        for part in Path(path).relative_to(self.world).parts:
            found = found.now.get(part) if isinstance(found, Folder) else None
        return found


def _load(path: Path) -> Folder:
    names: dict[str, File | Folder] = {}
    for entry in path.iterdir():
        if entry.is_dir():
            names[entry.name] = _load(entry)
        elif not entry.name.endswith("-shm"):
            data = entry.read_bytes()
            names[entry.name] = File(bytearray(data), data)
    return Folder(names, dict(names))


def _write_out(folder: Folder, target: Path, chance: random.Random | None) -> None:
    target.mkdir()
    names = folder.flushed
    if chance is not None:  # each name that was changed since the flush is there, or is as it was then
        drawn = {name: chance.choice((folder.now, folder.flushed)).get(name) for name in {*folder.now, *folder.flushed}}
        names = {name: found for name, found in drawn.items() if found is not None}
    for name, found in names.items():
        if isinstance(found, Folder):
            _write_out(found, target / name, chance)
        else:
            (target / name).write_bytes(_bytes(found, chance))


def _bytes(file: File, chance: random.Random | None, page: int = 4096) -> bytes:
    """What is left of a file: what was flushed; with `chance` each page that was changed since, or not."""
    if chance is None or bytes(file.now) == file.flushed:
        return file.flushed
    whole = chance.choice((bytes(file.now), file.flushed))
    pages = []
    for at in range(0, len(whole), page):
        old, new = file.flushed[at : at + page], bytes(file.now[at : at + page])
        pages.append(chance.choice((old or bytes(len(new)), new or old)))
    return b"".join(pages)[: len(whole)]
