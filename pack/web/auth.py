"""Keys for callers: everything but health is answered only to those who show one.

Keys are kept as SHA-256 digests and compared in constant time; no message, log or answer shows one. Health stays open:
whoever watches a server needs no key to see that it lives. A person at a browser shows a key as a password (HTTP Basic,
RFC 7617). The browser then sends it with every request to this origin, also with those that other sites' pages cause,
and so these are refused.
"""

from __future__ import annotations

import base64
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from pack.errors import InvalidValue
from pack.web.hosts import comes_from_elsewhere
from pack.web.refusals import Refusal, send_refusal

SHORTEST = 16
_LONGEST = 512
_LONGEST_FILE = 2**20
_WORD = re.compile(r"[!-~]+")
_MADE = "make one: openssl rand -hex 24"
_OPEN = frozenset({"/ping", "/health", "/livez", "/readyz"})
_OPEN_INSIDE = ("/health/", "/v2/health/")
_REFUSAL = Refusal(
    401,
    "UNAUTHENTICATED",
    "a key is needed: send it as Authorization: Bearer KEY, or as X-API-Key: KEY",
    [(b"www-authenticate", b"Bearer")],
)
# A browser that is told so asks for a name and a password.
_QUESTION = _REFUSAL._replace(
    headers=[*_REFUSAL.headers, (b"www-authenticate", b'Basic realm="pack", charset="UTF-8"')]
)
_ALIEN = Refusal(
    403,
    "PERMISSION_DENIED",
    "a page of another origin may not use the key that a browser keeps; a proxy in front must pass on the Host header",
)


@dataclass(frozen=True)
class Keys:
    """The digests of the keys that are taken."""

    digests: tuple[bytes, ...] = field(repr=False)

    def know(self, key: bytes) -> bool:
        """Whether this is one of the keys; takes as long for each."""
        digest = sha256(key if len(key) <= _LONGEST else b"").digest()
        found = 0
        for one in self.digests:
            found |= compare_digest(one, digest)
        return bool(found)


def keys_of(texts: Iterable[str], *, where: str) -> Keys:
    """Keys from their texts; `where` says in messages whence they come.

    Raises `InvalidValue` for a key that is too short or has odd characters, and where there is none.
    """
    digests = [_digest(text, f"key {number} of {where}") for number, text in enumerate(texts, 1)]
    if not digests:
        raise InvalidValue(f"there is no key in {where}", hint=_MADE)
    return Keys(tuple(digests))


def keys_of_file(path: str) -> Keys:
    """Keys from a file with one a line, `#` before comments, that nobody else may read.

    Raises `InvalidValue` for a file that others may read or write, one that cannot be read, and what `keys_of` refuses.
    """
    try:
        with Path(path).open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_FILE + 1)
    except OSError as error:
        raise InvalidValue(
            f"the file of --auth-file cannot be read: {error.strerror}", hint="name a file with one key a line"
        ) from error
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InvalidValue(
            f"the file of --auth-file is open to others (its mode is {stat.S_IMODE(mode):04o})",
            hint="let only its owner read it: chmod 600 FILE",
        )
    if len(content) > _LONGEST_FILE:
        raise InvalidValue("the file of --auth-file is larger than 1 MiB", hint="give it one key a line")
    lines = content.decode("utf-8", errors="replace").splitlines()
    return keys_of(filter(None, map(_without_comment, lines)), where="--auth-file")


def _without_comment(line: str) -> str:
    return "" if line.lstrip().startswith("#") else line.partition(" #")[0].strip()


def _digest(text: str, where: str) -> bytes:
    if not SHORTEST <= len(text) <= _LONGEST:
        raise InvalidValue(f"{where} has {len(text)} characters; {SHORTEST} to {_LONGEST} are needed", hint=_MADE)
    if not _WORD.fullmatch(text):
        raise InvalidValue(f"{where} has spaces, or characters outside ASCII", hint=_MADE)
    return sha256(text.encode()).digest()


class KeyGuard:
    """ASGI middleware that answers 401 to requests without a key, except for health.

    Those whose key is a browser's password are answered 403 where a page of another origin sent them.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say that a key is needed."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        refusal = None if scope["type"] == "lifespan" or _is_open(scope) else self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await send_refusal(scope, send, refusal)

    def _refusal(self, scope: Scope) -> Refusal | None:
        shown = _shown(scope)
        if self._keys.know(shown.key):
            return None
        if shown.password and self._keys.know(shown.password):
            return _ALIEN if comes_from_elsewhere(scope) else None
        return _QUESTION if shown.by_own_page or _prefers_pages(shown.accept) else _REFUSAL


class _Shown(NamedTuple):
    """What a request shows: a key, or one as a browser's password, what it accepts, and whether our page sent it.

    A browser wants to be asked for each part of a page that it opened with the password in the address.
    """

    key: bytes
    password: bytes
    accept: str
    by_own_page: bool


def _shown(scope: Scope) -> _Shown:
    key = bearer = password = accept = fetched = b""
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
        elif name == b"authorization" and value[:6].lower() == b"basic ":
            password = _password(value[6:].strip())
        elif name == b"x-api-key":
            key = value.strip()
        elif name == b"accept":
            accept = value
        elif name == b"sec-fetch-site":
            fetched = value
    return _Shown(bearer or key, password, accept.decode("latin-1"), fetched == b"same-origin")


def _password(credentials: bytes) -> bytes:
    """What stands behind the user's name, which may be any; nothing where these are no credentials."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _prefers_pages(accept: str) -> bool:
    """Whether HTML is asked for before JSON and before anything else, as by a browser that goes to an address."""
    weights = dict(map(_weighed, accept.lower().split(",")))
    html = weights.get("text/html", 0.0)
    return html > max(weights.get(kind, 0.0) for kind in ("application/json", "*/*"))


def _weighed(part: str) -> tuple[str, float]:
    kind, *options = (piece.strip() for piece in part.split(";"))
    try:
        return kind, next((float(option[2:]) for option in options if option.startswith("q=")), 1.0)
    except ValueError:
        return kind, 0.0


def _is_open(scope: Scope) -> bool:
    path, root = scope["path"], scope.get("root_path", "")
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    return path in _OPEN or path.startswith(_OPEN_INSIDE)
