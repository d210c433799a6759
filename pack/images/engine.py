"""Images in a Docker engine: a base that lies there, and an image that goes there, through Docker's SDK.

The layers are those of `pack build-image`, with the same digests; the engine gets those that it lacks. Nothing runs in
it, no package is installed by it, and it never sees what an index asks for to let somebody in.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests

from pack.errors import InvalidState, NotFound, StorageFailed, Unavailable
from pack.images import naming
from pack.images.oci import bases, blobs, interpreters, outputs, references, tars
from pack.images.oci.bases import Base
from pack.images.oci.blobs import Blob, Layer
from pack.images.oci.kept import Shelf
from pack.images.oci.outputs import Image
from pack.images.oci.verb import Built, assembled
from pack.images.plan import Plan

_SECONDS = 600
_BASE, _LOCK = "org.opencontainers.image.base.digest", "io.pack.lock.digest"
_LOOKED_AT = 20
Say = Callable[[str], None]


@contextmanager
def connected() -> Iterator[Any]:
    """A client of the engine that `DOCKER_HOST` or Docker's context names; raises `Unavailable` where none answers."""
    try:
        client = docker.from_env(timeout=_SECONDS)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException) as error:
        raise Unavailable(
            f"no Docker engine answers: {str(error)[:200]}",
            hint="start one, or name one with DOCKER_HOST; without any: pack build-image makes the same image",
        ) from error
    try:
        yield client
    except docker.errors.APIError as error:
        raise InvalidState(f"the Docker engine says: {str(error.explanation or error)[:400]}") from error
    except requests.RequestException as error:
        raise Unavailable(f"the Docker engine stopped answering: {str(error)[:200]}") from error
    finally:
        client.close()


def build_docker(plan: Plan, *, name: str, kept: Shelf | None = None, say: Say = lambda _: None) -> Built:
    """Assemble the image of a plan and put it into the engine under `name`; `say` hears what is being done.

    The same plan on the same base gives the same image ID each time. Raises `Unavailable` where no engine answers, and
    what `build_image` does.

    >>> build_docker(plan, name="churn:3").image_id  # doctest: +SKIP
    'sha256:5f0c...'
    """
    called, shelf = references.parse(name), kept or Shelf.mine()
    with connected() as client, tempfile.TemporaryDirectory(prefix="pack-image-") as folder:
        known = EngineBases(client, Path(folder), kept=shelf, say=say)

        def opened() -> Base:
            place = {"platform": plan.target.platform, "python": plan.target.python}
            if bases.is_file(plan.base) and not plan.system_packages:
                return bases.open_base(plan.base, kept=shelf, **place)
            return replace(known.open(_with_packages(client, plan, say), **place), name=plan.base)

        return assembled(plan, ToEngine(client, say=say), called, base=opened, kept=shelf, say=say)


def _with_packages(client: Any, plan: Plan, say: Say) -> str:
    """The base, or one of the engine with packages of the system over it: the one thing that runs in a build."""
    if not plan.system_packages:
        return plan.base
    if bases.is_file(plan.base):
        raise InvalidState("apt runs in an image of the engine", hint="give a --base-image by its name there")
    say(f"installing {', '.join(plan.system_packages)} over {plan.base}")
    lines = [f"FROM {naming.image_reference(plan.base)}", _installing(plan.system_packages)]
    try:
        made, _ = client.images.build(fileobj=io.BytesIO("\n".join(lines).encode()), rm=True, forcerm=True)
    except docker.errors.BuildError as error:
        raise InvalidState(f"apt could not install them: {error}", hint="look at the names, and the network") from error
    return str(made.id)


def _installing(names: tuple[str, ...]) -> str:
    apt = f"apt-get install --yes --no-install-recommends {' '.join(map(naming.system_package, names))}"
    return f"RUN apt-get update && {apt} && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin"


class EngineBases:
    """The bases of an engine. What is found in one is noted, so that it is read out but once."""

    def __init__(self, client: Any, folder: Path, *, kept: Shelf, say: Say) -> None:
        self._client, self._folder, self._kept, self._say = client, folder, kept, say

    def open(self, name: str, *, platform: str, python: str) -> Base:
        """A base by its name, pulled where it is not there; raises what `bases.open_base` does."""
        found = self._image(name, platform)
        key = f"engine-2-{str(found.id).removeprefix('sha256:')}-{python}"
        noted = self._kept.noted(key)
        if noted is not None:
            return replace(self._from_notes(found.id, noted), name=name)
        self._say(f"reading {name} out of the engine, once")
        path = self._folder / "base.tar"
        _write(path, found.save())
        base = bases.open_base(str(path), platform=platform, python=python, kept=self._kept)
        path.unlink()
        self._kept.note(key, _notes(base))
        return replace(self._from_notes(found.id, _notes(base)), name=name)

    def _image(self, name: str, platform: str) -> Any:
        try:
            found = self._client.images.get(name)
        except docker.errors.ImageNotFound:
            return self._pulled(name, platform)
        there = f"{found.attrs.get('Os')}/{found.attrs.get('Architecture')}"
        return found if there == platform else self._pulled(name, platform)

    def _pulled(self, name: str, platform: str) -> Any:
        self._say(f"pulling {name} for {platform}")
        try:
            pulled = self._client.images.pull(name, platform=platform)
        except (docker.errors.ImageNotFound, docker.errors.NotFound) as error:
            raise NotFound(f"there is no image {name!a} for {platform}", hint="name another --base-image") from error
        except docker.errors.APIError as error:
            raise Unavailable(
                f"{name!a} is not in the engine, and cannot be pulled: {str(error.explanation or error)[:300]}",
                hint="name a base that is there with --base-image: docker images",
            ) from error
        return pulled[0] if isinstance(pulled, list) else pulled

    def _from_notes(self, image_id: str, noted: dict[str, Any]) -> Base:
        """A base whose layers are read out of the engine only when somebody wants their bytes."""
        saved = _Saved(self._client, image_id, self._folder / "base.tar")
        layers = tuple(
            Layer(Blob(one["kind"], one["digest"], one["size"], saved.reader(one["digest"])), one["diff_id"])
            for one in noted["layers"]
        )
        python = interpreters.Interpreter(**noted["python"])
        return Base(noted["name"], noted["digest"], noted["config"], layers, python)


class _Saved:
    """The layers of an image of an engine, written to a file when the first of them is wanted."""

    def __init__(self, client: Any, image_id: str, path: Path) -> None:
        self._client, self._image_id, self._path = client, image_id, path

    def reader(self, digest: str) -> Callable[[], Iterator[bytes]]:
        """What reads one of them."""
        return lambda: self._chunks(digest)

    def _chunks(self, digest: str) -> Iterator[bytes]:
        from pack.images.oci import stores

        if not self._path.exists():
            _write(self._path, self._client.images.get(self._image_id).save())
        store = stores.open_archive(self._path)
        if store is None:
            raise InvalidState("the engine wrote no image", hint="look at it with docker save")
        store.tops()
        return store.chunks(digest)


class ToEngine:
    """An engine as the place for an image: it is sent the layers that it seems to lack, or else all."""

    def __init__(self, client: Any, *, say: Say) -> None:
        self._client, self._say = client, say

    def has(self, blob: Blob) -> bool:
        """Yes: everything is sent in the end, in one piece."""
        return True

    def put(self, blob: Blob) -> None:
        """Nothing is sent alone."""

    def finish(self, image: Image) -> str:
        """Have the engine load the image; its name there."""
        there = self._known(image.config.document())
        try:
            self._load(image, there)
        except (docker.errors.APIError, docker.errors.ImageLoadError):
            if not there:
                raise
            self._load(image, 0)
        return outputs.familiar(image.name)

    def _known(self, config: dict[str, Any]) -> int:
        """How many of the lowest layers an image of the engine, of this base and lock, has in common with this one."""
        ours, labels = config["rootfs"]["diff_ids"], config["config"]["Labels"]
        alike = [f"{name}={labels[name]}" for name in (_BASE, _LOCK)]
        most = 0
        for one in self._client.images.list(filters={"label": alike})[:_LOOKED_AT]:
            own = (one.attrs.get("RootFS") or {}).get("Layers") or []
            pairs = list(zip(own, ours, strict=False))
            most = max(most, next((place for place, (a, b) in enumerate(pairs) if a != b), len(pairs)))
        return most

    def _load(self, image: Image, there: int) -> None:
        missing = image.layers[there:]
        size = sum(blob.size for blob in missing)
        self._say(f"sending {size / 1e6:,.1f} MB to the engine; {there} of {len(image.layers)} layers are there")
        loaded = self._client.images.load(_archive(image, missing))
        if not any(one.id == image.config.digest for one in loaded):
            raise InvalidState(
                "the engine keeps another image than it was sent", hint="build with pack build-image, and load that"
            )


def _archive(image: Image, layers: tuple[Blob, ...]) -> Iterator[bytes]:
    """What `docker load` reads: the list, the configuration, and these layers."""
    listed = blobs.to_json(outputs.docker_list(image))
    yield from tars.file("manifest.json", iter((listed,)), size=len(listed), time=0)
    for blob in {one.digest: one for one in (image.config, *layers)}.values():
        yield from tars.file(blobs.blob_name(blob.digest), blob.checked(), size=blob.size, time=0)
    yield tars.end()


def _notes(base: Base) -> dict[str, Any]:
    layers = [
        {"kind": one.blob.media_type, "digest": one.blob.digest, "size": one.blob.size, "diff_id": one.diff_id}
        for one in base.layers
    ]
    return {
        "name": base.name,
        "digest": base.digest,
        "config": base.config,
        "layers": layers,
        "python": asdict(base.python),
    }


def _write(path: Path, chunks: Any) -> None:
    try:
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except OSError as error:
        raise StorageFailed(
            f"the base cannot be written to {str(path.parent)!a}: {error.strerror}", hint="TMPDIR names another folder"
        ) from error
