"""Where data came from: recorded as MLflow records it, without secrets, and never opened."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pack
import pack.data
from pack.data.code_dataset_source import CodeDatasetSource
from pack.data.dataset_source import DatasetSource
from pack.data.filesystem_dataset_source import FileSystemDatasetSource
from pack.data.http_dataset_source import HTTPDatasetSource
from pack.data.redaction import without_secrets
from pack.data.sources import OtherDatasetSource, resolve
from pack.errors import InvalidValue, NotFound
from pack.tracking import Dataset, DatasetInput

anytime = settings(deadline=None)


@pytest.mark.parametrize(
    ("given", "kind", "recorded"),
    [
        ("data.csv", "local", {"uri": "data.csv"}),
        ("a/../b.csv", "local", {"uri": "a/../b.csv"}),
        ("~/$HOME/%PATH%.csv", "local", {"uri": "~/$HOME/%PATH%.csv"}),
        (Path("deep/data.csv"), "local", {"uri": "deep/data.csv"}),
        ("file:///a/b.csv", "local", {"uri": "file:///a/b.csv"}),
        ("C:\\data\\a.csv", "local", {"uri": "C:\\data\\a.csv"}),
        ("s3://bucket/key?versionId=3", "s3", {"uri": "s3://bucket/key?versionId=3"}),
        ("S3://bucket/key", "s3", {"uri": "S3://bucket/key"}),
        ("gs://bucket/key", "gs", {"uri": "gs://bucket/key"}),
        ("abfss://box@account.net/x", "abfss", {"uri": "abfss://box@account.net/x"}),
        ("runs:/0123/data.csv", "runs", {"uri": "runs:/0123/data.csv"}),
        ("snowflake://account/db", "snowflake", {"uri": "snowflake://account/db"}),
        ("https://host/a b.csv?page=2#top", "http", {"url": "https://host/a b.csv?page=2#top"}),
        (None, "code", {"tags": {}}),
    ],
)
def test_a_path_or_a_uri_is_recorded_as_it_was_given(given: Any, kind: str, recorded: dict[str, Any]) -> None:
    found = resolve(given)
    assert (found.source_type, json.loads(found.to_json())) == (kind, recorded)
    assert type(found).from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://me:hunter2@host/a.csv", "https://host/a.csv"),
        ("https://ghp_hunter2@host/a.csv", "https://host/a.csv"),
        ("HTTPS://me:hunter2@HOST/a.csv", "HTTPS://HOST/a.csv"),
        ("https://me:a@hunter2@host/a.csv", "https://host/a.csv"),
        ("https://host/a?X-Amz-Algorithm=A&X-Amz-Credential=hunter2&X-Amz-Signature=hunter2", "https://host/a"),
        ("https://host/a?version=3&x-amz-security-token=hunter2&b=1", "https://host/a?version=3&b=1"),
        ("https://host/a?sv=2020&sig=hunter2", "https://host/a?sv=2020"),
        ("https://host/a?%74oken=hunter2", "https://host/a"),
        ("https://host/a?b=1;access_token=hunter2", "https://host/a?b=1"),
        ("https://host/a?api-key=hunter2&API_KEY=hunter2&key=hunter2&password=hunter2&a=1", "https://host/a?a=1"),
        ("https://host/a#access_token=hunter2", "https://host/a"),
        ("https://host/a?next=https%3A%2F%2Fme%3Ahunter2%40b%2Fc&a=1", "https://host/a?a=1"),
        ("https://host/a?next=https%3A%2F%2Fb%2Fc%3Ftoken%3Dhunter2", "https://host/a"),
        ("sftp://me:hunter2@host/a", "sftp://host/a"),
        ("sftp://me@host/a", "sftp://me@host/a"),
        ("postgresql://me:hunter2@host/db", "postgresql://host/db"),
        ("jdbc:postgresql://me:hunter2@host/db?password=hunter2", "jdbc:postgresql://host/db"),
        ("s3://AKIA:hunter2@bucket/key", "s3://bucket/key"),
        ("zip://a.csv::https://me:hunter2@host/a.zip", "zip://a.csv::https://host/a.zip"),
    ],
)
def test_no_secret_of_a_url_is_recorded(given: str, kept: str) -> None:
    text = resolve(given).to_json()
    assert "hunter2" not in text
    assert list(json.loads(text).values()) == [kept]


@pytest.mark.parametrize("make", [HTTPDatasetSource, resolve])
def test_no_secret_stands_in_an_error(make: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        make("https://me:hunter2@host:port/a?token=hunter2")
    assert "hunter2" not in str(caught.value)


def test_no_secret_stands_in_the_error_of_a_file_that_is_elsewhere() -> None:
    for place in ("https://me:hunter2@host/a.csv?token=hunter2", "s3://me:hunter2@b/k", "jdbc:sqlite://me:hunter2@h/x"):
        with pytest.raises(InvalidValue) as caught:
            pack.data.load_csv(place)
        assert "hunter2" not in str(caught.value)


@anytime
@given(st.text(alphabet="a:/@?&;=#%4tokensig", max_size=60))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert without_secrets(without_secrets(text)) == without_secrets(text)


def test_a_long_hostile_url_takes_no_long_time() -> None:
    for piece in ("a", "://", "?a=://", "&", "@", "%3f://"):
        without_secrets("https://" + piece * (200_000 // len(piece)))


@pytest.mark.parametrize(
    "bad", ["", "https://", "http:///a", "https://host/\n", 3, ["a"], b"a", "x" * 70_000, "é" * 20_000]
)
def test_what_is_no_source_is_refused_when_it_is_given(bad: Any) -> None:
    with pytest.raises(InvalidValue):
        resolve(bad)


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for uri in ("https://localhost/a.csv", "s3://bucket/a.csv", "sftp://localhost/a.csv"):
        source = pack.data.from_numpy(pytest.importorskip("numpy").zeros(2), source=uri).source
        with pytest.raises(InvalidValue, match="not fetched"):
            source.load()
        with pytest.raises(InvalidValue, match="nothing is fetched"):
            pack.data.load_csv(uri)


def test_a_local_source_loads_as_its_path(tmp_path: Path) -> None:
    path = tmp_path / "a b.csv"
    with pytest.raises(NotFound):
        resolve(path).load()
    path.touch()
    assert resolve(path).load() == str(path)
    with pytest.raises(NotFound):
        resolve("x" * 5000).load()
    assert resolve(path.as_uri()).load() == str(path)


def test_the_source_of_a_record_is_read_back() -> None:
    record = Dataset("d", "1", "s3", '{"uri": "s3://bucket/key"}')
    assert pack.data.get_source(record) == FileSystemDatasetSource("s3://bucket/key")
    assert pack.data.get_source(DatasetInput(record)) == FileSystemDatasetSource("s3://bucket/key")
    assert pack.data.get_source(Dataset("d", "1", "code", '{"tags": {"a": "b"}}')) == CodeDatasetSource({"a": "b"})
    made = pack.data.from_numpy(pytest.importorskip("numpy").zeros(2), source="https://host/a")
    assert pack.data.get_source(made) == HTTPDatasetSource("https://host/a")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("delta_table", '{"path": "/a", "delta_table_version": 3}'),
        ("s3", '{"bucket": "b"}'),
        ("gs", '{"uri": "s3://b/k"}'),
    ],
)
def test_sources_that_others_recorded_stay_as_they_are(kind: str, text: str) -> None:
    found = pack.data.get_source(Dataset("d", "1", kind, text))
    assert isinstance(found, OtherDatasetSource)
    assert (found.source_type, found.to_json()) == (kind, text)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 60_000, '{"tags": 3}', '{"a": 1}' + " " * 70_000])
def test_a_record_that_is_no_source_is_an_error_that_says_so(text: str) -> None:
    with pytest.raises(InvalidValue):
        pack.data.get_source(Dataset("d", "1", "code", text))
    with pytest.raises(InvalidValue):
        pack.data.get_source(text)


def test_a_source_written_for_mlflow_fits() -> None:
    class Warehouse(DatasetSource):
        @staticmethod
        def _get_source_type() -> str:
            return "warehouse"

        def to_dict(self) -> dict[str, Any]:
            return {"table": "a"}

    dataset = pack.data.from_numpy(pytest.importorskip("numpy").zeros(2), source=Warehouse())
    assert (dataset.to_dict()["source_type"], dataset.to_dict()["source"]) == ("warehouse", '{"table": "a"}')
