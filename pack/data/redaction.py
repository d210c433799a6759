"""URLs without the secrets that people leave in them: passwords, tokens, signatures of presigned links."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_USER = re.compile(r"://([^/?#\\]*)@")
_MARKS = re.compile(r"([&;])")
_SECRET_WORDS = (
    "accesskey", "apikey", "authoriz", "credential", "jwt", "oauth", "passphrase", "passw", "secret", "session",
    "signature", "token", "xamz", "xgoog",
)  # fmt: skip
_SECRET_NAMES = {"auth", "code", "key", "pass", "pat", "pw", "pwd", "sas", "sid", "sig"}
_NESTED = 4


def without_secrets(url: str) -> str:
    """The same URL without passwords, and without what its query and its fragment hold that is named like a secret.

    A user's name alone stays where it is part of the address (`sftp://me@host`, `abfss://box@account`); HTTP has none
    that is. What holds no secret comes back as it was. The time is linear in the length.

    >>> without_secrets("https://me:pw@host/a.csv?version=3&X-Amz-Signature=abc")
    'https://host/a.csv?version=3'
    """
    return _without(url, 0)


def _without(url: str, depth: int) -> str:
    head, mark, fragment = _without_users(url).partition("#")
    place, asked, query = head.partition("?")
    return place + _part(asked, query, depth) + _part(mark, fragment, depth)


def _without_users(url: str) -> str:
    lowered = url.lower()

    def replaced(match: re.Match[str]) -> str:
        user = match[1]
        web = lowered.endswith(("http", "https"), 0, match.start())
        return "://" if web or ":" in user or "%3a" in user.lower() else match[0]

    return _USER.sub(replaced, url)


def _part(mark: str, query: str, depth: int) -> str:
    """`?` and the members of a query that hold no secret; nothing where none is left."""
    members = _MARKS.split(query)
    kept = [at for at in range(0, len(members), 2) if not _is_secret(members[at], depth)]
    if len(kept) == len(members[::2]):
        return mark + query
    joined = "".join("".join(members[max(at - 1, 0) : at + 1]) for at in kept).lstrip("&;")
    return mark + joined if joined else ""


def _is_secret(member: str, depth: int) -> bool:
    """Whether a member of a query is named like a secret, or holds another URL with one."""
    name, _, value = member.partition("=")
    plain = re.sub(r"[^a-z0-9]", "", unquote_plus(name).lower())
    if plain in _SECRET_NAMES or any(word in plain for word in _SECRET_WORDS):
        return True
    inner = unquote_plus(value)
    return "://" in inner and (depth >= _NESTED or _without(inner, depth + 1) != inner)
