"""MLflow's file store: the folder `mlruns`, with a small file for each param, tag and metric.

The layout is that of MLflow 3.17 (interoperability facts, stores, section 4). What the folder holds is found by listing
it; a name that stands in a file is never a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pack import yamls
from pack.errors import InvalidValue
from pack.exchange import older
from pack.exchange.findings import Findings
from pack.exchange.homes import model_id_of, version_at_home
from pack.exchange.points import ordered
from pack.exchange.roots import Roots, location
from pack.exchange.source import Files, Ref, Registered, Version
from pack.exchange.tree import Parts, Tree
from pack.exchange.values import mapping, optional_text, optional_whole, real, shown, text, texts, whole
from pack.registry import ModelVersion, RegisteredModel
from pack.tracking import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
)

_META = "meta.yaml"
_META_LIMIT = 20 << 20
_FACT_LIMIT = 4 << 20
_METRIC_LIMIT = 256 << 20
_REGISTRY = "models"
_TRASH = ".trash"
_EXPERIMENT = re.compile(r"[A-Za-z0-9][\w-]{0,63}")
_RUN = re.compile(r"[0-9a-f]{32}")
_MODEL = re.compile(r"m-[0-9a-f]{32}")
_MODEL_STATUSES = {0: "PENDING", 1: "PENDING", 2: "READY", 3: "FAILED"}


class MlflowFiles:
    """An `mlruns` folder."""

    def __init__(self, folder: Path, *, roots: Roots, findings: Findings) -> None:
        self.uri = str(folder.absolute())
        self._tree = Tree(folder)
        self._roots, self._findings = roots, findings
        self._homes: dict[str, Parts] | None = None

    def close(self) -> None:
        """Nothing is open between two questions."""

    def experiments(self) -> Iterator[str]:
        """The folder of each experiment; deleted ones lie in `.trash`."""
        for above in ((), (_TRASH,)):
            for name in self._tree.folders(above):
                home = (*above, name)
                if _EXPERIMENT.fullmatch(name) and name != _REGISTRY and self._is_experiment(home):
                    yield "/".join(home)

    def experiment(self, key: str) -> Experiment:
        """One experiment."""
        home = _parts(key)
        meta = self._meta(home)
        deleted = meta.get("lifecycle_stage") == "deleted" or home[0] == _TRASH
        traces = len(self._tree.folders((*home, "traces")))
        if traces:
            self._findings.note(
                f"{traces:,} traces of experiment {home[-1]} stay behind: there is no place for them here"
            )
        return Experiment(
            experiment_id=home[-1],
            name=text(meta.get("name"), "the name of an experiment") or home[-1],
            artifact_location="",
            lifecycle_stage="deleted" if deleted else "active",
            tags=self._facts((*home, "tags"), f"experiment {home[-1]}"),
            creation_time=optional_whole(meta.get("creation_time"), "a creation time"),
            last_update_time=optional_whole(meta.get("last_update_time"), "a time"),
        )

    def runs(self, experiment: str) -> Iterator[Ref]:
        """Each run of an experiment."""
        home = _parts(experiment)
        for name in self._tree.folders(home):
            if _RUN.fullmatch(name) and self._is_thing((*home, name), f"run {name}"):
                yield Ref(experiment, name)

    def run(self, ref: Ref) -> Run:
        """A run."""
        home = (*_parts(ref.experiment), ref.id)
        meta = self._meta(home)
        if text(meta.get("run_id") or meta.get("run_uuid") or ref.id, "a run's id") != ref.id:
            raise InvalidValue("its meta.yaml is one of another run")
        what = f"run {ref.id}"
        tags = self._facts((*home, "tags"), what)
        name = meta.get("run_name") or tags.get("mlflow.runName") or meta.get("name")
        info = RunInfo(
            run_id=ref.id,
            experiment_id=ref.experiment,
            user_id=text(meta.get("user_id"), "a user"),
            status=_status(meta.get("status")),
            start_time=whole(meta.get("start_time") or 0, "a start time"),
            end_time=optional_whole(meta.get("end_time"), "an end time"),
            lifecycle_stage="deleted" if meta.get("lifecycle_stage") == "deleted" else "active",
            artifact_uri=text(meta.get("artifact_uri"), "an artifact location"),
            run_name=text(name, "a run's name"),
        )
        data = RunData({}, self._facts((*home, "params"), what), older.with_source_tags(tags, meta))
        return Run(info, data, self._inputs(home, what), self._outputs(home))

    def history(self, ref: Ref) -> Iterator[Metric]:
        """Every point of every metric; a file is read whole, because its lines are in no order."""
        home = (*_parts(ref.experiment), ref.id, "metrics")
        for key, parts in self._keys(home):
            what = f"run {ref.id}, metric {shown(key)}"
            with self._findings.taking(what):
                points = [(step, moment, value) for moment, value, step, _ in self._lines((*home, *parts), what)]
                yield from ordered(key, points)

    def run_files(self, run: Run, ref: Ref) -> Files | None:
        """The artifacts of a run."""
        home = (*_parts(ref.experiment), ref.id)
        return self._artifacts(run.info.artifact_uri, home, ref.id, f"run {ref.id}")

    def logged_models(self, experiment: str) -> Iterator[Ref]:
        """Each logged model of an experiment."""
        home = (*_parts(experiment), _REGISTRY)
        for name in self._tree.folders(home):
            if _MODEL.fullmatch(name) and self._is_thing((*home, name), f"logged model {name}"):
                yield Ref(experiment, name)

    def logged_model(self, ref: Ref) -> LoggedModel:
        """A logged model."""
        home = (*_parts(ref.experiment), _REGISTRY, ref.id)
        meta, what = self._meta(home), f"logged model {ref.id}"
        made = whole(meta.get("creation_timestamp") or 0, "a creation time")
        source = optional_text(meta.get("source_run_id"), "a run's id")
        return LoggedModel(
            experiment_id=ref.experiment,
            model_id=ref.id,
            name=text(meta.get("name"), "a model's name"),
            artifact_location=text(meta.get("artifact_location"), "a location"),
            creation_timestamp=made,
            last_updated_timestamp=whole(meta.get("last_updated_timestamp") or made, "a time"),
            model_type=optional_text(meta.get("model_type"), "a model's type"),
            source_run_id=source,
            status=_MODEL_STATUSES.get(whole(meta.get("status") or 0, "a status"), "FAILED"),
            status_message=optional_text(meta.get("status_message"), "a message"),
            tags=self._facts((*home, "tags"), what),
            params=self._facts((*home, "params"), what),
            step=self._step(ref, source),
            metrics=list(self._model_points(home, ref.id, what)),
            lifecycle_stage="deleted" if meta.get("lifecycle_stage") == "deleted" else "active",
        )

    def logged_model_files(self, model: LoggedModel, ref: Ref) -> Files | None:
        """The directory of a logged model."""
        home = (*_parts(ref.experiment), _REGISTRY, ref.id)
        return self._artifacts(model.artifact_location, home, ref.id, f"logged model {ref.id}")

    def registered_models(self) -> Iterator[str]:
        """The folder of each registered model."""
        for name in self._tree.folders((_REGISTRY,)):
            if not _MODEL.fullmatch(name) and self._is_thing((_REGISTRY, name), f"registered model {shown(name)}"):
                yield name

    def registered_model(self, key: str) -> Registered:
        """One registered model."""
        home = (_REGISTRY, key)
        meta, what = self._meta(home), f"registered model {shown(key)}"
        made = whole(meta.get("creation_timestamp") or 0, "a creation time")
        aliases = self._facts((*home, "aliases"), what)
        record = RegisteredModel(
            name=text(meta.get("name"), "a model's name") or key,
            creation_timestamp=made,
            last_updated_timestamp=whole(meta.get("last_updated_timestamp") or made, "a time"),
            description=text(meta.get("description"), "a description"),
            tags=self._facts((*home, "tags"), what),
            aliases={alias: whole(value.strip(), f"the alias {shown(alias)}") for alias, value in aliases.items()},
        )
        return Registered(record, max(self._numbers(key), default=0))

    def versions(self, key: str) -> Iterator[int]:
        """The number of each version that is not deleted."""
        for number in self._numbers(key):
            with self._findings.taking(f"version {number} of {shown(key)}"):
                if self._meta((_REGISTRY, key, f"version-{number}")).get("current_stage") != older.DELETED:
                    yield number

    def version(self, key: str, number: int) -> Version:
        """One version."""
        home = (_REGISTRY, key, f"version-{number}")
        meta = self._meta(home)
        made = whole(meta.get("creation_timestamp") or 0, "a creation time")
        source, storage = text(meta.get("source"), "a source"), text(meta.get("storage_location"), "a location")
        record = ModelVersion(
            name=key,
            version=number,
            creation_timestamp=made,
            last_updated_timestamp=whole(meta.get("last_updated_timestamp") or made, "a time"),
            description=text(meta.get("description"), "a description"),
            user_id=text(meta.get("user_id"), "a user"),
            current_stage=text(meta.get("current_stage"), "a stage") or "None",
            source=source,
            storage_location=storage or source,
            run_id=optional_text(meta.get("run_id"), "a run's id"),
            run_link=optional_text(meta.get("run_link"), "a link"),
            model_id=optional_text(meta.get("model_id"), "a model's id") or model_id_of(source, storage),
            status=text(meta.get("status"), "a status") or "READY",
            status_message=optional_text(meta.get("status_message"), "a message"),
            tags=self._facts((*home, "tags"), f"version {number} of {shown(key)}"),
        )
        known = self._known()
        return version_at_home(record, known_run=known.__contains__, known_model=known.__contains__, roots=self._roots)

    def _is_experiment(self, home: Parts) -> bool:
        """Whether a folder is an experiment; the files of a database's runs may lie in folders beside."""
        if self._tree.has((*home, _META)):
            return True
        if any(self._tree.has((*home, name, _META)) for name in self._tree.folders(home)):
            self._findings.skip(f"experiment {home[-1]}", "its meta.yaml is missing")
        elif home[-1].isdigit():
            self._findings.note(f"the folder {home[-1]} holds no runs; files of a database are imported with it")
        return False

    def _is_thing(self, home: Parts, what: str) -> bool:
        """Whether the folder of a run or model has a meta.yaml; one without it is broken, and said to be."""
        if self._tree.has((*home, _META)):
            return True
        self._findings.skip(what, "its meta.yaml is missing")
        return False

    def _meta(self, home: Parts) -> dict[str, Any]:
        what = f"{shown('/'.join(home))}/{_META}"
        return mapping(yamls.load(self._tree.read((*home, _META), limit=_META_LIMIT), what), what)

    def _keys(self, home: Parts) -> list[tuple[str, Parts]]:
        """The keys below a folder, where `/` makes folders, in the order of the keys."""
        found = [("/".join(parts), parts) for parts, entry in self._tree.walk(home) if entry.kind == "file"]
        return sorted(found)

    def _facts(self, home: Parts, what: str) -> dict[str, str]:
        """Params, tags or aliases: the name of a file, and its text."""
        found = {}
        for key, parts in self._keys(home):
            with self._findings.taking(f"{what}, {shown(home[-1])} {shown(key)}"):
                data = self._tree.read((*home, *parts), limit=_FACT_LIMIT)
                try:
                    found[key] = data.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InvalidValue("its text is not UTF-8") from error
        return found

    def _lines(self, parts: Parts, what: str) -> Iterator[tuple[int, float, int, list[str]]]:
        """Time, value and step of each line, and what stands after these; a damaged line is reported."""
        data = self._tree.read(parts, limit=_METRIC_LIMIT)
        for place, line in enumerate(data.splitlines(), start=1):
            try:
                fields = line.decode("utf-8").split(" ")
                moment, value = whole(fields[0], "a time"), real(fields[1], "a value")
                step = whole(fields[2], "a step") if len(fields) > 2 else 0
            except (InvalidValue, UnicodeDecodeError, IndexError):
                self._findings.skip(f"{what}, line {place}", "it is not a time, a value and a step")
                continue
            yield moment, value, step, fields[3:]

    def _model_points(self, home: Parts, model_id: str, what: str) -> Iterator[Metric]:
        for key, parts in self._keys((*home, "metrics")):
            for moment, value, step, rest in self._lines((*home, "metrics", *parts), f"{what}, metric {shown(key)}"):
                run, name, digest = (*rest, None, None, None)[:3]
                yield Metric(key, value, moment, step, model_id, name, digest, run)

    def _inputs(self, home: Parts, what: str) -> RunInputs:
        datasets, models = [], []
        for edge in self._tree.folders((*home, "inputs")):
            with self._findings.taking(f"{what}, input {shown(edge)}"):
                meta = self._meta((*home, "inputs", edge))
                source = text(meta.get("source_id"), "an input's id")
                if meta.get("source_type") == "DATASET":
                    tags = texts(meta.get("tags"), "an input's tags")
                    found = self._dataset((*home[:-1], "datasets", source))
                    datasets.append(DatasetInput(found, tuple(InputTag(*tag) for tag in tags.items())))
                else:
                    models.append(LoggedModelInput(source))
        return RunInputs(datasets, models)

    def _dataset(self, home: Parts) -> Dataset:
        meta = self._meta(home)
        name, digest, kind, source = (
            text(meta.get(field), f"a dataset's {field}") for field in ("name", "digest", "source_type", "source")
        )
        schema, profile = (optional_text(meta.get(field), f"a dataset's {field}") for field in ("schema", "profile"))
        return Dataset(name, digest, kind, source, schema, profile)

    def _outputs(self, home: Parts) -> RunOutputs:
        found = []
        for name in self._tree.folders((*home, "outputs")):
            with self._findings.taking(f"run {home[-1]}, output {shown(name)}"):
                meta = self._meta((*home, "outputs", name))
                model = text(meta.get("destination_id") or name, "a model's id")
                found.append(LoggedModelOutput(model, whole(meta.get("step") or 0, "a step")))
        return RunOutputs(found)

    def _step(self, ref: Ref, run: str | None) -> int:
        """The step at which a run made a model, which the run knows."""
        home = (*_parts(ref.experiment), run or "none", "outputs", ref.id)
        if run is None or not _RUN.fullmatch(run) or not self._tree.has((*home, _META)):
            return 0
        return whole(self._meta(home).get("step") or 0, "a step")

    def _artifacts(self, uri: str, home: Parts, owner: str, what: str) -> Files | None:
        """Beside the record, where they are unless the experiment has another place for them."""
        beside = Files(self._tree, (*home, "artifacts"), what, self._findings)
        found = location(uri)
        usual = found is None or found.parts[-len(home[-2:]) - 1 :] == (*home[-2:], "artifacts")
        if usual or not uri:
            return beside if self._tree.is_folder(beside.at) else None
        return self._roots.files(uri, owner=owner, what=what) or beside

    def _numbers(self, key: str) -> list[int]:
        names = (re.fullmatch(r"version-([1-9][0-9]{0,8})", name) for name in self._tree.folders((_REGISTRY, key)))
        return sorted(int(name.group(1)) for name in names if name)

    def _known(self) -> dict[str, Parts]:
        """The runs and logged models that are here, by their ids."""
        if self._homes is None:
            self._homes = {}
            for key in self.experiments():
                refs = (*self.runs(key), *self.logged_models(key))
                self._homes.update((ref.id, _parts(key)) for ref in refs)
        return self._homes


def is_mlruns(folder: Path) -> bool:
    """Whether a folder is a file store: an experiment or a registered model in it has a meta.yaml."""
    tree = Tree(folder)
    homes: list[Parts] = [(name,) for name in tree.folders() if name.isdigit()]
    homes += [(above, name) for above in (_TRASH, _REGISTRY) for name in tree.folders((above,))]
    return any(tree.has((*home, _META)) for home in homes)


def _parts(key: str) -> Parts:
    return tuple(key.split("/"))


def _status(value: Any) -> str:
    number = whole(value if value is not None else RunStatus.FINISHED, "a status")
    try:
        return RunStatus(number).name
    except ValueError as error:
        raise InvalidValue(f"{number} is no status of a run") from error
