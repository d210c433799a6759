"""Blobs: bytes that are named by their SHA-256 digest, and read piece by piece, however large they are."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from pack.errors import Damaged, InvalidValue, StorageFailed

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
TAR = "application/vnd.oci.image.layer.v1.tar"
GZIP = f"{TAR}+gzip"
CHUNK = 1 << 20
# What registries take at least, by the specification; our documents have some kilobytes.
LARGEST_DOCUMENT = 4 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """Bytes by media type, digest and size, and how to read them from their start, as often as needed."""

    media_type: str
    digest: str
    size: int
    chunks: Callable[[], Iterator[bytes]] = field(repr=False, compare=False)

    def descriptor(self, **more: Any) -> dict[str, Any]:
        """What other documents say of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}

    def checked(self) -> Iterator[bytes]:
        """Its bytes; raises `Damaged` in the end where they are others than its digest says."""
        return checked(self.chunks(), digest=self.digest, size=self.size)

    def document(self) -> dict[str, Any]:
        """The JSON object that it is, compared with its digest first; raises `InvalidValue` for anything else."""
        if self.size > LARGEST_DOCUMENT:
            raise InvalidValue(f"the document {self.digest} has {self.size:,} bytes, and 4 MiB is the limit")
        return as_object(b"".join(self.checked()), self.digest)


@dataclass(frozen=True)
class Layer:
    """A layer: its blob, and the digest of the tar file that it is when it is unpacked."""

    blob: Blob
    diff_id: str


def of_bytes(data: bytes, media_type: str) -> Blob:
    """A blob of bytes in memory."""
    return Blob(media_type, digest_of(data), len(data), lambda: iter((data,)))


def of_document(document: dict[str, Any], media_type: str) -> Blob:
    """A blob of a JSON object: keys sorted, nothing between them, so that it is the same each time."""
    return of_bytes(to_json(document), media_type)


def of_file(path: Path, media_type: str, *, digest: str) -> Blob:
    """A blob of a file of this disk, which has this digest, or is found out not to have it when it is read."""
    return Blob(media_type, digest, path.stat().st_size, lambda: read_file(path))


def described(descriptor: Any, opened: Callable[[str], Iterator[bytes]]) -> Blob:
    """The blob that a descriptor of a document means; `opened` reads the bytes of a digest."""
    found = descriptor if isinstance(descriptor, dict) else {}
    kind, size = found.get("mediaType"), found.get("size")
    if not isinstance(kind, str) or not isinstance(size, int) or size < 0:
        raise InvalidValue("a descriptor of the image has no mediaType or no size", hint="it is no OCI or Docker image")
    digest = sha256_name(found.get("digest"))
    return Blob(kind, digest, size, lambda: opened(digest))


def sha256_name(text: object) -> str:
    """A digest as `sha256:` and 64 hexadecimal digits, safe as a name; raises `InvalidValue` for anything else."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise InvalidValue(f"{str(text)[:100]!a} is no SHA-256 digest", hint="it is sha256: and 64 hexadecimal digits")
    return text


def blob_name(digest: str) -> str:
    """The name of a blob in a layout."""
    return f"blobs/sha256/{sha256_name(digest).removeprefix('sha256:')}"


def digest_of(data: bytes) -> str:
    """The digest of bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def to_json(document: Any) -> bytes:
    """A document as bytes, the same each time."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def as_object(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object in bytes; raises `InvalidValue` for anything else."""
    found = as_json(data, name)
    if not isinstance(found, dict):
        raise InvalidValue(f"{name} of the image is no JSON object", hint="it is no OCI or Docker image")
    return found


def as_json(data: bytes, name: str) -> Any:
    """The JSON in bytes; raises `InvalidValue` for anything else."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidValue(f"{name} of the image is no JSON", hint="it is no OCI or Docker image") from error


def checked(chunks: Iterable[bytes], *, digest: str, size: int | None = None) -> Iterator[bytes]:
    """The same bytes; raises `Damaged` in the end where they are not those of the digest, and at once over the size."""
    found, length = hashlib.sha256(), 0
    for chunk in chunks:
        found.update(chunk)
        length += len(chunk)
        if size is not None and length > size:
            break
        yield chunk
    if f"sha256:{found.hexdigest()}" != digest or (size is not None and length != size):
        raise Damaged(
            f"a blob of the image differs from its digest {digest}",
            hint="fetch or export the image again; what was written of this one does not count",
        )


def measured(chunks: Iterable[bytes]) -> tuple[str, int]:
    """The digest and the size of bytes, which are read to their end for it."""
    found, size = hashlib.sha256(), 0
    for chunk in chunks:
        found.update(chunk)
        size += len(chunk)
    return f"sha256:{found.hexdigest()}", size


def read_file(path: Path) -> Iterator[bytes]:
    """The bytes of a plain file, piece by piece; links are not followed."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(handle, "rb") as file:
            yield from pieces(file)
    except OSError as error:
        raise StorageFailed(f"{path.name!a} cannot be read: {error.strerror}") from error


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The rest of an open file, piece by piece."""
    while chunk := file.read(CHUNK):
        yield chunk


class Reader(io.RawIOBase):
    """Chunks as a file that can be read from its start to its end, for what reads files only."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer with what comes next; 0 at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
