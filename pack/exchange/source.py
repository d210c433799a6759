"""The contract of a source: what an import reads from, whoever wrote it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from pack.artifacts.local import is_passing
from pack.errors import InvalidValue
from pack.exchange.findings import Findings
from pack.exchange.tree import Parts, Tree
from pack.exchange.values import shown
from pack.registry import AliasMove, ModelVersion, RegisteredModel
from pack.tracking import Experiment, LoggedModel, Metric, Run
from pack.uris import relative_path


@dataclass(frozen=True)
class Ref:
    """Where a run or a logged model is found in a source: its experiment there, and its id."""

    experiment: str
    id: str


@dataclass(frozen=True)
class Files:
    """The files of one thing: a folder in a tree, and their digests where the source recorded them."""

    tree: Tree
    at: Parts
    what: str
    findings: Findings
    digests: Mapping[str, str] | None = None
    ours: bool = False
    """Whether names of unfinished files mean just that, as in a store of pack's, and need no word."""

    def list(self) -> Iterator[tuple[str, int]]:
        """The path and size of each file that can be taken, in the order of the names; the others are reported."""
        if self.digests is not None:
            yield from self._listed(self.digests)
            return
        for parts, entry in self.tree.walk(self.at):
            path = "/".join(parts)
            if entry.kind != "file":
                self.findings.skip(f"{self.what}, {shown(path)}", "it is a link or a device, and is not followed")
            elif self._fits(path):
                yield path, entry.size

    def open(self, path: str) -> AbstractContextManager[int]:
        """An open handle of one file."""
        return self.tree.file((*self.at, *path.split("/")))

    def _listed(self, digests: Mapping[str, str]) -> Iterator[tuple[str, int]]:
        found = {"/".join(parts): entry for parts, entry in self.tree.walk(self.at)}
        for path in sorted(digests):
            entry = found.pop(path, None)
            if entry is None or entry.kind != "file":
                self.findings.skip(f"{self.what}, {shown(path)}", "the file is missing")
            elif self._fits(path):
                yield path, entry.size
        if found:
            self.findings.note(f"{self.what}: {len(found)} files there are on no list, and were left")

    def _fits(self, path: str) -> bool:
        try:
            relative_path(path)
        except InvalidValue as error:
            self.findings.skip(f"{self.what}, {shown(path)}", error)
            return False
        if is_passing(path.rpartition("/")[2]):
            if self.ours:
                return False
            self.findings.skip(f"{self.what}, {shown(path)}", "the name is one of an unfinished file")
            return False
        return True


@dataclass(frozen=True)
class Home:
    """Where the files of a version lie: with a run or a logged model, below a path, or on their own."""

    run_id: str | None = None
    model_id: str | None = None
    path: str = ""
    files: Files | None = None


@dataclass(frozen=True)
class Version:
    """A version, and where its files are; `why` says why there are none."""

    record: ModelVersion
    home: Home | None = None
    why: str = ""


@dataclass(frozen=True)
class Registered:
    """A registered model with its aliases, the highest number it ever gave, and the moves of its aliases."""

    record: RegisteredModel
    last_version: int = 0
    moves: tuple[AliasMove, ...] = field(default=())


class Source(Protocol):
    """Things by their keys, then each thing by its key, so that one that is damaged costs only itself.

    Raises `Damaged`, `InvalidValue`, `NotFound` or `TooLarge` for one thing that cannot be read. Nothing is written.
    """

    uri: str

    def close(self) -> None:
        """Let go of what is open."""

    def experiments(self) -> Iterable[str]:
        """The key of each experiment, deleted ones too."""

    def experiment(self, key: str) -> Experiment:
        """One experiment."""

    def runs(self, experiment: str) -> Iterable[Ref]:
        """Each run of an experiment, deleted ones too."""

    def run(self, ref: Ref) -> Run:
        """A run; its metrics are read by `history`."""

    def history(self, ref: Ref) -> Iterator[Metric]:
        """Every point of every metric, once: by key, then step, time, value, and NaN after its zero."""

    def run_files(self, run: Run, ref: Ref) -> Files | None:
        """The artifacts of a run."""

    def logged_models(self, experiment: str) -> Iterable[Ref]:
        """Each logged model of an experiment, deleted ones too."""

    def logged_model(self, ref: Ref) -> LoggedModel:
        """A logged model with its metrics."""

    def logged_model_files(self, model: LoggedModel, ref: Ref) -> Files | None:
        """The directory of a logged model."""

    def registered_models(self) -> Iterable[str]:
        """The key of each registered model."""

    def registered_model(self, key: str) -> Registered:
        """One registered model."""

    def versions(self, key: str) -> Iterable[int]:
        """The number of each version that is not deleted."""

    def version(self, key: str, number: int) -> Version:
        """One version."""
