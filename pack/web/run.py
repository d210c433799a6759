"""Running an application under uvicorn: bound first, ready said once, drained at the end; in one process or several."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from pack.errors import InvalidState, InvalidValue, MissingPackage
from pack.web.hosts import is_loopback
from pack.web.limits import ClientLimits
from pack.web.memory import settle
from pack.web.prefix import Prefix
from pack.web.tls import Certificate

if TYPE_CHECKING:
    from pack.web.server import Tie

# Open files: as many as the system lets us have, up to this; and those that are no connections.
_MOST_FILES, _OTHER_FILES = 65_536, 128


@dataclass(frozen=True)
class Options:
    """How to serve: processes, seconds that a request may take, TLS, a proxy's prefix and address, clients' limits.

    `drain` are the seconds that requests in flight have once a stop was asked for.
    """

    workers: int = 1
    timeout: float = 60.0
    certificate: Certificate | None = None
    prefix: str = ""
    proxies: tuple[str, ...] = ()
    drain: int = 30
    limits: ClientLimits = field(default_factory=ClientLimits)

    @property
    def scheme(self) -> str:
        """`https` with a certificate, else `http`."""
        return "http" if self.certificate is None else "https"


DEFAULT = Options()


def check_bind(host: str, *, allow_unauthenticated: bool, authenticated: bool = False) -> None:
    """Raise `InvalidValue` for a bind that other machines can reach, unless callers show keys or that is asked for."""
    if not (is_loopback(host) or authenticated or allow_unauthenticated):
        raise InvalidValue(
            f"binding {host} would let other machines call this server, which asks no one who they are",
            hint="bind 127.0.0.1, ask for keys with --auth, or pass --allow-unauthenticated if something in front does",
        )


def check_proxy(address: str) -> str:
    """A proxy's address or network; raises `InvalidValue` for anything else."""
    try:
        return str(ipaddress.ip_network(address) if "/" in address else ipaddress.ip_address(address))
    except ValueError as error:
        raise InvalidValue(
            f"{address!a:.100} is no address of a proxy", hint="give one like 10.0.0.7, or a network like 10.0.0.0/24"
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is a free one. Raises `InvalidState` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except (OSError, OverflowError) as error:
        listener.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        why = "is in use" if taken else f"cannot be bound: {error}"
        raise InvalidState(
            f"port {port} of {host} {why}", hint="choose another with --port; 0 is a free one"
        ) from error
    return listener


def run(
    build: Callable[[], ASGIApp],
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    options: Options = DEFAULT,
) -> None:
    """Build an application and serve it until SIGTERM or SIGINT, in this process or in several.

    For several `build` is pickled. Raises what it does; otherwise like `serve`.
    """
    if options.workers == 1:
        serve(build(), listener, ready=ready, options=options)
        return
    from pack.web.workers import supervise

    supervise(build, listener, ready=ready, options=options)


def serve(
    app: ASGIApp,
    listener: socket.socket,
    *,
    ready: Callable[[], None],
    options: Options = DEFAULT,
    tie: Tie | None = None,
) -> None:
    """Serve in this process until SIGTERM or SIGINT, then finish what is in flight.

    `ready` is called once requests are taken. An application with a method `drain` is told when it is about to stop. A
    worker has a `tie` to its supervisor.
    """
    try:
        import uvicorn

        from pack.web.protocol import Protocol
        from pack.web.server import Server
    except ModuleNotFoundError as error:
        raise MissingPackage(
            "serving needs uvicorn and httptools", hint="install them: pip install 'packml[serving]'"
        ) from error
    certificate = options.certificate
    config = uvicorn.Config(
        Prefix(app, options.prefix) if options.prefix else app,
        http=type("LimitedProtocol", (Protocol,), {"limits": _within_files(options.limits)}),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(options.proxies),
        forwarded_allow_ips=list(options.proxies),
        lifespan="on",
        timeout_graceful_shutdown=options.drain,
        ssl_certfile=None if certificate is None else certificate.chain,
        ssl_keyfile=None if certificate is None else certificate.key,
    )
    settle()
    Server(config, ready=ready, drain=getattr(app, "drain", None), tie=tie).run(sockets=[listener])


def _within_files(limits: ClientLimits) -> ClientLimits:
    """Limits whose connections this process can hold open, after asking the system for as many files as it gives."""
    try:
        import resource
    except ModuleNotFoundError:  # not a Unix
        return limits
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return limits
    return replace(limits, connections=min(limits.connections, max(soft - _OTHER_FILES, soft // 2)))
