"""One request and its answer: an answer that comes as a whole leaves in one write, its head put together once.

uvicorn looks at each header of an answer by itself and writes the head before the body. For a short answer that is a
good part of all the work, so what is common (a body of known length, on a connection that stays open) is done at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent, HTTPResponseStartEvent


class Cycle(RequestResponseCycle):
    """uvicorn's cycle, which holds back the head of an answer of known length until its body is there."""

    _head: HTTPResponseStartEvent | None = None

    async def send(self, message: ASGISendEvent) -> None:
        """Take a part of the answer."""
        if message["type"] == "http.response.start" and not self.response_started and _length(message) is not None:
            self._head = message
            return
        head, self._head = self._head, None
        if head is not None:
            if message["type"] == "http.response.body" and not message.get("more_body") and self._is_plain():
                written = _joined(head, self.default_headers, message["body"])
                if written is not None:
                    self._finish(written)
                    return
            await super().send(head)
        await super().send(message)

    def _is_plain(self) -> bool:
        """Whether there is nothing to do but to write."""
        kept = self.keep_alive and not self.disconnected and not self.flow.write_paused
        return kept and not self.access_log and self.scope["method"] != "HEAD"

    def _finish(self, written: bytes) -> None:
        self.waiting_for_100_continue = False
        self.response_started = self.response_complete = True
        self.transport.write(written)
        self.message_event.set()
        self.on_response()


def _length(head: HTTPResponseStartEvent) -> bytes | None:
    for name, value in head["headers"]:
        if name == b"content-length":
            return value
    return None


def _joined(head: HTTPResponseStartEvent, defaults: list[tuple[bytes, bytes]], body: bytes) -> bytes | None:
    """A whole answer; None where a closer look is needed: at its length, a line break in a header, a last answer."""
    headers = [*defaults, *head["headers"]]
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    count = len(headers)
    if lines.count(b"\n") != count or lines.count(b"\r") != count or b"\0" in lines or b"\nconnection:" in lines:
        return None
    if _length(head) != b"%d" % len(body):
        return None
    return b"%b%b\r\n%b" % (STATUS_LINE[head["status"]], lines, body)
