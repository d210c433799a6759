"""From a model and some choices to the plan of its image: facts are looked up, and what may not be built is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from pack import artifacts
from pack.envs import read_environment
from pack.envs.bill import bill_of_materials
from pack.envs.locking import FOLDER, Lock, Pin, read_lock
from pack.envs.serving import DISTRIBUTION, lock_for, serving_lines
from pack.envs.targets import Target
from pack.errors import Damaged, InvalidValue, Untrusted
from pack.images.plan import Plan
from pack.mlmodel import digests
from pack.mlmodel.digests import Report
from pack.mlmodel.signature import takes_frames
from pack.trust.policy import policy_for
from pack.uris import ModelUri, PathUri
from pack.version import __version__

# Packages that bring the CUDA libraries along, and those that look for them in the system.
_BRING_CUDA = re.compile(r"(nvidia-.+|cuda-(toolkit|bindings|pathfinder)|triton)")
_NEED_CUDA = re.compile(r"(onnxruntime-gpu|tensorrt|cupy-cuda\d+x|faiss-gpu.*)")
_NO_CUDA = {"nvidia-ml-py"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Choices:
    """What a person may choose for an image; None is what follows from the model and this machine.

    `creator` and `revision` say who made the model, and from which commit of its code.
    """

    base: str | None = None
    python: str | None = None
    platform: str | None = None
    wheelhouse: Path | None = None
    system_packages: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    trust: bool = False
    creator: str | None = None
    revision: str | None = None


def planned(model_uri: str, choices: Choices, *, say: Say = lambda _: None) -> Plan:
    """The plan of an image for the model behind a URI; its files are read and nothing of it is loaded.

    Raises `Untrusted` for a model that may not run its code here: the image holds packages that it names. `Damaged` for
    one that is not what was saved or registered, `InvalidValue` where its packages have no lock for the target.
    """
    pinned = artifacts.pinned(model_uri)
    report = digests.check(artifacts.local_path(str(pinned)))
    report.raise_if_damaged()
    _check_registered(report, artifacts.registered_digest(pinned), model_uri)
    _check_trusted(report, trust=choices.trust)
    target = target_of(report, choices)
    lock = _lock_meanwhile(_libraries, report, target, choices.wheelhouse, say)
    registered = pinned if isinstance(pinned, ModelUri) else None
    name, version = (registered.name, str(registered.version)) if registered else (None, None)
    return Plan(
        base=choices.base or f"python:{target.python}-slim",
        target=target,
        report=report,
        lock=lock,
        bill=_bill(report, lock, name, version),
        name=name,
        version=version,
        uri=None if isinstance(pinned, PathUri) else str(pinned),
        creator=choices.creator,
        revision=choices.revision,
        system_packages=choices.system_packages,
        wheelhouse=choices.wheelhouse,
        uses_gpu=_uses_gpu(lock, given_base=choices.base is not None),
        variables=choices.variables,
        labels=choices.labels,
    )


def target_of(report: Report, choices: Choices) -> Target:
    """Where the image is to run: the model's version of Python, and Linux on a machine like this one, unless chosen."""
    version = ".".join((choices.python or read_environment(report.home).python).split(".")[:2])
    here = Target.of(version).platform.rpartition("/")[2]
    target = Target(version, choices.platform or f"linux/{here}")
    if not target.platform.startswith("linux/"):
        raise InvalidValue(f"images are for Linux, not for {target.platform}", hint="use linux/amd64 or linux/arm64")
    return target


def _check_registered(report: Report, recorded: str | None, model_uri: str) -> None:
    if recorded not in (None, report.digest):
        raise Damaged(
            f"{model_uri} is not what was registered under this version",
            hint="look at what differs: pack verify; then register it again, or bring the files back",
        )


def _check_trusted(report: Report, *, trust: bool) -> None:
    if not policy_for(trust or None).may_run(report):
        raise Untrusted(
            "no image was made: it would hold packages that the model names, and this model is not trusted",
            hint=f"if you trust it: pass --trust, set PACK_TRUST=all, or pin it: PACK_TRUST_DIGESTS={report.digest}",
        )


def _lock_meanwhile(work: Callable[[], object], *facts: Any) -> Lock:
    """The lock; while another program solves it there is time for work here."""
    with ThreadPoolExecutor(1) as pool:
        solved = pool.submit(_lock, *facts)
        work()
        return solved.result()


def _libraries() -> None:
    """Import what is needed next, which takes as long as solving does."""
    for name in ("cyclonedx.output.json", "docker", "pack.images.oci.verb"):
        with suppress(ImportError):
            import_module(name)


def _lock(report: Report, target: Target, wheelhouse: Path | None, say: Say) -> Lock:
    """The model's own lock for this target, where it was made for what this pack serves with; else one solved now."""
    frames = takes_frames(report.model.signature)
    path = report.home / FOLDER / f"{target.name}.txt"
    if path.is_file():
        found = read_lock(path.read_text(encoding="utf-8"), shown=f"{FOLDER}/{path.name}")
        if found.fits(serving_lines(read_environment(report.home).requirements, frames=frames)):
            return found
        say("the model's lock was made for other requirements, or another pack: its packages are solved again")
    else:
        say(f"solving what serving takes, for {target.name}; a model saved with lock=True brings it along")
    return lock_for(report.home, target, frames=frames, wheelhouse=wheelhouse)


def _bill(report: Report, lock: Lock, name: str | None, version: str | None) -> bytes:
    packages = [*lock.packages, Pin(DISTRIBUTION, __version__, ())]
    facts = {"lock": lock.target.name, "lock_digest": lock.digest}
    return bill_of_materials(report.home, packages, name=name, version=version, report=report, facts=facts)


def _uses_gpu(lock: Lock, *, given_base: bool) -> bool:
    """Whether the packages compute on NVIDIA's GPUs; raises `InvalidValue` where only a base of theirs would do."""
    names = {pin.name.lower() for pin in lock.packages} - _NO_CUDA
    brought = any(map(_BRING_CUDA.fullmatch, names))
    needing = sorted(name for name in names if _NEED_CUDA.fullmatch(name))
    if needing and not brought and not given_base:
        raise InvalidValue(
            f"{needing[0]} takes the CUDA libraries from the system, and the usual base has none",
            hint=f"give a base with CUDA and Python {lock.target.python}: --base-image registry/cuda-python:tag",
        )
    return bool(brought or needing)
