"""One typed parser for every URI that `pack` takes; everything outside its small grammar is refused.

    models:/NAME/7          ModelUri(name, version=7)         models:/NAME/latest      ModelUri(name, latest=True)
    models:/NAME@alias      ModelUri(name, alias=...)         models:/NAME/Staging     ModelUri(name, stage=...)
    models:/NAME@alias~2    ModelUri(..., back=2): two moves ago
    models:/NAME@alias:2026-11-01[T12:30:00Z]  ModelUri(..., at=...): at the end of that day, or at that moment (UTC)
    models:/m-<32 hex>      LoggedModelUri(model_id)          any of these + /sub/path  (path=...), except m- ids
    runs:/<run id>/path     RunUri(run_id, path)
    file:///a, /a, a/b      PathUri(path)
    s3://bucket/key ...     StoreUri(scheme, host, path)      and the other schemes of STORE_SCHEMES

Nothing is decoded after a check: percent signs, backslashes, `..`, `#`, `?`, `;` and control characters are refused
in names and relative paths of `models:` and `runs:` URIs, so what was checked is what is opened.
Forms follow MLflow 3.17 (interoperability facts, URIs).
"""

from __future__ import annotations

import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePath
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from pack.errors import InvalidUri, InvalidValue

STORE_SCHEMES = frozenset(
    {"s3", "gs", "r2", "b2", "abfss", "wasbs", "sftp", "ftp", "hdfs", "viewfs", "http", "https", "mlflow-artifacts"}
)
_LOGGED = re.compile(r"m-[0-9a-f]{32}")
_RUN = re.compile(r"[0-9a-zA-Z_-]{1,64}")
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*):(?![\\])")
_FORBIDDEN = re.compile(r"[\\%#?;:]")


@dataclass(frozen=True)
class ModelUri:
    """A registered model: by version, alias, stage or `latest`; exactly one of the four is set.

    An alias may be one of the past: `back` moves ago, or `at` a time in milliseconds since 1970.
    """

    name: str
    version: int | None = None
    alias: str | None = None
    stage: str | None = None
    latest: bool = False
    path: str = ""
    back: int = 0
    at: int | None = None

    def __str__(self) -> str:
        past = f"~{self.back}" if self.back else "" if self.at is None else f":{_moment(self.at)}"
        which = f"@{self.alias}{past}" if self.alias else f"/{self.version or self.stage or 'latest'}"
        return f"models:/{self.name}{which}" + (f"/{self.path}" if self.path else "")


@dataclass(frozen=True)
class LoggedModelUri:
    """A logged model by its id, `m-` and 32 hexadecimal digits."""

    model_id: str

    def __str__(self) -> str:
        return f"models:/{self.model_id}"


@dataclass(frozen=True)
class RunUri:
    """A path below the artifacts of a run."""

    run_id: str
    path: str = ""

    def __str__(self) -> str:
        return f"runs:/{self.run_id}" + (f"/{self.path}" if self.path else "")


@dataclass(frozen=True)
class PathUri:
    """A path on this machine's disk."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class StoreUri:
    """A location in an object store or on an HTTP server."""

    scheme: str
    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host}/{self.path}"


Uri: TypeAlias = ModelUri | LoggedModelUri | RunUri | PathUri | StoreUri


def parse(text: str | Path) -> Uri:
    """Read a URI or a path into its typed form; raises `InvalidUri` for anything outside the grammar."""
    if isinstance(text, Path):
        return PathUri(text)
    if not isinstance(text, str):
        raise _refused(str(text), f"it is no text, but {type(text).__name__}")
    if not text or _has_control(text):
        raise _refused(text, "it is empty or holds control characters")
    match = _SCHEME.match(text)
    scheme = match.group(1).lower() if match else ""
    if not scheme or (len(scheme) == 1 and text[1:2] == ":"):
        return PathUri(Path(text))
    rest = text[len(scheme) + 1 :]
    if scheme == "models":
        return _model(text, rest)
    if scheme == "runs":
        return _run(text, rest)
    if scheme == "file":
        return _file(text)
    if scheme in STORE_SCHEMES:
        return _store(text, scheme)
    raise _refused(text, f"the scheme {scheme!r} is not known")


def disk_path(path: Any) -> Path:
    """The path of this disk that was given; an empty one, such as an unset variable, does not mean the working folder.

    Raises `InvalidValue` for anything but text that is not empty, or a path.
    """
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InvalidValue(f"{path!a:.80} is no path", hint="give the path of a file or folder, such as 'out/model'")
    return Path(path)


def relative_path(text: str | PurePath) -> str:
    """Check a path below an artifact root, such as `plots/curve.png`; raises `InvalidValue` where it could leave it."""
    if isinstance(text, PurePath):
        text = text.as_posix()
    if not isinstance(text, str):
        raise InvalidValue(f"a path is text, not {type(text).__name__}", hint="give one like plots/curve.png")
    parts = text.split("/")
    bad = (
        text.startswith("/")
        or _has_control(text)
        or _FORBIDDEN.search(text) is not None
        or any(part in {"", ".", ".."} or unicodedata.normalize("NFKC", part) in {".", ".."} for part in parts)
        or any(set(unicodedata.normalize("NFKC", part)) & set("/\\") for part in parts)
        or any(len(part.encode("utf-8", "surrogatepass")) > 255 for part in parts)
        or len(text.encode("utf-8", "surrogatepass")) > 4000
    )
    if bad:
        raise InvalidValue(
            f"{_shown(text)} is not a path below an artifact root",
            hint="use a relative path of plain names, like plots/curve.png",
        )
    return text


def model_name(text: str) -> str:
    """Check the name of a registered model; raises `InvalidValue` for one that could not stand in a URI."""
    if not isinstance(text, str) or not text.strip() or text in {".", ".."}:
        raise InvalidValue("a model needs a name", hint="give one like 'churn'")
    if _has_control(text) or re.search(r"[/\\:@%#?;]", text) or len(text) > 256 or text != text.strip():
        raise InvalidValue(
            f"{_shown(text)} cannot be the name of a model",
            hint="use at most 256 characters, none of / \\ : @ % # ? ; or control characters, no blank at an end",
        )
    return text


def _model(text: str, rest: str) -> ModelUri | LoggedModelUri:
    parts = _segments(text, rest)
    head, _, alias = parts[0].rpartition("@")
    if head:
        return _aliased(text, model_name(head), alias, _below(parts[1:]))
    if len(parts) == 1:
        if _LOGGED.fullmatch(parts[0]):
            return LoggedModelUri(parts[0])
        raise _refused(text, "it names neither a version nor an alias")
    name, which, path = model_name(parts[0]), parts[1], _below(parts[2:])
    if which.isascii() and which.isdigit():
        if len(which) > 18 or int(which) < 1:
            raise _refused(text, "a version is a number from 1 up")
        return ModelUri(name, version=int(which), path=path)
    if which.lower() == "latest":
        return ModelUri(name, latest=True, path=path)
    return ModelUri(name, stage=_word(text, which), path=path)


def _aliased(text: str, name: str, alias: str, path: str) -> ModelUri:
    """An alias of now, of some moves ago (`~2`), or of a time (`:2026-11-01`)."""
    word, mark, past = re.fullmatch(r"([^~:]*)([~:]?)(.*)", alias, re.DOTALL).groups()  # type: ignore[union-attr]
    if mark == "~":
        if not re.fullmatch(r"[1-9][0-9]{0,5}", past):
            raise _refused(text, "after ~ comes a number of moves from 1 up")
        return ModelUri(name, alias=_word(text, word), path=path, back=int(past))
    if mark == ":":
        return ModelUri(name, alias=_word(text, word), path=path, at=_time(text, past))
    return ModelUri(name, alias=_word(text, word), path=path)


def _time(text: str, given: str) -> int:
    """A date (its end) or a moment in UTC, as milliseconds since 1970."""
    match = re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)Z?)?", given)
    if match is None:
        raise _refused(text, "after : comes a date like 2026-11-01, or a time like 2026-11-01T12:30:00Z")
    day, clock = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '23:59:59'}").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise _refused(text, "there is no such date") from error
    return round(moment.timestamp() * 1000) + 999


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds // 1000, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _run(text: str, rest: str) -> RunUri:
    parts = _segments(text, rest)
    if not _RUN.fullmatch(parts[0]):
        raise _refused(text, "the run id may hold only letters, digits, - and _")
    return RunUri(parts[0], _below(parts[1:]))


def _segments(text: str, rest: str) -> list[str]:
    if rest.startswith("//"):
        raise _refused(text, "it names a host")
    parts = rest.removeprefix("/").removesuffix("/").split("/")
    if not parts[0]:
        raise _refused(text, "nothing follows the scheme")
    return parts


def _below(parts: list[str]) -> str:
    return relative_path("/".join(parts)) if parts else ""


def _word(text: str, word: str) -> str:
    if not word or _FORBIDDEN.search(word) or word in {".", ".."}:
        raise _refused(text, f"{_shown(word)} is neither a version, an alias nor a stage")
    return word


def _file(text: str) -> PathUri:
    split = urlsplit(text)
    path = unquote(split.path)
    if split.netloc not in {"", "localhost"} or split.query or split.fragment or not path or _has_control(path):
        raise _refused(text, "a file: URI names a path on this machine and nothing else")
    return PathUri(Path(path))


def _store(text: str, scheme: str) -> StoreUri:
    split = urlsplit(text)
    if split.query or split.fragment:
        raise _refused(text, "a location has neither a query nor a fragment")
    if scheme != "mlflow-artifacts" and not split.netloc:
        raise _refused(text, "it names no bucket or host")
    path = split.path.strip("/")
    if path:
        relative_path(path)
    return StoreUri(scheme, split.netloc, path)


def _has_control(text: str) -> bool:
    return any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text)


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 120 else text[:117] + "...")


def _refused(text: str, why: str) -> InvalidUri:
    return InvalidUri(
        f"{_shown(text)} is not a model or artifact URI: {why}",
        hint="use models:/NAME/VERSION, models:/NAME@ALIAS, models:/m-..., runs:/RUN_ID/PATH, or a path",
    )
