"""`pack serve --workers`: every worker has the model; one that dies is not missed; what cannot start is one line."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import pack
from tests import models
from tests.serving.test_following import BODY, post, register
from tests.serving.test_server import Server
from tests.web.client import until
from tests.web.test_run import made, needs_openssl

Start = Callable[..., Server]
ONE = {"inputs": [[1, 2, 3, 4]]}


@pytest.fixture
def saved(tmp_path: Path) -> str:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    return str(tmp_path / "model")


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers, all of which are stopped in the end."""
    with ExitStack() as stack:

        def one(*arguments: str) -> Server:
            server = Server(*arguments)
            stack.callback(server.stop)
            return server

        yield one


def children(server: Server) -> set[int]:
    """The processes that serve."""
    found = subprocess.run(
        ["ps", "-ww", "--ppid", str(server.process.pid), "-o", "pid=,args="], capture_output=True, text=True
    )
    return {int(line.split()[0]) for line in found.stdout.splitlines() if "spawn_main" in line}


def test_several_workers_serve_say_so_once_and_stop_cleanly(saved: str, start: Start) -> None:
    server = start("-m", saved, "--workers", "2")
    assert server.line == f"serving {saved} at http://127.0.0.1:{server.port}"
    assert len(children(server)) == 2
    identities = {_identity(server) for _ in range(50)}
    assert len(identities) == 50
    assert len({identity[:20] for identity in identities}) == 2
    server.process.send_signal(signal.SIGTERM)
    output, errors = server.process.communicate(timeout=60)
    assert (server.process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize("name", ["PACK_SERVE_WORKERS", "MLFLOW_MODELS_WORKERS"])
def test_the_environment_says_how_many(saved: str, start: Start, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "2")
    server = start("-m", saved)
    assert len(children(server)) == 2
    assert server.stop()[0] == 0


def test_requests_go_on_while_a_worker_is_killed_and_all_are_replaced(saved: str, start: Start) -> None:
    server = start("-m", saved, "--workers", "2")
    before, ended, answers, failed = children(server), threading.Event(), [], []

    def ask() -> None:
        while not ended.is_set():
            try:
                answers.append(server.post(ONE))
            except (OSError, http.client.HTTPException) as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(children(server) - before) == 1)
        server.process.send_signal(signal.SIGUSR2)
        until(lambda: len(children(server)) == 2 and not children(server) & before)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    code, errors = server.stop()
    assert code == 0
    assert "another takes its place" in errors
    # those that the killed one had in its hands
    assert len(failed) <= len(threads)
    assert {json.dumps(answer) for answer in answers} == {json.dumps((200, {"predictions": [2]}))}


def test_a_model_that_hangs_the_loop_loses_its_worker_only(start: Start, tmp_path: Path) -> None:
    script = tmp_path / "hanging.py"
    script.write_text(
        "import time, pack\n"
        "def predict(model_input):\n"
        "    while model_input[0] == 13:\n        time.sleep(1)\n"
        "    return [1]\n"
        "pack.models.set_model(predict)\n",
        encoding="utf-8",
    )
    pack.pyfunc.save_model(tmp_path / "hanging", python_model=str(script))
    server = start("-m", str(tmp_path / "hanging"), "--workers", "2", "--timeout", "0.5")
    before = children(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for value in [1] * 200 + [13]:  # quick ones first: then the model is called on the loop
        connection.request(
            "POST", "/invocations", json.dumps({"inputs": [value]}), {"Content-Type": "application/json"}
        )
        if value == 1:
            assert connection.getresponse().read()
    until(lambda: len(children(server) - before) == 1)
    connection.close()
    assert {json.dumps(server.post({"inputs": [1]})) for _ in range(20)} == {json.dumps((200, {"predictions": [1]}))}
    code, errors = server.stop()
    assert code == 0
    assert "hung for 5.5 seconds" in errors


@pytest.mark.parametrize(("uri", "word"), [("nowhere", "there is nothing"), ("models:/none@champion", "none")])
def test_a_model_that_cannot_be_loaded_is_one_clear_line(uri: str, word: str) -> None:
    command = [sys.executable, "-m", "pack", "serve", "--port", "0", "--workers", "2", "-m", uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("error: ") == 1
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_metrics_are_those_of_all_workers(saved: str, start: Start) -> None:
    server = start("-m", saved, "--workers", "2")
    for _ in range(20):
        assert server.post(ONE)[0] == 200

    def counted() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        return any(line.startswith("pack_requests_total{") and line.endswith(" 20") for line in lines)

    until(counted)
    assert server.stop()[0] == 0


def test_one_request_to_reload_reaches_every_worker(own_world: Path, start: Start) -> None:
    pack.set_alias("steps", "champion", register(1))
    server = start("-m", "models:/steps@champion", "--workers", "2", "--follow-seconds", "600")
    assert {answered(server) for _ in range(20)} == {1}
    pack.set_alias("steps", "champion", register(2))
    assert post(server, "/admin/reload", {}) == (200, {"steps": {"champion": "swapped"}})
    until(lambda: {answered(server) for _ in range(20)} == {2})
    assert len({_identity(server)[:20] for _ in range(50)}) == 2
    pack.set_alias("steps", "champion", 1)
    server.process.send_signal(signal.SIGHUP)
    until(lambda: {answered(server) for _ in range(20)} == {1})
    code, errors = server.stop()
    assert code == 0
    assert errors.count("models:/steps/2 takes over from models:/steps/1") == 2


def answered(server: Server) -> float:
    return float(server.post(BODY)[1]["predictions"][0])


@needs_openssl
def test_workers_speak_https_too(saved: str, start: Start, tmp_path: Path) -> None:
    chain, key = made(tmp_path, "one")
    server = start("-m", saved, "--workers", "2", "--tls-cert", chain, "--tls-key", key)
    context = ssl.create_default_context(cafile=chain)
    for _ in range(10):
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=context)
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200
        connection.close()
    assert server.stop() == (0, "")


def test_a_stop_while_the_workers_start_ends_them(saved: str) -> None:
    command = [sys.executable, "-m", "pack", "serve", "--port", "0", "--workers", "2", "-m", saved]
    for pause in (0.3, 0.8, 1.3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(pause)
        process.terminate()
        _, errors = process.communicate(timeout=60)
        assert process.returncode in {0, -signal.SIGTERM}
        assert "Traceback" not in errors


def _identity(server: Server) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/ping")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.getheader("x-request-id") or ""
