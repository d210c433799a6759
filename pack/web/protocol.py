"""HTTP/1.1 from the socket: uvicorn's protocol over llhttp, with limits on what a client may send and how slowly.

No request has a timer of its own. Each connection knows in which stage it is; once a second the server lets all of them
grow older (`grow_older`), and what is too old for its stage is answered 408 or closed.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pack.web.cycle import Cycle
from pack.web.limits import ClientLimits
from pack.web.refusals import Refusal, too_large, too_slow, written
from pack.web.stages import ANSWER, BODY, DISPENSABLE, ENDING, HEAD, IDLE, NEW, State

# A client that is refused while it still sends gets so many seconds to read why.
LINGER_SECONDS = 2
# What a client may still send, in bytes, of a body that nobody wants, so that its connection can be used again.
_LEFTOVER = 256 * 1024
# Connections beyond the most that are still told that there are too many.
_BEYOND = 16
_UNUSED_HEADERS = frozenset({b"upgrade", b"connection", b"http2-settings"})


class Protocol(HttpToolsProtocol):
    """One connection. A subclass with other `limits` has other limits."""

    limits: ClassVar[ClientLimits] = ClientLimits()
    server_state: State
    _stage: int = NEW
    # Seconds in this stage, as sweeps count them.
    _age: int = 0
    # Bytes: all that came; those of the head that is read; those of the body since the last that was of any use.
    _came: int = 0
    _head: int = 0
    _useless: int = 0
    # As the last sweep saw it: all that came, and what was still to be sent; and for how many sweeps neither moved.
    _seen: int = 0
    _unsent: int = 0
    _silent: int = 0
    _stuck: int = 0
    _body_began: int = 0
    _refusal: Refusal | None = None
    _is_upgrade: bool = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or turn it away where there are too many and none of them lies idle."""
        super().connection_made(transport)
        if self.server_state.tell is not None:
            self.server_state.tell()
        most = self.limits.connections
        if len(self.connections) > most + max(most // 8, _BEYOND):
            transport.abort()
        elif len(self.connections) > most and not self._make_room():
            message = "too many connections are open; try again in a moment"
            self._refuse(Refusal(503, "TEMPORARILY_UNAVAILABLE", message, [(b"retry-after", b"1")]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection."""
        super().connection_lost(exc)
        if self.server_state.tell is not None:
            self.server_state.tell()

    def data_received(self, data: bytes) -> None:
        """Read on; what is no HTTP, or too much of it, is refused."""
        if self._stage == ENDING:
            return
        size = len(data)
        self._came += size
        if self._stage == BODY:
            if self.cycle.response_complete and self._came - self._body_began > _LEFTOVER:
                self._end()
                return
            self._useless += size
        else:
            self._head += size
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(self._refusal or Refusal(400, "BAD_REQUEST", "this is not a valid HTTP/1.1 request"))
        else:
            if self._stage == HEAD and self._head > self.limits.head_bytes:
                self._refuse(self._too_long())
            elif self._useless > self.limits.head_bytes:
                self._refuse(Refusal(400, "BAD_REQUEST", "the body's chunks carry too little for their size"))

    def on_url(self, url: bytes) -> None:
        """A part of the request's target came."""
        if self._stage != HEAD:
            self._stage = HEAD
            self._age = 0
        self.url += url
        if len(self.url) > self.limits.url_bytes:
            self._stop(too_large(f"a URL may have {self.limits.url_bytes:,} bytes", status=414))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header came; those after a body are dropped."""
        if self._stage != HEAD:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head of a request is there: the application is called."""
        if len(self.headers) > self.limits.headers or self._head > self.limits.head_bytes:
            self._check_head()
        self._head = self._useless = self._age = self._silent = 0
        self._body_began = self._came
        if self.parser.should_upgrade():
            self._is_upgrade = True
            return
        self._stage = BODY
        super().on_headers_complete()
        self.cycle.__class__ = Cycle  # uvicorn makes them of its own class, and runs them a moment later
        if self.server_state.draining:
            _make_last(self.cycle)
        if self.scope["http_version"] != "1.1" and self.scope["http_version"] != "1.0":
            self._stop(Refusal(400, "BAD_REQUEST", "HTTP/1.1 is spoken here"))

    def on_body(self, body: bytes) -> None:
        """A part of a body came."""
        cycle = self.cycle
        self._useless = 0
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > 65536:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        """A request is there as a whole."""
        if self._is_upgrade:
            return
        self._stage = IDLE if self.cycle.response_complete else ANSWER
        self._useless = self._age = 0
        self.cycle.more_body = False
        self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        """An answer was given: go on with the next request, or say why there will be none."""
        if self.pipeline:
            super().on_response_complete()
            return
        # What uvicorn does here, without a timer for each request.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._age = 0
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self._stage == ANSWER:
            self._stage = IDLE

    def resume_writing(self) -> None:
        """The other side took what it was sent."""
        self._stuck = 0
        super().resume_writing()

    def shutdown(self) -> None:
        """Finish what is in flight. A request may be on its way to an idle connection: it gets a moment."""
        if self.cycle is None or self.cycle.response_complete:
            self._age = 0
        else:
            _make_last(self.cycle)

    @property
    def is_dispensable(self) -> bool:
        """Whether this connection waits for its client, who is owed no answer."""
        return self._stage in DISPENSABLE and not self._owes() and not self.transport.get_write_buffer_size()

    def give_way(self) -> None:
        """Close this connection, to take another."""
        self._stage = ENDING
        self.connections.discard(self)
        self.transport.close()

    def grow_older(self) -> None:
        """Called once a second: give up on a client that is too slow."""
        self._age += 1
        self._watch_writing()
        stage, limits = self._stage, self.limits
        if stage == IDLE or (stage == NEW and self._came == 0):
            allowed = limits.idle_seconds if stage == IDLE else limits.head_seconds
            if self._age > (1 if self.server_state.draining else allowed):
                self.transport.close()
        elif stage in {NEW, HEAD}:
            if self._age > limits.head_seconds and not self.flow.read_paused:
                self._refuse(too_slow("head"))
        elif stage == BODY:
            self._watch_body()
        elif stage == ENDING and self._age > LINGER_SECONDS and not self._owes():
            self.transport.close()

    def _owes(self) -> bool:
        """Whether the application still works on an answer for this connection."""
        return self.cycle is not None and not (self.cycle.response_complete or self.cycle.disconnected)

    def _watch_body(self) -> None:
        if self.cycle.response_complete:
            # The answer did not wait for the body. A short rest of it is let through, so that the connection lives.
            if self._age > LINGER_SECONDS:
                self._end()
            return
        if self.flow.read_paused:
            self._age -= 1  # it is us who do not read
            return
        self._silent = 0 if self._came != self._seen else self._silent + 1
        self._seen = self._came
        allowed = self.limits.body_seconds
        if self._silent >= allowed or self._age > allowed + (self._came - self._body_began) / self.limits.body_rate:
            self._refuse(too_slow("body"))

    def _watch_writing(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        waits = unsent >= self._unsent > 0 and (self.flow.write_paused or self.transport.is_closing())
        self._stuck = self._stuck + 1 if waits else 0
        self._unsent = unsent
        if self._stuck >= self.limits.stuck_seconds:
            self.transport.abort()

    def _check_head(self) -> None:
        if len(self.headers) > self.limits.headers:
            self._stop(too_large(f"a request may have {self.limits.headers} headers"))
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.head_bytes:
            self._stop(self._too_long())

    def _too_long(self) -> Refusal:
        return too_large(f"the headers of a request may have {self.limits.head_bytes:,} bytes")

    def _stop(self, refusal: Refusal) -> None:
        """Leave the parser, from inside of it."""
        self._refusal = refusal
        raise ValueError(refusal.message)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer that this is refused and read no more; requests before it on this connection are answered first."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if self._owes():
            if self._stage != BODY:
                self._refusal = refusal
                self._stage = ENDING
                return
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or self.pipeline:
                self.transport.close()
                return
        self.transport.write(written(refusal))
        self._end()

    def _end(self) -> None:
        """Send no more, and read no more; but a close at once could take from the other side what was just written."""
        self._stage = ENDING
        self._age = 0
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """Read a request again as if it had not offered another protocol, with the body that its parser left out."""
        self._is_upgrade = False
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(Refusal(405, "BAD_REQUEST", "this is no proxy", [(b"allow", b"GET, POST")]))
            return
        kept = [name + b": " + value for name, value in self.headers if name not in _UNUSED_HEADERS]
        if any(name == b"connection" and b"close" in value.lower() for name, value in self.headers):
            kept.append(b"connection: close")
        line = b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([line, *kept, b"", rest]))

    def _make_room(self) -> bool:
        """Close a connection that waits for its client, to take another."""
        for other in self.connections:
            if isinstance(other, Protocol) and other is not self and other.is_dispensable:
                other.give_way()
                return True
        return False


def _make_last(cycle: RequestResponseCycle) -> None:
    """Close the connection after this answer, and say so in it; not every uvicorn does."""
    cycle.keep_alive = False
    cycle.default_headers = [*cycle.default_headers, (b"connection", b"close")]
