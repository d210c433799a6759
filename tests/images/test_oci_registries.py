"""Images in a real registry: pushed, pulled, with a password and without one; the password is nowhere to be read."""

from __future__ import annotations

import logging
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from pack.errors import Damaged, NotFound, PermissionDenied, Unavailable
from pack.images.oci import references, registries
from pack.images.oci.bases import Base, open_base
from pack.images.oci.kept import Shelf
from tests.images.bases import blob_path
from tests.images.registries import WORD, registry, sign_in
from tests.images.test_oci_outputs import small_image, write


def pull(text: str) -> Base:
    return open_base(text, platform="linux/amd64", python="3.11", kept=Shelf(Path("kept")))


def test_an_image_is_pushed_once_and_is_a_base_afterwards() -> None:
    with registry(Path("reg")) as there:
        image = small_image(name=f"{there.host}/ml/churn:3")
        assert len(write(image, str(image.name))) == 4
        assert write(image, str(image.name)) == [image.manifest.digest]
        base = pull(str(image.name))
        assert base.digest == image.manifest.digest
        assert pull(f"{there.host}/ml/churn@{image.manifest.digest}").layers == base.layers
    for layer in base.layers:
        assert list(layer.blob.checked()), "what was fetched is kept"


def test_skopeo_reads_what_was_pushed() -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("no skopeo here: apt-get install skopeo")
    with registry(Path("reg")) as there:
        image = small_image(name=f"{there.host}/churn:3")
        write(image, str(image.name))
        copy = [
            "skopeo",
            "copy",
            "-q",
            "--preserve-digests",
            "--src-tls-verify=false",
            f"docker://{image.name}",
            "oci:copy:3",
        ]
        subprocess.run(copy, check=True)
    assert blob_path(Path("copy"), image.manifest.digest).exists()


def test_a_registry_with_a_password_takes_it_from_dockers_configuration(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with registry(Path("reg"), locked=True) as there:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(there.home / "cert.pem"))
        monkeypatch.setenv("DOCKER_CONFIG", "docker")
        image = small_image(name=f"{there.host}/churn:3")
        with pytest.raises(PermissionDenied, match="without a password") as caught:
            write(image, str(image.name))
        assert "docker login" in str(caught.value)
        sign_in(there.host, Path("docker"))
        write(image, str(image.name))
        assert pull(str(image.name)).digest == image.manifest.digest
        sign_in(there.host, Path("docker"), word="wrong")
        with pytest.raises(PermissionDenied):
            write(small_image("other", name=f"{there.host}/churn:4"), f"{there.host}/churn:4")
    said = caplog.text + "".join(capfd.readouterr())
    assert WORD not in said
    assert "Authorization" not in said


def test_no_password_goes_over_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    with registry(Path("reg"), locked=True, tls=False) as there:
        monkeypatch.setenv("DOCKER_CONFIG", "docker")
        sign_in(there.host, Path("docker"))
        with pytest.raises(PermissionDenied, match="plain HTTP"):
            write(small_image(), f"{there.host}/churn:3")
        assert "http.request.method=PUT" not in there.log.read_text()


def test_an_untrusted_certificate_is_not_accepted() -> None:
    with registry(Path("reg"), locked=True) as there, pytest.raises(Unavailable, match="certificate"):
        pull(f"{there.host}/churn:3")


def test_what_is_not_there_is_said_at_once() -> None:
    with registry(Path("reg")) as there, pytest.raises(NotFound, match="there is no image"):
        pull(f"{there.host}/churn:3")
    with pytest.raises(Unavailable, match="gave no answer"):
        pull(f"{there.host}/churn:3")


def test_a_registry_that_answers_other_bytes_than_the_pinned_ones_is_caught() -> None:
    with registry(Path("reg")) as there:
        image = small_image(name=f"{there.host}/churn:3")
        write(image, str(image.name))
        for blob in (image.layers[0], image.manifest):
            hexadecimal = blob.digest[7:]
            data = next((there.home / "data").rglob(f"{hexadecimal}/data"))
            before = data.read_bytes()
            data.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
            with pytest.raises((Damaged, Unavailable)):
                pull(f"{there.host}/churn@{image.manifest.digest}")
            data.write_bytes(before)
    assert not list(Path("kept").rglob(".*"))


class Cutting(BaseHTTPRequestHandler):
    """A registry that promises a manifest of 100 bytes and sends ten."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"0123456789")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def test_a_download_that_is_cut_is_no_base() -> None:
    with HTTPServer(("127.0.0.1", 0), Cutting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(Unavailable, match="gave no answer that can be used"):
            pull(f"127.0.0.1:{server.server_port}/churn:3")
        digest = f"sha256:{'0' * 64}"
        store = registries.open_image(f"127.0.0.1:{server.server_port}/churn:3", kept=Shelf(Path("kept")))
        with pytest.raises(Unavailable, match="gave no answer that can be used"):
            list(store.chunks(digest))
        server.shutdown()
    assert not [path for path in Path("kept").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("python:3.11-slim", "docker.io/library/python:3.11-slim"),
        ("me/churn", "docker.io/me/churn:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1"),
        ("host.example/a@sha256:" + "0" * 64, "host.example/a@sha256:" + "0" * 64),
        ("host.example:5000/a:1@sha256:" + "0" * 64, "host.example:5000/a:1@sha256:" + "0" * 64),
    ],
)
def test_names_are_read_the_way_that_docker_reads_them(text: str, meant: str) -> None:
    assert str(references.parse(text)) == meant
