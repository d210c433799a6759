"""The page at `/`: its headers, and what a real browser makes of it. Chromium, where it is installed."""

from __future__ import annotations

import json
import os
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

import pack
from pack.serving.page import POLICY
from tests import models
from tests.serving import browser as chromium
from tests.serving.browser import Browser
from tests.serving.live import described, serving
from tests.serving.test_server import Server

HOSTILE = "<img src=x onerror=window.__pwn=1>"
PROGRAM = chromium.found()
needs_browser = pytest.mark.skipif(
    PROGRAM is None, reason=f"NO BROWSER: none of {', '.join(chromium.NAMES)} is installed; the page was NOT looked at"
)


class Count(pack.pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return [{HOSTILE: HOSTILE, "rows": len(model_input), "params": params}]


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    pack.save_model(models.mixed_pipeline(), tmp_path / "mixed", input_example=models.mixed_frame(3))
    return str(tmp_path / "mixed")


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    example = (pd.DataFrame({HOSTILE: [HOSTILE], "</script><script>window.__pwn=1</script>": [1]}), {HOSTILE: HOSTILE})
    metadata = {"description": HOSTILE, HOSTILE: HOSTILE}
    pack.pyfunc.save_model(tmp_path / "hostile", python_model=Count(), input_example=example, metadata=metadata)
    return str(tmp_path / "hostile")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(PROGRAM or "", tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def browser(tab: Browser) -> Browser:
    tab.requests.clear()
    tab.complaints.clear()
    tab.look(1200)
    return tab


def text_of(browser: Browser, name: str) -> str:
    found: str = browser.run(f"document.getElementById('{name}').textContent")
    return found


def send(browser: Browser) -> str:
    browser.run("document.getElementById('send').click()")
    browser.wait("document.querySelector('#status strong') !== null")
    return text_of(browser, "answer")


def test_each_answer_of_the_page_carries_its_security_headers(mixed: str) -> None:
    client = TestClient(described(mixed), base_url="http://localhost")
    kinds = {"/": "text/html", "/docs": None, "/assets/try.js": "text/javascript", "/assets/try.css": "text/css"}
    for path, kind in kinds.items():
        answer = client.get(path, follow_redirects=False)
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-request-id"]
        assert kind is None or answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert client.get("/assets/try.html").status_code == 404
    assert client.get("/assets/../page.py").status_code == 404


def test_the_page_holds_no_script_or_style_of_its_own_and_no_address_of_another(hostile: str) -> None:
    page = TestClient(described(hostile), base_url="http://localhost").get("/").text
    assert page.count("<script") == page.count('<script src="./') == 1
    assert "<style" not in page
    assert " style=" not in page
    assert "//" not in page
    assert HOSTILE not in page
    for name in ("try.js", "try.css"):
        assert "://" not in TestClient(described(hostile), base_url="http://localhost").get(f"/assets/{name}").text


def test_docs_lead_to_the_page_below_any_prefix(mixed: str) -> None:
    below = Starlette(routes=[Mount("/deep/down", described(mixed))])
    client = TestClient(below, base_url="http://localhost")
    assert client.get("/deep/down/docs").url == "http://localhost/deep/down/"
    assert client.get("/deep/down/openapi.json").json()["servers"] == [{"url": "."}]


def test_the_wheel_holds_the_assets(tmp_path: Path) -> None:
    hatchling = pytest.importorskip("hatchling.builders.wheel", reason="hatchling is not installed here")
    root = Path(pack.__file__).parent.parent
    (wheel,) = hatchling.WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"pack/serving/assets/try.{kind}" for kind in ("html", "css", "js")} <= set(names)


@needs_browser
def test_sending_the_example_shows_the_predictions(mixed: str, browser: Browser) -> None:
    with serving(mixed) as url:
        browser.open(url)
        assert json.loads(browser.run("document.getElementById('body').value"))["dataframe_split"]["columns"] == [
            "city", "income", "age",
        ]  # fmt: skip
        assert text_of(browser, "signature") == (
            "InputsnametyperequiredcitystringyesincomedoubleyesagelongyesOutputsnametype(without a name)bool (any)"
        )
        expected = models.mixed_pipeline().predict(models.mixed_frame(3)).tolist()
        assert json.loads(send(browser)) == {"predictions": expected}
        assert text_of(browser, "status").startswith("200 OK in ")
        assert "request " in text_of(browser, "status")
        assert browser.run("document.querySelectorAll('#timing span').length") >= 4
        assert "predict " in text_of(browser, "phases")
    assert browser.complaints == []


@needs_browser
def test_it_works_below_a_prefix(mixed: str, browser: Browser) -> None:
    with serving({"first": mixed, "second": mixed}, below="/deep/down") as url:
        browser.open(url)
        assert "predictions" in send(browser)
        assert {request.startswith((url, "data:,")) for request in browser.requests} == {True}
        links = "[...document.links].map(link => fetch(link.href).then(answer => answer.status))"
        assert browser.run(f"Promise.all({links})") == [200, 200, 200]


@needs_browser
def test_with_a_key_as_the_password_it_works_and_pages_of_others_do_not(
    mixed: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "a-key-that-nobody-may-see"
    monkeypatch.setenv("PACK_SERVE_KEYS", key)
    server = Server("-m", mixed, "--trust", "--auth", "--access-log")
    url = f"http://127.0.0.1:{server.port}/"
    try:
        for opened in (url.replace("//", f"//anyone:{key}@"), url):  # then it is known without being in the address
            browser.call("Page.navigate", url=opened)
            browser.wait("document.readyState === 'complete' && document.title === 'Try model'")
            assert "predictions" in send(browser)
            assert text_of(browser, "curl").startswith(
                f"curl '{url}invocations' \\\n  -H \"Authorization: Bearer $KEY\""
            )
            links = "[...document.links].map(link => location.origin + new URL(link.href).pathname)"
            statuses = f"Promise.all({links}.map(link => fetch(link).then(answer => answer.status)))"
            assert browser.run(statuses) == [200, 200, 200]
        assert browser.complaints == []
        with elsewhere() as evil:
            browser.open(evil)
            for method in ("GET", "POST"):
                options = f"{{method: '{method}', mode: 'no-cors', credentials: 'include'}}"
                browser.run(f"fetch('{url}admin/reload', {options}).catch(() => null)")
    finally:
        server.process.terminate()
        output, errors = server.process.communicate(timeout=60)
    assert key not in output + errors
    assert [json.loads(line)["status"] for line in output.splitlines() if "/admin/reload" in line] == [403, 403]


@contextmanager
def elsewhere() -> Iterator[str]:
    """A page of another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Nothing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Nothing(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@needs_browser
def test_the_keyboard_alone_is_enough(mixed: str, browser: Browser) -> None:
    with serving({"first": mixed, "second": mixed}) as url:
        browser.open(url)
        order = []
        for _ in range(9):
            browser.press("Tab")
            order.append(browser.run("document.activeElement.id || document.activeElement.textContent"))
        assert order == ["openapi.json", "health", "metrics", "model", "body", "send", "reset", "answer", "copy"]
        browser.run("document.getElementById('body').focus()")
        browser.press("Enter", control=True)
        browser.wait("document.querySelector('#status strong') !== null")
        assert text_of(browser, "status").startswith("200 OK")
        unlabelled = "[...document.querySelectorAll('textarea, select')].filter(one => !one.labels.length).length"
        assert browser.run(unlabelled) == 0


@needs_browser
def test_an_error_is_shown_with_its_status_and_id(mixed: str, browser: Browser) -> None:
    with serving(mixed) as url:
        browser.open(url)
        browser.run("document.getElementById('body').value = '{\"inputs\": [{}]}'")
        assert "columns are missing" in send(browser)
        assert text_of(browser, "status").startswith("400 Bad Request")
        browser.run("document.getElementById('reset').click()")
        browser.run("document.querySelector('#status').replaceChildren()")
        assert "predictions" in send(browser)
    browser.run("document.querySelector('#status').replaceChildren()")
    send(browser)
    assert text_of(browser, "status").startswith("No answer")


@needs_browser
def test_of_several_models_one_is_chosen_and_asked(mixed: str, hostile: str, browser: Browser) -> None:
    with serving({"first": mixed, "odd name/ü": hostile}) as url:
        browser.open(url)
        choose = "(() => { const one = document.getElementById('model'); one.selectedIndex = 1; "
        browser.run(choose + "one.dispatchEvent(new Event('change')); })()")
        assert text_of(browser, "name") == "odd name/ü"
        assert json.loads(send(browser))["predictions"][0]["rows"] == 1
        assert browser.requests[-1] == url + "models/odd%20name%2F%C3%BC/invocations"


@needs_browser
def test_what_a_model_says_of_itself_is_shown_as_text_and_runs_nothing(hostile: str, browser: Browser) -> None:
    with serving({HOSTILE: hostile, "other": hostile}) as url:
        browser.open(url)
        answer = send(browser)
        assert HOSTILE in answer
        for name in ("name", "description", "signature", "answer", "curl", "model"):
            assert HOSTILE in text_of(browser, name), name
        assert browser.run("typeof window.__pwn") == "undefined"
        assert browser.run("document.querySelectorAll('img, iframe, object').length") == 0
        assert {request.startswith((url, "data:,")) for request in browser.requests} == {True}
    assert browser.complaints == []


@needs_browser
def test_the_policy_stops_a_script_even_where_it_came_into_the_page(mixed: str, browser: Browser) -> None:
    with serving(mixed) as url:
        browser.open(url)
        browser.run(f"document.body.insertAdjacentHTML('beforeend', {json.dumps(HOSTILE)})")
        browser.run("new Promise(done => setTimeout(done, 200))")
        assert browser.run("typeof window.__pwn") == "undefined"
        elsewhere = url.replace("127.0.0.1", "localhost")
        assert browser.run(f"fetch({json.dumps(elsewhere)}).then(() => 'came', () => 'refused')") == "refused"


@needs_browser
def test_the_curl_command_does_what_the_page_does(mixed: str, browser: Browser) -> None:
    import shutil
    import subprocess

    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    with serving(mixed) as url:
        browser.open(url)
        body = '{"dataframe_records": [{"city": "Li\'ma", "income": 1, "age": 1.5}]}'
        browser.run(f"document.getElementById('body').value = {json.dumps(body)}")
        browser.run("document.getElementById('body').dispatchEvent(new Event('input'))")
        command = text_of(browser, "curl").replace("curl ", "curl -s --noproxy '*' ", 1)
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, timeout=30)
        assert "'age' is declared long" in json.loads(done.stdout)["message"]
        assert json.loads(done.stdout)["message"] == json.loads(send(browser))["message"]


@needs_browser
def test_numbers_are_shown_as_they_came(tmp_path: Path, browser: Browser) -> None:
    class Big(pack.pyfunc.PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return [9007199254740993, float("nan"), 1.0, {"a": ["[{,"] * 40}]

    pack.pyfunc.save_model(tmp_path / "big", python_model=Big())
    with serving(str(tmp_path / "big")) as url:
        browser.open(url)
        shown = send(browser)
    assert shown.startswith('{\n  "predictions": [\n    9007199254740993,\n    NaN,\n    1.0,\n')
    assert json.loads(shown)["predictions"][3] == {"a": ["[{,"] * 40}


@needs_browser
@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_is_readable_at_any_width_in_light_and_dark(
    mixed: str, browser: Browser, width: int, dark: bool, tmp_path: Path
) -> None:
    """PACK_TEST_PICTURES names a folder for the pictures, to be looked at."""
    browser.look(width, dark=dark)
    with serving({"churn": mixed, "price": mixed}) as url:
        browser.open(url)
        places = "['body', 'send', 'answer', 'curl'].map(id => document.getElementById(id).getBoundingClientRect().top)"
        before = browser.run(places)
        send(browser)
        assert browser.run(places) == before
        assert browser.run("document.documentElement.scrollWidth <= innerWidth")
        assert browser.run(f"({CONTRAST})()") >= 4.5
    folder = Path(os.environ.get("PACK_TEST_PICTURES", tmp_path))
    browser.picture(folder / f"page-{width}-{'dark' if dark else 'light'}.png")


# The least contrast between text and what lies behind it, as WCAG 2.2 reckons it.
CONTRAST = """() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((one) => {
      const part = one / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (one) => {
    const color = getComputedStyle(one).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? behind(one.parentElement) : color;
  };
  const words = [...document.body.querySelectorAll("*")].filter((one) =>
    one.checkVisibility() && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return Math.min(...words.map((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  }));
}"""
