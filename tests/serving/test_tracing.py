"""Spans, by the real OpenTelemetry."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pack
from tests import models


def test_each_request_is_a_span_that_continues_the_callers_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    launcher = Path(sys.executable).with_name("opentelemetry-instrument")
    exporters = ["--traces_exporter", "console", "--metrics_exporter", "none", "--logs_exporter", "none"]
    serve = [sys.executable, "-m", "pack", "serve", "-m", str(tmp_path / "model"), "--port", "0"]
    process = subprocess.Popen([str(launcher), *exporters, *serve], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline().strip().rpartition(":")[2])
    trace = "0af7651916cd43dd8448eb211c80319c"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    connection.request("POST", "/invocations", '{"inputs": [[5.1, 3.5, 1.4, 0.2]]}', headers)
    assert connection.getresponse().status == 200
    connection.close()
    process.send_signal(signal.SIGTERM)
    shown, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    assert trace in shown
    assert re.search(r'"pack.phase.predict": [\d.e-]+', shown)
    assert re.search(r'"pack.request_id": "\w+"', shown)


def test_without_configuration_nothing_of_it_is_imported(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "model")
    code = (
        "import sys; from pack.serving import app; app(sys.argv[1]).build_middleware_stack();"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", code, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "False"
