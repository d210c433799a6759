"""Plain values out of rows and files that strangers wrote, looked at before anything is made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pack.errors import InvalidValue

LONGEST = 20_000_000
_DIGITS = re.compile(r"[+-]?[0-9]{1,19}")


def text(value: Any, what: str) -> str:
    """A text; empty for None. Raises `InvalidValue` for what is none, is too long, or holds half a character."""
    if value is None:
        return ""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(whole(value, what))
    if not isinstance(value, str):
        raise InvalidValue(f"{what} is {type(value).__name__}, not text")
    if len(value) > LONGEST:
        raise InvalidValue(f"{what} has more than {LONGEST:,} characters")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(f"{what} is not valid Unicode") from error
    return value


def optional_text(value: Any, what: str) -> str | None:
    """A text, or None."""
    return None if value is None else text(value, what)


def whole(value: Any, what: str) -> int:
    """A whole number of 64 bits, which may be written as text."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise InvalidValue(f"{what} is not a whole number of 64 bits")
    return value


def optional_whole(value: Any, what: str) -> int | None:
    """A whole number, or None."""
    return None if value is None else whole(value, what)


def real(value: Any, what: str) -> float:
    """A number; text such as `nan` and `-inf` too."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidValue(f"{what} is not a number") from error


def mapping(value: Any, what: str) -> dict[str, Any]:
    """A mapping of names; empty for None."""
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidValue(f"{what} is not a mapping of names")
    return dict(value)


def texts(value: Any, what: str) -> dict[str, str]:
    """A mapping of texts; empty for None."""
    return {text(key, what): text(one, f"{what} {key[:100]!a}") for key, one in mapping(value, what).items()}


def listed(value: Any, what: str) -> list[Any]:
    """A list; empty for None."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidValue(f"{what} is not a list")
    return value


def shown(value: Any) -> str:
    """A name of somebody else's as it can stand in a message."""
    text = str(value)
    return ascii(text if len(text) <= 120 else f"{text[:117]}...")[1:-1]
