"""Captured payloads and the access log, of a server that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from starlette.testclient import TestClient

import pack
from pack.errors import InvalidValue
from pack.serving import app, capture
from pack.serving.capture import CapturePlan
from pack.serving.options import Options
from tests import models
from tests.serving.test_server import Server


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    pack.save_model(models.mixed_pipeline(), tmp_path / "model", input_example=models.mixed_frame(3))
    return str(tmp_path / "model")


def captured(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.rglob("*.parquet"))], ignore_index=True)


def records(rows: int) -> dict[str, Any]:
    return {"dataframe_records": models.mixed_frame(rows).to_dict(orient="records")}


def test_a_sample_is_written_in_the_signatures_columns_without_what_is_redacted(mixed: str, tmp_path: Path) -> None:
    frame = models.mixed_frame(3)
    first, *others = frame.columns
    server = Server("-m", f"mixed={mixed}", "--capture", str(tmp_path / "seen"), "--capture-redact", str(first))
    answers = [server.post(records(3))[1] for _ in range(5)]
    assert server.post({"dataframe_records": [{"nonsense": 1}]})[0] == 400
    assert server.stop()[0] == 0
    found = captured(tmp_path / "seen" / "mixed")
    assert len(found) == 15
    pd.testing.assert_frame_equal(found.loc[:2, others], frame[others])
    assert found[first].isna().all()
    assert found["_request_id"].nunique() == 5
    assert json.loads(found["_answer"][0]) == answers[0]
    assert [path.name for path in tmp_path.rglob(".new-*")] == []


def test_a_share_of_nothing_captures_nothing(mixed: str, tmp_path: Path) -> None:
    server = Server("-m", mixed, "--capture", str(tmp_path / "seen"), "--capture-share", "0%")
    assert server.post(records(1))[0] == 200
    assert server.stop()[0] == 0
    assert list(tmp_path.glob("seen/**/*.parquet")) == []


def test_redacting_a_column_that_is_not_there_is_refused(mixed: str, tmp_path: Path) -> None:
    plan = CapturePlan(tmp_path / "seen", redact=frozenset({"salary"}))
    with pytest.raises(InvalidValue, match="no column 'salary'"):
        app(mixed, options=Options(capture=plan))


def test_each_request_is_a_line_of_json(mixed: str) -> None:
    server = Server("-m", f"mixed={mixed}", "--access-log")
    assert server.post(records(2))[0] == 200
    assert server.post({})[0] == 400
    server.raw(b"GET /ping?api_key=secret HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n\r\n")
    assert server.process.stdout is not None
    text = [server.process.stdout.readline() for _ in range(3)]
    server.stop()
    lines = [json.loads(line) for line in text]
    assert [(one["method"], one["path"], one["status"]) for one in lines] == [
        ("POST", "/invocations", 200),
        ("POST", "/invocations", 400),
        ("GET", "/ping", 200),
    ]
    assert (lines[0]["model"], lines[0]["rows"]) == ("mixed", 2)
    assert lines[0]["digest"].startswith("sha256:")
    assert len({one["request_id"] for one in lines}) == 3
    assert "secret" not in "".join(text)


def test_a_closed_log_stops_no_request(mixed: str) -> None:
    server = Server("-m", mixed, "--access-log")
    assert server.process.stdout is not None
    server.process.stdout.close()
    assert [server.post(records(1))[0] for _ in range(3)] == [200] * 3
    server.process.terminate()
    assert server.process.wait(30) == 0
    assert server.process.stderr is not None
    server.process.stderr.close()


def test_what_is_too_much_at_once_is_left_out_and_counted(
    mixed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "WAITING_BYTES", 300)
    served = app({"mixed": mixed}, options=Options(capture=CapturePlan(tmp_path / "seen")))
    with TestClient(served) as client:
        statuses = [client.post("/invocations", json=records(1)).status_code for _ in range(10)]
        shown = client.get("/metrics").text
    assert statuses == [200] * 10
    written = len(captured(tmp_path / "seen"))
    assert 0 < written < 10
    assert f'pack_capture_total{{model="mixed",outcome="requests dropped"}} {10 - written}' in shown


def test_a_model_that_is_loaded_later_can_be_redacted(mixed: str, tmp_path: Path) -> None:
    first = str(models.mixed_frame(1).columns[0])
    plan = CapturePlan(tmp_path / "seen", redact=frozenset({first}))
    with TestClient(app({"mixed": mixed}, options=Options(capture=plan, lazy=True))) as client:
        assert client.post("/invocations", json=records(2)).status_code == 200
    assert captured(tmp_path / "seen")[first].isna().all()
