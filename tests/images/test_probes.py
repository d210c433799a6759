"""The server with the variables of the manifests: it answers their probes, and clients that call it by its Service."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pack import artifacts
from tests.images.manifests import objects, server_of, variables_of

pytestmark = pytest.mark.sklearn
KEY = "0123456789abcdef"


@pytest.fixture
def pod(churn: str) -> Iterator[tuple[dict[str, Any], int]]:
    """The container of a Deployment whose callers need a key, and the port that it is served on here."""
    container = server_of(objects("--auth-secret", "keys", "--allowed-host", "churn.example.com")["Deployment"])
    known = {"POD_NAMESPACE": "ml", "PACK_SERVE_KEYS": KEY}
    given = {name: value for name, value in variables_of(container).items() if isinstance(value, str)}
    expanded = {name: re.sub(r"\$\((\w+)\)", lambda match: known[match[1]], value) for name, value in given.items()}
    world = {**os.environ, **expanded, **known, "PACK_HOST": "127.0.0.1"}
    home = artifacts.local_path("models:/churn@champion")
    command = [sys.executable, "-m", "pack", "serve", "-m", f"{expanded['PACK_MODEL_NAME']}={home}", "--port", "0"]
    with subprocess.Popen(command, env=world, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as server:
        assert server.stdout is not None
        try:
            yield container, int(server.stdout.readline().rpartition(":")[2])
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=60) == 0


def status(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_probes_are_answered_without_a_key_and_by_the_address_of_the_pod(pod: tuple[dict[str, Any], int]) -> None:
    container, port = pod
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert status(port, container[probe]["httpGet"]["path"], Host="10.1.2.3:8080") == 200
    assert status(port, "/metrics", Host="10.1.2.3:8080") == 401


def test_clients_call_it_by_the_names_of_its_service(pod: tuple[dict[str, Any], int]) -> None:
    def answer(host: str) -> int:
        return status(pod[1], "/v2/models/churn/ready", Host=host, Authorization=f"Bearer {KEY}")

    own = ["churn", "churn.ml", "churn.ml.svc:80", "churn.ml.svc.cluster.local", "churn.example.com"]
    assert [answer(host) for host in own] == [200] * len(own)
    assert [answer(host) for host in ("churn.other", "evil.example", "svc")] == [403] * 3
