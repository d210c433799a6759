"""Assemble an image from a plan, without a daemon and without running anything of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pack.errors import Damaged, InvalidState, InvalidValue
from pack.images import plan as plans
from pack.images.oci import bases, documents, layers, outputs, references
from pack.images.oci.bases import Base
from pack.images.oci.blobs import Layer
from pack.images.oci.documents import Added, Running
from pack.images.oci.kept import Shelf
from pack.images.oci.outputs import Image, Output
from pack.images.plan import Plan
from pack.images.workload import PORT
from pack.mlmodel import digests

_SECOND = 10**9  # in nanoseconds, which Docker's health checks count in
_LATEST = 253_402_300_799  # the end of the year 9999

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """A layer of ours: what it holds, its digest, its bytes, whether it was kept from an earlier build."""

    what: str
    digest: str
    diff_id: str
    size: int
    kept: bool


@dataclass(frozen=True)
class Built:
    """An image that was assembled: where it is, what it is called, by which digests it is known, what it stands on."""

    place: str
    name: str
    digest: str
    image_id: str
    platform: str
    base: str
    base_digest: str
    size: int
    layers: tuple[Part, ...]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)


def build_image(plan: Plan, output: str, *, name: str, kept: Shelf | None = None, say: Say = lambda _: None) -> Built:
    """Assemble the image of a plan and put it into `output`: `oci:DIR`, `FILE.tar`, or a name in a registry.

    The same plan on the same base gives the same digests each time. `say` hears what is being done.

    Raises `Damaged` where bytes of the base or the model differ from their digests, `InvalidState` for a plan with
    packages of the system, which only running the base could install.

    >>> build_image(plan, "oci:churn-image", name="churn:3").digest  # doctest: +SKIP
    'sha256:5f0c...'
    """
    if plan.system_packages:
        raise InvalidState(
            f"installing {', '.join(plan.system_packages[:5])} would run programs of the base, and nothing is run here",
            hint="give a --base-image that has them, or build with pack build-docker",
        )
    called = outputs.registry_reference(output) if outputs.is_registry(output) else references.parse(name)
    shelf = kept or Shelf.mine()
    with outputs.open_output(output, time=plans.TIME) as place:
        return assembled(plan, place, called, base=lambda: _base(plan, shelf), kept=shelf, say=say)


def assembled(
    plan: Plan, place: Output, called: references.Reference, *, base: Callable[[], Base], kept: Shelf, say: Say
) -> Built:
    """Put the image of a plan, over the base that `base` opens, into a place; raises what `build_image` does."""
    with kept.in_use():
        say(f"base {plan.base}")
        below = base()
        named = replace(plan, base=below.name, base_digest=below.digest)
        added = list(_added(named, below, kept, say))
        image = _image(named, below, [one for one, _ in added], called)
        _put(image, place, say)
        return _built(image, below, added, place.finish(image))


def created() -> int:
    """When the image says that it was made: `SOURCE_DATE_EPOCH`, or else at the beginning of 1970 as its files.

    Raises `InvalidValue` for a text that is no number of seconds.
    """
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return plans.TIME
    if not text.isascii() or not text.isdigit() or int(text) > _LATEST:
        raise InvalidValue(f"SOURCE_DATE_EPOCH is {text[:50]!a}", hint="it is a number of seconds since 1970, or unset")
    return int(text)


def _base(plan: Plan, kept: Shelf) -> Base:
    """The base, which must be the one of the plan's digest where that is known."""
    text = plan.base
    if plan.base_digest is not None and "@" not in text:
        text = f"{text}@{plan.base_digest}"
    return bases.open_base(text, platform=plan.target.platform, python=plan.target.python, kept=kept)


def _added(plan: Plan, base: Base, kept: Shelf, say: Say) -> Iterator[tuple[Added, bool]]:
    """Our layers, and whether each was kept from an earlier build."""
    count = len(plan.lock.packages)
    say(f"packages: {count} of the lock, for {plan.target.platform} and Python {plan.target.python}")
    packages = layers.dependencies(plan.lock, base.python, kept=kept, time=plans.TIME, wheelhouse=plan.wheelhouse)
    yield _named("dependencies", *packages)
    yield _named("pack", *layers.own_wheel(plan.target, kept=kept, time=plans.TIME))
    for what, files in (("weights", plan.weights), ("model", plan.rest)):
        if files:
            say(f"{what}: {len(files)} {'file' if len(files) == 1 else 'files'}")
            yield _named(what, _of_model(plan, files), False)
    bill = {plans.BILL.lstrip("/"): plan.bill}
    yield _named("bill of materials", layers.of_files(bill, time=plans.TIME), False)


def _named(what: str, layer: Layer, kept: bool) -> tuple[Added, bool]:
    return Added(layer, f"pack build-image: {what}", {"io.pack.layer": what}), kept


def _of_model(plan: Plan, files: Mapping[str, Path]) -> Layer:
    """Files of the model as a layer; they must be as they were when the model was compared with its digests."""
    layer = layers.of_files(files, time=plans.TIME)
    for path in files.values():
        stamp = plan.report.stamps.get(path.relative_to(plan.home).as_posix())
        if stamp is not None and digests.stamp_of(path) != stamp:
            raise Damaged(
                f"{path.name!a} changed between being verified and being read",
                hint="build again when nothing writes to the model",
            )
    return layer


def _image(plan: Plan, base: Base, added: list[Added], name: references.Reference) -> Image:
    config = documents.configuration(base, added, _running(plan, base), time=created())
    annotations = {
        "org.opencontainers.image.base.name": base.name,
        "org.opencontainers.image.base.digest": base.digest,
    }
    manifest = documents.manifest(base, added, config, annotations=annotations)
    blobs = (*(layer.blob for layer in base.layers), *(one.layer.blob for one in added))
    return Image(name, blobs, config, manifest, documents.listed(manifest, name=name, config=config.document()))


def _running(plan: Plan, base: Base) -> Running:
    health = plan.health
    return Running(
        entrypoint=plans.ENTRYPOINT,
        variables={**plan.environment(), "PATH": plans.path_over(bases.path_of(base.config.get("config")))},
        user=plans.user(),
        workdir=plans.WORKDIR,
        port=PORT,
        labels=plan.all_labels(),
        healthcheck={
            "Test": ["CMD", *plans.PROBE],
            "Interval": health.interval * _SECOND,
            "Timeout": health.timeout * _SECOND,
            "StartPeriod": health.start_period * _SECOND,
            "Retries": health.retries,
        },
        stop_signal=plans.STOP_SIGNAL,
    )


def _put(image: Image, place: Output, say: Say) -> None:
    for blob in image.blobs:
        if not place.has(blob):
            say(f"writing {blob.size / 1e6:,.1f} MB")
            place.put(blob)


def _built(image: Image, base: Base, added: list[tuple[Added, bool]], where: str) -> Built:
    platform = image.descriptor["platform"]
    parts = [
        Part(one.annotations["io.pack.layer"], one.layer.blob.digest, one.layer.diff_id, one.layer.blob.size, kept)
        for one, kept in added
    ]
    return Built(
        place=where,
        name=outputs.familiar(image.name),
        digest=image.manifest.digest,
        image_id=image.config.digest,
        platform=f"{platform['os']}/{platform['architecture']}",
        base=base.name,
        base_digest=base.digest,
        size=sum(blob.size for blob in image.blobs),
        layers=tuple(parts),
    )
