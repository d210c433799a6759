"""Files of runs: what is put among them, in which form, and where they lie."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any

from pack.artifacts.local import LocalStore
from pack.errors import InvalidState, InvalidValue, NotFound, StorageFailed
from pack.plugins import missing
from pack.tracking import TrackingStore
from pack.uris import disk_path, relative_path

_PICTURES = {".png", ".jpeg", ".jpg", ".webp", ".svg", ".pdf"}


def store_of(tracking: TrackingStore, run_id: str, *, write: bool = False) -> LocalStore:
    """The files of a run; raises `InvalidState` where it is deleted and they would be written."""
    run = tracking.get_run(run_id)
    if write and run.info.lifecycle_stage != "active":
        raise InvalidState(f"the run {run.info.run_id} is deleted", hint="restore it first")
    return LocalStore(Path(run.info.artifact_uri))


def log_artifact(store: LocalStore, local_path: str | Path, artifact_path: str | PurePath | None = None) -> None:
    """Copy a file or folder to a place below the store."""
    source = disk_path(local_path)
    if not os.path.exists(source):  # noqa: PTH110 - says no to a name that is too long, where Path raises
        raise NotFound(f"there is no {str(source)[:200]!a}", hint="give the path of a file or folder that exists")
    store.put(source, joined(artifact_path, source.name))


def log_artifacts(store: LocalStore, local_dir: str | Path, artifact_path: str | PurePath | None = None) -> None:
    """Copy everything in a folder to a place below the store."""
    source = disk_path(local_dir)
    if not os.path.isdir(source):  # noqa: PTH112 - as above
        raise NotFound(f"there is no folder {str(source)[:200]!a}", hint="log_artifact takes a single file")
    store.put(source, _folder(artifact_path))


def log_text(store: LocalStore, text: str, artifact_file: str | PurePath) -> None:
    """Write text as a file, in UTF-8."""
    if not isinstance(text, str):
        raise InvalidValue(f"{type(text).__name__} is no text", hint="log_dict takes dicts and lists, log_stream bytes")
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue("text with a lone surrogate cannot be written", hint="replace those characters") from error
    store.put_bytes(data, relative_path(artifact_file))


def log_dict(store: LocalStore, dictionary: Any, artifact_file: str | PurePath) -> None:
    """Write a dict as JSON, or as YAML where the file is named so."""
    path = relative_path(artifact_file)
    if path.endswith((".yml", ".yaml")):
        from pack import yamls

        log_text(store, yamls.dump(dictionary, sort_keys=False), path)
        return
    try:
        text = json.dumps(dictionary, indent=2, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"this cannot be written as JSON: {error!s:.200}", hint="use text as keys") from error
    log_text(store, text, path)


def log_stream(store: LocalStore, stream: IO[bytes] | IO[str], artifact_file: str | PurePath) -> None:
    """Write what a stream holds, text or bytes, as a file."""
    if not hasattr(stream, "read"):
        raise InvalidValue(f"{type(stream).__name__} is no stream", hint='open one: open(PATH, "rb"), io.BytesIO(DATA)')

    def read(size: int) -> bytes:
        chunk = stream.read(size)
        return chunk.encode() if isinstance(chunk, str) else chunk

    store.put_stream(read, relative_path(artifact_file))


def log_figure(
    store: LocalStore, figure: Any, artifact_file: str | PurePath, save_kwargs: Mapping[str, Any] | None = None
) -> None:
    """Write a figure of matplotlib or plotly in the format that the file's name says."""
    name = relative_path(artifact_file).rpartition("/")[2]
    with _scratch(name) as folder:
        path = folder / name
        if hasattr(figure, "savefig"):
            _draw(figure, path, dict(save_kwargs or {}))
        elif hasattr(figure, "write_html") and hasattr(figure, "write_image"):
            _write_plotly(figure, path, dict(save_kwargs or {}))
        else:
            raise InvalidValue(f"{type(figure).__name__} is no figure", hint="give a figure of matplotlib or plotly")
        store.put(path, relative_path(artifact_file))


def joined(folder: str | PurePath | None, name: str) -> str:
    """A path below a folder of the store."""
    below = _folder(folder)
    return relative_path(f"{below}/{name}" if below else name)


def _folder(path: str | PurePath | None) -> str:
    """A folder below the store as a checked path; empty for none."""
    if not path:
        return ""
    return relative_path(path.rstrip("/") if isinstance(path, str) else path)


@contextmanager
def _scratch(name: str) -> Iterator[Path]:
    """A temporary folder that a figure is drawn into."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    except OSError as error:
        raise StorageFailed(
            f"{name!a} cannot be drawn: {error.strerror or error}",
            hint="free some space among the temporary files, or set TMPDIR to another folder",
        ) from error


def _draw(figure: Any, path: Path, options: dict[str, Any]) -> None:
    try:
        figure.savefig(path, **options)
    except ValueError as error:
        if "format" not in str(error).lower():
            raise
        raise InvalidValue(
            f"matplotlib does not write {path.suffix!a}", hint="name the file .png, .svg or .pdf"
        ) from error


def _write_plotly(figure: Any, path: Path, options: dict[str, Any]) -> None:
    ending = path.suffix.lower()
    if ending == ".html":
        # The page holds a link to the library, not the library itself: that would be megabytes in each figure.
        figure.write_html(path, **{"include_plotlyjs": "cdn", "auto_open": False, **options})
        return
    if ending not in _PICTURES:
        raise InvalidValue(
            f"plotly does not write {ending or 'files without an ending'}",
            hint=f"name the file .html, or one of {', '.join(sorted(_PICTURES))}",
        )
    try:
        figure.write_image(path, **options)
    except (ValueError, RuntimeError) as error:  # the latter where kaleido is missing
        if "kaleido" in str(error).lower():
            raise missing("kaleido", "kaleido") from error
        raise InvalidValue(f"plotly cannot write this picture: {error}", hint="log it as .html") from error
