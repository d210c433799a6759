"""Pages of results, and the tokens that the next page starts from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pack.errors import InvalidValue

T = TypeVar("T")
MAX_TOKEN = 131_072
_SURROGATE = re.compile("[\ud800-\udfff]")


class Page(list[T]):
    """A list of results; `token` is what the next page starts from, None at the end."""

    def __init__(self, items: Iterable[T] = (), token: str | None = None) -> None:
        super().__init__(items)
        self.token = token


def question(*parts: Any) -> str:
    """A short digest of a search, so that a token is used only with the search that it came from."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def write_token(asked: str, key: Sequence[Any]) -> str:
    """A token: where the last row stood in the order of a search."""
    text = json.dumps([asked, list(key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode("ascii")


def read_token(token: str | None, asked: str, length: int) -> tuple[Any, ...] | None:
    """The place of the last row; raises `InvalidValue` for a token that is not one of this search."""
    if not token:
        return None
    try:
        if len(token) > MAX_TOKEN:
            raise ValueError
        found = json.loads(base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True))
        whose, key = found
        fits = isinstance(key, list) and len(key) == length and all(map(_plain, key))
    except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError) as error:
        raise foreign() from error
    if whose != asked or not fits:
        raise foreign()
    return tuple(key)


def check_size(max_results: Any, most: int) -> int:
    """How many results a page may have; raises `InvalidValue` outside 1 to `most`."""
    if isinstance(max_results, bool) or not isinstance(max_results, int) or not 1 <= max_results <= most:
        raise InvalidValue(f"max_results must be a number from 1 to {most:,}")
    return max_results


def _plain(value: Any) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, float) or (isinstance(value, str) and not _SURROGATE.search(value))


def foreign() -> InvalidValue:
    """What is raised for a token that is not one of this search."""
    return InvalidValue(
        "this page token does not belong to this search",
        hint="repeat the search with the same filter and order, or start again without a token",
    )
