"""`pack cache`: what was downloaded, and cleaning it up."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pack.cli import main
from pack.envs import kept
from pack.images.oci.kept import Shelf
from tests.artifacts.proxy import Proxy, running


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["cache", *arguments])


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with running() as server:
        yield server


@pytest.fixture
def downloaded(proxy: Proxy) -> str:
    """A folder of two files that a process downloaded, which has ended."""
    proxy.files = {"model/a": bytes(3000), "model/b": bytes(1000)}
    script = f"import pack.artifacts; pack.artifacts.local_path({proxy.uri('model')!r})"
    subprocess.run([sys.executable, "-c", script], check=True)
    return f"{proxy.base}/model"


def test_what_was_downloaded_is_listed(downloaded: str) -> None:
    lines = run("list").output.splitlines()
    assert lines[1].split()[:3] == ["3.9", "KiB", "2"]
    assert lines[1].endswith(downloaded)
    assert lines[-1].startswith("3.9 KiB of 10.0 GiB in ")
    (found,) = json.loads(run("list", "--json").output)
    assert (found["location"], found["size"], found["files"]) == (downloaded, 4000, 2)
    assert (Path(found["path"]) / "model" / "a").read_bytes() == bytes(3000)


def test_an_empty_cache_says_so() -> None:
    assert "nothing is kept yet" in run("list").output
    assert run("clean").output == "freed 0 B\n"
    assert run("verify").output == "OK\n"


def test_cleaning_says_what_it_frees(downloaded: str) -> None:
    assert run("clean", "--older-than", "7d").output == "freed 0 B\n"
    tried = run("clean", "--all", "--dry-run")
    assert tried.output.splitlines() == [f"3.9 KiB  {downloaded!a}", "would free 3.9 KiB"]
    done = json.loads(run("clean", "--older-than", "0s", "--json").output)
    assert (done["bytes"], [entry["location"] for entry in done["removed"]]) == (4000, [downloaded])
    assert json.loads(run("list", "--json").output) == []


def test_what_a_process_uses_stays(proxy: Proxy) -> None:
    from pack.artifacts import local_path

    proxy.files["a"] = b"x"
    path = local_path(proxy.uri("a"))
    assert run("clean", "--all").output.splitlines() == ["freed 0 B", "1 in use by a process stay"]
    assert path.read_bytes() == b"x"


def test_verifying_finds_what_changed(downloaded: str) -> None:
    (found,) = json.loads(run("list", "--json").output)
    (Path(found["path"]) / "model" / "b").write_bytes(b"changed")
    done = run("verify")
    assert done.exit_code == 1
    assert "OK" not in done.output
    assert "changed:" in done.stderr
    assert "model/b" in done.stderr


def test_environments_and_layers_of_images_are_listed_and_cleaned() -> None:
    environment = kept.root() / "one"
    environment.mkdir()
    (environment / kept.READY).write_text("python3.11-linux-amd64 by uv\n")
    Shelf.mine().land([bytes(500)])
    Shelf.mine().note("a fact", {"digest": "x"})
    found = json.loads(run("list", "--json").output)
    assert sorted(one["location"].rpartition(" ")[0] for one in found) == [
        "environment of python3.11-linux-amd64 by", "image facts a", "image sha256",
    ]  # fmt: skip
    with Shelf.mine().in_use():
        done = json.loads(run("clean", "--all", "--json").output)
    assert (len(done["removed"]), len(done["in_use"])) == (1, 2)
    assert not environment.exists()
    assert "freed 514 B" in run("clean", "--all").output
    assert json.loads(run("list", "--json").output) == []
