"""HTTP from bare sockets: what is no HTTP, what is too much of it, and clients that are slow."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from time import sleep

import pytest

from tests.web.client import Bare, read_all, statuses

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /ping HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Bare]:
    running = Bare()
    yield running
    code, errors = running.stop()
    assert (code, errors) == (0, "")


@pytest.fixture(scope="module")
def impatient() -> Iterator[Bare]:
    """A server whose limits are small, so that tests are quick."""
    seconds = {"head_seconds": 1, "body_seconds": 1, "idle_seconds": 1, "stuck_seconds": 1}
    running = Bare(**seconds, body_rate=1000, connections=40)
    yield running
    code, errors = running.stop()
    assert (code, errors) == (0, "")


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"Content-Length: 5, 5\r\n\r\nhello",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: +5\r\n\r\nhello",
        POST + b"Content-Length: 0x5\r\n\r\nhello",
        POST + b"Content-Length : 5\r\n\r\nhello",
        POST + b"Content-Length: \r\n\r\n",
        POST + b"Content-Length: 99999999999999999999\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST.replace(b"\r\n", b"\n") + b"Content-Length: 0\n\n",
        POST + b"X: a\nContent-Length: 0\r\n\r\n",
        POST + b"X: a\rContent-Length: 0\r\n\r\n",
        POST + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        POST + b"X: a\x00b\r\n\r\n",
        POST + b"X y: a\r\n\r\n",
        CHUNKED + b"5\r\nhelloXX0\r\n\r\n",
        CHUNKED + b"5\r\nhello\n0\r\n\r\n",
        CHUNKED + b"5\nhello\n0\n\n",
        CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"fffffffffffffffff\r\nhello",
        CHUNKED + b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET /\r\n\r\n",
        b"FETCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_answered_400_and_the_connection_ends(server: Bare, data: bytes) -> None:
    answer = server.say(data + LAST)
    assert statuses(answer) == [400]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error_code"] == "BAD_REQUEST"
    assert b"\r\nx-request-id: " in answer
    assert b"\r\nconnection: close\r\n" in answer


def test_other_transfer_codings_are_not_taken() -> None:
    from pack.errors import BadRequest
    from pack.web.limits import read_bytes

    scope = {"type": "http", "headers": [(b"transfer-encoding", b"gzip, chunked")]}
    with pytest.raises(BadRequest, match="chunked"):
        read_bytes(scope, None, 10, setting="").send(None)  # type: ignore[arg-type]


def test_a_tunnel_is_refused(server: Bare) -> None:
    assert statuses(server.say(b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n" + LAST)) == [405]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (GET + b"X: " + b"a" * 1_000_000, 431),
        (GET + b"X: " + b"a" * 66_000 + b"\r\n\r\n", 431),
        (GET + b"".join(b"X%d: a\r\n" % number for number in range(10_000)) + b"\r\n", 431),
        (GET + b"X: a\r\n" * 100 + b"\r\n", 431),
    ],
)
def test_heads_beyond_the_limits_are_refused(server: Bare, data: bytes, status: int) -> None:
    answer = server.say(data)
    assert statuses(answer) == [status]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error_code"] == "REQUEST_LIMIT_EXCEEDED"


def test_heads_at_the_limits_are_taken_however_they_come(server: Bare) -> None:
    ends = b"Connection: close\r\n\r\n"
    assert statuses(server.say(b"GET /" + b"a" * 16_000 + b" HTTP/1.1\r\nHost: a\r\n" + ends)) == [200]
    assert statuses(server.say(GET + b"X: a\r\n" * 98 + ends)) == [200]
    assert statuses(server.say(GET + b"X: " + b"a" * 60_000 + b"\r\n" + ends)) == [200]
    # behind another request, and together with a large body
    assert statuses(server.say(GET + b"\r\n" + GET + b"X: " + b"a" * 60_000 + b"\r\n" + ends)) == [200, 200]
    large = POST + b"Content-Length: 200000\r\n" + ends + b"x" * 200_000
    assert statuses(server.say(large)) == [200]
    with server.connect() as connection:
        for byte in GET + ends:
            connection.sendall(bytes([byte]))
        assert statuses(read_all(connection)) == [200]


@pytest.mark.parametrize("junk", [b"5;" + b"a" * 200_000, b"5\r\nhello\r\n0\r\nX: " + b"a" * 200_000])
def test_chunks_that_carry_nothing_are_not_read_for_ever(server: Bare, junk: bytes) -> None:
    assert statuses(server.say(CHUNKED + junk)) == [400]


def test_headers_after_a_body_do_not_reach_the_application(server: Bare) -> None:
    answer = server.say(CHUNKED + b"5\r\nhello\r\n0\r\nAuthorization: a\r\nX: b\r\n\r\n" + LAST)
    assert statuses(answer) == [200, 200]
    assert b'"headers": 2, ' in answer


def test_requests_on_one_connection_are_answered_in_their_order(server: Bare) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = server.say(slow + GET + b"\r\n" + CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + LAST)
    assert statuses(answer) == [200, 200, 200, 200]
    assert [answer.index(b'"path": "' + path) for path in (b"/slow", b"/ping", b'/"', b"/last")] == sorted(
        answer.index(b'"path": "' + path) for path in (b"/slow", b"/ping", b'/"', b"/last")
    )


@pytest.mark.parametrize(
    ("line", "body"),
    [(b"GET /odd/parts", b"whole"), (b"GET /odd/whole", b"whole"), (b"HEAD /odd/whole", b"")],
)
def test_an_answer_is_the_same_however_the_application_gives_it(server: Bare, line: bytes, body: bytes) -> None:
    answer = server.say(line + b" HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET /again HTTP/1.0\r\n\r\n")
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 5" in head
    assert rest.startswith(body + b"HTTP/1.1 200 OK\r\n")
    assert b"/again" in rest


def test_an_application_that_answers_wrongly_is_found_out() -> None:
    wrong = Bare()
    raised, forged, short = (
        wrong.say(b"GET /odd/" + kind + b" HTTP/1.1\r\nHost: a\r\n\r\n") for kind in (b"raise", b"header", b"length")
    )
    code, errors = wrong.stop()
    assert raised.startswith(b"HTTP/1.1 500 ")
    assert raised.endswith(b"\r\n\r\nInternal Server Error")
    assert forged == b"", "a line break in a header makes no header"
    assert b"content-length: 10" in short
    assert len(short.partition(b"\r\n\r\n")[2]) < 10, "nobody takes it for whole"
    assert code == 0
    assert "after the head" in errors
    assert "Invalid HTTP header value" in errors
    assert "shorter than Content-Length" in errors


def test_an_answer_that_says_it_is_the_last_is(server: Bare) -> None:
    answer = server.say(b"GET /odd/close HTTP/1.1\r\nHost: a\r\n\r\nGET /again HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.endswith(b"whole")
    assert answer.count(b"connection: close") == 1


def test_what_came_before_nonsense_is_answered_first(server: Bare) -> None:
    slow = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
    assert statuses(server.say(slow + b"nonsense\r\n\r\n")) == [200, 400]
    assert statuses(server.say(POST + b"Content-Length: 3\r\n\r\nabcdef\r\n\r\n")) == [200, 400]


@pytest.mark.parametrize(
    "kind", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
)
def test_an_offer_of_another_protocol_is_passed_over_and_the_body_is_read(server: Bare, kind: bytes) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    answer = server.say(POST + offer + kind + LAST)
    assert statuses(answer) == [200, 200]
    assert b'"length": 5, ' in answer
    # a body is never taken for another request
    smuggled = POST + offer + b"Content-Length: %d\r\n\r\n" % len(LAST) + LAST
    assert statuses(server.say(smuggled + LAST)) == [200, 200]
    assert statuses(server.say(POST + offer.replace(b"Upgrade,", b"Upgrade, close,") + kind)) == [200]


def test_an_answer_before_the_body_is_read_by_a_client_that_still_sends(server: Bare) -> None:
    early = b"POST /early HTTP/1.1\r\nHost: a\r\n"
    # a short rest is let through, and the connection lives
    with server.connect() as connection:
        connection.sendall(early + b"Content-Length: 5\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
        connection.sendall(b"hello" + LAST)
        assert statuses(read_all(connection)) == [200]
    # of a long one nothing is kept
    assert statuses(server.say(early + b"Content-Length: 30000000\r\n\r\n" + b"x" * 30_000_000)) == [413]
    assert statuses(server.say(early + b"Content-Length: 30000000\r\n\r\n" + b"x" * 1000)) == [413]


def test_a_client_that_leaves_is_forgotten(server: Bare) -> None:
    for _ in range(50):
        with server.connect() as connection:
            connection.sendall(POST + b"Content-Length: 1000\r\n\r\n" + b"x" * 500)
    assert server.get("/")["length"] == 0


def test_slow_clients_are_cut_and_others_are_answered_meanwhile(impatient: Bare) -> None:
    connections = [impatient.connect() for _ in range(30)]
    idle, heads, bodies = connections[:20], connections[20:25], connections[25:]
    for connection in bodies:
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n")

    def dribble(connection: socket.socket) -> bytes:
        try:
            for _ in range(40):
                connection.sendall(b"G" if connection in heads else b"x")
                sleep(0.1)
        except ConnectionError:
            pass
        return read_all(connection)

    for connection in heads:
        connection.sendall(b"GET /" + b"a" * 10)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(dribble, heads + bodies))
        assert impatient.get("/ping")["path"] == "/ping"
    assert [statuses(answer) for answer in answers] == [[408]] * 10
    # who never said a word gets no answer
    assert {read_all(connection) for connection in idle} == {b""}
    for connection in connections:
        connection.close()


def test_a_body_that_stops_or_comes_below_the_rate_is_cut(impatient: Bare) -> None:
    with impatient.connect() as connection:
        connection.sendall(POST + b"Content-Length: 1000\r\n\r\n" + b"x" * 900)
        assert statuses(read_all(connection)) == [408]
    with impatient.connect() as connection:
        connection.sendall(POST + b"Content-Length: 3000\r\n\r\n")
        for _ in range(15):
            sleep(0.1)
            connection.sendall(b"x" * 200)
        connection.shutdown(socket.SHUT_WR)
        assert statuses(read_all(connection)) == [200]


def test_a_connection_that_lies_idle_is_closed_but_never_one_that_waits_for_an_answer(impatient: Bare) -> None:
    with impatient.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        assert statuses(read_all(connection)) == [200] * 3


def test_a_client_that_takes_nothing_of_its_answer_is_cut(impatient: Bare) -> None:
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", impatient.port))
        connection.settimeout(30)
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        sleep(4)
        assert len(read_all(connection)) < 50_000_000


def test_beyond_the_most_connections_an_idle_one_makes_room(impatient: Bare) -> None:
    with ExitStack() as stack:
        for _ in range(60):
            stack.enter_context(impatient.connect())
        assert impatient.get("/ping")["path"] == "/ping"


def test_where_all_connections_are_busy_another_is_told_to_come_back() -> None:
    running = Bare(connections=4)
    with ExitStack() as stack:
        busy = [stack.enter_context(running.connect()) for _ in range(4)]
        for connection in busy:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        sleep(0.3)
        with running.connect() as connection:
            answer = read_all(connection)
        assert statuses(answer) == [503]
        assert b"\r\nretry-after: 1\r\n" in answer
        assert [statuses(read_all(connection)) for connection in busy] == [[200]] * 4
    running.stop()


def test_what_is_on_its_way_when_the_stop_is_asked_for_is_answered() -> None:
    running = Bare()
    with ExitStack() as stack:
        connections = [stack.enter_context(running.connect()) for _ in range(300)]
        for number, connection in enumerate(connections):
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" if number % 2 else b"GET /sl")
        running.process.terminate()
        for connection in connections[::2]:
            connection.sendall(b"ow HTTP/1.1\r\nHost: a\r\n\r\n")
        answers = [read_all(connection) for connection in connections]
    assert {tuple(statuses(answer)) for answer in answers} == {(200,)}
    assert all(b"\r\nconnection: close\r\n" in answer for answer in answers)
    running.process.wait(30)  # a second signal on its way out would end it as a signal does
    assert running.stop() == (0, "")
