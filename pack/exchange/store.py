"""A store of pack's own as a source: the one in use, or another one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pack.db import Page
from pack.db.grammar import quoted
from pack.errors import NotFound
from pack.exchange.findings import Findings
from pack.exchange.roots import Roots
from pack.exchange.selection import Selection
from pack.exchange.source import Files, Home, Ref, Registered, Version
from pack.exchange.tree import Tree
from pack.exchange.values import shown
from pack.registry import RegistryStore
from pack.tracking import Experiment, LoggedModel, Metric, Run, TrackingStore, ViewType

T = TypeVar("T")

_PAGE = 1000
_POINTS = 10_000


class Store:
    """A tracking store and a registry, or what was selected of them.

    With `roots` it is somebody else's, and its files are looked for among these.
    """

    def __init__(
        self,
        tracking: TrackingStore,
        registry: RegistryStore,
        *,
        findings: Findings,
        roots: Roots | None = None,
        only: Selection | None = None,
    ) -> None:
        self.uri = tracking.uri
        self._only = only or Selection()
        self._tracking, self._registry = tracking, registry
        self._findings, self._roots = findings, roots

    def close(self) -> None:
        """Let go of what this thread holds open."""
        self._tracking.close()
        self._registry.close()

    def experiments(self) -> Iterator[str]:
        """The id of each experiment."""
        found = _all(
            lambda token: self._tracking.search_experiments(view_type=ViewType.ALL, max_results=_PAGE, page_token=token)
        )
        yield from sorted((one.experiment_id for one in found if self._only.experiment(one.experiment_id)), key=int)

    def experiment(self, key: str) -> Experiment:
        """One experiment."""
        return self._tracking.get_experiment(key)

    def runs(self, experiment: str) -> Iterator[Ref]:
        """Each run of an experiment."""
        found = _all(
            lambda token: self._tracking.search_runs(
                [experiment], view_type=ViewType.ALL, max_results=_PAGE, page_token=token, select=[]
            )
        )
        refs = (Ref(experiment, run.info.run_id) for run in found)
        yield from (ref for ref in refs if self._only.run(ref))

    def run(self, ref: Ref) -> Run:
        """A run."""
        return self._tracking.get_run(ref.id)

    def history(self, ref: Ref) -> Iterator[Metric]:
        """Every point of every metric."""
        for key in sorted(self._tracking.get_run(ref.id).data.metrics):
            yield from self._points(ref.id, key)

    def run_files(self, run: Run, ref: Ref) -> Files | None:
        """The artifacts of a run."""
        return self._files(run.info.artifact_uri, ref.id, f"run {ref.id}")

    def logged_models(self, experiment: str) -> Iterator[Ref]:
        """Each logged model of an experiment."""
        refs = (Ref(experiment, one) for one in self._tracking.export_logged_models(experiment))
        yield from (ref for ref in refs if self._only.logged_model(ref))

    def logged_model(self, ref: Ref) -> LoggedModel:
        """A logged model."""
        return self._tracking.export_logged_model(ref.id)

    def logged_model_files(self, model: LoggedModel, ref: Ref) -> Files | None:
        """The directory of a logged model."""
        return self._files(model.artifact_location, ref.id, f"logged model {ref.id}")

    def registered_models(self) -> Iterator[str]:
        """The name of each registered model."""
        found = _all(lambda token: self._registry.search_registered_models(max_results=_PAGE, page_token=token))
        yield from (model.name for model in found if self._only.registered_model(model.name))

    def registered_model(self, key: str) -> Registered:
        """One registered model."""
        moves = tuple(self._registry.alias_history(key))
        return Registered(self._registry.get_registered_model(key), self._registry.last_version(key), moves)

    def versions(self, key: str) -> Iterator[int]:
        """The number of each version that is not deleted."""
        found = _all(
            lambda token: self._registry.search_model_versions(
                filter_string=f"name = {quoted(key)}", max_results=_PAGE, page_token=token
            )
        )
        yield from sorted(one.version for one in found)

    def version(self, key: str, number: int) -> Version:
        """One version."""
        record = self._registry.get_model_version(key, number)
        location = record.storage_location
        for root, home in self._homes(record.model_id, record.run_id):
            if location == root or location.startswith(f"{root}/"):
                return Version(record, replace(home, path=location[len(root) :].strip("/")))
        what = f"version {number} of {shown(key)}"
        if self._roots is not None:
            files = self._roots.directory(location, what=what)
        else:
            files = self._own(Path(location), what)
        return Version(record, Home(files=files) if files else None, f"its files are at {shown(location)}")

    def _homes(self, model_id: str | None, run_id: str | None) -> Iterator[tuple[str, Home]]:
        """The logged model and the run that a version may have its files with, and where these have theirs."""
        if model_id:
            with suppress(NotFound):
                yield self._tracking.export_logged_model(model_id).artifact_location, Home(model_id=model_id)
        if run_id:
            with suppress(NotFound):
                yield self._tracking.get_run(run_id).info.artifact_uri, Home(run_id=run_id)

    def _points(self, run_id: str, key: str) -> Iterator[Metric]:
        yield from _all(
            lambda token: self._tracking.get_metric_history(run_id, key, max_results=_POINTS, page_token=token)
        )

    def _files(self, location: str, owner: str, what: str) -> Files | None:
        if self._roots is None:
            return self._own(Path(location), what)
        found = self._roots.files(location, owner=owner, what=what)
        return replace(found, ours=True) if found else None

    def _own(self, folder: Path, what: str) -> Files | None:
        try:
            return Files(Tree(folder), (), what, self._findings, ours=True) if folder.is_dir() else None
        except OSError:  # a text too long to be a path is none
            return None


def _all(page: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Every result of a search, page by page."""
    token: str | None = None
    while True:
        found = page(token)
        yield from found
        token = found.token
        if token is None:
            return
