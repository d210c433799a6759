"""What stands around an application: certificates, a proxy's prefix and word, the addresses that may be bound."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from pack.errors import InvalidValue
from pack.web.prefix import Prefix, checked_prefix
from pack.web.run import check_bind, check_proxy
from pack.web.tls import certificate

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


def made(folder: Path, name: str) -> tuple[str, str]:
    """A certificate for localhost and its key."""
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    subprocess.run([*command, *names, "-keyout", key, "-out", chain], check=True, capture_output=True, timeout=60)
    return str(chain), str(key)


@needs_openssl
def test_a_certificate_and_its_key_are_taken(tmp_path: Path) -> None:
    chain, key = made(tmp_path, "one")
    found = certificate(chain, key)
    assert found is not None
    assert (found.chain, found.key) == (chain, key)
    assert certificate(None, None) is None


@needs_openssl
def test_certificates_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    chain, key = made(tmp_path, "one")
    _, other = made(tmp_path, "other")
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", str(locked)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    junk = tmp_path / "junk"
    junk.write_text("junk", encoding="utf-8")
    for pair, word in [
        ((chain, None), "--tls-cert was given alone"),
        ((None, key), "--tls-key was given alone"),
        ((str(tmp_path / "none"), key), "--tls-cert cannot be read: No such file"),
        ((chain, str(tmp_path)), "--tls-key cannot be read"),
        ((chain, other), "is not that of the certificate"),
        ((str(junk), key), "no certificate and key in PEM"),
        ((chain, str(locked)), "protected by a password"),
    ]:
        with pytest.raises(InvalidValue, match=word):
            certificate(*pair)


def test_an_application_answers_with_and_without_the_prefix_that_a_proxy_strips() -> None:
    async def told(request: Request) -> Response:
        return JSONResponse([request.url.path, request.scope["root_path"], str(request.url_for("told"))])

    client = TestClient(Prefix(Starlette(routes=[Route("/told/", told)]), "/ml/churn"))
    expected = ["/ml/churn/told/", "/ml/churn", "http://testserver/ml/churn/told/"]
    assert client.get("/told/").json() == expected
    assert client.get("/ml/churn/told/").json() == expected
    for path in ("/told", "/ml/churn/told"):
        redirect = client.get(path, follow_redirects=False)
        assert redirect.headers["location"] == "http://testserver/ml/churn/told/"
    assert client.get("/ml/churnx/told/").status_code == 404
    assert client.get("/ml/told/").status_code == 404


def test_a_prefix_is_a_plain_path() -> None:
    assert checked_prefix("/ml/churn/") == "/ml/churn"
    assert checked_prefix("/") == checked_prefix("") == ""
    for text in ("ml", "//evil", "/a/../b", "/a b", "/a?b", "https://a", "/%2e", "/a//b", "/a\n"):
        with pytest.raises(InvalidValue, match="--root-path"):
            checked_prefix(text)


def test_proxies_are_addresses_or_networks() -> None:
    assert check_proxy("10.0.0.7") == "10.0.0.7"
    assert check_proxy("fd00::/8") == "fd00::/8"
    for text in ("*", "proxy.internal", "10.0.0.1/8", ""):
        with pytest.raises(InvalidValue, match="address of a proxy"):
            check_proxy(text)


def test_a_network_address_is_bound_where_callers_show_keys_or_on_demand() -> None:
    check_bind("127.0.0.1", allow_unauthenticated=False)
    check_bind("0.0.0.0", allow_unauthenticated=False, authenticated=True)
    check_bind("0.0.0.0", allow_unauthenticated=True)
    with pytest.raises(InvalidValue, match="--auth"):
        check_bind("0.0.0.0", allow_unauthenticated=False)
