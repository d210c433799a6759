"""`pack serve` as a process: real sockets, signals, ports."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import pack
from tests import models


class Server:
    """A running `pack serve`."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "pack", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline().strip()
        self.url = urlsplit(self.line.rpartition(" ")[2])
        self.port = self.url.port or 0

    def post(self, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/invocations", json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    def raw(self, data: bytes, *, hang_up: bool = True) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(data)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def stop(self) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=40)
        return self.process.returncode, errors


@pytest.fixture
def saved(tmp_path: Path) -> str:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    return str(tmp_path / "model")


@pytest.fixture
def server(saved: str) -> Iterator[Server]:
    running = Server("-m", saved)
    yield running
    running.stop()


def test_it_says_where_it_serves_scores_and_stops_cleanly(server: Server, saved: str) -> None:
    assert server.line == f"serving {saved} at http://127.0.0.1:{server.port}"
    assert server.post({"inputs": models.iris()[0][:2].tolist()}) == (200, {"predictions": [0, 0]})
    code, errors = server.stop()
    assert code == 0
    assert "Traceback" not in errors


def test_protocol_errors_leave_the_server_well(server: Server) -> None:
    body = b'{"inputs": [[1, 2, 3, 4]]}'
    head = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    assert b" 400 " in server.raw(b"GET /ping HTTP/1.1\r\n\r\n").splitlines()[0]
    assert b" 400 " in server.raw(b"GET /ping HTTP/1.1\r\nHost: a\r\nHost: localhost\r\n\r\n").splitlines()[0]
    assert b" 200 " in server.raw(b"GET /ping HTTP/1.0\r\n\r\n").splitlines()[0]
    assert b" 403 " in server.raw(b"GET /ping HTTP/1.1\r\nHost: evil.example\r\n\r\n").splitlines()[0]
    both = head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert b" 200 " not in server.raw(both).splitlines()[0]
    assert b" 400 " in server.raw(head + b"Content-Length: -1\r\n\r\n").splitlines()[0]
    server.raw(head + b"Content-Length: 1000\r\n\r\n" + body)
    one = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert server.raw(one * 2 + last, hang_up=False).count(b"HTTP/1.1 200") == 3
    assert server.post({"inputs": [[1, 2, 3, 4]]})[0] == 200


def test_a_term_signal_lets_what_is_in_flight_finish(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text(
        "import time, pack\n"
        "def predict(model_input):\n    time.sleep(1)\n    return [1]\n"
        "pack.models.set_model(predict)\n",
        encoding="utf-8",
    )
    pack.pyfunc.save_model(tmp_path / "slow", python_model=str(script))
    server, answers = Server("-m", str(tmp_path / "slow")), []
    threads = [threading.Thread(target=lambda: answers.append(server.post({"inputs": [1]}))) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    code, _ = server.stop()
    for thread in threads:
        thread.join()
    assert code == 0
    assert answers == [(200, {"predictions": [1]})] * 6


def test_a_port_that_is_taken_is_one_clear_line(saved: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "pack", "serve", "-m", saved, "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "is in use" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--host", "0.0.0.0"], "--allow-unauthenticated"),
        (["-m", "models:/none@champion"], "none"),
        (["-m", "nowhere"], "there is nothing"),
        (["-m", "one", "-m", "other"], "two models have the name"),
    ],
)
def test_what_cannot_be_served_is_a_clear_line(saved: str, arguments: list[str], word: str) -> None:
    given = arguments if "-m" in arguments else ["-m", saved, *arguments]
    command = [sys.executable, "-m", "pack", "serve", "--port", "0", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode in {1, 2}
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_a_strangers_pickle_is_not_served_without_trust(tmp_path: Path) -> None:
    pack.sklearn.save_model(models.classifier(), tmp_path / "model", serialization_format="pickle")
    stranger = {**os.environ, "PACK_STATE_DIR": str(tmp_path / "stranger")}
    command = [sys.executable, "-m", "pack", "serve", "-m", str(tmp_path / "model"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=stranger)
    assert done.returncode == 1
    assert "--trust" in done.stderr


def test_an_alias_is_served(own_world: Path) -> None:
    info = pack.log_model(models.classifier(), "iris", input_example=models.iris()[0][:2], registered_model_name="iris")
    pack.set_alias("iris", "champion", info.registered_model_version or 0)
    server = Server("-m", "models:/iris@champion")
    try:
        assert server.post({"inputs": models.iris()[0][:1].tolist()}) == (200, {"predictions": [0]})
    finally:
        server.stop()


def test_requests_leave_no_files_threads_or_memory_behind(server: Server) -> None:
    body = {"inputs": models.iris()[0][:1].tolist()}
    status = Path(f"/proc/{server.process.pid}")
    if not status.exists():
        pytest.skip("this system has no /proc")
    for _ in range(50):
        server.post(body)
    files, threads = len(list((status / "fd").iterdir())), len(list((status / "task").iterdir()))
    for _ in range(400):
        server.post(body)
    assert len(list((status / "fd").iterdir())) <= files + 1
    assert len(list((status / "task").iterdir())) <= threads + 1


def test_a_large_body_that_needs_a_closer_look_holds_up_nobody(server: Server) -> None:
    # A null sends it the careful way, which takes seconds for so many numbers.
    body = {"inputs": [[5.1, 3.5, 1.4, None]] * 500_000}
    order: list[str] = []

    def ask() -> None:
        server.post(body)
        order.append("large")

    asking = threading.Thread(target=ask)
    asking.start()
    while asking.is_alive():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/ping")
        assert connection.getresponse().status == 200
        connection.close()
        if "large" not in order:
            order.append("ping")
        time.sleep(0.05)
    asking.join()
    assert order[-1] == "large"
    assert order.count("ping") > 20


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "httptools", "msgspec"])
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(name: str) -> None:
    script = (
        f"import sys; sys.modules[{name!r}] = None; from pack.cli import main; main(['serve', '-m', 'models:/m/1'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: the Python module {name!r} is not installed\n  install it: pip install 'packml[serving]'\n"
    )
