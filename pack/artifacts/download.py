"""One file on its way: asked for only if it changed, and from where it was cut off on the next try (RFC 9110)."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import replace
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from typing import TypeAlias

from pack.artifacts.landing import Landing
from pack.artifacts.store import Tell, Validator
from pack.artifacts.transport import Passing, receive, trying
from pack.errors import Damaged

_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")
_DIGEST = re.compile(r"(?:^|[, ])sha-256=:([A-Za-z0-9+/]{43}=):")

# asks for the file with some headers; the statuses that are answers, not errors
Ask: TypeAlias = Callable[[dict[str, str], set[int]], HTTPResponse]


class Download:
    """Brings one file into a landing."""

    def __init__(self, ask: Ask, landing: Landing, *, known: Validator | None, limit: int, tell: Tell) -> None:
        self._ask, self._landing, self._known, self._limit, self._tell = ask, landing, known, limit, tell
        self._begun: Validator | None = None  # what the bytes in the landing belong to
        self._digest = ""  # what the server says their digest will be

    def run(self) -> Validator | None:
        """What the server says of the file that came; None, and nothing written, where it is still the known one."""
        found = trying(self._try, gained=lambda: self._landing.size)
        if found is not None and self._digest not in {"", self._landing.digest()}:
            raise Damaged("the bytes that came are not those that the server's digest is of", hint="try again")
        return found

    def _try(self) -> Validator | None:
        resuming = bool(self._begun and self._begun.size and self._landing.size)
        expected = self._begun if resuming else self._known
        headers = _only_from(expected, self._landing.size) if resuming else _only_if_changed(expected)
        with self._ask(headers, {200, 206, 304, 416} if headers else {200}) as answer:
            if answer.status == 200:
                return self._take(answer)
            if expected is not None and _confirms(answer, expected, self._landing.size):
                return self._go_on(answer, expected) if resuming else None
        # The server answered something else than it was asked: ask again, without conditions.
        self._known = self._begun = None
        return self._try()

    def _take(self, answer: HTTPResponse) -> Validator:
        self._landing.restart()
        self._begun, self._digest = _validator(answer), _digest(answer)
        receive(answer, self._landing, self._limit, self._tell)
        return replace(self._begun, size=self._landing.size)

    def _go_on(self, answer: HTTPResponse, begun: Validator) -> Validator:
        receive(answer, self._landing, self._limit, self._tell)
        if self._landing.size != begun.size:
            self._begun = None
            raise Passing("the file did not come as long as the server said", hint="try again in a while")
        return begun


def _only_if_changed(known: Validator | None) -> dict[str, str]:
    """Ask for a file unless it is still the known one.

    Servers without conditional requests (MLflow's) know ranges: they answer with one byte where nothing changed.
    """
    if not known:
        return {}
    headers = {"If-None-Match": known.etag} if known.etag else {"If-Modified-Since": known.modified}
    return {**headers, **(_range(known, "0-0") if known.size else {})}


def _only_from(begun: Validator | None, position: int) -> dict[str, str]:
    return _range(begun, f"{position}-") if begun else {}


def _range(state: Validator, text: str) -> dict[str, str]:
    if state.etag.startswith("W/"):
        return {}
    return {"Range": f"bytes={text}", "If-Range": state.etag or state.modified}


def _confirms(answer: HTTPResponse, expected: Validator, position: int) -> bool:
    """Whether a 304, or a part of the file from `position`, is of the expected state."""
    if answer.status == 304:
        return position == 0
    match = _RANGE.fullmatch(answer.getheader("Content-Range", ""))
    found = _validator(answer)
    same = found.etag == expected.etag if expected.etag else found.modified == expected.modified
    return answer.status == 206 and same and match is not None and match.groups() == (str(position), str(expected.size))


def _validator(answer: HTTPResponse) -> Validator:
    """What an answer says of the file's state; a time counts only when it is surely over (RFC 9110, 8.8.2.2)."""
    etag, modified = (_plain(answer.getheader(name, "")) for name in ("ETag", "Last-Modified"))
    try:
        settled = parsedate_to_datetime(answer.getheader("Date", "")) - parsedate_to_datetime(modified)
    except (ValueError, TypeError):
        return Validator(etag, "", answer.length or 0)
    return Validator(etag, modified if settled.total_seconds() > 1 else "", answer.length or 0)


def _plain(text: str) -> str:
    return text if text.isascii() and text.isprintable() and len(text) <= 1000 else ""


def _digest(answer: HTTPResponse) -> str:
    """The SHA-256 digest of the whole file, where the server says one (RFC 9530), in hexadecimal digits."""
    match = _DIGEST.search(answer.getheader("Repr-Digest", ""))
    return base64.b64decode(match.group(1)).hex() if match else ""
