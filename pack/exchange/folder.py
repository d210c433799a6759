"""A folder that `pack export` wrote; see `pack.exchange.layout` for what lies where."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pack.errors import Damaged, InvalidValue
from pack.exchange import layout, records
from pack.exchange.findings import Findings
from pack.exchange.points import place
from pack.exchange.source import Files, Home, Ref, Registered, Version
from pack.exchange.tree import Parts, Tree
from pack.exchange.values import shown
from pack.tracking import Experiment, LoggedModel, Metric, Run

_LINE = 65_536


class Folder:
    """An exported folder. Raises `InvalidState` for a format of the future."""

    def __init__(self, root: Path, *, findings: Findings) -> None:
        self.uri = str(root.absolute())
        self._tree = Tree(root)
        self._findings = findings
        self._json((layout.MARK,))

    def close(self) -> None:
        """Nothing is open between two questions."""

    def experiments(self) -> Iterator[str]:
        """The folder of each experiment."""
        yield from self._things((layout.EXPERIMENTS,), layout.EXPERIMENT_FILE, "experiment")

    def experiment(self, key: str) -> Experiment:
        """One experiment."""
        return records.experiment_of(self._json((layout.EXPERIMENTS, key, layout.EXPERIMENT_FILE)))

    def runs(self, experiment: str) -> Iterator[Ref]:
        """Each run of an experiment."""
        home = (layout.EXPERIMENTS, experiment, layout.RUNS)
        yield from (Ref(experiment, name) for name in self._things(home, layout.RUN_FILE, "run"))

    def run(self, ref: Ref) -> Run:
        """A run."""
        home = layout.run_parts(ref.experiment, ref.id)
        run = records.run_of(self._json((*home, layout.RUN_FILE)), experiment=ref.experiment)
        if run.info.run_id != ref.id:
            raise InvalidValue("its run.json is one of another run")
        return run

    def history(self, ref: Ref) -> Iterator[Metric]:
        """Every point of every metric, in the order in which they were written."""
        home = layout.run_parts(ref.experiment, ref.id)
        digests = self._sums(home)
        if layout.METRICS not in digests:
            return
        what = f"{layout.METRICS} of run {ref.id}"
        with self._tree.file((*home, layout.METRICS)) as handle, os.fdopen(os.dup(handle), "rb") as file:
            if not layout.is_header(file.readline(_LINE)):
                raise Damaged(f"{what} does not begin with its header")
            before = None
            while line := file.readline(_LINE):
                point = layout.metric_of(line, what)
                if before is not None and place(point) <= before:
                    raise Damaged(f"{what} is not in order")
                before = place(point)
                yield point

    def run_files(self, run: Run, ref: Ref) -> Files | None:
        """The artifacts of a run."""
        return self._files(layout.run_parts(ref.experiment, ref.id), f"run {ref.id}")

    def logged_models(self, experiment: str) -> Iterator[Ref]:
        """Each logged model of an experiment."""
        home = (layout.EXPERIMENTS, experiment, layout.LOGGED)
        yield from (Ref(experiment, name) for name in self._things(home, layout.MODEL_FILE, "logged model"))

    def logged_model(self, ref: Ref) -> LoggedModel:
        """A logged model."""
        home = layout.logged_parts(ref.experiment, ref.id)
        model = records.logged_of(self._json((*home, layout.MODEL_FILE)), experiment=ref.experiment)
        if model.model_id != ref.id:
            raise InvalidValue("its model.json is one of another model")
        return model

    def logged_model_files(self, model: LoggedModel, ref: Ref) -> Files | None:
        """The directory of a logged model."""
        return self._files(layout.logged_parts(ref.experiment, ref.id), f"logged model {ref.id}")

    def registered_models(self) -> Iterator[str]:
        """The folder of each registered model."""
        yield from self._things((layout.REGISTERED,), layout.MODEL_FILE, "registered model")

    def registered_model(self, key: str) -> Registered:
        """One registered model."""
        record, last, moves = records.registered_of(self._json((layout.REGISTERED, key, layout.MODEL_FILE)))
        return Registered(record, max(last, *self.versions(key), 0), moves)

    def versions(self, key: str) -> Iterator[int]:
        """The number of each version."""
        home = (layout.REGISTERED, key, layout.VERSIONS)
        names = self._things(home, layout.VERSION_FILE, f"version of {key},")
        yield from sorted(int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 16)

    def version(self, key: str, number: int) -> Version:
        """One version."""
        home = layout.version_parts(key, number)
        record, place = records.version_of(self._json((*home, layout.VERSION_FILE)))
        if record.version != number:
            raise InvalidValue("its version.json is one of another version")
        if place is None:
            return Version(record, why="its files were not exported")
        if place.run_id is None and place.model_id is None:
            return Version(record, Home(files=self._files(home, f"version {number} of {shown(record.name)}")))
        return Version(record, place)

    def digests(self, home: Parts) -> dict[str, str]:
        """The digests that were written beside a thing."""
        return self._sums(home)

    def _things(self, home: Parts, record: str, noun: str) -> Iterator[str]:
        """The folders that hold the record of a thing; one without it was never finished."""
        for name in self._tree.folders(home):
            with self._findings.taking(f"{noun} {shown(name)}"):
                layout.check_key(name)
                if self._tree.has((*home, name, record)):
                    yield name
                else:
                    self._findings.skip(f"{noun} {shown(name)}", "its export was not finished: export it again")

    def _files(self, home: Parts, what: str) -> Files | None:
        digests = self._sums(home)
        prefix = f"{layout.ARTIFACTS}/"
        inside = {path.removeprefix(prefix): one for path, one in digests.items() if path.startswith(prefix)}
        at = (*home, layout.ARTIFACTS)
        return Files(self._tree, at, what, self._findings, inside) if inside else None

    def _sums(self, home: Parts) -> dict[str, str]:
        if not self._tree.has((*home, layout.SUMS)):
            return {}
        what = shown("/".join((*home, layout.SUMS)))
        return layout.sums_of(self._tree.read((*home, layout.SUMS), limit=layout.JSON_LIMIT), what)

    def _json(self, parts: Parts) -> records.Fields:
        return layout.from_json(self._tree.read(parts, limit=layout.JSON_LIMIT), shown("/".join(parts)))
