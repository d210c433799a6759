"""From a model and some options to what is to run in a cluster: facts are looked up, and odd combinations refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pack import artifacts, settings, uris
from pack.errors import Damaged, InvalidValue, Untrusted
from pack.images import naming
from pack.images.fetching import plain_digest, recorded_digest
from pack.images.sizing import Needs, needs_of
from pack.images.workload import Replicas, SecretVariable, Weights, Workload
from pack.mlmodel import digests
from pack.mlmodel.digests import Report
from pack.trust.admission import WAYS_FORWARD
from pack.trust.policy import policy_for
from pack.uris import ModelUri, PathUri

# Why loading a model runs code; None where it does not.
RunsCode = Callable[[Report], str | None]
_REGISTRY = "PACK_TRACKING_URI"


@dataclass(frozen=True)
class Options:
    """What a person may choose; None is what follows from the model."""

    image: str | None = None
    name: str | None = None
    namespace: str | None = None
    replicas: int | None = None
    min_replicas: int = 2
    max_replicas: int = 8
    cpu: str | None = None
    memory: str | None = None
    gpu: int = 0
    port: int = 8080
    variables: tuple[tuple[str, str], ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    auth: str | None = None
    hosts: tuple[str, ...] = ()
    fetch: bool = False
    digest: str | None = None
    follow: bool = False
    storage_uri: str | None = None
    trust: bool = False


def assembled(model_uri: str, options: Options, *, runs_code: RunsCode) -> Workload:
    """What is to run; reads the model's files, loads nothing.

    Raises `InvalidValue` for names and values that Kubernetes does not take, `Damaged` for a model that is not the one
    that is expected, `Untrusted` for one whose code the pods could not be let run.
    """
    asked, pinned = uris.parse(model_uri), artifacts.pinned(model_uri)
    report = digests.check(artifacts.local_path(str(pinned)))
    report.raise_if_damaged()
    _check_digest(report, options.digest or artifacts.registered_digest(pinned))
    registered = pinned if isinstance(pinned, ModelUri) else None
    name = naming.object_name(options.name) if options.name is not None else _name(registered)
    version = str(registered.version) if registered else None
    return Workload(
        name=name,
        image=options.image or f"{name}:{version or report.digest[:12]}",
        needs=_needs(report, options),
        digest=report.digest,
        model_uri=None if isinstance(asked, PathUri) else model_uri,
        version=version,
        namespace=options.namespace,
        replicas=Replicas(options.replicas, options.min_replicas, options.max_replicas),
        port=options.port,
        variables=_variables(options),
        secrets=tuple(_secret(variable, where) for variable, where in options.secrets),
        auth=None if options.auth is None else _secret("PACK_SERVE_KEYS", options.auth, key="keys"),
        weights=_weights(asked, pinned, report, options) if options.fetch else None,
        trust=_trust(report, options, runs_code),
        hosts=options.hosts,
        storage_uri=options.storage_uri,
    )


def _name(registered: ModelUri | None) -> str:
    if registered is None:
        raise InvalidValue("the objects need a name", hint="give one: --name churn")
    return naming.name_from(registered.name)


def _check_digest(report: Report, expected: str | None) -> None:
    if expected is not None and plain_digest(expected) != report.digest:
        raise Damaged(
            f"the model has the digest {report.digest}, and {plain_digest(expected)} was expected",
            hint="it is another model, or was changed since it was registered: look at it with pack verify",
        )


def _needs(report: Report, options: Options) -> Needs:
    size = sum((report.home / path).stat().st_size for path in report.files)
    cpu = None if options.cpu is None else naming.cpu_quantity(options.cpu)
    memory = None if options.memory is None else naming.memory_quantity(options.memory)
    return needs_of(size, report.model.flavors, cpu=cpu, memory=memory, gpus=options.gpu)


def _variables(options: Options) -> tuple[tuple[str, str], ...]:
    """The user's variables, and where the registry is for pods that fetch from it."""
    given = {name for name, _ in options.variables} | {name for name, _ in options.secrets}
    if not options.fetch or _REGISTRY in given:
        return options.variables
    address = settings.registry_uri() or settings.tracking_uri() or ""
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidValue(
            "pods fetch the model from a server, and this store is on this machine",
            hint=f"say where the server is as pods see it: --env {_REGISTRY}=https://HOST",
        )
    if parts.username or parts.password:
        raise InvalidValue(
            "the address of the registry holds credentials, which would stand in the manifests",
            hint="take them out, and give the pods a token: --secret-env PACK_TRACKING_TOKEN=SECRET:KEY",
        )
    return (*options.variables, (_REGISTRY, address))


def _secret(variable: str, where: str, *, key: str | None = None) -> SecretVariable:
    """A key of a Secret, written `SECRET:KEY`; `key` stands in where there is none."""
    secret, mark, named = where.partition(":")
    if not mark and key is None:
        raise InvalidValue(
            f"{where[:100]!a} is no key of a Secret", hint=f"write SECRET:KEY, such as {variable}=churn:token"
        )
    return SecretVariable(variable, secret, named if mark else str(key))


def _weights(asked: uris.Uri, pinned: uris.Uri, report: Report, options: Options) -> Weights:
    """What the pods fetch: this very version by its digest, or what the alias points at then."""
    if not isinstance(asked, ModelUri) or not isinstance(pinned, ModelUri) or asked.path:
        raise InvalidValue(
            "pods can fetch registered models only", hint="give models:/NAME@ALIAS or models:/NAME/VERSION"
        )
    if not options.follow:
        return Weights(str(pinned), report.digest)
    recorded_digest(str(pinned))  # which was compared already, and must be there
    return Weights(str(asked), None)


def _trust(report: Report, options: Options, runs_code: RunsCode) -> tuple[tuple[str, str], ...]:
    """What lets the server run the code of a model that is not in the image, which says so of its own."""
    if not (options.fetch or options.storage_uri):
        return ()
    reason = runs_code(report)
    if reason is None:
        return ()
    if options.follow:
        if not options.trust:
            raise Untrusted(
                f"loading this model runs code ({reason}), and which one the pods will load is not known yet",
                hint="leave out --follow, which pins this model; or trust whatever the alias points at: --trust",
            )
        return (("PACK_TRUST", "all"),)
    if not policy_for(options.trust or None).may_run(report):
        raise Untrusted(f"loading this model runs code: {reason}", hint=WAYS_FORWARD)
    return (("PACK_TRUST_DIGESTS", report.digest),)
