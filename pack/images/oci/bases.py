"""The base of an image: opened, compared with its digests, its Python found.

    oci:DIR                    an OCI layout in a folder
    FILE.tar                   an image in an archive (an OCI layout, or of `docker save`), or a root file system
    FILE.tar.gz                a root file system
    registry/name:tag          an image in a registry

With `@sha256:...` behind it, it must be that one: the manifest or the index of an image, the image ID of what
`docker save` wrote, or the file of a root file system. Every blob is compared with its digest before it counts.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from pack.errors import Damaged, InvalidState, InvalidValue, NotFound
from pack.images.oci import blobs, references, stores
from pack.images.oci.blobs import GZIP, TAR, Blob, Layer
from pack.images.oci.interpreters import Interpreter, Tree
from pack.images.oci.kept import Shelf
from pack.images.oci.stores import Store

FOLDER = "oci:"
_PINNED = re.compile(r"(?P<place>.+?)(?:@(?P<digest>sha256:[0-9a-f]{64}))?", re.DOTALL)
_ARCHIVE = re.compile(r".+\.(?:tar|tar\.gz|tgz)", re.DOTALL)
_INDEXES = {blobs.INDEX, "application/vnd.docker.distribution.manifest.list.v2+json"}
_MANIFESTS = {blobs.MANIFEST, "application/vnd.docker.distribution.manifest.v2+json"}
# The bytes of Docker's layers are those of the specification's; only their names differ.
_LAYERS = {
    TAR: TAR,
    GZIP: GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": TAR,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": GZIP,
}
_DEEPEST = 3
_WITH_GZIP_HEADER = 31  # of zlib


@dataclass(frozen=True)
class Base:
    """What an image stands on: its name, the digest of its manifest, its configuration, its layers and its Python.

    The name says nothing of this disk: of a file or a folder it is the last part.
    """

    name: str
    digest: str
    config: dict[str, Any]
    layers: tuple[Layer, ...]
    python: Interpreter


@dataclass(frozen=True)
class _Found:
    """What the layers of a base hold: what each unpacks to, and the Python."""

    diff_ids: tuple[str, ...]
    python: Interpreter


@dataclass(frozen=True)
class Wanted:
    """What a base must be: a platform such as `linux/amd64`, a Python such as `3.11`, a digest where one was given."""

    platform: str
    python: str
    digest: str | None = None


def open_base(text: str, *, platform: str, python: str, kept: Shelf) -> Base:
    """Open a base and check it; what comes from a registry, and what was found in its layers, is kept on `kept`.

    Raises `Damaged` where bytes differ from their digest, `NotFound` where there is no base, or none for the platform,
    `InvalidState` where it has not this Python.
    """
    pinned = _PINNED.fullmatch(text)
    if pinned is None:
        raise InvalidValue("the base has no name", hint="give --base-image python:3.11-slim, oci:DIR or FILE.tar")
    place, wanted = pinned["place"], Wanted(platform, python, pinned["digest"])
    if place.startswith(FOLDER):
        home = Path(place.removeprefix(FOLDER))
        return _image(stores.open_folder(home), f"{FOLDER}{home.name}", wanted, kept=kept)
    if _ARCHIVE.fullmatch(place):
        return _from_archive(Path(place), wanted, kept=kept)
    store: Store = references.registries().open_image(text, kept=kept)
    return _image(store, text, wanted, kept=kept)


def is_file(text: str) -> bool:
    """Whether a base is a folder or a file of this disk, rather than a name that others know."""
    place = text.partition("@")[0]
    return place.startswith(FOLDER) or bool(_ARCHIVE.fullmatch(place))


def _from_archive(path: Path, wanted: Wanted, *, kept: Shelf) -> Base:
    if not path.is_file():
        raise NotFound(
            f"there is no file {str(path)!a}", hint="give the base as oci:DIR, FILE.tar or registry/name:tag"
        )
    zipped = next(blobs.read_file(path), b"")[:2] == b"\x1f\x8b"
    store = None if zipped else stores.open_archive(path)
    if store is not None:
        return _image(store, path.name, wanted, kept=kept)
    return _root_file_system(path, wanted, GZIP if zipped else TAR, kept=kept)


def _root_file_system(path: Path, wanted: Wanted, kind: str, *, kept: Shelf) -> Base:
    """A base of one layer, the file as it is, and a configuration that says no more than the platform."""
    digest, _ = blobs.measured(blobs.read_file(path))
    if wanted.digest not in (None, digest):
        raise Damaged(f"{path.name!a} has the digest {digest}, not {wanted.digest}", hint="get that file again")
    blob = blobs.of_file(path, kind, digest=digest)
    found = _looked_into([blob], digest, wanted, kept=kept)
    config = {"architecture": wanted.platform.split("/")[1], "os": "linux", "config": {}}
    return Base(path.name, digest, config, (Layer(blob, found.diff_ids[0]),), found.python)


def _image(store: Store, name: str, wanted: Wanted, *, kept: Shelf) -> Base:
    manifest = _manifest(store, wanted)
    document = manifest.document()
    config = blobs.described(document.get("config"), store.chunks).document()
    _check_platform(config, wanted)
    layers = [_layer_blob(one, store) for one in stores.descriptors(document, "layers")]
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not layers or not isinstance(diff_ids, list) or len(diff_ids) != len(layers):
        raise InvalidValue(f"the configuration of the base {name!a} does not list its layers", hint="export it again")
    inner = config.get("config")
    found = _looked_into(layers, manifest.digest, wanted, kept=kept, searched=path_of(inner))
    if list(found.diff_ids) != diff_ids:
        raise Damaged(f"a layer of the base {name!a} unpacks to other bytes than its configuration says")
    pairs = zip(layers, found.diff_ids, strict=True)
    return Base(name, manifest.digest, config, tuple(Layer(*pair) for pair in pairs), found.python)


def _looked_into(
    layers: list[Blob], digest: str, wanted: Wanted, *, kept: Shelf, searched: str | None = None
) -> _Found:
    """Read all layers of a base, unless that was done before; its Python must be there, and for the platform."""
    key = f"base-2-{digest.removeprefix('sha256:')}-{wanted.python}"
    noted = kept.noted(key)
    if noted is not None:
        found = _Found(tuple(noted["diff_ids"]), Interpreter(**noted["python"]))
    else:
        tree = Tree()
        diff_ids = tuple(_lay(_unzipped(blob) if blob.media_type == GZIP else blob.checked(), tree) for blob in layers)
        found = _Found(diff_ids, tree.find(wanted.python, searched=searched))
        kept.note(key, {"diff_ids": diff_ids, "python": asdict(found.python)})
    _check_machine(found.python, wanted)
    return found


def _manifest(store: Store, wanted: Wanted) -> Blob:
    """The manifest for the platform: the one of the digest, or else the only one that fits."""
    tops = store.tops()
    found = list(_manifests(tops, store, wanted))
    if wanted.digest is not None and not found:
        there = ", ".join(str(top.get("digest")) for top in tops[:5]) or "none"
        raise Damaged(
            f"the base is not {wanted.digest}: it holds {there}",
            hint="the base was changed, or it is another one: look at it, and give the digest that it has now",
        )
    if not found:
        raise NotFound(f"the base has no image for {wanted.platform}", hint="give another base, or another --platform")
    if len({blob.digest for blob in found}) > 1:
        raise InvalidValue(
            f"the base holds {len(found)} images for {wanted.platform}",
            hint=f"say which one with its digest: ...@{found[0].digest}",
        )
    return found[0]


def _manifests(tops: list[dict[str, Any]], store: Store, wanted: Wanted, *, depth: int = 0) -> Iterator[Blob]:
    if depth > _DEEPEST:
        raise InvalidValue("the base holds indexes of indexes of indexes", hint="copy the one image that you want")
    for top in tops:
        named = wanted.digest in (None, top.get("digest"), top.get("alsoKnownAs"))
        inside = Wanted(wanted.platform, wanted.python, None if named else wanted.digest)
        if top.get("mediaType") in _INDEXES:
            document = blobs.described(top, store.chunks).document()
            below = stores.descriptors(document, "manifests")
            yield from _manifests(below, store, inside, depth=depth + 1)
        elif top.get("mediaType") in _MANIFESTS and named and _fits(top.get("platform"), wanted.platform):
            yield blobs.described(top, store.chunks)


def _fits(said: Any, platform: str) -> bool:
    """Whether a descriptor's platform is the wanted one; one that says nothing may be."""
    if not isinstance(said, dict):
        return True
    return f"{said.get('os')}/{said.get('architecture')}" == platform and said.get("variant") in (None, "", "v8")


def _layer_blob(descriptor: dict[str, Any], store: Store) -> Blob:
    blob = blobs.described(descriptor, store.chunks)
    if blob.media_type not in _LAYERS:
        raise InvalidValue(
            f"a layer of the base has the format {blob.media_type[:100]!a}",
            hint="a layer is a tar file, plain or with gzip: skopeo copy --dest-compress-format gzip makes one",
        )
    return Blob(_LAYERS[blob.media_type], blob.digest, blob.size, blob.chunks)


def _lay(chunks: Iterator[bytes], tree: Tree) -> str:
    """Lay the tar file of a layer over a tree; its digest."""
    found = hashlib.sha256()

    def noted() -> Iterator[bytes]:
        for chunk in chunks:
            found.update(chunk)
            yield chunk

    tree.add(cast("BinaryIO", blobs.Reader(noted())))
    return f"sha256:{found.hexdigest()}"


def _unzipped(blob: Blob) -> Iterator[bytes]:
    """What a gzip file unpacks to, whatever the number of its members; its bytes are compared with its digest."""
    unpacker, waiting = zlib.decompressobj(_WITH_GZIP_HEADER), b""
    try:
        for chunk in blob.checked():
            waiting += chunk
            while waiting:
                if unpacker.eof:
                    unpacker = zlib.decompressobj(_WITH_GZIP_HEADER)
                yield unpacker.decompress(waiting, blobs.CHUNK)
                waiting = unpacker.unconsumed_tail or unpacker.unused_data
        yield unpacker.flush()
    except zlib.error as error:
        raise Damaged(f"the layer {blob.digest} of the base cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise Damaged(f"the layer {blob.digest} of the base ends too early")


def _check_platform(config: dict[str, Any], wanted: Wanted) -> None:
    found = f"{config.get('os')}/{config.get('architecture')}"
    if found != wanted.platform:
        raise InvalidState(
            f"the base is for {found[:60]!a}, and the image for {wanted.platform}",
            hint="give a base for this platform, or the platform of the base with --platform",
        )


def _check_machine(python: Interpreter, wanted: Wanted) -> None:
    machine = wanted.platform.split("/")[1]
    if python.machine != machine:
        raise InvalidState(
            f"{python.path} of the base is for {python.machine or 'no known machine'}, and the image for {machine}",
            hint="give a base for this platform, or the platform of the base with --platform",
        )


def path_of(config: Any) -> str | None:
    """The PATH that a configuration sets."""
    lines = config.get("Env") if isinstance(config, dict) else None
    found = [line[5:] for line in lines or () if isinstance(line, str) and line.startswith("PATH=")]
    return found[-1] if found else None
