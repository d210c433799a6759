"""Real registries on this machine for a test: Debian's `docker-registry`, plain, or with TLS and a password."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

NAME, WORD = "ann", "a word that is secret"
# What `htpasswd -B` makes of the word.
_HASHED = "$2b$04$aq6A2J23jUumh3HeovEsLuElctMOG2g2klpFeQJBtlW5qEZIUeYJu"


@dataclass(frozen=True)
class Registry:
    """A registry that runs, where it keeps its files, and what it wrote."""

    host: str
    home: Path
    log: Path


@contextmanager
def registry(home: Path, *, locked: bool = False, tls: bool = True) -> Iterator[Registry]:
    """Run a registry until the end of the block; `locked` means with a password, and TLS."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no docker-registry here: apt-get install docker-registry")
    home.mkdir()
    port = _free_port()
    (home / "config.json").write_text(json.dumps(_config(home, port, locked=locked, tls=tls)), encoding="utf-8")
    log = home / "log"
    with log.open("wb") as out:
        process = subprocess.Popen([program, "serve", str(home / "config.json")], stdout=out, stderr=out)
        try:
            _wait(port, process, log)
            yield Registry(f"127.0.0.1:{port}", home, log)
        finally:
            process.terminate()
            process.wait(10)


def sign_in(host: str, folder: Path, *, word: str = WORD) -> None:
    """Write the configuration that `docker login` writes."""
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(f"{NAME}:{word}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}), encoding="utf-8")


def _config(home: Path, port: int, *, locked: bool, tls: bool) -> dict[str, object]:
    http: dict[str, object] = {"addr": f"127.0.0.1:{port}"}
    found: dict[str, object] = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(home / "data")}},
        "http": http,
    }
    if locked and tls:
        certificate, key = make_certificate(home)
        http["tls"] = {"certificate": str(certificate), "key": str(key)}
    if locked:
        (home / "htpasswd").write_text(f"{NAME}:{_HASHED}\n", encoding="utf-8")
        found["auth"] = {"htpasswd": {"realm": "tests", "path": str(home / "htpasswd")}}
    return found


def make_certificate(home: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    certificate, key = home / "cert.pem", home / "key.pem"
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*words.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return certificate, key


def _free_port() -> int:
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        return int(line.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as line:
            line.settimeout(1)
            if line.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"the registry did not start: {log.read_text()[-2000:]}")
