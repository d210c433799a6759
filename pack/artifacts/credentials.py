"""Who signs in to the tracking server, and where that is; nobody else gets to see it."""

from __future__ import annotations

import base64
from urllib.parse import SplitResult, urlsplit

from pack import settings
from pack.errors import InvalidValue


def credentials(url: str) -> dict[str, str]:
    """The header that signs in, for an address on the tracking server; nothing for any other."""
    tracking = settings.tracking_uri()
    if not tracking or _origin(tracking) is None or _origin(tracking) != _origin(url):
        return {}
    name, password, token = settings.tracking_username(), settings.tracking_password(), settings.tracking_token()
    if name and password:
        return {"Authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}
    if token and not (token.isascii() and token.isprintable()):
        raise InvalidValue("PACK_TRACKING_TOKEN holds characters that no token has", hint="set it again, as one line")
    return {"Authorization": f"Bearer {token}"} if token else {}


def split(url: str) -> SplitResult:
    """The parts of an address; none of them where it cannot be read."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _origin(url: str) -> tuple[str, str, int] | None:
    parts = split(url)
    try:
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    return parts.scheme, (parts.hostname or "").lower(), port
