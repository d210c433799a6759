"""Registered versions on a server: what is taken from its answers, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

import pack
from pack import artifacts
from pack.cli import main
from pack.errors import NotFound, StorageFailed
from pack.fluent import state
from tests.artifacts.proxy import API, Handler, Proxy, running

DIGEST = "ab" * 32


class Registry:
    """A server with one version, whose answers a test may change."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.location = "mlflow-artifacts:/1/models/m-1/artifacts"
        self.version: Any = {"name": "churn", "version": "3", "tags": [{"key": "pack.digest", "value": DIGEST}]}
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        proxy.misbehave = self.answer
        proxy.files = {"1/models/m-1/artifacts/MLmodel": b"flavors: {}", "1/models/m-1/artifacts/a/b.bin": b"b"}

    def answer(self, handler: Handler) -> bool:
        """Answer calls of the registry; files are the proxy's own."""
        address = urlsplit(handler.path)
        if address.path.startswith(API):
            return False
        self.asked.append((address.path, parse_qs(address.query)))
        if address.path.endswith("get-download-uri"):
            handler.json({"artifact_uri": self.location})
        elif self.version is None:
            handler.json({"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404)
        else:
            handler.json({"model_version": self.version})
        return True


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    pack.set_tracking_uri(None)
    pack.set_registry_uri(None)
    with running() as proxy:
        monkeypatch.setenv("PACK_TRACKING_URI", f"http://{proxy.host}")
        yield Registry(proxy)


def test_an_alias_leads_to_the_files_of_its_version(registry: Registry) -> None:
    assert str(artifacts.pinned("models:/churn@champion")) == "models:/churn/3"
    home = artifacts.local_path("models:/churn@champion")
    assert (home / "a" / "b.bin").read_bytes() == b"b"
    assert {entry.path for entry in artifacts.listing("models:/churn/3")} == {"MLmodel", "a"}
    assert artifacts.local_path("models:/churn/3/a/b.bin").read_bytes() == b"b"


def test_a_name_is_sent_as_it_is(registry: Registry) -> None:
    artifacts.pinned("models:/a&b= $(id)é@x+y")
    path, query = registry.asked[0]
    assert path == "/api/2.0/mlflow/registered-models/alias"
    assert query == {"name": ["a&b= $(id)é"], "alias": ["x+y"]}


def test_the_digest_of_a_version_is_its_tag(registry: Registry) -> None:
    assert artifacts.registered_digest("models:/churn/3") == DIGEST
    for tags in ([], None, [{"key": "pack.digest", "value": "abc"}], [{"key": "pack.digest"}], ["x"]):
        registry.version["tags"] = tags
        assert artifacts.registered_digest("models:/churn/3") is None
    assert "NOT VERIFIED" in CliRunner().invoke(main, ["verify", "models:/churn/3"]).output


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc",
        "/etc",
        "relative",
        "s3://bucket/churn",
        "mlflow-artifacts://elsewhere/1",
        "http://elsewhere/api/2.0/mlflow-artifacts/artifacts/1",
        "http://{host}/other/1",
        "https://{host}/api/2.0/mlflow-artifacts/artifacts/1",
        "mlflow-artifacts:/../../etc",
        "mlflow-artifacts:/1?x=y",
        "models:/other/1",
        "nonsense:x",
        "",
    ],
)
def test_a_location_that_is_not_the_servers_own_is_never_opened(registry: Registry, location: str) -> None:
    registry.location = location.format(host=registry.proxy.host)
    with pytest.raises(NotFound, match="does not serve"):
        artifacts.local_path("models:/churn/3")


def test_a_location_on_the_server_may_be_a_whole_address(registry: Registry) -> None:
    registry.location = f"{registry.proxy.base}/1/models/m-1/artifacts"
    assert (artifacts.local_path("models:/churn/3") / "MLmodel").is_file()


def test_a_version_that_is_not_there_is_not_found(registry: Registry) -> None:
    registry.version = None
    with pytest.raises(NotFound, match="no such model, version or alias"):
        artifacts.pinned("models:/churn@none")


@pytest.mark.parametrize("version", [{}, {"version": "x"}, {"version": "-1"}, {"version": "9" * 30}, "3", [], 3])
def test_an_answer_that_makes_no_sense_is_an_error(registry: Registry, version: Any) -> None:
    registry.version = version
    with pytest.raises(StorageFailed):
        artifacts.pinned("models:/churn@champion")


def test_a_registry_may_lie_below_a_prefix_and_credentials_in_its_address_go_nowhere(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_REGISTRY_URI", f"http://ada:secret@{registry.proxy.host}/team/")
    assert str(artifacts.pinned("models:/churn@champion")) == "models:/churn/3"
    assert registry.asked[0][0] == "/team/api/2.0/mlflow/registered-models/alias"
    assert all("Authorization" not in headers for _, _, headers in registry.proxy.requests)


def test_a_store_that_was_chosen_here_comes_before_a_server_in_the_environment(
    registry: Registry, tmp_path: Any
) -> None:
    pack.set_registry_uri(f"sqlite:///{tmp_path}/own.db")
    assert state.registry_address() is None
    with pytest.raises(NotFound):
        artifacts.pinned("models:/churn@champion")
    assert registry.asked == []
    pack.set_registry_uri(None)


def test_a_folder_is_put_at_a_place_or_not_at_all(registry: Registry, tmp_path: Any) -> None:
    artifacts.fetch_to("models:/churn/3", tmp_path / "m")
    assert (tmp_path / "m" / "a" / "b.bin").read_bytes() == b"b"
    usual = registry.answer

    def refuse(handler: Handler) -> bool:
        if handler.file.endswith("b.bin"):
            handler.json({}, 500)
            return True
        return usual(handler)

    registry.proxy.misbehave = refuse
    with pytest.raises(StorageFailed):
        artifacts.fetch_to("models:/churn/3", tmp_path / "n")
    assert [path.name for path in tmp_path.iterdir() if path.name not in {"world"}] == ["m"]
