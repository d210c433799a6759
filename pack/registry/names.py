"""Names, aliases, versions and descriptions: what the registry takes."""

from __future__ import annotations

import re
import unicodedata
from numbers import Integral
from typing import Any

from pack.errors import InvalidValue
from pack.uris import model_name

DESCRIPTION = 100_000
REASON = 5000
TAG_KEY, TAG_VALUE = 250, 100_000
_ALIAS = re.compile(r"[\w\-]{1,255}")


def check_name(name: str) -> str:
    """The name of a registered model: of the grammar, and in Unicode's composed form (NFC)."""
    model_name(name)
    if unicodedata.normalize("NFC", name) != name:
        raise InvalidValue(
            f"{name!a} is not in Unicode's composed form (NFC)", hint="write it with composed characters"
        )
    return name


def check_alias(alias: str) -> str:
    """An alias: letters, digits, `_` and `-`; not `latest`, not a version."""
    if not isinstance(alias, str) or not _ALIAS.fullmatch(alias):
        raise InvalidValue(f"{str(alias)[:100]!a} cannot be an alias", hint="use 1 to 255 letters, digits, _ and -")
    if alias.lower() == "latest" or re.fullmatch(r"[vV]?[0-9]+", alias):
        raise InvalidValue(f"{alias!r} cannot be an alias: it reads as a version", hint="use a word, like champion")
    return alias


def version_number(version: Any) -> int:
    """A version, which people also write as text."""
    if isinstance(version, str) and version.isascii() and version.isdigit() and len(version) < 19:
        version = int(version)
    # NumPy's whole numbers are taken too, as the columns of a table hold them.
    if isinstance(version, bool) or not isinstance(version, Integral) or not 1 <= int(version) < 2**63:
        raise InvalidValue(f"{str(version)[:50]!a} is not a version", hint="versions are numbers from 1 up")
    return int(version)


def check_description(description: str | None) -> str:
    """A description within its limit; empty for None."""
    found = description or ""
    if not isinstance(found, str) or len(found) > DESCRIPTION:
        raise InvalidValue(f"a description is text of at most {DESCRIPTION:,} characters")
    return found


def check_reason(reason: str | None) -> None:
    """Why an alias moves, within its limit."""
    if reason is not None and (not isinstance(reason, str) or len(reason) > REASON):
        raise InvalidValue(f"the reason of a move is text of at most {REASON:,} characters")


STAGES = ("None", "Staging", "Production", "Archived")


def check_stage(stage: Any) -> str:
    """A stage in its canonical spelling; raises `InvalidValue` for a word that is none."""
    found = next((one for one in STAGES if one.lower() == str(stage).lower()), None)
    if found is None:
        raise InvalidValue(f"{str(stage)[:50]!a} is not a stage", hint=f"use one of {', '.join(STAGES)}, or an alias")
    return found


def check_tag(key: Any, value: Any) -> tuple[str, str]:
    """A tag whose name and value fit."""
    if not isinstance(key, str) or not 1 <= len(key) <= TAG_KEY:
        raise InvalidValue(f"the key of a tag has 1 to {TAG_KEY} characters")
    if len(str(value)) > TAG_VALUE:
        raise InvalidValue(f"the value of tag {key!a} has more than {TAG_VALUE:,} characters")
    return key, str(value)
