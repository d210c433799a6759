"""Names of images in registries, `host/repository:tag@digest`, read the way that Docker reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import ModuleType

from pack.errors import InvalidValue
from pack.images.naming import image_reference
from pack.plugins import missing

HUB = "docker.io"
_PARTS = re.compile(r"(?P<path>[^:@]+(?::[0-9]+/[^:@]+)?)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.+))?")


@dataclass(frozen=True)
class Reference:
    """An image in a registry; where neither a tag nor a digest was given the tag is `latest`."""

    host: str
    repository: str
    tag: str | None
    digest: str | None = None

    @property
    def version(self) -> str:
        """The digest, or without one the tag."""
        return self.digest or self.tag or "latest"

    def at(self, digest: str) -> Reference:
        """The same image, pinned."""
        return replace(self, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}{'@' + self.digest if self.digest else ''}"


def registries() -> ModuleType:
    """What speaks with registries; raises `MissingPackage` with the install command."""
    try:
        from pack.images.oci import registries as found
    except ModuleNotFoundError as error:
        raise missing(str(error.name), "'packml[images]'") from error
    return found


def parse(text: str) -> Reference:
    """Read a name such as `python:3.11-slim` or `registry.example.com/ml/churn:3`; raises `InvalidValue`."""
    parts = _PARTS.fullmatch(image_reference(text))
    if parts is None:
        raise InvalidValue(f"{text[:100]!a} cannot be the name of an image")
    path, tag, digest = parts["path"], parts["tag"], parts["digest"]
    first, slash, rest = path.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        host, repository = HUB, path if slash else f"library/{path}"
    else:
        host, repository = first, rest
    return Reference(host, repository, tag or (None if digest else "latest"), digest)
