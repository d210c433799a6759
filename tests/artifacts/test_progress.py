"""What a terminal shows while files are fetched, and that nothing else is ever written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pack.artifacts import local_path
from pack.artifacts.progress import readable
from tests.artifacts.proxy import Handler, Proxy

pty = pytest.importorskip("pty")
FETCHING = "import sys, pack.artifacts; print(pack.artifacts.local_path(sys.argv[1]))"


@pytest.fixture
def slow(proxy: Proxy) -> Proxy:
    """Two files that take a while."""

    def slowly(handler: Handler) -> bool:
        data = proxy.files[handler.file]
        handler.begin(200, {"Content-Length": str(len(data))})
        handler.send(data, pause=0.05, piece=len(data) // 10)
        return True

    proxy.files = {"model/a.bin": bytes(10_000), "model/b.bin": bytes(30_000)}
    proxy.misbehave = lambda handler: bool(handler.file) and slowly(handler)
    return proxy


def on_terminal(uri: str, **world: str) -> str:
    """What a process that fetches writes to its standard error, which is a terminal."""
    ours, theirs = pty.openpty()
    given = {**os.environ, "TERM": "xterm", "COLUMNS": "100", **world}
    process = subprocess.Popen(
        [sys.executable, "-c", FETCHING, uri], stdout=subprocess.DEVNULL, stderr=theirs, env=given
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 4096):
            shown += piece
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_a_terminal_shows_how_far_it_is(slow: Proxy) -> None:
    shown = on_terminal(slow.uri("model"))
    drawn = shown.split("\r")
    assert len(drawn) > 3
    assert "39.1 KiB of 39.1 KiB" in drawn[-2]
    assert "100% [####################]" in drawn[-2]
    assert "2 of 2 files" in drawn[-2]
    assert any("files  model/" in line for line in drawn)
    assert all(len(line.replace("\x1b[K", "")) < 100 for line in drawn)


def test_a_download_that_is_done_at_once_shows_nothing(proxy: Proxy) -> None:
    proxy.files["a"] = b"x"
    assert on_terminal(proxy.uri("a")) == ""


@pytest.mark.parametrize("world", [{"PACK_PROGRESS": "false"}, {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "0"}])
def test_it_can_be_switched_off(slow: Proxy, world: dict[str, str]) -> None:
    assert on_terminal(slow.uri("model"), **world) == ""


def test_a_terminal_that_cannot_draw_over_a_line_shows_nothing(slow: Proxy) -> None:
    assert on_terminal(slow.uri("model"), TERM="dumb") == ""


@pytest.mark.parametrize("closed", [False, True])
def test_nothing_is_written_where_there_is_no_terminal(slow: Proxy, closed: bool) -> None:
    script = f"import sys\nif {closed}: sys.stderr.close()\n{FETCHING}"
    done = subprocess.run([sys.executable, "-c", script, slow.uri("model")], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert Path(done.stdout.strip()).is_dir()


def test_a_terminal_shows_what_it_waits_for(proxy: Proxy) -> None:
    proxy.files["a"] = b"x"

    def later(handler: Handler) -> bool:
        handler.begin(503, {"Content-Length": "0", "Retry-After": "1"})
        return True

    proxy.misbehave = lambda handler: len(proxy.requests) == 1 and later(handler)
    assert "cannot answer now (HTTP 503); trying again in 1 s" in on_terminal(proxy.uri("a"))


def test_a_terminal_says_that_another_process_fetches_the_same(slow: Proxy) -> None:
    slow.files["model/b.bin"] = bytes(300_000)
    first = subprocess.Popen([sys.executable, "-c", FETCHING, slow.uri("model")], stdout=subprocess.PIPE)
    while "?model" not in {path for _, path, _ in slow.requests}:
        pass
    assert "waiting for another process" in on_terminal(slow.uri("model"))
    first.communicate()


def test_a_callable_hears_of_every_file(proxy: Proxy) -> None:
    proxy.files = {"model/a": bytes(1000), "model/empty": b""}
    heard: dict[str, tuple[int, int | None]] = {}
    local_path(proxy.uri("model"), progress=lambda file, done, total: heard.update({file: (done, total)}))
    assert heard == {"model/a": (1000, 1000), "model/empty": (0, 0)}


def test_sizes_are_readable() -> None:
    sizes = [0, 1023, 1024, 1536, 5 * 1024**3, 3 * 1024**5]
    assert [readable(size) for size in sizes] == ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "5.0 GiB", "3072.0 TiB"]
