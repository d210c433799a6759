"""Registries: a base that lies in one, and an image that goes into one, through `python-dxf`.

Who signs in, and with what, says Docker's own configuration (`docker login`, its credential helpers, `DOCKER_CONFIG`),
read by Docker's SDK. No password goes over plain HTTP, which is spoken with registries on this machine only.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import docker.auth
import docker.errors
import dxf
import dxf.exceptions
import requests

from pack import settings
from pack.errors import Damaged, InvalidState, NotFound, PackError, PermissionDenied, Unavailable
from pack.images.oci import blobs, references
from pack.images.oci.blobs import Blob
from pack.images.oci.kept import Shelf
from pack.images.oci.references import HUB, Reference
from pack.images.oci.stores import Store

_HUB_HOST = "registry-1.docker.io"
_PORT = re.compile(r":[0-9]+")


class RegistryStore:
    """An image in a registry as a store of blobs; each is fetched once, and kept on a shelf of this disk."""

    def __init__(self, reference: Reference, *, kept: Shelf) -> None:
        self._reference = reference
        self._client = _client(reference)
        self._kept = kept
        self._manifests: dict[str, bytes] = {}

    def tops(self) -> list[dict[str, Any]]:
        """The manifest or the index under the name; raises `Damaged` where it is not the one of the digest."""
        data, kind = self._fetch_manifest(self._reference.version)
        digest = blobs.digest_of(data)
        if self._reference.digest not in (None, digest):
            raise Damaged(f"the registry answers {digest} for {self._reference}", hint="ask who runs the registry")
        return [{"mediaType": kind, "digest": digest, "size": len(data)}]

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The bytes of a blob or of a manifest that was listed."""
        if digest in self._manifests:
            data = self._manifests[digest] or self._fetch_manifest(digest)[0]
            return iter((data,))
        if not self._kept.place(digest).is_file():
            self._kept.land(self._pulled(digest))
        return blobs.read_file(self._kept.place(digest))

    def _pulled(self, digest: str) -> Iterator[bytes]:
        with speaking_with(self._reference):
            yield from cast("Iterator[bytes]", self._client.pull_blob(digest, chunk_size=blobs.CHUNK))

    def _fetch_manifest(self, version: str) -> tuple[bytes, str]:
        with speaking_with(self._reference):
            _, response = self._client.get_manifest_and_response(version)
        data = response.content
        document = blobs.as_object(data, f"the manifest of {self._reference}")
        listed = document.get("manifests")
        for one in listed if isinstance(listed, list) else ():
            self._manifests.setdefault(blobs.sha256_name(one.get("digest")), b"")
        self._manifests[blobs.digest_of(data)] = data
        kind = document.get("mediaType") or response.headers.get("Content-Type", "").partition(";")[0].strip()
        return data, str(kind)


class Pusher:
    """An image on its way into a registry; what is there already is not sent again."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self._client = _client(reference)

    def has(self, blob: Blob) -> bool:
        """Whether the registry has a blob; it has compared it with its digest."""
        with speaking_with(self.reference):
            try:
                return bool(self._client.blob_size(blob.digest) == blob.size)
            except requests.HTTPError as error:
                if error.response is not None and error.response.status_code == requests.codes.not_found:
                    return False
                raise

    def put(self, blob: Blob) -> None:
        """Send a blob, piece by piece."""
        with speaking_with(self.reference):
            self._client.push_blob(data=_Sized(blob), digest=blob.digest, check_exists=False)

    def name(self, manifest: Blob) -> None:
        """Send the manifest under the tag, and look whether it is there."""
        tag = self.reference.tag or "latest"
        with speaking_with(self.reference):
            self._client.set_manifest(tag, b"".join(manifest.chunks()).decode())
            found, _ = self._client.head_manifest_and_response(tag)
        if found not in (None, manifest.digest):
            raise Damaged(
                f"the registry says {found} of {self.reference}", hint="somebody else pushed this tag; push again"
            )


class _Sized(blobs.Reader):
    """A blob as a body whose length is known, so that it is sent as it is rather than in chunks."""

    def __init__(self, blob: Blob) -> None:
        super().__init__(blob.checked())
        self._size = blob.size

    def __len__(self) -> int:
        return self._size


def open_image(text: str, *, kept: Shelf) -> Store:
    """The image of a name as a store; what is fetched of it is kept on the shelf `kept`."""
    return RegistryStore(references.parse(text), kept=kept)


@contextmanager
def speaking_with(reference: Reference) -> Iterator[None]:
    """Make what goes wrong with a registry an error of ours, which holds no address but the name that was given."""
    host = reference.host
    try:
        yield
    except PackError:
        raise
    except dxf.exceptions.DXFDigestMismatchError as error:
        raise Damaged(f"a blob of {reference} differs from its digest", hint="try again; else push it again") from error
    except dxf.exceptions.DXFAuthInsecureError:
        raise PermissionDenied(
            f"{host} asks for a password over plain HTTP, and none is sent that way", hint="give the registry TLS"
        ) from None
    except dxf.exceptions.DXFUnauthorizedError:
        raise PermissionDenied(f"{host} lets nobody in without a password", hint=f"run: docker login {host}") from None
    except requests.HTTPError as error:
        raise _refusal(reference, error) from None
    except requests.exceptions.SSLError:
        raise Unavailable(
            f"the certificate of {host} is not one that this machine trusts",
            hint="name the file of your own authority with REQUESTS_CA_BUNDLE",
        ) from None
    except (requests.RequestException, dxf.exceptions.DXFError, docker.errors.DockerException) as error:
        raise Unavailable(
            f"the registry {host} gave no answer that can be used: {type(error).__name__}",
            hint="look whether it runs and can be reached from here; oci:DIR and FILE.tar need none",
        ) from None


def _refusal(reference: Reference, error: requests.HTTPError) -> PackError:
    status = error.response.status_code if error.response is not None else 0
    if status == requests.codes.not_found:
        return NotFound(f"there is no image {reference}", hint="look at its name, its tag and its platform")
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        return PermissionDenied(
            f"{reference.host} does not let you at {reference.repository}", hint=f"run: docker login {reference.host}"
        )
    return Unavailable(f"the registry {reference.host} answered {status}", hint="try again later, or ask who runs it")


def _client(reference: Reference) -> dxf.DXF:
    host = _HUB_HOST if reference.host == HUB else reference.host
    plain = _on_this_machine(host) and not _speaks_tls(host)
    return dxf.DXF(host, reference.repository, _signing_in(reference), insecure=plain, timeout=settings.http_timeout())


def _signing_in(reference: Reference) -> Any:
    def sign_in(client: dxf.DXFBase, response: requests.Response) -> None:
        known = docker.auth.load_config().resolve_authconfig(reference.host) or {}
        if known.get("IdentityToken"):
            raise InvalidState(
                f"Docker's configuration has an identity token for {reference.host}, and only passwords are understood",
                hint="sign in with an access token as the password, or push oci:DIR with another tool",
            )
        name = known.get("username") or known.get("Username")
        client.authenticate(name, known.get("password") or known.get("Password"), response=response)

    return sign_in


def _on_this_machine(host: str) -> bool:
    name = _PORT.sub("", host) if not host.startswith("[") else host[1:].partition("]")[0]
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _speaks_tls(host: str) -> bool:
    """Whether a registry of this machine speaks TLS, with a certificate of whomever."""
    import socket
    import ssl

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    name, _, port = host.rpartition(":") if _PORT.search(host) else (host, "", "443")
    try:
        with socket.create_connection((name.strip("[]"), int(port)), timeout=5) as line, context.wrap_socket(line):
            return True
    except OSError:
        return False
