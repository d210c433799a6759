"""Keys: whence they come, what they open, and that nobody sees them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from pack.errors import InvalidValue
from pack.web.auth import KeyGuard, Keys, keys_of, keys_of_file

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
QUESTION = 'Bearer, Basic realm="pack", charset="UTF-8"'


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@pytest.fixture
def client() -> TestClient:
    return TestClient(KeyGuard(application, keys_of([OTHER, KEY], where="the test")))


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"authorization": f"bEARER {OTHER}"},
        {"X-API-Key": KEY},
        {"Authorization": "Basic YTpi", "X-API-Key": KEY},
        {"Authorization": basic(f"any:{KEY}")},
        {"Authorization": basic(f":{OTHER}").replace("Basic", "bASIC")},
        {"Authorization": basic(f"any:{KEY}"), "X-API-Key": "no key"},
    ],
)
def test_a_key_opens(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/invocations", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": KEY},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": f"Bearer {KEY},{OTHER}"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": basic(KEY)},
        {"Authorization": basic(f"{KEY}:")},
        {"Authorization": basic(f"any:{KEY}:")},
        {"Authorization": basic("any:")},
        {"Authorization": "Basic ===="},
        {"Authorization": "Basic"},
        {"X-API-Key": ""},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": "' OR 1=1--"},
        {"X-API-Key": "x" * 60_000},
        {"Cookie": f"key={KEY}"},
    ],
)
def test_anything_else_gets_one_and_the_same_answer(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/invocations", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    body = answer.json()
    assert body.pop("request_id") == answer.headers["x-request-id"]
    assert body == {
        "error_code": "UNAUTHENTICATED",
        "message": "a key is needed: send it as Authorization: Bearer KEY, or as X-API-Key: KEY",
    }


@pytest.mark.parametrize(
    ("headers", "question"),
    [
        ({"Accept": HTML}, QUESTION),
        ({"Accept": "text/html"}, QUESTION),
        ({"Accept": "*/*", "Sec-Fetch-Site": "same-origin"}, QUESTION),
        ({"Accept": "*/*"}, "Bearer"),
        ({"Accept": "*/*", "Sec-Fetch-Site": "cross-site"}, "Bearer"),
        ({"Accept": "application/json, text/html"}, "Bearer"),
        ({"Accept": "application/json, text/html;q=0.9"}, "Bearer"),
        ({"Accept": "text/html;q=none"}, "Bearer"),
        ({"Accept": "text/html;q=0"}, "Bearer"),
        ({"Accept": ""}, "Bearer"),
    ],
)
def test_a_browser_is_told_to_ask_for_a_key(client: TestClient, headers: dict[str, str], question: str) -> None:
    answer = client.get("/", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, question)


ALIEN = [
    {"Origin": "https://evil"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://testserver.evil"},
    {"Origin": "http://testserver:81"},
    {"Origin": "http://evil", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "User-Agent": "curl/8"},
]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
@pytest.mark.parametrize("headers", ALIEN)
def test_a_page_of_another_origin_gains_nothing_by_a_browsers_key(
    client: TestClient, method: str, headers: dict[str, str]
) -> None:
    answer = client.request(method, "/invocations", headers={"Authorization": basic(f"any:{KEY}"), **headers})
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert client.request(method, "/invocations", headers={"X-API-Key": KEY, **headers}).status_code == 200


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 200),
        ("POST", {"Origin": "https://TESTSERVER"}, 200),
        ("POST", {"Sec-Fetch-Site": "none"}, 200),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
    ],
)
def test_the_pages_of_this_server_and_people_who_follow_a_link_may(
    client: TestClient, method: str, headers: dict[str, str], status: int
) -> None:
    found = client.request(method, "/", headers={"Authorization": basic(f"any:{KEY}"), **headers})
    assert found.status_code == status


@pytest.mark.parametrize("path", ["/ping", "/health", "/health/churn", "/livez", "/readyz", "/v2/health/ready"])
def test_health_needs_no_key(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/version", "/metrics", "/invocations", "/v2", "/v2/models/a/ready", "/healthy", "/ping/", "/PING", "//ping"],
)
def test_everything_else_needs_one(client: TestClient, path: str) -> None:
    assert client.get(f"http://testserver{path}").status_code == 401


def test_under_a_prefix_the_same_holds() -> None:
    client = TestClient(KeyGuard(application, keys_of([KEY], where="the test")), root_path="/ml")
    assert client.get("/ping").status_code == 200
    assert client.get("/ml/ping").status_code == 200
    assert client.get("/mlping").status_code == 401
    assert client.get("/ml/invocations").status_code == 401


def test_keys_are_never_shown() -> None:
    keys = keys_of([KEY], where="the test")
    assert KEY not in repr(keys) + str(keys) + repr(vars(keys))
    assert keys.know(KEY.encode())
    assert not Keys(()).know(b"")


@pytest.mark.parametrize("text", ["short", "with a space in it", "é" * 20, "x" * 513, "a\x00" * 10])
def test_a_weak_or_odd_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidValue, match="key 2 of the test") as raised:
        keys_of([KEY, text], where="the test")
    assert text not in str(raised.value)


def test_a_file_has_a_key_a_line(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of the team\n{KEY}\n\n  {OTHER}  # of the nightly job\n  # none\n", encoding="utf-8")
    file.chmod(0o600)
    keys = keys_of_file(str(file))
    assert keys == keys_of([KEY, OTHER], where="the test")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "keys"
    file.write_text(KEY, encoding="utf-8")
    file.chmod(mode)
    with pytest.raises(InvalidValue, match="chmod 600"):
        keys_of_file(str(file))


def test_a_file_without_keys_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot be read"):
        keys_of_file(str(tmp_path / "none"))
    with pytest.raises(InvalidValue, match="cannot be read"):
        keys_of_file(str(tmp_path))
    for content in (b"# nothing\n", b"\xff\xfe" * 20, b"x" * 2**21):
        file = tmp_path / "keys"
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises(InvalidValue):
            keys_of_file(str(file))
