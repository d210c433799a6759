"""The store behind an artifact proxy: MLflow's, ours, and one that misbehaves."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pack import uris
from pack.artifacts import ArtifactStore
from pack.artifacts.http import HttpStore
from pack.artifacts.landing import Landing
from pack.errors import (
    Damaged,
    InvalidUri,
    NotFound,
    PackError,
    PermissionDenied,
    StorageFailed,
    TooLarge,
    Unavailable,
)
from tests.artifacts.proxy import API, Handler, Proxy, etag, running
from tests.contracts.artifacts import ArtifactContract

FULL = bool(os.environ.get("PACK_TEST_FULL_SIZE"))
DATA = bytes(range(256)) * 1000


class TestOnOurs(ArtifactContract):
    @pytest.fixture
    def store(self, proxy: Proxy) -> ArtifactStore:
        return HttpStore(proxy.base)


@pytest.fixture
def store(proxy: Proxy) -> HttpStore:
    proxy.files["model/a.bin"] = DATA
    return HttpStore(proxy.base)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One further try only, so that what never works is given up soon."""
    monkeypatch.setenv("PACK_HTTP_RETRIES", "1")


# -- addresses


@pytest.mark.parametrize(
    ("uri", "tracking", "location", "path"),
    [
        ("mlflow-artifacts:/a/b", "http://h:5000", "http://h:5000", "a/b"),
        ("mlflow-artifacts:/a/b", "https://u:p@h/pfx/", "https://h/pfx", "a/b"),
        ("mlflow-artifacts://other:80/a", "https://h:5000/pfx", "https://other:80/pfx", "a"),
        ("mlflow-artifacts://other:80/a", "sqlite:///x.db", "http://other:80", "a"),
        ("mlflow-artifacts://[::1]:80", None, "http://[::1]:80", ""),
        (f"http://h:1{API}/a/b", None, "http://h:1", "a/b"),
        (f"https://h/x/y{API}", None, "https://h/x/y", ""),
    ],
)
def test_an_address_names_a_server_and_a_path(
    monkeypatch: pytest.MonkeyPatch, uri: str, tracking: str | None, location: str, path: str
) -> None:
    if tracking:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking)
    found, below = HttpStore.at(_parsed(uri))
    assert (found.location, below) == (location + API, path)


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow-artifacts:/a", "mlflow-artifacts://5000/a", "http://h/model", "http://h/api/2.0/mlflow-artifacts/a",
        f"http://u:p@h{API}/a", "mlflow-artifacts://u:p@h/a", "mlflow-artifacts://h:port/a", "mlflow-artifacts://-h/a",
        "mlflow-artifacts://h /a", f"http:///{API}/a", "mlflow-artifacts://h%2f/a",
    ],
)  # fmt: skip
def test_any_other_address_is_refused(uri: str) -> None:
    with pytest.raises(InvalidUri) as error:
        HttpStore.at(_parsed(uri))
    assert "u:p" not in str(error.value)


def _parsed(uri: str) -> uris.StoreUri:
    parsed = uris.parse(uri)
    assert isinstance(parsed, uris.StoreUri)
    return parsed


# -- credentials


def test_credentials_go_to_the_tracking_server_only(
    proxy: Proxy, store: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_TRACKING_TOKEN", "the-token")
    store.read("model/a.bin")
    monkeypatch.setenv("PACK_TRACKING_URI", f"http://{proxy.host}/")
    store.read("model/a.bin")
    monkeypatch.setenv("PACK_TRACKING_URI", "http://127.0.0.1:1")
    store.read("model/a.bin")
    assert [headers.get("Authorization") for _, _, headers in proxy.requests] == [None, "Bearer the-token", None]


def test_a_name_and_a_password_sign_in_under_mlflows_variables(
    proxy: Proxy, store: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{proxy.host}")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ada")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "é")
    store.read("model/a.bin")
    given = proxy.requests[0][2]["Authorization"]
    assert base64.b64decode(given.removeprefix("Basic ")).decode() == "ada:é"


def test_a_redirect_is_not_followed_and_takes_no_credentials_along(
    proxy: Proxy, store: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_TRACKING_URI", f"http://{proxy.host}")
    monkeypatch.setenv("PACK_TRACKING_TOKEN", "the-token")
    with running() as elsewhere:
        elsewhere.files["model/a.bin"] = b"evil"
        for status in (301, 302, 303, 307, 308):
            headers = {"Location": f"{elsewhere.base}/model/a.bin", "Content-Length": "0"}
            proxy.misbehave = lambda handler, s=status, h=headers: handler.begin(s, h) or True  # type: ignore[misc]
            with pytest.raises(StorageFailed, match="redirects"):
                store.read("model/a.bin")
        assert elsewhere.requests == []


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_let_in_is_told_which_variables_to_set(store: HttpStore, proxy: Proxy, status: int) -> None:
    proxy.misbehave = _answering(status)
    with pytest.raises(PermissionDenied) as error:
        store.read("model/a.bin")
    assert "PACK_TRACKING_TOKEN" in (error.value.hint or "")
    assert len(proxy.requests) == 1


# -- trying again


def test_half_of_the_answers_may_be_503(proxy: Proxy, store: HttpStore) -> None:
    proxy.misbehave = lambda handler: len(proxy.requests) % 2 == 1 and _answering(503)(handler)
    assert store.read("model/a.bin") == DATA
    assert [entry.path for entry in store.list("model")] == ["model/a.bin"]
    assert len(proxy.requests) == 4


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
@pytest.mark.usefixtures("quick")
def test_what_may_pass_is_tried_again_and_then_said(store: HttpStore, proxy: Proxy, status: int) -> None:
    proxy.misbehave = _answering(status)
    with pytest.raises(Unavailable, match=str(status)):
        store.read("model/a.bin")
    assert len(proxy.requests) == 2


@pytest.mark.parametrize(("status", "error"), [(404, NotFound), (410, NotFound), (400, NotFound), (500, StorageFailed)])
def test_what_will_not_pass_is_not_tried_again(
    store: HttpStore, proxy: Proxy, status: int, error: type[PackError]
) -> None:
    proxy.misbehave = _answering(status)
    with pytest.raises(error, match=str(status)):
        store.read("model/a.bin")
    assert len(proxy.requests) == 1


@pytest.mark.usefixtures("quick")
def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable, match=f"{host} cannot be reached: Connection refused"):
            HttpStore(f"http://{host}{API}").read("a")


@pytest.mark.usefixtures("quick")
def test_a_server_that_falls_silent_is_given_up(
    proxy: Proxy, store: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_HTTP_TIMEOUT", "0.2")

    def silent(handler: Handler) -> bool:
        handler.begin(200, {"Content-Length": str(len(DATA)), "ETag": etag(DATA)})
        handler.wfile.write(DATA[:10])
        handler.rfile.read()
        return True

    proxy.misbehave = silent
    with pytest.raises(Unavailable, match=r"silent for 0\.2 s"):
        store.read("model/a.bin")


def test_slow_bytes_arrive(proxy: Proxy, store: HttpStore) -> None:
    def slow(handler: Handler) -> bool:
        handler.begin(200, {"Content-Length": "20"})
        handler.send(DATA[:20], pause=0.01, piece=1)
        return True

    proxy.misbehave = slow
    assert store.read("model/a.bin") == DATA[:20]


def _answering(status: int) -> Callable[[Handler], bool]:
    return lambda handler: handler.begin(status, {"Content-Length": "0"}) or True  # type: ignore[func-returns-value]


# -- connections that are cut


@pytest.mark.faults
def test_a_download_that_is_cut_anywhere_goes_on_from_there(proxy: Proxy, store: HttpStore) -> None:
    data = os.urandom(100_000_000 if FULL else 400_000)
    proxy.files["model/a.bin"] = data
    for percent in range(101):
        size = len(data) * percent // 100
        proxy.misbehave = _cutting_once(size)
        proxy.requests.clear()
        assert hashlib.sha256(_downloaded(store)).digest() == hashlib.sha256(data).digest()
        expected = [] if percent == 100 else [f"bytes={size}-" if percent else None]
        assert [headers.get("Range") for _, _, headers in proxy.requests] == [None, *expected]


def test_a_download_that_is_cut_all_the_time_goes_on_as_long_as_bytes_come(
    proxy: Proxy, store: HttpStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_HTTP_RETRIES", "1")
    proxy.misbehave = lambda handler: _cut(handler, 60_000)
    assert _downloaded(store) == DATA
    assert len(proxy.requests) == 5


@pytest.mark.usefixtures("quick")
def test_a_download_that_never_gets_further_is_given_up(proxy: Proxy, store: HttpStore) -> None:
    proxy.misbehave = lambda handler: handler.headers.get("Range") is None and _cut(handler, 1000)
    proxy.files["model/a.bin"] = DATA
    assert _downloaded(store) == DATA
    proxy.misbehave = lambda handler: _cut(handler, 1000, tagged=False)
    with pytest.raises(Unavailable, match=r"cut after 1,000 of 256,000 bytes"):
        _downloaded(store)


def test_a_file_that_changes_while_it_is_cut_comes_whole_in_its_new_state(proxy: Proxy, store: HttpStore) -> None:
    new = os.urandom(len(DATA))

    def change(handler: Handler) -> bool:
        if proxy.files["model/a.bin"] == new:
            return False
        _cut(handler, 1000)
        proxy.files["model/a.bin"] = new
        return True

    proxy.misbehave = change
    assert _downloaded(store) == new


@pytest.mark.parametrize(
    ("where", "tag"),
    [
        ("bytes 0-{end}/{size}", etag(DATA)),
        ("bytes 999-{end}/{size}", etag(DATA)),
        ("bytes 1000-{end}/7", etag(DATA)),
        ("nonsense", etag(DATA)),
        ("bytes 1000-{end}/{size}", etag(b"another state")),
        ("bytes 1000-{end}/{size}", ""),
    ],
)
def test_a_part_of_another_place_or_state_is_not_put_behind_what_came(
    proxy: Proxy, store: HttpStore, where: str, tag: str
) -> None:
    wrong = bytes(len(DATA) - 1000)

    def lie(handler: Handler) -> bool:
        if handler.headers.get("Range") is None:
            return len(proxy.requests) == 1 and _cut(handler, 1000)
        said = where.format(end=len(DATA) - 1, size=len(DATA))
        handler.begin(206, {"Content-Length": str(len(wrong)), "ETag": tag, "Content-Range": said})
        handler.send(wrong)
        return True

    proxy.misbehave = lie
    assert _downloaded(store) == DATA


def _cut(handler: Handler, size: int, *, tagged: bool = True) -> bool:
    """Promise the rest of a file, and send `size` bytes of it."""
    data = handler.server.files[handler.file]
    span = handler.headers.get("Range", "bytes=0-")
    start = int(span.removeprefix("bytes=").rstrip("-"))
    tag = {"ETag": etag(data)} if tagged else {}
    if start:
        tag["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    handler.begin(206 if start else 200, {"Content-Length": str(len(data) - start), **tag})
    handler.send(data[start : start + size])
    return True


def _cutting_once(size: int) -> Callable[[Handler], bool]:
    left = [size]
    return lambda handler: bool(left) and _cut(handler, left.pop())


def _downloaded(store: HttpStore) -> bytes:
    data = io.BytesIO()
    assert store.download("model/a.bin", Landing(data), tell=lambda *_: None) is not None
    return data.getvalue()


# -- answers that are wrong


def test_bytes_that_are_not_what_the_digest_says_are_refused(proxy: Proxy, store: HttpStore) -> None:
    digest = base64.b64encode(hashlib.sha256(DATA).digest()).decode()

    def wrong(handler: Handler) -> bool:
        head = {"Content-Length": str(len(DATA)), "Repr-Digest": f"md5=:AA==:, sha-256=:{digest}:"}
        handler.begin(200, head)
        handler.send(DATA[:-1] + b"x")
        return True

    proxy.misbehave = wrong
    with pytest.raises(Damaged):
        store.read("model/a.bin")


def test_a_gzip_bomb_is_not_unpacked(proxy: Proxy, store: HttpStore) -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = {"Content-Encoding": "gzip", "Content-Length": str(len(bomb))}
    proxy.misbehave = lambda handler: handler.begin(200, head) or handler.send(bomb) or True  # type: ignore[func-returns-value]
    with pytest.raises(StorageFailed, match="compresses"):
        store.read("model/a.bin")
    with pytest.raises(StorageFailed, match="compresses"):
        store.list("model")


def test_an_answer_without_an_end_is_refused(proxy: Proxy, store: HttpStore) -> None:
    proxy.misbehave = lambda handler: handler.begin(200, {}) or handler.send(b"some") or True  # type: ignore[func-returns-value]
    with pytest.raises(StorageFailed, match="how long"):
        store.read("model/a.bin")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_file_over_the_limit_is_cut_off_while_it_comes(
    proxy: Proxy, store: HttpStore, monkeypatch: pytest.MonkeyPatch, chunked: bool
) -> None:
    monkeypatch.setenv("PACK_DOWNLOAD_LIMIT", "100kB")

    def endless(handler: Handler) -> bool:
        handler.begin(200, {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(10**12)})
        for _ in range(1000):
            handler.send(b"3e8\r\n" + bytes(1000) + b"\r\n" if chunked else bytes(1000))
        return True

    proxy.misbehave = endless
    data = io.BytesIO()
    with pytest.raises(TooLarge, match="100,000"):
        store.download("model/a.bin", Landing(data), tell=lambda *_: None)
    assert len(data.getvalue()) <= 100_000


@pytest.mark.parametrize(
    "name",
    [
        "../x", "..", ".", "/etc/passwd", "a/b", "a\\b", "a\x00b", "a\nb", "%2e%2e", "C:x", "", "x" * 256, "\u202eb",
        "\uff0e\uff0e", 7, None, ["a"], {"a": 1}, True,
    ],
)  # fmt: skip
def test_a_hostile_name_in_a_listing_is_refused(proxy: Proxy, store: HttpStore, tmp_path: Path, name: Any) -> None:
    listing = {"files": [{"path": "fine", "file_size": 4}, {"path": name, "is_dir": False, "file_size": 1}]}
    proxy.misbehave = lambda handler: not handler.file and (handler.json(listing) or True)  # type: ignore[func-returns-value]
    for call in (store.list, lambda folder: store.get(folder, tmp_path / "x")):
        with pytest.raises(StorageFailed, match="not the name of a file"):
            call("model")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"no json", b"[]", b'"x"', b'{"files": 7}', b'{"files": {"a": 1}}', b"[" * 100_000, b"\xff\xfe",
        b'{"files": [{"path": "a", "file_size": "x"}]}', b'{"files": [7]}',
        b'{"files": [{"path": "a"}, {"path": "a"}]}',
    ],
)  # fmt: skip
def test_a_listing_that_makes_no_sense_is_refused(proxy: Proxy, store: HttpStore, body: bytes) -> None:
    head = {"Content-Length": str(len(body))}
    proxy.misbehave = lambda handler: handler.begin(200, head) or handler.send(body) or True  # type: ignore[func-returns-value]
    with pytest.raises(StorageFailed):
        store.list("model")


def test_a_folder_that_holds_one_file_of_its_own_name_is_a_folder(proxy: Proxy) -> None:
    proxy.files = {"model/model": b"x", "file": b"y"}
    store = HttpStore(proxy.base)
    assert [entry.path for entry in store.list("model")] == ["model/model"]
    itself = {"files": [{"path": "file", "is_dir": False, "file_size": 1}]}
    proxy.misbehave = lambda handler: handler.folder == "file" and (handler.json(itself) or True)  # type: ignore[func-returns-value]
    assert store.list("file") == []


def test_a_folder_is_copied_whole_or_not_at_all(proxy: Proxy, store: HttpStore, tmp_path: Path) -> None:
    proxy.files["model/z.bin"] = b"z"
    proxy.misbehave = lambda handler: handler.file == "model/z.bin" and _answering(500)(handler)
    with pytest.raises(StorageFailed):
        store.get("model", tmp_path / "out" / "model")
    assert list((tmp_path / "out").iterdir()) == []
