"""The comparison at the end: the source is read once more, and each thing in it is looked for here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pack.errors import NotFound
from pack.exchange.findings import Findings
from pack.exchange.points import counted, of_model, place
from pack.exchange.progress import Progress
from pack.exchange.report import Count
from pack.exchange.source import Files, Ref, Source
from pack.exchange.tree import digest_of
from pack.exchange.values import shown
from pack.tracking import LoggedModel, Metric, Run

_RUN = ("user_id", "status", "start_time", "end_time", "lifecycle_stage", "run_name")
_LOGGED = ("name", "status", "status_message", "model_type", "source_run_id", "creation_timestamp", "lifecycle_stage",
           "step")  # fmt: skip
_VERSION = ("source", "run_id", "run_link", "model_id", "description", "user_id", "current_stage", "status",
            "status_message", "creation_timestamp")  # fmt: skip


@dataclass(frozen=True)
class Match:
    """What things of a source are called here, by their keys there; and which of them are new here, None for all.

    What was here before stays as it is, so where it differs that is a note; what is new has to be the same.
    """

    experiments: Mapping[str, str]
    models: Mapping[str, str]
    fresh: set[str] | None = None


class Verification:
    """Compares a source with what is here, and counts."""

    def __init__(
        self, there: Source, here: Source, *, match: Match, findings: Findings, counts: dict[str, Count], bar: Progress
    ) -> None:
        self._there, self._here, self._match = there, here, match
        self._findings, self._counts, self._bar = findings, counts, bar

    def run(self) -> None:
        """Look at everything."""
        for key in self._there.experiments():
            with self._findings.taking(f"experiment {key}"):
                self._experiment(key)
        for key in self._there.registered_models():
            with self._findings.taking(f"registered model {shown(key)}"):
                self._registered(key)

    def _experiment(self, key: str) -> None:
        what = f"experiment {key}"
        self._counts["experiments"].there += 1
        own = self._match.experiments.get(key)
        if own is not None:
            given, found = self._there.experiment(key), self._here.experiment(own)
            self._counts["experiments"].same += 1
            self._field(what, "lifecycle_stage", given.lifecycle_stage, found.lifecycle_stage)
            self._facts(what, "tag", given.tags, found.tags)
        for ref in self._there.runs(key):
            self._thing(ref, own, f"run {ref.id}", "runs", self._run)
        for ref in self._there.logged_models(key):
            self._thing(ref, own, f"logged model {ref.id}", "logged models", self._logged)

    def _thing(self, ref: Ref, own: str | None, what: str, noun: str, compare: Any) -> None:
        self._counts[noun].there += 1
        if own is not None and what not in self._findings.without:
            with self._findings.taking(what):
                try:
                    compare(ref, Ref(own, ref.id), what)
                    self._counts[noun].same += 1
                except NotFound as error:
                    self._findings.differ(what, error.message)
        self._bar.thing()

    def _run(self, ref: Ref, own: Ref, what: str) -> None:
        given, found = self._there.run(ref), self._here.run(own)
        for name in _RUN:
            self._field(what, name, getattr(given.info, name), getattr(found.info, name))
        self._facts(what, "param", given.data.params, found.data.params)
        self._facts(what, "tag", given.data.tags, found.data.tags)
        self._points(what, self._there.history(ref), self._here.history(own))
        self._datasets(what, given, found)
        self._links(what, given, found)
        self._files(self._there.run_files(given, ref), self._here.run_files(found, own), what)

    def _logged(self, ref: Ref, own: Ref, what: str) -> None:
        given, found = self._there.logged_model(ref), self._here.logged_model(own)
        for name in _LOGGED:
            self._field(what, name, getattr(given, name), getattr(found, name))
        self._facts(what, "param", given.params, found.params)
        self._facts(what, "tag", given.tags, found.tags)
        self._model_points(what, given, found)
        self._files(self._there.logged_model_files(given, ref), self._here.logged_model_files(found, own), what)

    def _registered(self, key: str) -> None:
        what = f"registered model {shown(key)}"
        given = self._there.registered_model(key)
        self._counts["registered models"].there += 1
        self._counts["aliases"].there += len(given.record.aliases)
        numbers = list(self._there.versions(key))
        self._counts["versions"].there += len(numbers)
        own = self._match.models.get(key)
        if own is None:
            return
        found = self._here.registered_model(own)
        self._counts["registered models"].same += 1
        self._field(what, "description", given.record.description, found.record.description)
        self._facts(what, "tag", given.record.tags, found.record.tags)
        for number in numbers:
            self._version(key, own, number)
        for alias, version in given.record.aliases.items():
            self._alias(f"{what}, alias {shown(alias)}", version, found.record.aliases.get(alias))

    def _version(self, key: str, own: str, number: int) -> None:
        what = f"version {number} of {shown(key)}"
        if what in self._findings.without:
            return
        with self._findings.taking(what):
            given = self._there.version(key, number)
            try:
                found = self._here.version(own, number)
            except NotFound as error:
                self._findings.differ(what, error.message)
                return
            self._counts["versions"].same += 1
            for name in _VERSION:
                self._field(what, name, getattr(given.record, name), getattr(found.record, name))
            if given.record.digest is not None and given.record.digest != found.record.digest:
                self._findings.differ(what, "it was registered with another digest here")
            self._facts(what, "tag", given.record.tags, found.record.tags)
            if given.home is not None and given.home.files is not None:
                self._files(given.home.files, found.home.files if found.home else None, what)

    def _alias(self, what: str, there: int, here: int | None) -> None:
        if what in self._findings.without:
            return
        if here is None:
            self._findings.differ(what, "it is not here")
            return
        self._field(what, "version", there, here)
        self._counts["aliases"].same += there == here

    def _field(self, what: str, name: str, there: Any, here: Any) -> bool:
        """Whether a field is the same; what was here before may have changed since, and stays."""
        if there == here:
            return True
        self._changed(what, f"{name} is {shown(there)} there, {shown(here)} here")
        return False

    def _changed(self, what: str, text: str) -> None:
        if self._match.fresh is None or what in self._match.fresh:
            self._findings.differ(what, text)
        else:
            self._findings.note(f"{what}: {text}; what is here was kept")

    def _facts(self, what: str, noun: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
        count = self._counts[f"{noun}s"]
        for key, value in there.items():
            count.there += 1
            if here.get(key) == value:
                count.same += 1
            elif key in here and noun == "tag":
                self._changed(what, f"tag {key[:100]!a} has another value here")
            elif key in here:
                self._findings.differ(what, f"{noun} {key[:100]!a} has another value here")
            elif f"{what}, {noun} {key[:100]!a}" not in self._findings.without:
                self._findings.differ(what, f"{noun} {key[:100]!a} is missing here")

    def _points(self, what: str, there: Iterator[Metric], here: Iterator[Metric]) -> None:
        """Both are in the same order, so that neither has to be held."""
        count, missing = self._counts["metric points"], dict[str, int]()
        mine = next(here, None)
        for point in counted(there):
            wanted = place(point)
            while mine is not None and place(mine) < wanted:
                mine = next(here, None)
            count.there += 1
            if mine is not None and place(mine) == wanted:
                count.same += 1
            else:
                missing[point.key] = missing.get(point.key, 0) + 1
        for key, number in missing.items():
            self._findings.differ(what, f"{number:,} points of metric {shown(key)} are missing here")

    def _model_points(self, what: str, given: LoggedModel, found: LoggedModel) -> None:
        here = {of_model(point) for point in found.metrics}
        there = {of_model(point) for point in counted(given.metrics)}
        self._counts["metric points"].there += len(there)
        self._counts["metric points"].same += len(there & here)
        if there - here:
            self._findings.differ(what, f"{len(there - here):,} metric points are missing here")

    def _datasets(self, what: str, given: Run, found: Run) -> None:
        here = {(one.dataset.name, one.dataset.digest): one for one in found.inputs.dataset_inputs}
        for one in given.inputs.dataset_inputs:
            self._counts["datasets"].there += 1
            name = f"dataset {one.dataset.name[:100]!a}"
            mine = here.get((one.dataset.name, one.dataset.digest))
            if mine is None:
                if f"{what}, {name}" not in self._findings.without:
                    self._findings.differ(what, f"{name} is missing here")
                continue
            fields = asdict(one.dataset).items()
            same = [self._field(what, f"{name}, {key}", value, getattr(mine.dataset, key)) for key, value in fields]
            tags = self._field(what, f"{name}, tags", _pairs(one.tags), _pairs(mine.tags))
            self._counts["datasets"].same += all((*same, tags))

    def _links(self, what: str, given: Run, found: Run) -> None:
        there = {("uses", one.model_id) for one in given.inputs.model_inputs}
        there |= {("made", one.model_id) for one in given.outputs.model_outputs}
        here = {("uses", one.model_id) for one in found.inputs.model_inputs}
        here |= {("made", one.model_id) for one in found.outputs.model_outputs}
        self._counts["model links"].there += len(there)
        self._counts["model links"].same += len(there & here)
        for role, model in sorted(there - here):
            self._findings.differ(what, f"that it {role} the model {shown(model)} is missing here")

    def _files(self, there: Files | None, here: Files | None, what: str) -> None:
        if there is None:
            return
        for path, size in there.list():
            self._counts["files"].there += 1
            self._counts["bytes"].there += size
            name = f"{what}, {shown(path)}"
            if name in self._findings.without:
                continue
            with self._findings.taking(name):
                self._file(there, here, path, size)

    def _file(self, there: Files, here: Files | None, path: str, size: int) -> None:
        try:
            with there.open(path) as given:
                wanted = digest_of(given)
        finally:
            self._bar.moved(size)
        try:
            if here is None:
                raise NotFound("it is not here")
            with here.open(path) as found:
                same = digest_of(found) == wanted
        except NotFound:
            self._findings.differ(there.what, f"the file {shown(path)} is missing here")
            return
        if not same:
            self._findings.differ(there.what, f"the file {shown(path)} has other bytes here")
            return
        self._counts["files"].same += 1
        self._counts["bytes"].same += size


def _pairs(tags: Iterable[Any]) -> dict[str, str]:
    return {tag.key: tag.value for tag in tags}
