"""Metrics, read as Prometheus reads them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

import pack
from pack.serving import app
from pack.serving.gathering import Gathering
from pack.serving.metrics import Family, Sample, Tally, of_tallies, text
from tests import models


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    pack.save_model(models.classifier(), tmp_path / "model", input_example=models.iris()[0][:2])
    with TestClient(app({"iris": str(tmp_path / "model")}), raise_server_exceptions=False) as client:
        yield client


def samples(found: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    every = [one for family in text_string_to_metric_families(found) for one in family.samples]
    return {(one.name, frozenset(one.labels.items())): one.value for one in every}


def value(found: str, name: str, **labels: Any) -> float:
    """The sum of the samples of a name that have these labels."""
    wanted = {(key, str(label)) for key, label in labels.items()}
    return sum(each for (one, has), each in samples(found).items() if one == name and wanted <= has)


def test_requests_rows_and_phases_are_counted(client: TestClient) -> None:
    for rows in (1, 2, 3):
        assert client.post("/invocations", json={"inputs": [[5.1, 3.5, 1.4, 0.2]] * rows}).status_code == 200
    assert client.post("/models/iris/invocations", json={"inputs": "x"}).status_code == 400
    assert client.post("/invocations", content=b"x").status_code == 415
    found = client.get("/metrics").text
    assert value(found, "pack_requests_total", model="iris", status=200) == 3
    assert value(found, "pack_requests_total", status=400) == 1
    assert value(found, "pack_requests_total", status=415) == 1
    assert value(found, "pack_rows_total") == 6
    for phase in ("parse", "queue", "validate", "predict", "encode"):
        assert value(found, "pack_phase_seconds_count", phase=phase) == 3
    assert value(found, "pack_request_seconds_count") == 3
    assert value(found, "pack_request_seconds_bucket", le="+Inf") == 3
    assert 0 < value(found, "pack_request_seconds_sum") < 60
    assert value(found, "pack_batch_requests_bucket", le="1") == 3
    assert value(found, "pack_model_ready") == 1
    assert value(found, "pack_in_flight") == 0
    assert client.get("/metrics").headers["content-type"].startswith("text/plain; version=0.0.4")


def test_what_strangers_send_makes_no_series(client: TestClient) -> None:
    client.post("/invocations", json={"inputs": [[5.1, 3.5, 1.4, 0.2]]})
    client.get("/nowhere")
    before = len(samples(client.get("/metrics").text))
    for number in range(300):
        client.get(f"/path-{number}", headers={"x-request-id": f"id-{number}", "user-agent": str(number)})
        client.post(f"/models/none-{number}/invocations", json={})
        client.get(f"/models/none-{number}/health")
    assert len(samples(client.get("/metrics").text)) == before


def test_labels_are_escaped() -> None:
    odd = 'a"b\\c\nd'
    found = text([Family("x_total", "An x.", "counter", [Sample("x_total", {"name": odd}, 1)])])
    assert samples(found) == {("x_total", frozenset({("name", odd)})): 1}


def test_tallies_are_written_read_and_merged() -> None:
    one = Tally()
    one.answered((0.001, 0.002, 0.0, 0.003, 0.0), 5, 2)
    one.failed(503)
    again = Tally.from_dict(json.loads(json.dumps(one.to_dict())))
    assert again.to_dict() == one.to_dict()
    again.merge(one)
    found = text(of_tallies([({"model": "m"}, again)]))
    assert value(found, "pack_requests_total", status=200) == 2
    assert value(found, "pack_requests_total", status=503) == 2
    assert value(found, "pack_rows_total") == 10
    assert value(found, "pack_request_seconds_sum") == pytest.approx(0.012)
    assert value(found, "pack_request_seconds_count") == 2


def test_what_several_processes_counted_is_added_up(tmp_path: Path) -> None:
    one = Tally()
    one.answered((0.001, 0.0, 0.0, 0.003, 0.0), 5, 2)
    families = [
        *of_tallies([({"model": "m"}, one)]),
        Family("pack_queue", "Waiting.", "gauge", [Sample("pack_queue", {}, 3)]),
    ]
    here, there = Gathering(tmp_path), Gathering(tmp_path)
    there._own = tmp_path / "1.json"
    there.save(families)
    found = text(here.all(families))
    assert value(found, "pack_rows_total", model="m") == 10
    assert value(found, "pack_phase_seconds_bucket", phase="predict", le="+Inf") == 2
    assert value(found, "pack_queue") == 6
    os.utime(there._own, (0, 0))
    found = text(here.all(families))
    assert (value(found, "pack_rows_total"), value(found, "pack_queue")) == (10, 3)
    there._own.write_text("torn", encoding="utf-8")
    assert value(text(here.all(families)), "pack_rows_total") == 5
