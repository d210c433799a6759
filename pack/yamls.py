"""YAML that strangers wrote: read safely, within limits on size, depth and aliases; written plainly."""

from __future__ import annotations

import re
from typing import Any

import yaml

from pack.errors import InvalidValue

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 100
MAX_ALIASES = 200

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def load(data: bytes | str, what: str) -> Any:
    """The plain values in YAML text; raises `InvalidValue` naming `what` for tags, bombs, and text that is no YAML."""
    if len(data) > MAX_BYTES:
        raise InvalidValue(f"{what} is larger than {MAX_BYTES:,} bytes")
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        _check_events(text, what)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - the safe loader
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"{what} is not plain YAML: {_where(error)}", hint="only plain values are read") from error


class _GuardedDumper(_Dumper):  # type: ignore[misc]
    """Quotes texts, too, that only other readers of YAML take for numbers or booleans."""


# Go's reader, which Kubernetes has, follows YAML 1.2 in numbers and 1.1 in booleans.
_GuardedDumper.add_implicit_resolver(
    "!other", re.compile(r"(?:[yYnN]|[-+]?[0-9.][0-9._eEoO+-]*)\Z"), list("yYnN-+.0123456789")
)


def dump(value: Any, *, sort_keys: bool = True, guarded: bool = False) -> str:
    """Block-style YAML; raises `InvalidValue` for values that YAML cannot hold.

    `guarded` quotes texts such as `1e3` and `y`, which other readers than ours take for something else.
    """
    dumper = _GuardedDumper if guarded else _Dumper
    try:
        text: str = yaml.dump(value, Dumper=dumper, default_flow_style=False, allow_unicode=True, sort_keys=sort_keys)
    except yaml.YAMLError as error:
        raise InvalidValue(
            "this cannot be written as YAML", hint="use text, numbers, booleans, dates, lists and dicts"
        ) from error
    return text


def _check_events(text: str, what: str) -> None:
    """Walk the events before anything is built: depth, aliases and tags."""
    if not _suspicious(text):
        return
    depth = aliases = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        if depth > MAX_DEPTH:
            raise InvalidValue(f"{what} is nested more than {MAX_DEPTH} levels deep")
        if aliases > MAX_ALIASES:
            raise InvalidValue(f"{what} holds more than {MAX_ALIASES} aliases")


def _suspicious(text: str) -> bool:
    """Whether the text could nest deeply or hold aliases at all; most files cannot, and are spared the walk."""
    indented = f"\n{' ' * MAX_DEPTH}" in text or "- - - - " in text
    flow = text.count("[") + text.count("{") > MAX_DEPTH
    return indented or flow or "*" in text or "&" in text or "\t" in text


def _where(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or type(error).__name__)[:120]
    return f"{problem} (line {mark.line + 1})" if mark else problem
