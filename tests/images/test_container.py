"""`pack container`, as an image runs it: told by its platform, logging JSON, stopping when it is asked to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pack
from tests import models

pytestmark = [pytest.mark.sklearn, pytest.mark.skipif(os.name != "posix", reason="containers run Linux")]


@dataclass
class Container:
    """A running container: where it answers, and the lines of its log so far."""

    process: subprocess.Popen[str]
    port: int
    lines: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read().decode()
                return answer.status, json.loads(text) if text.strip()[:1] in {"{", "["} else text
        except urllib.error.HTTPError as error:
            return error.code, None


@contextmanager
def container(**told: str) -> Iterator[Container]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = {**os.environ, "PACK_MODEL_URI": "model", "PACK_HOST": "127.0.0.1", "PORT": str(port), **told}
    command = [sys.executable, "-m", "pack", "container", "serve"]
    with subprocess.Popen(command, env=world, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        found = Container(process, port)
        assert process.stderr is not None
        for line in process.stderr:
            found.lines.append(json.loads(line))
            if "serving" in found.lines[-1]["message"]:
                break
        try:
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            found.lines += [json.loads(line) for line in process.stderr]
            assert process.wait(timeout=30) == 0


@pytest.fixture(autouse=True)
def model() -> None:
    pack.save_model(models.classifier(), "model", input_example=np.zeros((2, 4)))


def test_a_platform_chooses_the_port_and_its_paths_and_asks_for_health() -> None:
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])
    expected = pack.pyfunc.load_model("model").predict(rows).tolist()
    with container(AIP_PREDICT_ROUTE="/v1/churn:predict", AIP_HEALTH_ROUTE="/v1/health", PACK_MODEL_NAME="churn") as it:
        assert it.ask("/v1/health")[0] == 200
        for path in ("/ping", "/health", "/version", "/v2", "/v2/health/ready", "/v2/models/churn/ready"):
            assert it.ask(path)[0] == 200
        for path in ("/invocations", "/v1/churn:predict"):
            assert it.ask(path, {"instances": rows.tolist()}) == (200, {"predictions": expected})
        assert it.ask("/v1/other", {"instances": []})[0] == 404
        world = {**os.environ, "PORT": str(it.port)}
        assert subprocess.run([sys.executable, "-m", "pack.images.probe"], env=world).returncode == 0
    world = {**os.environ, "PORT": str(it.port)}
    assert subprocess.run([sys.executable, "-m", "pack.images.probe"], env=world).returncode == 1


def test_a_key_is_asked_for_where_one_is_set() -> None:
    with container(PACK_SERVE_KEYS="0123456789abcdef") as it:
        assert it.ask("/invocations", {"inputs": [[0.0] * 4]})[0] == 401
        assert it.ask("/ping")[0] == 200


def test_each_line_of_the_log_has_a_time_and_a_level() -> None:
    with container() as it:
        it.ask("/invocations", {"inputs": "no array"})
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in it.lines)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"PORT": "eighty"}, "no port"),
        ({"PACK_MODEL_URI": "nowhere"}, "nowhere"),
        ({"PACK_MODEL_URI": ""}, "there is no model in /opt/ml/model"),
    ],
)
def test_what_it_cannot_serve_is_said_in_one_line_of_json(told: dict[str, str], said: str) -> None:
    world = {**os.environ, "PACK_MODEL_URI": "model", **told}
    done = subprocess.run(
        [sys.executable, "-m", "pack", "container"], env=world, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert said in json.loads(done.stderr.splitlines()[-1])["message"]
    assert "Traceback" not in done.stderr


def test_a_model_whose_code_is_not_trusted_is_not_served(tmp_path: Path) -> None:
    home = Path("own")
    pack.save_model(lambda rows: rows, home, signature=pack.infer_signature(np.zeros((2, 4))))
    world = {**os.environ, "PACK_MODEL_URI": "own", "PACK_STATE_DIR": str(tmp_path / "another user")}
    command = [sys.executable, "-m", "pack", "container"]
    done = subprocess.run(command, env=world, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "PACK_TRUST" in json.loads(done.stderr.splitlines()[-1])["message"]
