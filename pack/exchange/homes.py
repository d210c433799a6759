"""Where the files of a model version lie: with the logged model or the run that it came from, or on their own."""

from __future__ import annotations

import re
from collections.abc import Callable

from pack import uris
from pack.errors import InvalidValue
from pack.exchange.roots import Roots, location
from pack.exchange.source import Home, Version
from pack.exchange.tree import Parts
from pack.exchange.values import shown
from pack.registry import ModelVersion
from pack.uris import LoggedModelUri, RunUri, relative_path

_MODEL = re.compile(r"m-[0-9a-f]{32}")
_RUN = re.compile(r"[0-9a-f]{32}")
Known = Callable[[str], bool]


def version_at_home(record: ModelVersion, *, known_run: Known, known_model: Known, roots: Roots) -> Version:
    """A version with the place of its files, from its location and its source; both are texts of somebody else."""
    texts = [text for text in (record.storage_location, record.source) if text]
    for text in texts:
        home = _linked(text, known_run, known_model)
        if home is not None:
            return Version(record, home)
    for text in texts:
        files = roots.directory(text, what=f"version {record.version} of {shown(record.name)}")
        if files is not None:
            return Version(record, Home(files=files))
    return Version(record, why=f"its files are at {shown(texts[0])}" if texts else "nothing says where its files are")


def model_id_of(*texts: str) -> str | None:
    """The id of the logged model that a version's source or location names."""
    for text in texts:
        found = next((part for part in _parts(text) if _MODEL.fullmatch(part)), None)
        if found:
            return found
    return None


def _linked(text: str, known_run: Known, known_model: Known) -> Home | None:
    parts = _parts(text)
    for place, part in enumerate(parts):
        rest = parts[place + 1 :]
        inside = rest[1:] if rest[:1] == ("artifacts",) else rest
        if _MODEL.fullmatch(part) and known_model(part):
            return Home(model_id=part, path=_below(inside))
        if _RUN.fullmatch(part) and rest[:1] == ("artifacts",) and known_run(part):
            return Home(run_id=part, path=_below(inside))
    return None


def _parts(text: str) -> Parts:
    try:
        uri = uris.parse(text)
    except InvalidValue:
        return ()
    if isinstance(uri, LoggedModelUri):
        return (uri.model_id,)
    if isinstance(uri, RunUri):
        return (uri.run_id, "artifacts", *(uri.path.split("/") if uri.path else ()))
    found = location(text)
    return found.parts if found else ()


def _below(parts: Parts) -> str:
    return relative_path("/".join(parts)) if parts else ""
