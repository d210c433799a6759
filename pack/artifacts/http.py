"""Artifacts behind the artifact proxy of a tracking server, over HTTP.

    http(s)://HOST[/PREFIX]/api/2.0/mlflow-artifacts/artifacts/PATH
    mlflow-artifacts://HOST/PATH     the same on that host, in the scheme and prefix of the tracking URI (else http)
    mlflow-artifacts:/PATH           the same on the tracking server

The API is MLflow 3.17's (interoperability facts, artifact proxy). Names in answers are checked before anything else
sees them, and credentials go to the tracking server only.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pack import settings
from pack.artifacts.credentials import split
from pack.artifacts.download import Download
from pack.artifacts.landing import Landing
from pack.artifacts.parallel import each
from pack.artifacts.store import FileInfo, Tell, Validator
from pack.artifacts.transport import Transport, receive, trying
from pack.artifacts.walk import MAX_FILES, walk
from pack.errors import InvalidState, InvalidUri, InvalidValue, NotFound, StorageFailed, TooLarge
from pack.uris import StoreUri, relative_path

_API = "/api/2.0/mlflow-artifacts/artifacts"
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)(:[0-9]{1,5})?")
_READ_LIMIT = 1 << 30
_LISTING_LIMIT = 16 << 20


class HttpStore:
    """The files below the root of one server's artifact proxy."""

    def __init__(self, base: str) -> None:
        self.location = base
        self._transport = Transport(base)

    @classmethod
    def at(cls, uri: StoreUri) -> tuple[HttpStore, str]:
        """The server that a URI names, and the path on it; raises `InvalidUri` for any other HTTP address."""
        if uri.scheme == "mlflow-artifacts":
            return cls(_proxy(uri.host)), uri.path
        prefix, mark, path = f"/{uri.path}/".partition(f"{_API}/")
        if not mark:
            raise InvalidUri(
                "this HTTP address is not one of a tracking server's artifacts",
                hint=f"it looks like {uri.scheme}://HOST{_API}/PATH, or mlflow-artifacts://HOST/PATH",
            )
        return cls(f"{uri.scheme}://{_checked_host(uri.host)}{quote(prefix)}{_API}"), path.strip("/")

    def list(self, path: str = "") -> list[FileInfo]:
        """What lies directly in a folder, by name; empty where there is none."""
        found = self._entries(path)
        if path and [(entry.path, entry.is_dir) for entry in found] == [(f"{path}/{path.rpartition('/')[2]}", False)]:
            # Some servers list a file as itself; the folder that it lies in knows which of the two it is.
            around = self._entries(path.rpartition("/")[0])
            return [*found] if FileInfo(path, is_dir=True, file_size=None) in around else []
        return [*found]

    def read(self, path: str) -> bytes:
        """The bytes of one file of up to 1 GiB."""
        data = io.BytesIO()
        self._download(path, Landing(data), limit=_READ_LIMIT, tell=lambda *_: None)
        return data.getvalue()

    def download(self, path: str, landing: Landing, *, known: Validator | None = None, tell: Tell) -> Validator | None:
        """Write one file to `landing`; None where it is still what `known` says.

        Raises `NotFound` where there is no such file, `Unavailable` where the server cannot answer or is cut off again
        and again, `Damaged` where its digest is another, and `TooLarge` over `PACK_DOWNLOAD_LIMIT`.
        """
        return self._download(path, landing, limit=settings.download_limit(), tell=tell, known=known)

    def get(self, path: str, target: Path) -> None:
        """Copy `path` to this disk, whole or not at all; raises `InvalidValue` where `target` is taken."""
        if target.exists():
            raise InvalidValue(f"{target} exists already", hint="give a new path, or remove it")
        files = walk(self, path) if path else walk(self)
        target.parent.mkdir(parents=True, exist_ok=True)
        beside, stop = target.parent / f".new-{secrets.token_hex(8)}", threading.Event()

        def get_one(file: FileInfo) -> None:
            place = beside / file.path[len(path) :].lstrip("/") if files else beside
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as out:
                self.download(file.path, Landing(out), tell=lambda *_: _go_on_unless(stop))

        try:
            each(get_one, files or [FileInfo(relative_path(path), is_dir=False, file_size=None)], stop=stop)
            beside.rename(target)
        except BaseException:
            shutil.rmtree(beside) if beside.is_dir() else beside.unlink(missing_ok=True)
            raise

    def put(self, source: Path, path: str) -> None:
        """Send a file, or each file of a folder, to `path`."""
        if source.is_dir():
            for entry in sorted(source.iterdir()):
                self.put(entry, f"{path}/{entry.name}" if path else entry.name)
            return
        if not source.is_file():
            raise NotFound(f"there is no file {source}", hint="give the path of a file or folder that exists")
        url = self._url(path)
        with source.open("rb") as stream:
            length = str(os.fstat(stream.fileno()).st_size)
            headers = {"Content-Length": length, "Content-Type": "application/octet-stream"}
            self._transport.ask("PUT", url, headers, body=stream).close()

    def delete(self, path: str) -> None:
        """Delete a file or folder; raises `NotFound` where there is none."""
        url = self._url(path)
        if path not in {entry.path for entry in self.list(path.rpartition("/")[0])}:
            raise NotFound(f"there is no {path!a}")
        self._transport.ask("DELETE", url).close()

    def _url(self, path: str) -> str:
        return f"{self.location}/{quote(relative_path(path), safe='/')}"

    def _download(
        self, path: str, landing: Landing, *, limit: int, tell: Tell, known: Validator | None = None
    ) -> Validator | None:
        url = self._url(path)
        return Download(
            lambda headers, good: self._transport.ask("GET", url, headers, good=good),
            landing,
            known=known,
            limit=limit,
            tell=tell,
        ).run()

    def _entries(self, path: str) -> Sequence[FileInfo]:
        """What the server says of a folder, each name checked."""
        query = f"?path={quote(relative_path(path), safe='')}" if path else ""
        try:
            body = trying(lambda: self._body(self.location + query))
        except NotFound:
            return []
        found = [_entry(raw, path) for raw in _files_of(body)]
        if len({entry.path for entry in found}) < len(found):
            raise StorageFailed("the server lists the same name twice", hint="tell whoever runs the server")
        return sorted(found, key=lambda entry: entry.path)

    def _body(self, url: str) -> bytes:
        data = io.BytesIO()
        with self._transport.ask("GET", url) as answer:
            receive(answer, Landing(data), _LISTING_LIMIT, lambda *_: None)
        return data.getvalue()


def _go_on_unless(stop: threading.Event) -> None:
    if stop.is_set():
        raise InvalidState("another file could not be fetched")


def _files_of(body: bytes) -> list[Any]:
    try:
        answer = json.loads(body)
        found = answer.get("files", [])
    except (ValueError, RecursionError, AttributeError) as error:
        raise StorageFailed("the server's listing cannot be read", hint="is this a tracking server?") from error
    if not isinstance(found, list):
        raise StorageFailed("the server's listing cannot be read", hint="is this a tracking server?")
    if len(found) > MAX_FILES:
        raise TooLarge(f"there are more than {MAX_FILES:,} files in one folder", hint="fetch them one at a time")
    return found


def _entry(raw: Any, folder: str) -> FileInfo:
    """One entry of a listing; raises `StorageFailed` for a name that is no plain name."""
    name = raw.get("path") if isinstance(raw, dict) else None
    try:
        if not isinstance(name, str) or "/" in name:
            raise InvalidValue("no plain name")
        path = relative_path(f"{folder}/{name}" if folder else name)
        size = int(raw["file_size"]) if not raw.get("is_dir") and raw.get("file_size") is not None else None
    except (InvalidValue, ValueError, TypeError) as error:
        raise StorageFailed(
            f"the server lists {ascii(name)[:120]}, which is not the name of a file", hint="nothing of it was fetched"
        ) from error
    return FileInfo(path, is_dir=bool(raw.get("is_dir")), file_size=size)


def _proxy(host: str) -> str:
    """The root of the artifact proxy on a host, or on the tracking server where there is none."""
    tracking = split(settings.tracking_uri() or "")
    known = tracking.scheme in {"http", "https"}
    if not host and not known:
        raise InvalidUri(
            "mlflow-artifacts:/PATH lies on the tracking server, and none is set",
            hint="name the host, mlflow-artifacts://HOST/PATH, or set PACK_TRACKING_URI to the server's http address",
        )
    if host.isdigit():
        raise InvalidUri("mlflow-artifacts://PORT names no host", hint="write mlflow-artifacts://HOST:PORT/PATH")
    where = _checked_host(host or tracking.netloc.rpartition("@")[2])
    if not known:
        return f"http://{where}{_API}"
    return f"{tracking.scheme}://{where}{quote(tracking.path.rstrip('/'), safe='/%')}{_API}"


def _checked_host(host: str) -> str:
    if not _HOST.fullmatch(host):
        raise InvalidUri(
            "the address names no plain host", hint="write HOST or HOST:PORT; credentials go into PACK_TRACKING_TOKEN"
        )
    return host
