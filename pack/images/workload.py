"""What is to run in a cluster: a model in an image of ours, how many pods, what they need and are told."""

from __future__ import annotations

from dataclasses import dataclass, field

from pack.errors import InvalidValue
from pack.images import naming
from pack.images.sizing import Needs

# Where things lie in an image of ours, and who runs there.
PYTHON = "/opt/pack/bin/python"
MODEL_HOME = "/opt/ml/model"
USER = 10001
PORT = 8080
DRAIN_SECONDS = 10
# Variables that say where the registry is and who asks it: for what fetches the model, not for what serves it.
_FOR_FETCHING = ("PACK_TRACKING_", "PACK_REGISTRY_", "MLFLOW_TRACKING_", "MLFLOW_REGISTRY_")


@dataclass(frozen=True)
class SecretVariable:
    """An environment variable whose value is a key of a Secret."""

    variable: str
    secret: str
    key: str

    def __post_init__(self) -> None:
        naming.variable_name(self.variable)
        naming.secret_name(self.secret)
        naming.secret_key(self.key)


@dataclass(frozen=True)
class Replicas:
    """How many pods: `fixed`, or by their load from `least` to `most`."""

    fixed: int | None = None
    least: int = 2
    most: int = 8

    def __post_init__(self) -> None:
        if self.least > self.most:
            raise InvalidValue(
                f"{self.least} pods at least are more than {self.most} at most",
                hint="give --min-replicas no larger than --max-replicas",
            )


@dataclass(frozen=True)
class Weights:
    """A model that is fetched when a pod starts: its URI, and its digest (None: what the registry recorded)."""

    uri: str
    digest: str | None


@dataclass(frozen=True)
class Workload:
    """Everything that the manifests of one served model are written from; each name and value is checked here."""

    name: str
    image: str
    needs: Needs
    digest: str
    model_uri: str | None = None
    version: str | None = None
    namespace: str | None = None
    replicas: Replicas = field(default_factory=Replicas)
    port: int = PORT
    variables: tuple[tuple[str, str], ...] = ()
    secrets: tuple[SecretVariable, ...] = ()
    auth: SecretVariable | None = None
    weights: Weights | None = None
    trust: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] = ()
    storage_uri: str | None = None

    def __post_init__(self) -> None:
        naming.object_name(self.name)
        naming.image_reference(self.image)
        if self.namespace is not None:
            naming.namespace_name(self.namespace)
        for host in self.hosts:
            naming.host_name(host)
        names = [*(name for name, _ in self.variables), *(secret.variable for secret in self.secrets)]
        for name, value in self.variables:
            naming.variable_name(name)
            naming.variable_value(value)
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise InvalidValue(f"{min(twice)} is given twice", hint="give each variable once, by --env or --secret-env")

    def serving_variables(self) -> list[tuple[str, str]]:
        """The user's variables that are for the server."""
        return [(name, value) for name, value in self.variables if not name.startswith(_FOR_FETCHING)]

    def serving_secrets(self) -> list[SecretVariable]:
        """The secrets that are for the server, the keys of callers among them."""
        own = [] if self.auth is None else [self.auth]
        return [*own, *(one for one in self.secrets if not one.variable.startswith(_FOR_FETCHING))]
