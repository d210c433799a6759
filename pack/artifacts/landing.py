"""A file that is on its way: what came so far, and its digest."""

from __future__ import annotations

import hashlib
from typing import BinaryIO

from pack.errors import StorageFailed


class Landing:
    """Bytes go into an open file and into a SHA-256 digest; `restart` forgets both."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = 0
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Add bytes; raises `StorageFailed` where the disk refuses them."""
        try:
            self.file.write(data)
        except OSError as error:
            raise StorageFailed(
                f"the download cannot be written: {error.strerror}", hint="free some space: pack cache clean"
            ) from error
        self._hash.update(data)
        self.size += len(data)

    def restart(self) -> None:
        """Drop what came so far."""
        self.file.seek(0)
        self.file.truncate()
        self.size = 0
        self._hash = hashlib.sha256()

    def digest(self) -> str:
        """The SHA-256 digest of what came so far, in hexadecimal digits."""
        return self._hash.hexdigest()
