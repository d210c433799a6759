"""Where the blobs of a base lie: a folder or a tar archive in the OCI layout, or what `docker save` writes.

A name inside an archive is looked up in its list of members and never becomes a path of this disk.
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pack.errors import InvalidValue, NotFound, StorageFailed
from pack.images.oci import blobs

_NO_IMAGE = "give what pack build-image, docker save, skopeo or buildah wrote"


class Store(Protocol):
    """Blobs by digest, and the descriptors of the manifests at the top."""

    def tops(self) -> list[dict[str, Any]]:
        """The descriptors of the manifests and indexes that it holds."""

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob; raises `NotFound` where it is missing."""


class Layout:
    """A store in the OCI layout, whatever its files lie in; `read` gives the bytes of one of them by its name."""

    def __init__(self, read: Callable[[str], Iterator[bytes]]) -> None:
        self._read = read

    def tops(self) -> list[dict[str, Any]]:
        """The manifests in its index."""
        return descriptors(blobs.as_object(_small(self._read("index.json")), "index.json"), "manifests")

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob."""
        return self._read(blobs.blob_name(digest))


class Saved:
    """What `docker save` wrote before it wrote layouts: a list of images, each a configuration and its layers by name.

    It is read as if it were a layout: the manifest that it lacks is made from the digests of its files.
    """

    def __init__(self, read: Callable[[str], Iterator[bytes]]) -> None:
        self._read = read
        self._names: dict[str, str] = {}
        self._made: dict[str, bytes] = {}

    def tops(self) -> list[dict[str, Any]]:
        """A manifest for each image."""
        return [self._manifest(image) for image in _saved_images(_small(self._read("manifest.json")))]

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a file by its digest."""
        if digest in self._made:
            return iter((self._made[digest],))
        if digest not in self._names:
            raise NotFound(f"the base has no blob {digest}", hint=_NO_IMAGE)
        return self._read(self._names[digest])

    def _manifest(self, image: dict[str, Any]) -> dict[str, Any]:
        config = self._described(image["Config"], blobs.CONFIG)
        layers = [self._described(name, None) for name in image["Layers"]]
        made = blobs.of_document(
            {"schemaVersion": 2, "mediaType": blobs.MANIFEST, "config": config, "layers": layers}, blobs.MANIFEST
        )
        self._made[made.digest] = b"".join(made.chunks())
        return made.descriptor(alsoKnownAs=config["digest"])

    def _described(self, name: str, kind: str | None) -> dict[str, Any]:
        """The descriptor of a file, read once for it."""
        found, size, start = hashlib.sha256(), 0, b""
        for chunk in self._read(name):
            start = start or chunk[:2]
            found.update(chunk)
            size += len(chunk)
        digest = f"sha256:{found.hexdigest()}"
        self._names[digest] = name
        return {
            "mediaType": kind or (blobs.GZIP if start == b"\x1f\x8b" else blobs.TAR),
            "digest": digest,
            "size": size,
        }


def open_folder(home: Path) -> Store:
    """The layout in a folder; raises `NotFound` where there is none."""
    if not (home / "index.json").is_file():
        raise NotFound(f"there is no OCI layout in {str(home)!a}: no index.json", hint=_NO_IMAGE)

    def read(name: str) -> Iterator[bytes]:
        if not (home / name).is_file():
            raise NotFound(f"the layout in {str(home)!a} has no {name}", hint="copy it again, with all its blobs")
        return blobs.read_file(home / name)

    return Layout(read)


def open_archive(path: Path) -> Store | None:
    """The image in a tar archive; None where the archive holds none, as that of a root file system."""
    members = _members(path)

    def read(name: str) -> Iterator[bytes]:
        member = _followed(members, name)
        return _part(path, member.offset_data, member.size)

    if "index.json" in members:
        return Layout(read)
    return Saved(read) if "manifest.json" in members else None


def descriptors(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The list of descriptors that a document holds; raises `InvalidValue` for anything else."""
    found = document.get(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidValue(f"a document of the base has no list of {name}", hint=_NO_IMAGE)
    return found


def _members(path: Path) -> dict[str, tarfile.TarInfo]:
    """The entries of an archive by name, without reading what they hold."""
    members: dict[str, tarfile.TarInfo] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            members.update((posixpath.normpath(member.name), member) for member in archive)
    except tarfile.TarError as error:
        raise InvalidValue(f"{path.name!a} is no tar archive: {error}", hint=_NO_IMAGE) from error
    except OSError as error:
        raise StorageFailed(f"{str(path)!a} cannot be read: {error.strerror}") from error
    return members


def _followed(members: dict[str, tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    """The plain file of a name; Docker writes a layer that two images share once, and a link to it."""
    member = members.get(posixpath.normpath(name))
    if member is not None and (member.issym() or member.islnk()):
        above = posixpath.dirname(member.name) if member.issym() else ""
        member = members.get(posixpath.normpath(posixpath.join(above, member.linkname)))
    if member is None or not member.isreg() or member.issparse():
        raise NotFound(f"the archive of the base has no file {name[:100]!a}", hint=_NO_IMAGE)
    return member


def _part(path: Path, start: int, size: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            while size and (chunk := file.read(min(size, blobs.CHUNK))):
                size -= len(chunk)
                yield chunk
    except OSError as error:
        raise StorageFailed(f"{str(path)!a} cannot be read: {error.strerror}") from error


def _small(chunks: Iterator[bytes]) -> bytes:
    """The bytes of a document, which is not large."""
    found = b""
    for chunk in chunks:
        found += chunk
        if len(found) > blobs.LARGEST_DOCUMENT:
            raise InvalidValue("a document of the base has more than 4 MiB", hint=_NO_IMAGE)
    return found


def _saved_images(data: bytes) -> list[dict[str, Any]]:
    images = blobs.as_json(data, "manifest.json")
    for image in images if isinstance(images, list) else [None]:
        texts = [image.get("Config"), *(image.get("Layers") or [])] if isinstance(image, dict) else [None]
        if not all(isinstance(text, str) for text in texts):
            raise InvalidValue("manifest.json of the base is not what docker save writes", hint=_NO_IMAGE)
    return images  # type: ignore[no-any-return]
