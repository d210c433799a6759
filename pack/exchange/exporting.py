"""Writing a folder of plain files that can be copied, merged with another one, and imported elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pack.errors import InvalidValue
from pack.exchange import layout, records
from pack.exchange.findings import Findings
from pack.exchange.folder import Folder
from pack.exchange.progress import Progress
from pack.exchange.progress import shown as showing
from pack.exchange.report import PARTS, Report, counts
from pack.exchange.selection import select
from pack.exchange.source import Files, Ref, Source
from pack.exchange.store import Store
from pack.exchange.tree import PASSING, Landing, Parts, Tree, alone, digest_of
from pack.exchange.values import shown
from pack.exchange.verifying import Match, Verification
from pack.fluent import state
from pack.registry import RegistryStore
from pack.tracking import TrackingStore


def export_to(
    folder: str | Path,
    *,
    experiments: Sequence[str] = (),
    runs: Sequence[str] = (),
    models: Sequence[str] = (),
    tracking: TrackingStore | None = None,
    registry: RegistryStore | None = None,
    progress: Progress | None = None,
) -> Report:
    """Write the stores in use into a folder, or only some experiments, runs and registered models; then compare.

    A run brings the models that it logged, a registered model the runs and logged models that its versions came from.
    The folder may hold an earlier export, of this store or of another one: things with other ids are left as they are,
    and what has not changed is not written again. The layout is in `docs/exchange.md`.

    Raises `NotFound` for a name that is not there, `InvalidValue` for a folder of something else, `StorageFailed` where
    the disk refuses.

    >>> export_to("handover", models=["churn"]).complete  # doctest: +SKIP
    True
    """
    start = time.monotonic()
    folder, findings = Path(folder).expanduser().absolute(), Findings()
    tracking, registry = tracking or state.tracking(), registry or state.registry()
    only = select(tracking, registry, experiments=experiments, runs=runs, models=models)
    source = Store(tracking, registry, findings=findings, only=only)
    _check(folder)
    with alone(folder), showing(progress) as bar:
        work = _Export(source, folder, findings=findings, bar=bar)
        work.run()
    return Report(
        source=tracking.uri,
        target=str(folder),
        counts=work.counts,
        skipped=tuple(findings.skipped),
        differing=tuple(findings.differing),
        notes=tuple(findings.notes),
        seconds=time.monotonic() - start,
        parts=PARTS,
    )


class _Export:
    """One export: what things are called in the folder, and what was written."""

    def __init__(self, source: Source, folder: Path, *, findings: Findings, bar: Progress) -> None:
        self.counts = counts()
        self._source, self._folder, self._findings, self._bar = source, folder, findings, bar
        self._landing, self._tree = Landing(folder), Tree(folder)
        self._experiments: dict[str, str] = {}
        self._models: dict[str, str] = {}

    def run(self) -> None:
        """Write everything, then compare."""
        total = sum(1 for _ in self._refs())
        self._bar.begin("exporting", total)
        try:
            self._write((layout.MARK,), layout.to_json({"kind": "pack export"}))
            self._landing.settle()  # from here on the folder is known for one of ours
            for key in self._source.experiments():
                with self._findings.taking(f"experiment {key}"):
                    self._experiment(key)
            for key in self._source.registered_models():
                with self._findings.taking(f"registered model {shown(key)}"):
                    self._registered(key)
            self._landing.settle()
        finally:
            self._landing.close()
        self._bar.begin("verifying", total)
        here = Folder(self._folder, findings=self._findings)
        match = Match(self._experiments, self._models)
        Verification(self._source, here, match=match, findings=self._findings, counts=self.counts, bar=self._bar).run()

    def _refs(self) -> Iterator[Ref]:
        for key in self._source.experiments():
            yield from self._source.runs(key)
            yield from self._source.logged_models(key)

    def _experiment(self, key: str) -> None:
        given = self._source.experiment(key)
        name = self._experiments[key] = layout.experiment_key(given)
        fields = records.experiment_fields(given)
        home = (layout.EXPERIMENTS, name)
        self.counts["experiments"].new += self._write((*home, layout.EXPERIMENT_FILE), layout.to_json(fields))
        for ref in self._source.runs(key):
            with self._findings.taking(f"run {ref.id}"):
                self._run(ref, layout.run_parts(name, ref.id))
            self._bar.thing()
        for ref in self._source.logged_models(key):
            with self._findings.taking(f"logged model {ref.id}"):
                self._logged(ref, layout.logged_parts(name, ref.id))
            self._bar.thing()

    def _run(self, ref: Ref, home: Parts) -> None:
        given = self._source.run(ref)
        before = self._sums(home)
        sums = self._files(self._source.run_files(given, ref), home, before)
        if given.data.metrics:
            path = layout.METRICS
            points = layout.metrics_text(self._source.history(ref))
            sums[path] = self._chunks((*home, path), points, before.get(path))
        self._write_sums(home, sums)
        self.counts["runs"].new += self._write((*home, layout.RUN_FILE), layout.to_json(records.run_fields(given)))

    def _logged(self, ref: Ref, home: Parts) -> None:
        given = self._source.logged_model(ref)
        self._write_sums(home, self._files(self._source.logged_model_files(given, ref), home, self._sums(home)))
        text = layout.to_json(records.logged_fields(given))
        self.counts["logged models"].new += self._write((*home, layout.MODEL_FILE), text)

    def _registered(self, key: str) -> None:
        given = self._source.registered_model(key)
        name = self._models[key] = layout.registered_key(key, given.record.creation_timestamp)
        for number in self._source.versions(key):
            found = self._source.version(key, number)
            home = layout.version_parts(name, number)
            if found.home is None:
                self._findings.note(f"version {number} of {shown(key)} has no files here: {found.why}")
            own = found.home.files if found.home else None
            self._write_sums(home, self._files(own, home, self._sums(home)))
            text = layout.to_json(records.version_fields(found.record, found.home))
            self.counts["versions"].new += self._write((*home, layout.VERSION_FILE), text)
        fields = records.registered_fields(given.record, given.last_version, given.moves)
        text = layout.to_json(fields)
        self.counts["registered models"].new += self._write((layout.REGISTERED, name, layout.MODEL_FILE), text)

    def _files(self, files: Files | None, home: Parts, before: dict[str, str]) -> dict[str, str]:
        """Copy what is not there, or has changed; the digests of all."""
        sums: dict[str, str] = {}
        for path, size in files.list() if files else ():
            name = f"{layout.ARTIFACTS}/{path}"
            with self._findings.taking(f"{files.what}, {shown(path)}"):  # type: ignore[union-attr]
                with files.open(path) as handle:  # type: ignore[union-attr]
                    sums[name] = self._file(handle, (*home, *name.split("/")), before.get(name))
                self._bar.moved(size)
        return sums

    def _file(self, handle: int, parts: Parts, before: str | None) -> str:
        digest = digest_of(handle)
        if digest == before and self._tree.has(parts):
            return digest
        digest, size = self._landing.add(parts, handle)
        self.counts["files"].new += 1
        self.counts["bytes"].new += size
        return digest

    def _chunks(self, parts: Parts, chunks: Iterable[bytes], before: str | None) -> str:
        """Write a file from its pieces, unless it is there and the same; its digest."""
        digest = self._landing.add_chunks(parts, chunks)
        if digest == before and self._tree.has(parts):
            self._landing.drop(parts)
        return digest

    def _write_sums(self, home: Parts, sums: dict[str, str]) -> None:
        if sums:
            self._write((*home, layout.SUMS), layout.sums_text(sums))

    def _write(self, parts: Parts, data: bytes) -> bool:
        """Write a file, unless it is there and the same; whether it was written."""
        if self._tree.has(parts) and self._tree.read(parts, limit=layout.JSON_LIMIT) == data:
            return False
        self._landing.add_chunks(parts, [data])
        return True

    def _sums(self, home: Parts) -> dict[str, str]:
        if not self._tree.has((*home, layout.SUMS)):
            return {}
        return layout.sums_of(self._tree.read((*home, layout.SUMS), limit=layout.JSON_LIMIT), "SHA256SUMS")


def _check(folder: Path) -> None:
    """A folder that holds something else is left alone, and one that a newer pack wrote."""
    if (folder / layout.MARK).is_file():
        layout.from_json((folder / layout.MARK).read_bytes(), layout.MARK)
    elif folder.is_dir() and any(not one.name.startswith(PASSING) for one in folder.iterdir()):
        raise InvalidValue(f"{folder} holds something else", hint="give a new folder, or one of an earlier export")
