"""Bringing a source into the stores in use: merged with what is here, completed where it was begun, then compared."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pack.errors import InvalidValue, NotFound, PackError
from pack.exchange.findings import Findings
from pack.exchange.opening import open_source
from pack.exchange.progress import Progress
from pack.exchange.progress import shown as showing
from pack.exchange.report import Report, counts
from pack.exchange.source import Files, Ref, Registered, Source
from pack.exchange.store import Store
from pack.exchange.tree import Landing, Tree, alone, digest_of
from pack.exchange.values import shown
from pack.exchange.verifying import Match, Verification
from pack.fluent import context, state
from pack.mlmodel import digests
from pack.mlmodel.model import MLMODEL
from pack.registry import ModelVersion, RegistryStore
from pack.registry.importing import same_model
from pack.tracking import TrackingStore
from pack.tracking.store import Refused
from pack.uris import LoggedModelUri, RunUri, parse

_LOCATION = 2048
# The tag of a model whose files are kept by somebody else.
_EXTERNAL = "mlflow.model.isExternal"


def import_from(
    source: str | Path,
    *,
    artifacts_roots: Sequence[str | Path] = (),
    rename: Mapping[str, str] | None = None,
    strict: bool = False,
    tracking: TrackingStore | None = None,
    registry: RegistryStore | None = None,
    progress: Progress | None = None,
) -> Report:
    """Bring experiments, runs, histories, files, models, versions and aliases into the stores in use, and compare.

    `source` is MLflow's `mlruns` folder or `mlflow.db`, a folder that `export_to` wrote, or another store of pack's.
    What is here stays: a run of the same id is completed, experiments merge by name, and a version is the same where
    its number and content are. `rename` maps names of registered models there to names here. `artifacts_roots` are
    folders besides the source's own that files may be read from. What cannot be taken is reported, and is an error
    where `strict`. Started again, it goes on where it was stopped; done again, it adds nothing.

    Raises `NotFound` for a source that is not there, `InvalidValue` for a folder that is none, `StorageFailed` where
    the disk refuses.

    >>> import_from("mlruns").complete  # doctest: +SKIP
    True
    """
    start = time.monotonic()
    findings = Findings(strict=strict)
    tracking, registry = tracking or state.tracking(), registry or state.registry()
    given = open_source(source, roots=tuple(map(Path, artifacts_roots)), findings=findings, target=tracking.uri)
    try:
        with alone(_artifacts(registry)), showing(progress) as bar:
            work = _Import(given, tracking, registry, findings=findings, rename=rename or {}, bar=bar)
            work.run()
    finally:
        given.close()
    return Report(
        source=given.uri,
        target=tracking.uri,
        counts=work.counts,
        skipped=tuple(findings.skipped),
        differing=tuple(findings.differing),
        notes=tuple(findings.notes),
        seconds=time.monotonic() - start,
    )


class _Import:
    """One import: what was found to be called what here, and what is new."""

    def __init__(
        self,
        source: Source,
        tracking: TrackingStore,
        registry: RegistryStore,
        *,
        findings: Findings,
        rename: Mapping[str, str],
        bar: Progress,
    ) -> None:
        self.counts = counts()
        self._source, self._tracking, self._registry = source, tracking, registry
        self._findings, self._rename, self._bar = findings, rename, bar
        self._here = Store(tracking, registry, findings=findings)
        self._experiments: dict[str, str] = {}
        self._models: dict[str, str] = {}
        self._fresh: set[str] = set()

    def run(self) -> None:
        """Take everything in, then compare."""
        total = sum(1 for _ in self._refs())
        self._bar.begin("importing", total)
        known = set(self._here.experiments())
        for key in self._source.experiments():
            with self._findings.taking(f"experiment {key}"):
                self._experiment(key, known)
        for key in self._source.registered_models():
            with self._findings.taking(f"registered model {shown(key)}"):
                self._registered(key)
        self._bar.begin("verifying", total)
        match = Match(self._experiments, self._models, self._fresh)
        Verification(
            self._source, self._here, match=match, findings=self._findings, counts=self.counts, bar=self._bar
        ).run()

    def _refs(self) -> Iterator[Ref]:
        for key in self._source.experiments():
            yield from self._source.runs(key)
            yield from self._source.logged_models(key)

    def _experiment(self, key: str, known: set[str]) -> None:
        what = f"experiment {key}"
        given = self._source.experiment(key)
        own = self._tracking.import_experiment(given, origin=self._source.uri, refused=self._refuser(what))
        self._experiments[key] = own
        if own not in known:
            self._new("experiments", what)
            self.counts["tags"].new += len(given.tags)
            known.add(own)
        found = self._tracking.get_experiment(own)
        if found.lifecycle_stage == "deleted" and given.lifecycle_stage != "deleted":
            self._findings.note(f"the experiment {shown(found.name)} is in the trash here; what was imported is in it")
        root = Path(found.artifact_location)
        for ref in self._source.runs(key):
            with self._findings.taking(f"run {ref.id}"):
                self._run(ref, own, root)
            self._bar.thing()
        for ref in self._source.logged_models(key):
            with self._findings.taking(f"logged model {ref.id}"):
                self._logged(ref, own, root)
            self._bar.thing()

    def _run(self, ref: Ref, own: str, root: Path) -> None:
        what = f"run {ref.id}"
        if parse(f"runs:/{ref.id}") != RunUri(ref.id):
            raise InvalidValue(f"{shown(ref.id)} is not the id of a run")
        given = self._source.run(ref)
        home = self._run_home(ref.id) or root / ref.id / "artifacts"
        self._copy(self._source.run_files(given, ref), home)
        taken = self._tracking.import_run(
            given,
            experiment_id=own,
            history=self._source.history(ref),
            artifact_uri=str(home),
            refused=self._refuser(what),
        )
        if taken.new:
            self._new("runs", what)
            self.counts["datasets"].new += len(given.inputs.dataset_inputs)
            self.counts["model links"].new += len(given.inputs.model_inputs) + len(given.outputs.model_outputs)
        self._facts(taken.points, taken.params, taken.tags)

    def _logged(self, ref: Ref, own: str, root: Path) -> None:
        what = f"logged model {ref.id}"
        if parse(f"models:/{ref.id}") != LoggedModelUri(ref.id):
            raise InvalidValue(f"{shown(ref.id)} is not the id of a logged model")
        given = self._source.logged_model(ref)
        home = self._logged_home(ref.id) or root / "models" / ref.id / "artifacts"
        files = self._source.logged_model_files(given, ref)
        expected = given.status == "READY" and given.lifecycle_stage == "active" and _EXTERNAL not in given.tags
        if files is None and expected:
            self._findings.note(f"{what} came without its files: there are none where they should be")
        self._copy(files, home)
        taken = self._tracking.import_logged_model(
            given, experiment_id=own, artifact_location=str(home), refused=self._refuser(what)
        )
        if taken.new:
            self._new("logged models", what)
        self._facts(taken.points, taken.params, taken.tags)

    def _registered(self, key: str) -> None:
        what = f"registered model {shown(key)}"
        given = self._source.registered_model(key)
        name = self._rename.get(key) or self._rename.get(given.record.name) or given.record.name
        prepared: list[tuple[int, ModelVersion, Files | None]] = []
        for number in self._source.versions(key):
            with self._findings.taking(f"version {number} of {shown(key)}"):
                prepared.append((number, *self._prepared(key, name, number)))
        self._refuse_another(key, name, [version for _, version, _ in prepared])
        if self._registry.import_registered_model(replace(given.record, name=name), last_version=given.last_version):
            self._new("registered models", what)
            self.counts["tags"].new += len(given.record.tags)
        self._models[key] = name
        taken = set()
        for number, version, files in prepared:
            with self._findings.taking(f"version {number} of {shown(key)}"):
                self._version(key, version, files)
                taken.add(number)
        self._aliases(key, name, given, taken)

    def _prepared(self, key: str, name: str, number: int) -> tuple[ModelVersion, Files | None]:
        """A version as it will be here, and the files that it has for its own."""
        found = self._source.version(key, number)
        record = replace(found.record, name=name, version=number)
        if len(record.source) > _LOCATION or len(record.storage_location) > _LOCATION:
            raise InvalidValue(f"its location has more than {_LOCATION:,} characters")
        if found.home is None:
            if record.tags.get("mlflow.prompt.is_prompt") != "true":
                self._findings.note(f"version {number} of {shown(key)} came without its files: {found.why}")
            return record, None
        if found.home.files is not None:
            sums = _sums(found.home.files)
            location = _artifacts(self._registry) / "registered" / digests.tree_digest(sums)
            counting = {path: digest for path, digest in sums.items() if digests.counts(path)}
            digest = record.digest or (digests.tree_digest(counting) if MLMODEL in sums else None)
            return replace(record, storage_location=str(location), digest=digest), found.home.files
        home = self._run_home(found.home.run_id) or self._logged_home(found.home.model_id)
        location = home / found.home.path if home else Path()
        if home is None or not Tree(location).has((MLMODEL,)):
            self._findings.note(f"version {number} of {shown(key)} came without its files: they are not with its run")
            return record, None
        digest = record.digest or self._digest(name, number, location)
        return replace(record, storage_location=str(location), digest=digest), None

    def _digest(self, name: str, number: int, location: Path) -> str | None:
        """What registering the directory here would record; an earlier import has recorded it already."""
        known = self._known_version(name, number)
        if known is not None and known.digest is not None:
            return None
        try:
            report = digests.check(location)
            report.raise_if_damaged()
        except PackError as error:
            self._findings.skip(f"the digest of version {number} of {shown(name)}", error)
            return None
        return report.digest

    def _refuse_another(self, key: str, name: str, versions: Sequence[ModelVersion]) -> None:
        """Two models are not mixed under one name: where a number is another model here, none of them comes."""
        taken = []
        for version in versions:
            known = self._known_version(name, version.version)
            if known is not None and not same_model(known, version):
                taken.append(version.version)
        if taken:
            numbers = ", ".join(map(str, taken[:10])) + (" ..." if len(taken) > 10 else "")
            raise InvalidValue(
                f"{shown(name)} has other models under the versions {numbers} here, so none of it was taken",
                hint=f"give it another name: --rename {shown(key)}=NEW-NAME",
            )

    def _version(self, key: str, version: ModelVersion, files: Files | None) -> None:
        if files is not None:
            self._copy(files, Path(version.storage_location))
        if self._registry.import_model_version(version):
            self._new("versions", f"version {version.version} of {shown(key)}")
            self.counts["tags"].new += len(version.tags)

    def _aliases(self, key: str, name: str, given: Registered, taken: set[int]) -> None:
        for alias, version in given.record.aliases.items():
            what = f"registered model {shown(key)}, alias {shown(alias)}"
            with self._findings.taking(what):
                if version not in taken:
                    raise NotFound(f"it points at version {version}, which was not taken")
                history = [move for move in given.moves if move.alias == alias]
                if self._registry.import_alias(name, alias, version, user_id=context.user(), history=history):
                    self._new("aliases", what)

    def _copy(self, files: Files | None, root: Path) -> None:
        """Copy what is not here yet."""
        if files is None:
            return
        here, landing = Tree(root), Landing(root)
        missing = (path for path, _ in files.list() if not here.has(tuple(path.split("/"))))
        try:
            for path in missing:
                with self._findings.taking(f"{files.what}, {shown(path)}"):
                    self._copy_one(files, path, landing)
            landing.settle()
        finally:
            landing.close()

    def _copy_one(self, files: Files, path: str, landing: Landing) -> None:
        """Bytes that differ from the digest that came with them are not taken."""
        parts = tuple(path.split("/"))
        with files.open(path) as handle:
            digest, size = landing.add(parts, handle)
        if files.digests is not None and digest != files.digests[path]:
            landing.drop(parts)
            raise InvalidValue("its bytes differ from the digest that was written beside it")
        self.counts["files"].new += 1
        self.counts["bytes"].new += size
        self._bar.moved(size)

    def _run_home(self, run_id: str | None) -> Path | None:
        try:
            return Path(self._tracking.get_run(run_id).info.artifact_uri) if run_id else None
        except NotFound:
            return None

    def _logged_home(self, model_id: str | None) -> Path | None:
        try:
            return Path(self._tracking.export_logged_model(model_id).artifact_location) if model_id else None
        except NotFound:
            return None

    def _known_version(self, name: str, number: int) -> ModelVersion | None:
        try:
            return self._registry.get_model_version(name, number)
        except NotFound:
            return None

    def _refuser(self, what: str) -> Refused:
        def refused(part: str, error: InvalidValue) -> None:
            self._findings.without.add(f"{what}, {part}")
            self._findings.skip(f"{what}, {part}", error)

        return refused

    def _new(self, noun: str, what: str) -> None:
        self.counts[noun].new += 1
        self._fresh.add(what)

    def _facts(self, points: int, params: int, tags: int) -> None:
        for noun, number in (("metric points", points), ("params", params), ("tags", tags)):
            self.counts[noun].new += number


def _sums(files: Files) -> dict[str, str]:
    found = {}
    for path, _ in files.list():
        with files.open(path) as handle:
            found[path] = digest_of(handle)
    return found


def _artifacts(registry: RegistryStore) -> Path:
    """Where a registry's store keeps its files."""
    from pack.db import default_place, place_of

    usual = default_place()
    return usual.artifacts if registry.uri == usual.uri else place_of(registry.uri).artifacts
