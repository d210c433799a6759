"""What an image of a model is made of, whoever builds it: base, layers, and what its containers are told.

    1. the packages of the lock, in an environment at /opt/pack
    2. pack itself, in the same environment
    3. the weights: the model's data files, at /opt/ml/model
    4. the rest of the model: the MLmodel file, its code, its environment files
    5. the bill of materials, /opt/pack/bom.json

The order is that of how seldom they change, so that new weights leave the packages where they are, and new code the
weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pack.envs.locking import Lock
from pack.envs.targets import Target
from pack.images import naming
from pack.images.workload import MODEL_HOME, PORT, PYTHON, USER
from pack.mlmodel.digests import SIGNATURE, Report
from pack.mlmodel.model import MLMODEL, Model

ENVIRONMENT = "/opt/pack"
BILL = f"{ENVIRONMENT}/bom.json"
WORKDIR = "/"
STOP_SIGNAL = "SIGTERM"
ENTRYPOINT = (PYTHON, "-m", "pack", "container")
# Asks the server over its own port whether it lives; standard library only, so it starts in a moment.
PROBE = (PYTHON, "-m", "pack.images.probe")
# Every file of a layer carries this time, in seconds since 1970.
TIME = 0
_CODE_FOLDERS = ("code/", "locks/")
_NOT_WEIGHTS = frozenset(
    {
        MLMODEL, SIGNATURE, "requirements.txt", "constraints.txt", "conda.yaml", "python_env.yaml",
        "input_example.json", "serving_input_example.json", "README.md",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Health:
    """When a container counts as ill: seconds between two questions, for an answer, to start; and how many may fail."""

    interval: int = 30
    timeout: int = 5
    start_period: int = 120
    retries: int = 3


@dataclass(frozen=True)
class Plan:
    """An image that is to be built; every name and value in it was checked.

    `base` is as the user wrote it, `base_digest` its digest where that is known. `report` is of the model's files as
    they were verified; in the container that model may run its code, and no other. `system_packages` are Debian's, for
    a layer below ours. `variables` and `labels` are the user's, laid over our own.
    """

    base: str
    target: Target
    report: Report
    lock: Lock
    bill: bytes = field(repr=False)
    name: str | None = None
    version: str | None = None
    uri: str | None = None
    creator: str | None = None
    revision: str | None = None
    base_digest: str | None = None
    system_packages: tuple[str, ...] = ()
    wheelhouse: Path | None = None
    uses_gpu: bool = False
    variables: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        for name in self.system_packages:
            naming.system_package(name)
        for name, value in self.variables:
            naming.variable_name(name)
            naming.plain_value(value, "the value of an environment variable")
        for name, value in self.labels:
            naming.label_name(name)
            naming.plain_value(value, "the value of a label")

    @property
    def home(self) -> Path:
        """The model's directory on this disk."""
        return self.report.home

    @property
    def model(self) -> Model:
        """The model's MLmodel file."""
        return self.report.model

    @property
    def weights(self) -> dict[str, Path]:
        """The data files of the model: their paths in the image, without the leading slash, and on this disk."""
        return self._at_home(name for name in self._files() if not self._is_rest(name))

    @property
    def rest(self) -> dict[str, Path]:
        """The other files of the model: what it says of itself, its code, its environment files."""
        return self._at_home(name for name in self._files() if self._is_rest(name))

    def environment(self) -> dict[str, str]:
        """The variables that the image sets over the base's; PATH is laid before the base's by who builds."""
        return {
            "PACK_HOST": "0.0.0.0",  # noqa: S104 - the address of the container
            "PACK_PORT": str(PORT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            **({"PACK_MODEL_NAME": self.name} if self.name else {}),
            **({"NVIDIA_VISIBLE_DEVICES": "all"} if self.uses_gpu else {}),
            **({"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"} if self.uses_gpu else {}),
            **dict(self.variables),
            "PACK_TRUST_DIGESTS": self.report.digest,
        }

    def all_labels(self) -> dict[str, str]:
        """What the image says of itself: OCI's own labels, the model's digest, and where the model comes from."""
        found = {
            "org.opencontainers.image.title": self.name or self.model.model_id,
            "org.opencontainers.image.version": self.version,
            "org.opencontainers.image.base.name": self.base,
            "org.opencontainers.image.base.digest": self.base_digest,
            "io.pack.model.digest": f"sha256:{self.report.digest}",
            "io.pack.model.name": self.name,
            "io.pack.model.version": self.version,
            "io.pack.model.uri": self.uri,
            "io.pack.model.id": self.model.model_id,
            "io.pack.model.created": self.model.utc_time_created,
            "io.pack.model.flavors": ",".join(sorted(self.model.flavors)),
            "io.pack.run.id": self.model.run_id,
            "io.pack.creator": self.creator,
            "org.opencontainers.image.revision": self.revision,
            "io.pack.lock.digest": f"sha256:{self.lock.digest}",
            "io.pack.python": self.target.python,
        }
        ours = {name: naming.plain_text(value) for name, value in found.items() if value}
        return {**ours, **dict(self.labels)}

    def _files(self) -> list[str]:
        signed = [SIGNATURE] if (self.home / SIGNATURE).is_file() else []
        return sorted({*self.report.files, *signed})

    def _is_rest(self, name: str) -> bool:
        return name in _NOT_WEIGHTS or name.startswith(_CODE_FOLDERS) or name == self._script()

    def _script(self) -> str | None:
        """The file of a model from code."""
        found = self.model.flavors.get("python_function", {}).get("model_code_path")
        return str(found).replace("\\", "/").rpartition("/")[2] if found else None

    def _at_home(self, names: Iterable[str]) -> dict[str, Path]:
        return {f"{MODEL_HOME.lstrip('/')}/{name}": self.home / name for name in names}


def user() -> str:
    """Whom the containers run as: a number and its group, which need no entry in the base's files."""
    return f"{USER}:{USER}"


def path_over(path: str | None) -> str:
    """The environment's programs before those of the base."""
    return f"{ENVIRONMENT}/bin:{path or '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'}"
