"""Where `runs:` and `models:` URIs lead, in the stores in use."""

from __future__ import annotations

from pathlib import Path

from pack.errors import InvalidState, NotFound
from pack.fluent import state
from pack.uris import LoggedModelUri, ModelUri, RunUri, Uri


class RunLocation:
    """A path below a run's artifacts, or a model that the run logged under that name."""

    def path(self, uri: Uri) -> Path:
        """The file or folder; raises `NotFound` where there is none, `InvalidState` for a deleted run."""
        if not isinstance(uri, RunUri):
            raise NotFound(f"{uri} is no runs: URI")
        store = state.tracking()
        run = store.get_run(uri.run_id)
        if run.info.lifecycle_stage != "active":
            raise InvalidState(f"the run {uri.run_id} is deleted", hint="restore it first")
        first, _, rest = uri.path.partition("/")
        models = store.models_of_run(uri.run_id, first) if first else []
        if models:
            return _below(Path(models[0].artifact_location), rest)
        return _below(Path(run.info.artifact_uri), uri.path)


class ModelLocation:
    """A registered version by number, alias, stage or `latest`, or a logged model by its id."""

    def path(self, uri: Uri) -> Path:
        """The model's directory, or what lies below it; raises `NotFound` where there is none."""
        if isinstance(uri, LoggedModelUri):
            logged = state.tracking().get_logged_model(uri.model_id)
            if logged.status != "READY":
                raise InvalidState(f"the model {uri.model_id} is {logged.status}", hint="log it again")
            return _below(Path(logged.artifact_location), "")
        if not isinstance(uri, ModelUri):
            raise NotFound(f"{uri} is no models: URI")
        version = state.registry().resolve(uri)
        return _below(Path(version.storage_location), uri.path)


def _below(root: Path, path: str) -> Path:
    """A path below a root, which no link may lead out of."""
    found = root / path if path else root
    if not found.exists():
        raise NotFound(f"there is nothing at {path or root.name!a}", hint="list what there is: pack models list")
    if not found.resolve().is_relative_to(root.resolve()):
        raise NotFound(f"{path!a} leads out of the artifacts")
    return found
