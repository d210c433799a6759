"""Registered versions on a server that speaks MLflow's REST API: which one a URI means, and where its files lie.

The four calls are MLflow 3.17's (interoperability facts, REST API): `registered-models/alias`, `model-versions/get`,
`registered-models/get-latest-versions`, `model-versions/get-download-uri`. What the server says of a location is used
only where it is one of the server's own artifact proxy.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any
from urllib.parse import urlencode

from pack import uris
from pack.artifacts.credentials import split
from pack.artifacts.landing import Landing
from pack.artifacts.transport import Transport, receive, trying
from pack.errors import InvalidUri, InvalidValue, NotFound, StorageFailed
from pack.uris import ModelUri, StoreUri

# MLflow's registry keeps no digests; this tag of a version does.
DIGEST_TAG = "pack.digest"
_API = "/api/2.0/mlflow"
_PROXY = "api/2.0/mlflow-artifacts/artifacts"
_ANSWER_LIMIT = 16 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ServerRegistry:
    """The registry of the server at an address such as `http://HOST:PORT/PREFIX`."""

    def __init__(self, address: str) -> None:
        parts = split(address.rstrip("/"))
        self._host = parts.netloc.rpartition("@")[2]
        if parts.scheme not in {"http", "https"} or not self._host:
            raise InvalidUri("the registry's address is no http address", hint="it looks like https://HOST:PORT")
        self._scheme, self._prefix = parts.scheme, parts.path.strip("/")
        self._base = f"{parts.scheme}://{self._host}{parts.path}{_API}"
        self._transport = Transport(self._base)

    def version(self, uri: ModelUri) -> int:
        """The version that a URI means now; raises `NotFound` where there is none."""
        return _number(self._resolved(uri))

    def digest(self, uri: ModelUri) -> str | None:
        """The digest that stands in the version's tag `pack.digest`; None where it has no such tag."""
        tags = self._resolved(uri).get("tags") or []
        found = {tag["key"]: tag.get("value") for tag in tags if isinstance(tag, dict) and "key" in tag}
        digest = str(found.get(DIGEST_TAG, "")).removeprefix("sha256:")
        return digest if _SHA256.fullmatch(digest) else None

    def where(self, uri: ModelUri) -> StoreUri:
        """Where the version's files lie on this server; raises `NotFound` where they lie elsewhere."""
        version = str(self.version(uri))
        body = self._get("model-versions/get-download-uri", name=uri.name, version=version)
        said = str(body.get("artifact_uri"))
        path = self._own_path(said)
        if path is None:
            raise NotFound(
                f"the files of version {version} of {uri.name!r} lie at {said[:200]!a}, "
                f"which {self._host} does not serve",
                hint="the server must serve its artifacts (mlflow server --serve-artifacts); "
                "or fetch them there yourself, and give their folder",
            )
        below = [part for part in (self._prefix, _PROXY, path, uri.path) if part]
        return StoreUri(self._scheme, self._host, "/".join(below))

    def _own_path(self, said: str) -> str | None:
        """The path below this server's artifact proxy; None for a location that is not there."""
        try:
            found = uris.parse(said)
        except InvalidValue:
            return None
        if not isinstance(found, StoreUri) or found.host not in {"", self._host}:
            return None
        if found.scheme == "mlflow-artifacts":
            return found.path
        start = f"{self._prefix}/{_PROXY}/".lstrip("/")
        inside = found.scheme == self._scheme and found.path.startswith(start)
        return found.path.removeprefix(start) if inside else None

    def _resolved(self, uri: ModelUri) -> dict[str, Any]:
        """What the server says of the version behind a URI."""
        if uri.back or uri.at is not None:
            raise InvalidValue(
                f"{uri} is about the past of an alias, of which {self._host} keeps no record",
                hint="name the version, or the alias as it is now",
            )
        if uri.alias is not None:
            return self._version_in(self._get("registered-models/alias", name=uri.name, alias=uri.alias), uri)
        if uri.version is not None:
            return self._version_in(self._get("model-versions/get", name=uri.name, version=str(uri.version)), uri)
        stages = {"stages": [uri.stage]} if uri.stage else {}
        found = self._post("registered-models/get-latest-versions", {"name": uri.name, **stages}).get("model_versions")
        versions = [one for one in found or [] if isinstance(one, dict)]
        if not versions:
            raise NotFound(f"{self._host} has no version for {uri}", hint="name one: models:/NAME/VERSION")
        return max(versions, key=_number)

    def _version_in(self, body: dict[str, Any], uri: ModelUri) -> dict[str, Any]:
        found = body.get("model_version")
        if not isinstance(found, dict):
            raise StorageFailed(f"what {self._host} says of {uri} cannot be read", hint="is this a tracking server?")
        return found

    def _get(self, call: str, **asked: str) -> dict[str, Any]:
        return self._asked("GET", f"{call}?{urlencode(asked)}", None)

    def _post(self, call: str, asked: dict[str, Any]) -> dict[str, Any]:
        return self._asked("POST", call, json.dumps(asked).encode())

    def _asked(self, method: str, call: str, body: bytes | None) -> dict[str, Any]:
        """The object that a call answers."""
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))} if body is not None else {}
        data = io.BytesIO()

        def once() -> None:
            sent = None if body is None else io.BytesIO(body)
            with self._transport.ask(method, f"{self._base}/{call}", headers, body=sent) as answer:
                landing = Landing(data)
                landing.restart()
                receive(answer, landing, _ANSWER_LIMIT, lambda *_: None)

        try:
            trying(once)
            found = json.loads(data.getvalue())
        except NotFound as error:
            raise NotFound(
                f"the registry at {self._host} knows no such model, version or alias",
                hint="look there for its name, its versions and its aliases",
            ) from error
        except (ValueError, RecursionError) as error:
            raise StorageFailed(
                f"what {self._host} answers cannot be read", hint="is this a tracking server?"
            ) from error
        if not isinstance(found, dict):
            raise StorageFailed(f"what {self._host} answers cannot be read", hint="is this a tracking server?")
        return found


def _number(found: dict[str, Any]) -> int:
    text = str(found.get("version"))
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise StorageFailed("the server names a version that is no number", hint="is this a tracking server?")
    return int(text)
