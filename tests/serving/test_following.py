"""A server follows its alias: it swaps after a rehearsal, loses no request, and stays where the new version fails."""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

import pack
from tests.serving.test_server import Server

FRAME = pd.DataFrame({"x": [1.0, 2.0]})
BODY = {"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}


def register(answer: float, *, frame: pd.DataFrame = FRAME, example: Any = FRAME) -> int:
    """A version of `steps` that answers one number."""
    model = DummyRegressor(strategy="constant", constant=answer).fit(frame, np.zeros(len(frame)))
    signature = pack.infer_signature(frame, np.array([answer]))
    logged = pack.sklearn.log_model(
        model, name="steps", signature=signature, input_example=example, registered_model_name="steps"
    )
    return int(logged.registered_model_version or 0)


def get(server: Server, path: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if text[:1] in "{[" else text


def post(server: Server, path: str, body: Any, content_type: str = "application/json") -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", path, json.dumps(body), {"Content-Type": content_type})
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def until(done: Callable[[], bool]) -> None:
    """Wait for what a server does in the background."""
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def answer_of(server: Server) -> float:
    status, found = server.post(BODY)
    assert status == 200, found
    return float(found["predictions"][0])


def champion(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = get(server, "/health")[1]["models"][0]["champion"]
    return found


@pytest.fixture
def start(own_world: Path) -> Iterator[Callable[..., Server]]:
    running: list[Server] = []

    def begin(*arguments: str) -> Server:
        running.append(Server("-m", "models:/steps@champion", "--follow-seconds", "0.1", *arguments))
        return running[-1]

    yield begin
    for server in running:
        server.stop()


def test_it_goes_where_the_alias_goes_and_back(start: Callable[..., Server]) -> None:
    pack.set_alias("steps", "champion", register(1))
    server = start()
    assert (answer_of(server), champion(server)["version"]) == (1, "1")
    pack.set_alias("steps", "champion", register(2))
    until(lambda: answer_of(server) == 2)
    assert champion(server) | {"digest": ""} == {
        "follows": "models:/steps@champion",
        "uri": "models:/steps/2",
        "version": "2",
        "digest": "",
    }
    pack.set_alias("steps", "champion", 1)
    until(lambda: answer_of(server) == 1)
    assert 'pack_swaps_total{model="steps",role="champion"} 2' in get(server, "/metrics")[1]


def test_it_stays_where_following_is_off(start: Callable[..., Server]) -> None:
    pack.set_alias("steps", "champion", register(1))
    server = start("--no-follow")
    pack.set_alias("steps", "champion", register(2))
    time.sleep(0.5)
    assert answer_of(server) == 1
    assert champion(server)["follows"] is None


@pytest.mark.parametrize("ask", ["signal", "signal to workers", "route"])
def test_it_looks_at_once_when_it_is_asked(start: Callable[..., Server], ask: str) -> None:
    pack.set_alias("steps", "champion", register(1))
    server = start("--follow-seconds", "600", *(["--workers", "2"] if "workers" in ask else []))
    pack.set_alias("steps", "champion", register(2))
    if ask != "route":
        server.process.send_signal(signal.SIGHUP)
        until(lambda: [answer_of(server) for _ in range(10)] == [2] * 10)
        return
    assert post(server, "/admin/reload", {}, "text/plain")[0] == 415
    assert post(server, "/admin/reload", {}) == (200, {"steps": {"champion": "swapped"}})
    assert answer_of(server) == 2


def test_a_version_that_breaks_callers_does_not_take_over(start: Callable[..., Server]) -> None:
    pack.set_alias("steps", "champion", register(1))
    server = start()
    other = pd.DataFrame({"y": [1.0]})
    pack.set_alias("steps", "champion", register(2, frame=other, example=other), force=True)
    until(lambda: "refused" in champion(server))
    refused = champion(server)["refused"]
    assert refused["uri"] == "models:/steps/2"
    assert "signature" in refused["why"]
    assert answer_of(server) == 1
    assert get(server, "/health")[0] == 200
    assert 'pack_refusals_total{model="steps",role="champion"} 1' in get(server, "/metrics")[1]
    pack.set_alias("steps", "champion", 1, force=True)
    until(lambda: "refused" not in champion(server))


def test_a_version_that_is_too_slow_does_not_take_over(start: Callable[..., Server]) -> None:
    pack.set_alias("steps", "champion", register(1))
    server = start("--max-rehearsal-ms", "0.000001")
    pack.set_alias("steps", "champion", register(2))
    until(lambda: "refused" in champion(server))
    assert "answers its example in" in champion(server)["refused"]["why"]
    assert answer_of(server) == 1


# What a parser in C does with a file that it was not made for.
CRASHES = """
import os, signal
import pack

class Crashes(pack.pyfunc.PythonModel):
    def load_context(self, context):
        os.kill(os.getpid(), signal.SIGSEGV)

    def predict(self, context, model_input, params=None):
        return model_input

pack.models.set_model(Crashes())
"""


def test_a_version_that_crashes_the_process_that_loads_it_does_not_take_over(
    start: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.set_alias("steps", "champion", register(1.0))
    signature = pack.infer_signature(FRAME, np.array([1.0]))
    (tmp_path / "crashes.py").write_text(CRASHES)
    pack.pyfunc.log_model(
        python_model=tmp_path / "crashes.py", name="bad", signature=signature, registered_model_name="steps"
    )
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "of another user"))
    server = start("--trust")
    pack.set_alias("steps", "champion", 2, force=True)
    until(lambda: "refused" in champion(server))
    assert "died of SIGSEGV" in champion(server)["refused"]["why"]
    assert answer_of(server) == 1.0
    assert 'pack_refusals_total{model="steps",role="champion"} 1' in get(server, "/metrics")[1]


def test_a_version_whose_files_are_damaged_does_not_take_over(start: Callable[..., Server]) -> None:
    pack.set_alias("steps", "champion", register(1))
    server = start()
    number = register(2)
    home = Path(pack.artifacts.download_artifacts(f"models:/steps/{number}"))
    (home / "model.skops").write_bytes(b"damaged")
    pack.set_alias("steps", "champion", number)
    until(lambda: "refused" in champion(server))
    assert "model.skops" in champion(server)["refused"]["why"]
    assert str(home) not in champion(server)["refused"]["why"]
    assert answer_of(server) == 1


def test_no_request_is_lost_while_the_alias_moves_ten_times(start: Callable[..., Server]) -> None:
    versions = [register(answer) for answer in (1, 2, 3)]
    pack.set_alias("steps", "champion", versions[0])
    server = start()
    found: list[Any] = []
    over = threading.Event()

    def load() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while not over.is_set():
            connection.request("POST", "/invocations", json.dumps(BODY), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            found.append((answer.status, json.loads(answer.read())))
        connection.close()

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for move in range(10):
        number = versions[(move + 1) % 3]
        pack.set_alias("steps", "champion", number)
        until(lambda number=number: champion(server)["version"] == str(number))  # type: ignore[misc]
    over.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in found} == {200}
    assert {answer["predictions"][0] for _, answer in found} == {1.0, 2.0, 3.0}
    assert len(found) > 100


def test_a_shadow_sees_the_requests_and_never_answers(start: Callable[..., Server]) -> None:
    pack.set_alias("steps", "champion", register(1))
    pack.set_alias("steps", "challenger", register(2))
    pack.set_alias("steps", "same", register(1))
    server, twin = start("--shadow", "challenger"), start("--shadow", "same")
    for _ in range(20):
        assert answer_of(server) == answer_of(twin) == 1

    def compared(which: Server) -> Any:
        return get(which, "/models/steps/report")[1]["compared"]

    until(lambda: compared(server)["differed"] == 20 and compared(twin)["agreed"] == 20)
    assert (compared(server)["disagreement"], compared(twin)["disagreement"], compared(server)["errors"]) == (1, 0, 0)
    assert 'pack_shadow_total{model="steps",outcome="differed"} 20' in get(server, "/metrics")[1]


def test_a_canary_answers_its_share(start: Callable[..., Server]) -> None:
    pack.set_alias("steps", "champion", register(1))
    pack.set_alias("steps", "challenger", register(2))
    server = start("--canary", "challenger=30%")
    answers = [answer_of(server) for _ in range(300)]
    assert 40 < answers.count(2) < 150
    found = get(server, "/models/steps/report")[1]
    assert found["canary"][0]["requests"] == answers.count(2)
    assert found["champion"][0]["requests"] == answers.count(1)
    assert 'version="2"' in get(server, "/metrics")[1]


def test_models_are_loaded_when_they_are_asked_for_and_let_go_of_when_room_is_short(own_world: Path) -> None:
    register(1)
    size = sum(path.stat().st_size for path in Path(pack.artifacts.download_artifacts("models:/steps/1")).rglob("*"))
    server = Server(
        *("-m", "a=models:/steps/1", "-m", "b=models:/steps/1", "-m", "c=models:/steps/1"),
        *("--max-model-bytes", str(size * 5 // 2)),
    )

    def loaded() -> str:
        return "".join(one["name"] for one in get(server, "/health")[1]["models"] if one["champion"]["uri"])

    try:
        assert (get(server, "/readyz")[0], loaded()) == (200, "")
        for name, there in [("a", "a"), ("b", "ab"), ("a", "ab"), ("c", "ac"), ("b", "bc")]:
            assert post(server, f"/models/{name}/invocations", BODY)[0] == 200
            assert loaded() == there
    finally:
        server.stop()


def test_a_version_two_moves_ago_answers_what_waits_for_it(start: Callable[..., Server], tmp_path: Path) -> None:
    for number in (1, 2, 3):
        script = tmp_path / f"slow{number}.py"
        script.write_text(
            f"import time, pack\ndef predict(model_input):\n    time.sleep(0.5)\n    return [{number}]\n"
            "pack.models.set_model(predict)\n",
            encoding="utf-8",
        )
        pack.pyfunc.log_model(name="steps", python_model=str(script), registered_model_name="steps")
    pack.set_alias("steps", "champion", 1)
    server, answers = start(), list[Any]()
    threads = [threading.Thread(target=lambda: answers.append(server.post({"inputs": [0]}))) for _ in range(60)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    for number in (2, 3):
        pack.set_alias("steps", "champion", number)
        until(lambda number=number: champion(server)["version"] == str(number))  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert answers == [(200, {"predictions": [1]})] * 60
