"""What one build leaves for the next on this disk: packed layers by what they are made from, and blobs of bases.

    blobs/sha256/DIGEST     a blob, as in a layout
    facts/KEY.json          the layer that was made from something, by its digest; the Python of a base
    lock                    held by builds, so that cleaning waits for another time

Files appear whole, under names that say what they are; so two builds at once do each other no harm.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pack import folders, settings
from pack.errors import PackError, StorageFailed
from pack.images.oci import blobs, tars
from pack.images.oci.blobs import Blob, Layer
from pack.locks import locked


@dataclass(frozen=True)
class Stored:
    """A file that is kept: where, its bytes, and when it was used last, in seconds since 1970."""

    path: Path
    size: int
    used: float


@dataclass(frozen=True)
class Shelf:
    """The folder that is kept; whatever is in it can be made again."""

    home: Path

    @staticmethod
    def mine() -> Shelf:
        """That of this user."""
        return Shelf(settings.cache_folder() / "images-v1")

    def packed(self, key: str, make: Callable[[], Iterable[bytes]]) -> tuple[Layer, bool]:
        """The layer that was made from what `key` stands for, and whether it was there; `make` gives its tar file."""
        found = self._find(key)
        if found is not None:
            return found, True
        unpacked = hashlib.sha256()

        def noted() -> Iterator[bytes]:
            for chunk in make():
                unpacked.update(chunk)
                yield chunk

        digest = self.land(tars.gzipped(noted()))
        layer = Layer(self._layer_blob(digest), f"sha256:{unpacked.hexdigest()}")
        self.note(key, {"digest": digest, "diff_id": layer.diff_id})
        return layer, False

    def note(self, key: str, facts: dict[str, Any]) -> None:
        """Keep what was found out about something."""
        place = self._facts(key)
        with self._landing() as landing:
            landing.write_bytes(blobs.to_json(facts))
            folders.private(place.parent)
            landing.replace(place)

    def noted(self, key: str) -> dict[str, Any] | None:
        """What was kept about something; None where there is nothing."""
        with suppress(OSError, PackError):
            return blobs.as_object(self._facts(key).read_bytes(), key)
        return None

    def land(self, chunks: Iterable[bytes]) -> str:
        """Keep a blob; its digest."""
        digest = hashlib.sha256()
        with self._landing() as landing:
            with landing.open("xb") as file:
                for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
            path = self.place(f"sha256:{digest.hexdigest()}")
            folders.private(path.parent)
            landing.replace(path)
        return f"sha256:{digest.hexdigest()}"

    def place(self, digest: str) -> Path:
        """Where a blob is kept, if it is."""
        return self.home / blobs.blob_name(digest)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep what is here, as long as the block runs."""
        with self._landing(), locked(self.home / "lock", exclusive=False):
            yield

    def listed(self) -> list[Stored]:
        """The files that are kept, and those that a killed build left half written."""
        found = [path for path in self.home.rglob("*") if path.is_file() and path != self.home / "lock"]
        return [Stored(path, (status := path.stat()).st_size, max(status.st_mtime, status.st_atime)) for path in found]

    def clean(
        self, *, older_than: float | None = None, everything: bool = False, dry_run: bool = False
    ) -> tuple[list[Stored], list[Stored]]:
        """Remove what was not used for `older_than` seconds, and what a killed build left half written.

        What was removed, and what should have been and is in use by a build. With `dry_run` nothing is removed.
        """
        if not self.home.is_dir():
            return [], []
        oldest = time.time() - older_than if older_than is not None else 0
        with locked(self.home / "lock", exclusive=True, wait=False) as alone:
            left = [one for one in self.listed() if everything or one.used < oldest or one.path.name.startswith(".")]
            for one in left if alone and not dry_run else ():
                one.path.unlink(missing_ok=True)
        return (left, []) if alone else ([], left)

    def _find(self, key: str) -> Layer | None:
        """A layer that is kept whole; None where it is not there, or not what it was."""
        facts = self.noted(key) or {}
        with suppress(OSError, PackError):
            layer = Layer(
                self._layer_blob(blobs.sha256_name(facts.get("digest"))), blobs.sha256_name(facts.get("diff_id"))
            )
            for _ in layer.blob.checked():
                pass
            return layer
        return None

    def _layer_blob(self, digest: str) -> Blob:
        return blobs.of_file(self.place(digest), blobs.GZIP, digest=digest)

    def _facts(self, key: str) -> Path:
        return self.home / "facts" / f"{key}.json"

    @contextmanager
    def _landing(self) -> Iterator[Path]:
        """The name of a new file, which is gone in the end unless it was moved."""
        landing = self.home / f".{secrets.token_hex(8)}"
        try:
            folders.private(self.home)
            folders.check_owner(self.home)
            yield landing
        except OSError as error:
            raise StorageFailed(
                f"{str(self.home)!a} cannot be written: {error.strerror}", hint="free some space: pack cache clean"
            ) from error
        finally:
            landing.unlink(missing_ok=True)
