"""Where `runs:` and `models:` URIs lead: in the stores in use, or in those that a client holds."""

from __future__ import annotations

import warnings
from pathlib import Path

from pack.artifacts.registered import ServerRegistry
from pack.errors import InvalidState, NotFound
from pack.fluent import state
from pack.registry import RegistryStore
from pack.tracking import TrackingStore
from pack.uris import LoggedModelUri, ModelUri, PathUri, RunUri, StoreUri, Uri


class RunLocation:
    """A path below a run's artifacts, or a model that the run logged under that name."""

    def where(self, uri: Uri) -> PathUri | StoreUri:
        """The file or folder; raises `NotFound` where there is none, `InvalidState` for a deleted run."""
        if not isinstance(uri, RunUri):
            raise NotFound(f"{uri} is no runs: URI")
        return PathUri(run_path(state.tracking(), uri))

    def pinned(self, uri: Uri) -> Uri:
        """The same: files of a run stay where they are."""
        return uri

    def digest(self, uri: Uri) -> str | None:
        """None: runs keep no digests."""
        return None


class ModelLocation:
    """A registered version by number, alias, stage or `latest`, here or on a server, or a logged model by its id."""

    def where(self, uri: Uri) -> PathUri | StoreUri:
        """The model's directory, or what lies below it; raises `NotFound` where there is none."""
        if isinstance(uri, LoggedModelUri):
            return PathUri(logged_path(state.tracking(), uri))
        if not isinstance(uri, ModelUri):
            raise NotFound(f"{uri} is no models: URI")
        server = _server()
        return PathUri(version_path(state.registry(), uri)) if server is None else server.where(uri)

    def pinned(self, uri: Uri) -> Uri:
        """The version behind an alias, a stage or `latest`; raises `NotFound` where there is none."""
        if not isinstance(uri, ModelUri):
            return uri
        server = _server()
        version = state.registry().resolve(uri).version if server is None else server.version(uri)
        return ModelUri(uri.name, version=version, path=uri.path)

    def digest(self, uri: Uri) -> str | None:
        """The digest that a version was registered with; None where there is no such record."""
        if not isinstance(uri, ModelUri):
            return None
        server = _server()
        return state.registry().resolve(uri).digest if server is None else server.digest(uri)


def _server() -> ServerRegistry | None:
    """The server where models are registered; None where that is a store of this machine."""
    address = state.registry_address()
    return None if address is None else ServerRegistry(address)


def path_in(tracking: TrackingStore, registry: RegistryStore, uri: Uri) -> Path | None:
    """Where a URI leads in these stores; None for one that no store answers, such as a path."""
    if isinstance(uri, RunUri):
        return run_path(tracking, uri)
    if isinstance(uri, LoggedModelUri):
        return logged_path(tracking, uri)
    return version_path(registry, uri) if isinstance(uri, ModelUri) else None


def run_path(tracking: TrackingStore, uri: RunUri) -> Path:
    """The file or folder of a run; raises `NotFound` where there is none, `InvalidState` for a deleted run."""
    run = tracking.get_run(uri.run_id)
    if run.info.lifecycle_stage != "active":
        raise InvalidState(f"the run {uri.run_id} is deleted", hint="restore it first")
    first, _, rest = uri.path.partition("/")
    models = tracking.models_of_run(uri.run_id, first) if first else []
    if models:
        return _below(Path(models[0].artifact_location), rest)
    return _below(Path(run.info.artifact_uri), uri.path)


def logged_path(tracking: TrackingStore, uri: LoggedModelUri) -> Path:
    """The directory of a logged model; raises `InvalidState` for one that is not READY."""
    logged = tracking.get_logged_model(uri.model_id)
    if logged.status != "READY":
        raise InvalidState(f"the model {uri.model_id} is {logged.status}", hint="log it again")
    return _below(Path(logged.artifact_location), "")


def version_path(registry: RegistryStore, uri: ModelUri) -> Path:
    """The directory of a registered version, or what lies below it."""
    if uri.stage is not None:
        warnings.warn(
            f"stages are deprecated; point an alias at the version and use models:/{uri.name}@ALIAS",
            FutureWarning,
            stacklevel=2,
        )
    version = registry.resolve(uri)
    if "://" in version.storage_location:
        raise NotFound(
            f"version {version.version} of {uri.name!r} has no files here, only the address they had",
            hint="import it again with the folder that holds its artifacts: pack import --help",
        )
    return _below(Path(version.storage_location), uri.path)


def _below(root: Path, path: str) -> Path:
    """A path below a root, which no link may lead out of."""
    found = root / path if path else root
    if not found.exists():
        what = f"there is nothing at {path!a}" if path else "there are no files there"
        raise NotFound(what, hint="list what there is: pack artifacts list", below=True)
    if not found.resolve().is_relative_to(root.resolve()):
        raise NotFound(f"{path!a} leads out of the artifacts")
    return found
