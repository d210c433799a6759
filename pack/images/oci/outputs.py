"""Where an image goes: a folder in the OCI layout, an archive for `docker load`, a registry.

    oci:DIR                 a layout; what it holds already of the image is not written again
    FILE.tar                a layout in one file, with the list that Docker before version 25 looks for
    registry/name:tag       a registry

A place holds the whole image or none of it: blobs come first under names of their own digests, the name that leads to
them last. Each blob is compared with its digest while it is written.
"""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pack import folders
from pack.errors import Damaged, InvalidState, InvalidValue, StorageFailed
from pack.images.oci import blobs, references, stores, tars
from pack.images.oci.blobs import Blob
from pack.locks import lock, locked, unlock

FOLDER = "oci:"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_NAME = "org.opencontainers.image.ref.name"
_FREE = "free some space, or give another place with --output"


@dataclass(frozen=True)
class Image:
    """An image that is made: its name, its layers, its configuration and its manifest, and what an index says of it."""

    name: references.Reference
    layers: tuple[Blob, ...]
    config: Blob
    manifest: Blob
    descriptor: dict[str, Any]

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Every blob of it, each once."""
        return tuple({blob.digest: blob for blob in (*self.layers, self.config, self.manifest)}.values())


class Output(Protocol):
    """A place that takes blobs, and in the end a name for them."""

    def has(self, blob: Blob) -> bool:
        """Whether it holds this blob, whole."""

    def put(self, blob: Blob) -> None:
        """Take a blob."""

    def finish(self, image: Image) -> str:
        """Make the image of these blobs visible; what it is called there."""


@contextmanager
def open_output(text: str, *, time: int) -> Iterator[Output]:
    """Open a place by how it is written; what is unfinished in the end goes, or is no image."""
    if text.startswith(FOLDER):
        with _folder(Path(text.removeprefix(FOLDER))) as folder:
            yield folder
    elif text.endswith(".tar"):
        with _archive(Path(text), time) as archive:
            yield archive
    else:
        yield ToRegistry(references.registries().Pusher(registry_reference(text)))


def is_registry(text: str) -> bool:
    """Whether an output is meant to be in a registry."""
    return not text.startswith(FOLDER) and not text.endswith(".tar")


def registry_reference(text: str) -> references.Reference:
    """The name in a registry that an output is; raises `InvalidValue` where it may mean something else."""
    found = references.parse(text)
    if not text.startswith(f"{found.host}/"):
        raise InvalidValue(
            f"{text[:100]!a} names no registry",
            hint="give oci:DIR, FILE.tar, or a name with its registry: docker.io/me/churn:3",
        )
    if found.digest is not None:
        raise InvalidValue("an image that is to be pushed has no digest yet", hint="give a tag: registry/name:tag")
    return found


class ToFolder:
    """A layout in a folder, which one build at a time writes to."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def has(self, blob: Blob) -> bool:
        """Whether the blob is there with the right bytes; one with others goes."""
        path = self.home / blobs.blob_name(blob.digest)
        if not path.is_file():
            return False
        try:
            for _ in blobs.of_file(path, blob.media_type, digest=blob.digest).checked():
                pass
        except Damaged:
            path.unlink()
            return False
        return True

    def put(self, blob: Blob) -> None:
        """Write a blob beside the others, and move it among them when it is whole."""
        path = self.home / blobs.blob_name(blob.digest)
        folders.make(path.parent)
        self._write(path, blob.checked())

    def finish(self, image: Image) -> str:
        """Write the index with the image in it; what only an image of the same name before it had goes."""
        index = self.home / "index.json"
        before = blobs.as_object(index.read_bytes(), "index.json") if index.is_file() else {"manifests": []}
        listed = stores.descriptors(before, "manifests")
        name = image.descriptor["annotations"][_NAME]
        kept = [one for one in listed if (one.get("annotations") or {}).get(_NAME) != name]
        folders.flush(self.home / "blobs" / "sha256")
        self._write(self.home / "oci-layout", iter((_LAYOUT,)))
        self._write(index, iter((blobs.to_json(index_of([*kept, image.descriptor])),)))
        gone = [one for one in listed if one not in kept]
        for digest in self._reached(gone) - self._reached([*kept, image.descriptor]):
            (self.home / blobs.blob_name(digest)).unlink(missing_ok=True)
        return f"{FOLDER}{self.home}:{name}"

    def _write(self, path: Path, chunks: Iterable[bytes]) -> None:
        landing = self.home / f".pack-{secrets.token_hex(8)}"
        try:
            with landing.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            landing.replace(path)
        except OSError as error:
            raise StorageFailed(f"{str(path)!a} cannot be written: {error.strerror}", hint=_FREE) from error
        finally:
            landing.unlink(missing_ok=True)

    def _reached(self, tops: list[dict[str, Any]]) -> set[str]:
        """The digests of everything that descriptors lead to, as far as it is there."""
        store, found, waiting = stores.open_folder(self.home), set(), list(tops)
        while waiting:
            one = waiting.pop()
            digest = blobs.sha256_name(one.get("digest"))
            if digest in found:
                continue
            found.add(digest)
            if str(one.get("mediaType")).endswith(("manifest.v1+json", "index.v1+json")):
                document = blobs.described(one, store.chunks).document()
                parts = [document.get("config"), *(document.get("layers") or []), *(document.get("manifests") or [])]
                waiting += [part for part in parts if isinstance(part, dict)]
        return found


class ToArchive:
    """A layout in one tar file, which Docker loads whatever its version is."""

    def __init__(self, path: Path, file: Any, time: int) -> None:
        self._path, self._file, self._time = path, file, time
        self._held: set[str] = set()

    def has(self, blob: Blob) -> bool:
        """Whether it was put in before: an archive that is there is written anew."""
        return blob.digest in self._held

    def put(self, blob: Blob) -> None:
        """Append a blob."""
        self._append(blobs.blob_name(blob.digest), blob.checked(), size=blob.size)
        self._held.add(blob.digest)

    def finish(self, image: Image) -> str:
        """Append the documents that make a layout of it, and Docker's list."""
        documents = {
            "index.json": blobs.to_json(index_of([image.descriptor])),
            "manifest.json": blobs.to_json(docker_list(image)),
            "oci-layout": _LAYOUT,
        }
        for name, data in documents.items():
            self._append(name, iter((data,)), size=len(data))
        self._file.write(tars.end())
        return str(self._path)

    def _append(self, name: str, chunks: Iterable[bytes], *, size: int) -> None:
        try:
            for chunk in tars.file(name, chunks, size=size, time=self._time):
                self._file.write(chunk)
        except OSError as error:
            raise StorageFailed(f"{str(self._path)!a} cannot be written: {error.strerror}", hint=_FREE) from error


class ToRegistry:
    """A registry; the manifest goes last, so nobody pulls half an image."""

    def __init__(self, pusher: Any) -> None:
        self._pusher = pusher

    def has(self, blob: Blob) -> bool:
        """Whether the registry holds it."""
        return blob.media_type != blobs.MANIFEST and bool(self._pusher.has(blob))

    def put(self, blob: Blob) -> None:
        """Send it; a manifest waits for its name."""
        if blob.media_type != blobs.MANIFEST:
            self._pusher.put(blob)

    def finish(self, image: Image) -> str:
        """Send the manifest under the tag."""
        self._pusher.name(image.manifest)
        return f"{self._pusher.reference}@{image.manifest.digest}"


def index_of(descriptors: list[dict[str, Any]]) -> dict[str, Any]:
    """The index of a layout."""
    return {"schemaVersion": 2, "mediaType": blobs.INDEX, "manifests": descriptors}


def docker_list(image: Image) -> list[dict[str, Any]]:
    """The list in which Docker before version 25 looks for images."""
    layers = [blobs.blob_name(layer.digest) for layer in image.layers]
    return [{"Config": blobs.blob_name(image.config.digest), "RepoTags": [familiar(image.name)], "Layers": layers}]


def familiar(name: references.Reference) -> str:
    """A name as people write it: without Docker's own registry."""
    return str(name).removeprefix(f"{references.HUB}/").removeprefix("library/")


@contextmanager
def _folder(home: Path) -> Iterator[ToFolder]:
    if home.exists() and not home.is_dir():
        raise InvalidState(f"{str(home)!a} is not a folder", hint="give another one: --output oci:DIR")
    if home.is_dir() and any(home.iterdir()) and not (home / "blobs").is_dir():
        raise InvalidState(f"something else lies in {str(home)!a}", hint="give an empty folder, or a layout")
    folders.make(home)
    with _alone(home):
        for left in home.glob(f".pack-{'[0-9a-f]' * 16}"):  # by a build that was killed
            left.unlink()
        yield ToFolder(home)


@contextmanager
def _archive(path: Path, time: int) -> Iterator[ToArchive]:
    if path.is_dir():
        raise InvalidState(f"{str(path)!a} is a folder", hint="give a file that ends in .tar, or oci:DIR")
    folders.make(path.parent)
    for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}.partial"):
        with locked(left, exclusive=True, wait=False) as abandoned:  # by a build that was killed
            if abandoned:
                left.unlink()
    landing = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    with locked(landing, exclusive=True):
        try:
            with landing.open("wb") as file:
                landing.chmod(0o644)
                yield ToArchive(path, file, time)
                file.flush()
                os.fsync(file.fileno())
            landing.replace(path)
        finally:
            landing.unlink(missing_ok=True)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Wait until no other build writes to a folder; where the system has no locks nobody waits."""
    if not folders.POSIX:
        yield
        return
    handle = os.open(home, os.O_RDONLY)
    try:
        lock(handle, exclusive=True, wait=True)
        yield
    finally:
        unlock(handle)
        os.close(handle)
