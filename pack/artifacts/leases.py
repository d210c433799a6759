"""Which folders of a cache are in use, and by which processes.

Each process that uses a cache has one file in `leases/`, which holds the names of the folders that it uses, a line
each, and whose lock it holds as long as it lives; so do the processes that are forked from it.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from pack import locks

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
_REMEMBERED = 1000


@dataclass
class _Lease:
    name: str
    handle: int
    folders: dict[str, None] = field(default_factory=dict)


# The leases of this process, by the folder that they lie in.
_mine: dict[Path, _Lease] = {}


class Leases:
    """The leases of one cache; every call is made while its gate is held, `living` while it is held alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def mine(self) -> str:
        """The name of this process's lease."""
        return self._lease().name

    def use(self, folder: str) -> None:
        """Note that this process uses a folder: until it ends, or has used a thousand others since."""
        lease = self._lease()
        if folder not in lease.folders:
            os.write(lease.handle, f"{folder}\n".encode())
            lease.folders[folder] = None
        if len(lease.folders) > _REMEMBERED:
            lease.folders.pop(next(iter(lease.folders)))

    def living(self) -> dict[str, set[str]]:
        """The folders in use, by the leases of the processes that live; the other leases are removed."""
        found = {}
        for path in list(self.root.iterdir()):
            if not _abandoned(path):
                found[path.name] = set(path.read_text(encoding="utf-8").splitlines()[-_REMEMBERED:])
        return found

    def _lease(self) -> _Lease:
        lease = _mine.get(self.root)
        if lease is None or not (self.root / lease.name).exists():
            name = secrets.token_hex(8)
            lease = _Lease(name, os.open(self.root / name, _NEW, 0o600))
            locks.lock(lease.handle, exclusive=True, wait=False)
            _mine[self.root] = lease
        return lease


def _abandoned(path: Path) -> bool:
    """Whether the process of a lease has ended; its file is then removed."""
    with locks.locked(path, exclusive=True, wait=False) as ended:
        if ended:
            path.unlink()
    return ended
