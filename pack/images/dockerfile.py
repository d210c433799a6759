"""A Dockerfile and its build context, for builders of others: BuildKit, buildah, kaniko.

    Dockerfile    three stages; every command in JSON form, but that of apt
    lock.txt      the packages, by hash
    wheels/       the wheels of the lock, where a wheelhouse was given; then no index is asked
    site/         pack itself
    weights/      the model's data files
    model/        the rest of the model
    bom.json      the bill of materials

A name or a value of the model never becomes a word of the file: files lie under fixed names, and labels are quoted.
What a private index asks for comes as a secret of the build, which no layer holds.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pack.envs import wheels
from pack.errors import Damaged, InvalidState, InvalidValue
from pack.images import naming
from pack.images import plan as plans
from pack.images.oci import bases, tars
from pack.images.plan import Plan
from pack.images.workload import MODEL_HOME, PORT
from pack.mlmodel import digests
from pack.version import __version__

_NAME = "Dockerfile"
# Bytecode for a folder, as if it lay elsewhere. What does not compile, such as a template, is left as it is.
_BYTECODE = (
    "import sys; from compileall import compile_dir; from py_compile import PycInvalidationMode as Mode; "
    "compile_dir(sys.argv[1], ddir=sys.argv[2], quiet=2, workers=0, invalidation_mode=Mode.UNCHECKED_HASH)"
)
# A secret of the build, such as --secret id=pip,src=pip.conf: where packages come from, and who asks.
_LET_IN = "--mount=type=secret,id=pip,target=/etc/pip.conf"


def generate(plan: Plan, folder: Path) -> list[Path]:
    """Write the Dockerfile of a plan and its context into a new or empty folder; what was written, by its parts.

    Raises `InvalidState` where something lies there, `InvalidValue` for a base that no builder can name, `Damaged`
    where the model changed since it was verified.
    """
    if bases.is_file(plan.base):
        raise InvalidValue(
            "a Dockerfile names its base in a registry", hint="give --base-image python:3.11-slim, or use build-image"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidState(f"something lies in {str(folder)!a}", hint="give a new folder, or an empty one")
    folder.mkdir(parents=True, exist_ok=True)
    _text(folder / "lock.txt", plan.lock.text)
    if plan.wheelhouse is not None:
        _wheels(plan, plan.wheelhouse, folder / "wheels")
    _ourselves(folder / "site")
    _copied(plan, plan.weights, folder / "weights")
    _copied(plan, plan.rest, folder / "model")
    (folder / "bom.json").write_bytes(plan.bill)
    _text(folder / ".dockerignore", f"{_NAME}\n.dockerignore\n")
    _text(folder / _NAME, dockerfile(plan))
    return sorted(folder.iterdir())


def dockerfile(plan: Plan) -> str:
    """The text of the Dockerfile."""
    return "\n".join([*_head(plan), "", *_packages(plan), "", *_final(plan)]) + "\n"


def _head(plan: Plan) -> Iterator[str]:
    yield f"# Written by pack {__version__}. It takes BuildKit, or a builder that knows RUN --mount:"
    yield "#   docker build --tag NAME ."
    if plan.wheelhouse is None:
        yield "# With an index of your own, whose password no layer holds:"
        yield "#   docker build --secret id=pip,src=$HOME/.config/pip/pip.conf --tag NAME ."


def _packages(plan: Plan) -> Iterator[str]:
    """The stages that have pip, and of which only the environment, and pack itself, are taken."""
    python = f"python{plan.target.python}"
    from_wheels = plan.wheelhouse is not None
    mounts = ["--mount=type=bind,source=lock.txt,target=/run/lock.txt"]
    mounts += ["--mount=type=bind,source=wheels,target=/run/wheels"] if from_wheels else [_LET_IN]
    mounts += [] if from_wheels else ["--mount=type=cache,target=/root/.cache/pip"]
    yield f"FROM {_from(plan)} AS packages"
    yield f"RUN {_json([python, '-m', 'venv', '--without-pip', plans.ENVIRONMENT])}"
    words = [python, "-m", "pip", "--disable-pip-version-check", "--python", f"{plans.ENVIRONMENT}/bin/python"]
    words += ["install", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile"]
    words += ["--no-index", "--find-links", "/run/wheels"] if from_wheels else []
    yield f"RUN {' '.join(mounts)} {_json([*words, '--requirement', '/run/lock.txt'])}"
    libraries = f"{plans.ENVIRONMENT}/lib"
    yield f"RUN {_json([python, '-c', _BYTECODE, libraries, libraries])}"
    yield ""
    yield "FROM packages AS ours"
    yield f"COPY {_json(['site', '/site'])}"
    yield f"RUN {_json([python, '-c', _BYTECODE, '/site', _site(plan)])}"


def _site(plan: Plan) -> str:
    return f"{plans.ENVIRONMENT}/lib/python{plan.target.python}/site-packages"


def _final(plan: Plan) -> Iterator[str]:
    yield f"FROM {_from(plan)}"
    yield from system_packages(plan.system_packages)
    for name, value in plan.all_labels().items():
        yield f"LABEL {name}={_quoted(value)}"
    for name, value in plan.environment().items():
        yield f"ENV {name}={_quoted(value)}"
    yield f"ENV PATH={plans.ENVIRONMENT}/bin:$PATH"
    yield f"COPY --from=packages {_json([plans.ENVIRONMENT, plans.ENVIRONMENT])}"
    yield f"COPY --from=ours {_json(['/site', _site(plan)])}"
    for name, files in (("weights", plan.weights), ("model", plan.rest)):
        if files:
            yield f"COPY {_json([name, MODEL_HOME])}"
    yield f"COPY {_json(['bom.json', plans.BILL])}"
    yield from _running(plan)


def system_packages(names: Sequence[str]) -> list[str]:
    """The lines that install packages of Debian, without what apt leaves behind; none for none."""
    if not names:
        return []
    mounts = " ".join(f"--mount=type=tmpfs,target={place}" for place in ("/var/lib/apt/lists", "/var/cache/apt"))
    install = f"apt-get install --yes --no-install-recommends {' '.join(map(naming.system_package, names))}"
    return [f"RUN {mounts} apt-get update && {install}"]


def _running(plan: Plan) -> Iterator[str]:
    health = plan.health
    yield f"WORKDIR {plans.WORKDIR}"
    yield f"USER {plans.user()}"
    yield f"EXPOSE {PORT}"
    yield f"STOPSIGNAL {plans.STOP_SIGNAL}"
    yield (
        f"HEALTHCHECK --interval={health.interval}s --timeout={health.timeout}s "
        f"--start-period={health.start_period}s --retries={health.retries} CMD {_json(plans.PROBE)}"
    )
    yield f"ENTRYPOINT {_json(plans.ENTRYPOINT)}"


def _from(plan: Plan) -> str:
    base = naming.image_reference(plan.base)
    pinned = f"@{plan.base_digest}" if plan.base_digest is not None and "@" not in base else ""
    return f"--platform={plan.target.platform} {base}{pinned}"


def _json(words: Iterable[str]) -> str:
    return json.dumps(list(words))


def _quoted(text: str) -> str:
    """A value in which the builder expands nothing."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$") + '"'


def _ourselves(folder: Path) -> None:
    with TemporaryDirectory(prefix="pack-image-") as name, zipfile.ZipFile(wheels.wheel_of_pack(Path(name))) as wheel:
        wheel.extractall(folder)


def _copied(plan: Plan, files: Mapping[str, Path], folder: Path) -> None:
    """Copy files of the model, and compare what arrived with what was verified."""
    for path in files.values():
        name = path.relative_to(plan.home).as_posix()
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with tars.plain_file(path) as (source, _), target.open("xb") as copy:
            shutil.copyfileobj(source, copy)
        target.chmod(0o644)
        expected = plan.report.files.get(name)
        if expected is not None and name != "MLmodel" and digests.file_digest(target) != expected:
            raise Damaged(
                f"{name!a} changed after it was verified", hint="build again when nothing writes to the model"
            )


def _wheels(plan: Plan, wheelhouse: Path, folder: Path) -> None:
    """The wheels of the lock, found by their hashes; raises `InvalidValue` for one that is missing."""
    there = {digests.file_digest(path): path for path in sorted(wheelhouse.glob("*.whl"))}
    folder.mkdir()
    for pin in plan.lock.packages:
        found = next((there[one] for one in pin.hashes if one in there), None)
        if found is None:
            raise InvalidValue(
                f"the wheelhouse has no wheel of {pin.name} {pin.version} that the lock names",
                hint="fill it: pip download --require-hashes --only-binary :all: -r lock.txt",
            )
        shutil.copyfile(found, folder / found.name)


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
