"""Which hosts a server answers for, and which pages may call it.

A browser can be made to send a request to a server on this machine: by a name that resolves here (DNS rebinding), or
from another site's page. So the Host header must be an address, a loopback name or a configured name, exactly; and a
request that a page of another origin sends is refused. Ports are not compared.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from pack.web.refusals import Refusal, send_refusal

_LOOPBACK = frozenset({"localhost"})
# In place of a name: the server answers for every one, where something in front of it knows better.
ANY = "*"
# Verdicts are kept for so many spellings: every request of one client has the same.
_MOST_KNOWN, _LONGEST_KNOWN = 256, 256
_READS = frozenset({"GET", "HEAD"})
# What a browser says of a request that a person or a page of this very server has made.
_OWN_PAGES = frozenset({b"none", b"same-origin"})


class HostGuard:
    """ASGI middleware that answers 403 to alien hosts and origins, and 400 where there is not one Host header."""

    def __init__(self, app: ASGIApp, allowed: Iterable[str] = ()) -> None:
        self.app = app
        self.allowed = _LOOPBACK | {name.lower().rstrip(".") for name in allowed}
        self._known: dict[bytes | str, bool] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, send)
            return
        status, message = refusal
        code = "PERMISSION_DENIED" if status == 403 else "BAD_REQUEST"
        await send_refusal(scope, send, Refusal(status, code, message))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        hosts, fetched, origin = 0, b"none", None
        for name, value in scope["headers"]:
            if name == b"host":
                hosts, host = hosts + 1, value
            elif name == b"origin":
                origin = value
            elif name == b"sec-fetch-site":
                fetched = value
        if hosts != 1:
            return None if not hosts and scope["http_version"] == "1.0" else (400, "exactly one Host header is needed")
        if not self._is_allowed(host):
            return 403, "this Host is not served here; the server's --allowed-host option adds one"
        if scope["method"] not in _READS and not self._may_send(fetched, origin):
            return 403, "pages of this Origin may not call; the server's --allowed-host option adds its host"
        return None

    def _may_send(self, fetched: bytes, origin: bytes | None) -> bool:
        if fetched not in _OWN_PAGES:
            return False
        if origin is None:
            return True
        scheme, separator, rest = origin.decode("latin-1").partition("://")
        return bool(separator) and scheme in {"http", "https"} and self._is_allowed(rest)

    def _is_allowed(self, given: bytes | str) -> bool:
        found = self._known.get(given)
        if found is None:
            found = self._judged(host_name(given if isinstance(given, str) else given.decode("latin-1")))
            if len(self._known) < _MOST_KNOWN and len(given) < _LONGEST_KNOWN:
                self._known[given] = found
        return found

    def _judged(self, name: str | None) -> bool:
        return name is not None and (name in self.allowed or is_address(name) or ANY in self.allowed)


def comes_from_elsewhere(scope: Scope) -> bool:
    """Whether a page of another origin has sent a request; not where a person followed its link to look at something.

    An origin is compared with its port, as browsers do. A request of which no browser says anything is nobody's page's.
    """
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is not None:
        host = origin.lower().partition(b"://")[2]
        if not host or host != headers.get(b"host", b"").lower():
            return True
    if headers.get(b"sec-fetch-site", b"none") in _OWN_PAGES:
        return False
    follows_link = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    return not (follows_link and scope["method"] in _READS)


def host_name(text: str) -> str | None:
    """The name or address in a Host header, without its port; None for anything that is neither."""
    text = text.strip().lower()
    if text.startswith("["):
        inside, bracket, port = text[1:].partition("]")
        return inside if bracket and is_address(inside) and _is_port(port) else None
    name, colon, port = text.partition(":")
    if not name or (colon and not port.isdigit()) or any(character in name for character in "/@\\ #?"):
        return None
    return name.rstrip(".")


def is_address(name: str) -> bool:
    """Whether this is an IP address, which no one can make resolve elsewhere."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether binding this host serves this machine only."""
    return host in _LOOPBACK or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_port(text: str) -> bool:
    return not text or (text.startswith(":") and text[1:].isdigit())
