"""Streams and `async` models: frames, errors in mid-stream, clients that leave, requests that overlap."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import pack
from pack.errors import ModelFailed, TimedOut, Unavailable
from pack.serving import app, feeds
from pack.serving.batching import Batcher, Limits
from pack.serving.feeds import AHEAD, Feed, TaskFeed, ThreadFeed
from pack.serving.scoring import Scorer
from tests import models
from tests.serving.test_server import Server

JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"inputs": [1]}).encode()


class Words(pack.pyfunc.PythonModel):
    """Yields what it is given; raises where it is told to."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        return list(model_input)

    def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        for value in model_input:
            if value == "raise":
                raise RuntimeError("a secret")
            if value == "wait":
                time.sleep(2)
            yield value


class Later(Words):
    """The same, as an async generator."""

    async def predict_stream(  # type: ignore[override]
        self, context: Any, model_input: Any, params: dict[str, Any] | None = None
    ) -> AsyncIterator[Any]:
        for value in model_input:
            if value == "raise":
                raise RuntimeError("a secret")
            await asyncio.sleep(2 if value == "wait" else 0)
            yield value


@pytest.fixture(params=[Words, Later])
def client(tmp_path: Path, request: pytest.FixtureRequest) -> TestClient:
    return client_of(tmp_path, request.param())


def client_of(tmp_path: Path, model: Any, **options: Any) -> TestClient:
    pack.pyfunc.save_model(tmp_path / "model", python_model=model)
    served = app({"words": str(tmp_path / "model")}, trust=True, **options)
    return TestClient(served, raise_server_exceptions=False)


def streamed(client: TestClient, *values: Any, path: str = "/stream", **headers: str) -> Any:
    return client.post(path, json={"inputs": list(values)}, headers=headers)


def events(text: str) -> list[Any]:
    frames = text.split("\n\n")
    assert (frames.pop(), frames.pop()) == ("", "data: [DONE]")
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


def test_items_come_as_events_and_the_last_says_done(client: TestClient) -> None:
    for path in ("/stream", "/models/words/stream"):
        answer = streamed(client, "one", "two", "three", path=path)
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]
        assert events(answer.text) == ["one", "two", "three"]


def test_items_come_as_lines_where_that_is_asked_for(client: TestClient) -> None:
    answer = streamed(client, "one", "two", accept="text/event-stream;q=0.5, application/x-ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text == '"one"\n"two"\n'


@pytest.mark.parametrize(
    ("accept", "is_stream"),
    [
        ("text/event-stream", True),
        ("application/x-ndjson", True),
        ("text/event-stream, */*;q=0.1", True),
        ("application/json, text/event-stream", False),
        ("text/event-stream;q=0, application/json", False),
        ("text/event-stream;q=0.2, */*", False),
        ("*/*", False),
        ("text/html", False),
    ],
)
def test_invocations_streams_where_the_accept_header_prefers_that(
    client: TestClient, accept: str, is_stream: bool
) -> None:
    for path in ("/invocations", "/models/words/invocations"):
        answer = streamed(client, "one", path=path, accept=accept)
        assert answer.status_code == 200
        assert ("predictions" in answer.text) is not is_stream


def test_values_are_written_as_in_whole_answers(tmp_path: Path) -> None:
    class Odd(Words):
        def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
            yield from (np.array([1.5, np.nan]), np.int64(3), b"x", {"line": "one\ntwo"}, None)

    text = streamed(client_of(tmp_path, Odd()), 1, accept="application/x-ndjson").text
    assert text.splitlines() == ["[1.5, NaN]", "3", '"eA==\\n"', '{"line": "one\\ntwo"}', "null"]


def test_an_error_on_the_way_is_the_last_event(client: TestClient) -> None:
    answer = streamed(client, "one", "raise", "two")
    assert answer.status_code == 200
    first, last = events(answer.text)
    assert first == "one"
    assert last["error"]["message"] == "the model raised RuntimeError"
    assert last["error"]["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text
    lines = streamed(client, "one", "raise", accept="application/x-ndjson").text.splitlines()
    assert json.loads(lines[-1])["error"]["error_code"] == "BAD_REQUEST"


def test_an_error_before_the_first_item_is_an_answer_with_its_status(client: TestClient) -> None:
    answer = streamed(client, "raise")
    assert (answer.status_code, answer.json()["message"]) == (500, "the model raised RuntimeError")
    assert client.post("/stream", content=b"{", headers=JSON).status_code == 400
    assert client.post("/stream", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 415
    assert streamed(client, "x", path="/models/none/stream").status_code == 404
    assert client.get("/stream").status_code == 405


def test_a_stream_without_items_is_done_at_once(client: TestClient) -> None:
    answer = streamed(client)
    assert (answer.status_code, events(answer.text)) == (200, [])


def test_a_model_that_does_not_stream_says_so(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    client = TestClient(app(str(tmp_path / "model")))
    answer = client.post("/stream", json={"inputs": [[1, 2, 3, 4]]})
    assert answer.status_code == 400
    assert answer.json()["message"] == "this model does not stream"
    assert "/invocations" in answer.json()["hint"]


@pytest.mark.parametrize("model", [Words, Later])
def test_the_time_limit_holds_between_items(tmp_path: Path, model: Any) -> None:
    client = client_of(tmp_path, model(), timeout=0.2)
    first, last = events(streamed(client, "one", "wait").text)
    assert (first, last["error"]["error_code"]) == ("one", "DEADLINE_EXCEEDED")
    assert streamed(client, "wait").status_code == 504


@pytest.mark.parametrize("kind", [ThreadFeed, TaskFeed])
def test_a_model_is_never_more_than_a_few_items_ahead_of_its_reader(kind: Any) -> None:
    made: list[int] = []
    closed = threading.Event()

    def numbers() -> Iterator[int]:
        try:
            for number in range(1000):
                made.append(number)
                yield number
        finally:
            closed.set()

    async def numbers_later() -> AsyncIterator[int]:
        for number in numbers():
            yield number

    async def read() -> None:
        feed: Feed = kind(numbers if kind is ThreadFeed else numbers_later, lambda item: b"%d" % item)
        taken = await feed.take(5)
        for _ in range(3):
            await asyncio.sleep(0.05)
            assert len(made) <= len(taken) + AHEAD + 1
            taken += await feed.take(5)
        assert taken == [b"%d" % number for number in range(len(taken))]
        feed.leave()
        assert await asyncio.to_thread(closed.wait, 30)
        assert len(made) < 1000

    asyncio.run(read())


def test_a_generator_runs_in_one_thread_from_its_first_item_to_its_end(tmp_path: Path) -> None:
    class Threads(Words):
        def predict_stream(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
            try:
                for _ in range(20):
                    yield threading.get_ident()
            finally:
                Path("closed.txt").write_text(str(threading.get_ident()), encoding="utf-8")

    found = events(streamed(client_of(tmp_path, Threads()), 1).text)
    assert {*found, int(Path("closed.txt").read_text(encoding="utf-8"))} == {found[0]}


def test_what_an_async_generator_holds_it_holds_in_one_task(tmp_path: Path) -> None:
    class Tasks(Words):
        async def predict_stream(  # type: ignore[override]
            self, context: Any, model_input: Any, params: dict[str, Any] | None = None
        ) -> AsyncIterator[Any]:
            for _ in range(20):
                yield id(asyncio.current_task())

    assert len(set(events(streamed(client_of(tmp_path, Tasks()), 1).text))) == 1


def test_too_many_streams_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MOST", 0)
    answer = streamed(client_of(tmp_path, Words()), "one")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


class Meeting(pack.pyfunc.PythonModel):
    """Answers when two requests are there at once; remembers what was cancelled."""

    def __init__(self) -> None:
        self.there = 0
        self.cancelled = 0
        self.met: asyncio.Event | None = None

    async def predict(self, model_input: list[int]) -> list[int]:  # type: ignore[override]
        self.there += 1
        self.met = self.met or asyncio.Event()
        if self.there == 2:
            self.met.set()
        try:
            await self.met.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return model_input


def awaited(tmp_path: Path, limits: Limits, work: Callable[[Batcher, Scorer], Any]) -> Any:
    pack.pyfunc.save_model(tmp_path / "meeting", python_model=Meeting())
    scorer = Scorer(pack.pyfunc.load_model(tmp_path / "meeting", trust=True))

    async def main() -> Any:
        return await work(Batcher(scorer, limits), scorer)

    return asyncio.run(main()), scorer.model.unwrap_python_model()


def test_requests_to_an_async_model_are_awaited_beside_each_other(tmp_path: Path) -> None:
    async def work(batcher: Batcher, scorer: Scorer) -> Any:
        found = await asyncio.gather(*(batcher.score(scorer.read(BODY), len(BODY)) for _ in range(2)))
        return [json.loads(one.body) for one in found], batcher.in_flight

    assert awaited(tmp_path, Limits(), work)[0] == ([{"predictions": [1]}] * 2, 0)


def test_an_async_request_that_takes_too_long_is_cancelled(tmp_path: Path) -> None:
    async def work(batcher: Batcher, scorer: Scorer) -> None:
        with pytest.raises(TimedOut, match=r"0\.05 seconds"):
            await batcher.score(scorer.read(BODY), len(BODY))
        await asyncio.sleep(0)

    assert awaited(tmp_path, Limits(timeout=0.05), work)[1].cancelled == 1


def test_an_async_request_whose_caller_gives_up_is_cancelled(tmp_path: Path) -> None:
    async def work(batcher: Batcher, scorer: Scorer) -> int:
        asking = asyncio.create_task(batcher.score(scorer.read(BODY), len(BODY)))
        await asyncio.sleep(0.01)
        assert batcher.in_flight == 1
        asking.cancel()
        await asyncio.wait({asking})
        await asyncio.sleep(0.01)
        return batcher.in_flight

    left, model = awaited(tmp_path, Limits(), work)
    assert (left, model.cancelled) == (0, 1)


def test_a_full_queue_refuses_async_requests_too(tmp_path: Path) -> None:
    async def work(batcher: Batcher, scorer: Scorer) -> Any:
        asked = (batcher.score(scorer.read(BODY), len(BODY)) for _ in range(5))
        return await asyncio.gather(*asked, return_exceptions=True)

    found, _ = awaited(tmp_path, Limits(queue=2), work)
    assert sum(isinstance(one, Unavailable) for one in found) == 3


def test_what_an_async_model_raises_is_a_500_without_its_words(tmp_path: Path) -> None:
    class Fails(pack.pyfunc.PythonModel):
        async def predict(self, model_input: list[int]) -> list[int]:  # type: ignore[override]
            raise RuntimeError("a secret")

    answer = client_of(tmp_path, Fails()).post("/invocations", json={"inputs": [1]})
    assert (answer.status_code, answer.json()["message"]) == (500, "the model raised RuntimeError")
    assert "secret" not in answer.text


SCRIPT = """
import asyncio, pathlib, threading, time, pack

home = pathlib.Path({home!r})

def done(name):
    (home / name).write_text("")

class Model(pack.pyfunc.PythonModel):
    async def predict(self, model_input: list[int]) -> list[int]:
        try:
            if model_input[0] == 0:
                done("asked")
                await asyncio.sleep(600)
            (home / f"there-{{model_input[0]}}").write_text("")
            while len(list(home.glob("there-*"))) < 2:
                await asyncio.sleep(0.01)
            return model_input
        except asyncio.CancelledError:
            done("cancelled")
            raise
    {stream}

pack.models.set_model(Model())
"""
IN_A_THREAD = """
    def predict_stream(self, model_input: list[int]):
        try:
            yield 0
            while model_input[0] == 1:
                time.sleep(0.01)
                yield "x" * 100
            while not (home / "go").exists():
                time.sleep(0.01)
            yield 1
        finally:
            done(f"closed-{time.monotonic_ns()}-{threading.get_ident()}")
"""
ON_THE_LOOP = """
    async def predict_stream(self, model_input: list[int]):
        try:
            yield 0
            while not (home / "go").exists():
                await asyncio.sleep(600 if model_input[0] == 1 else 0.01)
            yield 1
        finally:
            done(f"closed-{time.monotonic_ns()}-{threading.get_ident()}")
"""


@pytest.fixture(params=[IN_A_THREAD, ON_THE_LOOP], ids=["thread", "loop"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    script = tmp_path / "model.py"
    script.write_text(SCRIPT.format(home=str(tmp_path), stream=request.param.strip()), encoding="utf-8")
    pack.pyfunc.save_model(tmp_path / "saved", python_model=str(script))
    running = Server("-m", str(tmp_path / "saved"), "--trust")
    yield running
    running.stop()


def until(holds: Callable[[], Any]) -> Any:
    for _ in range(3000):
        if found := holds():
            return found
        time.sleep(0.01)
    pytest.fail("it did not come to pass within thirty seconds")


def begun(server: Server, value: int) -> socket.socket:
    """A connection that has the first item of a stream."""
    body = json.dumps({"inputs": [value]}).encode()
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = b"POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    connection.sendall(head % len(body) + body)
    found = b""
    while b"data: 0" not in found:
        part = connection.recv(65536)
        assert part, found
        found += part
    return connection


def test_a_client_that_leaves_in_mid_stream_ends_it(server: Server, tmp_path: Path) -> None:
    with begun(server, 1):
        pass
    until(lambda: list(tmp_path.glob("closed-*")))
    _, errors = server.stop()
    assert "Traceback" not in errors


def test_many_clients_that_leave_leave_nothing_behind(server: Server, tmp_path: Path) -> None:
    status = Path(f"/proc/{server.process.pid}")
    if not status.exists():
        pytest.skip("this system has no /proc")

    def leave(_: int) -> None:
        begun(server, 1).close()

    def held() -> tuple[int, int]:
        return len(list((status / "fd").iterdir())), len(list((status / "task").iterdir()))

    with ThreadPoolExecutor(20) as clients:
        list(clients.map(leave, range(20)))
        until(lambda: len(list(tmp_path.glob("closed-*"))) == 20)
        until(lambda: held()[1] <= 20)
        files, threads = held()
        list(clients.map(leave, range(200)))
    until(lambda: len(list(tmp_path.glob("closed-*"))) == 220)
    until(lambda: held()[0] <= files + 1 and held()[1] <= threads)


def test_a_slow_stream_holds_up_nobody(server: Server, tmp_path: Path) -> None:
    with begun(server, 2) as connection:
        asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for _ in range(5):
            asking.request("GET", "/ping")
            answer = asking.getresponse()
            assert (answer.status, answer.read()) == (200, b"\n")
        asking.close()
        (tmp_path / "go").write_text("", encoding="utf-8")
        found = b""
        while b"[DONE]" not in found:
            found += connection.recv(65536)
        assert b"data: 1" in found


def test_slow_async_requests_overlap(server: Server) -> None:
    with ThreadPoolExecutor(2) as clients:
        answers = list(clients.map(lambda value: server.post({"inputs": [value]}), (1, 2)))
    assert answers == [(200, {"predictions": [1]}), (200, {"predictions": [2]})]


def test_a_client_that_leaves_cancels_its_async_request(server: Server, tmp_path: Path) -> None:
    body = b'{"inputs": [0]}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        until((tmp_path / "asked").exists)
    until((tmp_path / "cancelled").exists)
    _, errors = server.stop()
    assert "Traceback" not in errors


def test_a_model_that_failed_in_mid_stream_is_in_the_log_under_the_request_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = streamed(client_of(tmp_path, Words()), "one", "raise")
    (record,) = [one for one in caplog.records if answer.headers["x-request-id"] in one.getMessage()]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)
    assert not isinstance(record.exc_info[1], ModelFailed)
