"""One request over HTTP and its answer: no redirect is followed, and what may pass is tried again."""

from __future__ import annotations

import re
import secrets
import ssl
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from typing import IO, TypeVar
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request

from pack import settings
from pack.artifacts.credentials import credentials
from pack.artifacts.landing import Landing
from pack.artifacts.progress import say
from pack.artifacts.store import Tell
from pack.errors import NotFound, PackError, PermissionDenied, StorageFailed, TooLarge, Unavailable
from pack.version import __version__

T = TypeVar("T")

_CHUNK = 1 << 20
_LONGEST_WAIT = 10.0
_UNREACHED = 2


class Passing(Unavailable):
    """Something that may be over in a moment: how often to try again at most, and how long the server asks to wait."""

    tries: int | None = None
    after: float = 0.0


class Transport:
    """Requests to the server that an address is on."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc
        handlers = [ProxyHandler(), HTTPHandler()]
        if address.startswith("https:"):
            handlers.append(HTTPSHandler(context=ssl.create_default_context()))
        self._opener = OpenerDirector()  # without the handlers that follow redirects
        for handler in handlers:
            self._opener.add_handler(handler)

    def ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        *,
        good: Collection[int] = (200,),
        body: IO[bytes] | None = None,
    ) -> HTTPResponse:
        """The answer to a request; raises the error that its status stands for unless that is `good`."""
        own = {"User-Agent": f"pack/{__version__}", "Accept": "*/*", **credentials(url)}
        request = Request(url, data=body, method=method, headers={**own, **(headers or {})})  # noqa: S310 - http(s) only
        with _talking(f"{self._host} cannot be reached", tries=_UNREACHED):
            answer: HTTPResponse = self._opener.open(request, timeout=settings.http_timeout())
        if answer.status in good:
            return answer
        with answer:
            raise self._refusal(answer, url)

    def _refusal(self, answer: HTTPResponse, url: str) -> PackError:
        """The error that a status stands for; what the server says beside it is left out."""
        status = answer.status
        if status in {401, 403}:
            return PermissionDenied(
                f"{self._host} lets nobody in without the right credentials (HTTP {status})",
                hint="set PACK_TRACKING_TOKEN, or PACK_TRACKING_USERNAME and PACK_TRACKING_PASSWORD; they go only "
                "to the server of PACK_TRACKING_URI",
            )
        if status in {400, 404, 410}:
            return NotFound(
                f"there is nothing at {url} (HTTP {status})", hint="list what there is: pack artifacts list"
            )
        if status in {408, 429, 502, 503, 504}:
            fault = Passing(f"{self._host} cannot answer now (HTTP {status})", hint="try again in a while")
            after = answer.getheader("Retry-After", "")
            fault.after = float(after) if re.fullmatch(r"[0-9]{1,9}", after) else 0.0
            return fault
        if 300 <= status < 400:
            return StorageFailed(
                f"{self._host} redirects to another address (HTTP {status}), which is not followed",
                hint="give the server's own address; it may be https: in place of http:",
            )
        return StorageFailed(f"{self._host} refuses (HTTP {status})", hint="tell whoever runs the server")


def receive(answer: HTTPResponse, landing: Landing, limit: int, tell: Tell) -> None:
    """Write a body to its end; raises for one that is cut off, of unknown length, compressed, or over the limit."""
    if answer.getheader("Content-Encoding", "identity").lower() != "identity":
        raise StorageFailed("the server compresses its answer, although it was asked not to")
    if answer.length is None and not answer.chunked:
        raise StorageFailed("the server does not say how long its answer is, so a cut could not be told from the end")
    total = None if answer.length is None else landing.size + answer.length
    _check(total or 0, limit)
    while total is None or landing.size < total:
        with _talking("the connection was cut"):
            chunk = answer.read1(_CHUNK)
        if not chunk:
            break
        _check(landing.size + len(chunk), limit)
        landing.write(chunk)
        tell(landing.size, total)
    if total is not None and landing.size < total:
        raise Passing(f"the connection was cut after {landing.size:,} of {total:,} bytes", hint="try again in a while")


def trying(work: Callable[[], T], *, gained: Callable[[], int] = lambda: 0) -> T:
    """Try again what may pass, as often as `PACK_HTTP_RETRIES` says, and anew whenever more bytes were `gained`."""
    failures, most = 0, 0
    while True:
        try:
            return work()
        except Passing as fault:
            if gained() > most:
                failures, most = 0, gained()
            retries = settings.http_retries()
            if failures >= min(retries, retries if fault.tries is None else fault.tries):
                raise
            _pause(fault, failures)
            failures += 1


def _pause(fault: Passing, failures: int) -> None:
    """Wait longer each time, not all clients for equally long, and as long as the server asks."""
    wait = min(max(0.1 * 2**failures * (1 + secrets.randbelow(1000) / 1000), fault.after), _LONGEST_WAIT)
    if wait >= 1:
        say(f"{fault.message}; trying again in {wait:.0f} s")
    time.sleep(wait)


def _check(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge(f"this is over the limit of {limit:,} bytes", hint="PACK_DOWNLOAD_LIMIT moves it for files")


@contextmanager
def _talking(failure: str, *, tries: int | None = None) -> Iterator[None]:
    """Say what is wrong with the line or the server."""
    try:
        yield
    except (OSError, HTTPException) as error:
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise StorageFailed(
                f"the server's certificate is not trusted: {cause.verify_message}",
                hint="name the file of its certificate authority in SSL_CERT_FILE",
            ) from error
        fault = Passing(f"{failure}: {_words(cause)}", hint="check the address, or try again in a while")
        fault.tries = tries
        raise fault from error


def _words(cause: object) -> str:
    if isinstance(cause, TimeoutError):
        return f"the server was silent for {settings.http_timeout():g} s"
    return cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
