"""The file of an OpenSSF model signature, read before it is believed: what it says it is, and which files it is of.

The format is model-signing 1.0's: a Sigstore bundle (v0.3, JSON), whose DSSE envelope holds an in-toto statement, whose
predicate `https://model_signing/signature/v1.0` lists each file with its digest. Nothing here is authentic yet;
`pack.trust.signatures` has the signature itself checked.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pack.errors import Untrusted
from pack.mlmodel import digests
from pack.mlmodel.model import MLMODEL

Kind = Literal["key", "certificate", "identity"]
PREDICATE = "https://model_signing/signature/v1.0"
# What model-signing leaves out of every signature unless it is told otherwise: a repository's own files.
GIT = frozenset({".git", ".gitattributes", ".github", ".gitignore"})
# Certificates, log entries and the like, and what one file may take as JSON inside base64.
_BASE = 1 << 20
_FILE = 2_000
_MATERIAL: dict[str, Kind] = {"publicKey": "key", "x509CertificateChain": "certificate", "certificate": "identity"}
_AGAIN = "it was made by another program or an old version of model-signing, sign the model again"


@dataclass(frozen=True)
class SignatureFile:
    """What a signature says: how it was made, and the SHA-256 of each file that it is of."""

    kind: Kind
    files: dict[str, str]
    bundle: dict[str, Any]

    @property
    def certificates(self) -> list[bytes]:
        """The signing certificate and those between it and an authority, in DER; `ValueError` where they are none."""
        chain = self.bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
        return [base64.b64decode(one["rawBytes"], validate=True) for one in chain]

    def covered(self, report: digests.Report) -> dict[str, str]:
        """The files of a model that this signature must list, for model-signing to compare; see `left_to_mlmodel`.

        What the signature lists beside them and is no part of a model (`digests.counts`) is taken as it says.
        """
        ours = {name: one for name, one in report.files.items() if name in self.files or not _is_left(name, report)}
        return {**{name: one for name, one in self.files.items() if not digests.counts(name)}, **ours}

    def problem(self, report: digests.Report) -> str | None:
        """Why this signature is not one of these files, in words; None where it is."""
        wanted = self.covered(report)
        kinds = {
            "changed since": [name for name in wanted if name in self.files and self.files[name] != wanted[name]],
            "not signed": [name for name in wanted if name not in self.files],
            "missing": [name for name in self.files if name not in wanted],
        }
        found = [f"{kind}: {', '.join(map(ascii, sorted(names)[:5]))}" for kind, names in kinds.items() if names]
        return f"its signature is not one of these files ({'; '.join(found)})" if found else None


def left_to_mlmodel(report: digests.Report) -> list[str]:
    """The names at the top of a model whose digests a signature leaves to the MLmodel file, which it covers itself.

    These are Git's, which model-signing leaves out by itself, and only where the MLmodel file lists digests.
    """
    return sorted({name.partition("/")[0] for name in report.files if _is_left(name, report)})


def read(path: Path, report: digests.Report) -> SignatureFile:
    """The signature in a file; raises `Untrusted` where there is none, or none that can be one of this model."""
    names = sum(len(name.encode("utf-8", "surrogatepass")) for name in report.files)
    data = _bytes(path, _BASE + _FILE * len(report.files) + 16 * names)
    bundle = _object(data, "its signature")
    material = bundle.get("verificationMaterial")
    kinds = [kind for name, kind in _MATERIAL.items() if isinstance(material, dict) and material.get(name)]
    if len(kinds) != 1:
        raise Untrusted(f"its signature says nothing of who signed; {_AGAIN}")
    if kinds[0] == "key" and not (isinstance(bundle["verificationMaterial"]["publicKey"], dict) and _hint(bundle)):
        raise Untrusted(f"its signature does not say which key it is of; {_AGAIN}")
    return SignatureFile(kinds[0], _files(_statement(bundle)), bundle)


def _is_left(name: str, report: digests.Report) -> bool:
    return report.sealed and name.partition("/")[0] in GIT and name != MLMODEL


def _hint(bundle: dict[str, Any]) -> Any:
    return bundle["verificationMaterial"]["publicKey"].get("hint")


def _statement(bundle: dict[str, Any]) -> dict[str, Any]:
    envelope = bundle.get("dsseEnvelope")
    payload = envelope.get("payload") if isinstance(envelope, dict) else None
    try:
        data = base64.b64decode(payload if isinstance(payload, str) else b"", validate=True)
    except ValueError as error:
        raise Untrusted("its signature cannot be read: the payload is not base64") from error
    return _object(data, "the statement in its signature")


def _files(statement: dict[str, Any]) -> dict[str, str]:
    """The file names and digests of a statement; raises `Untrusted` for anything but SHA-256 of whole files."""
    if statement.get("predicateType") != PREDICATE:
        raise Untrusted(f"its signature is not of the kind {PREDICATE}; {_AGAIN}")
    predicate = statement.get("predicate")
    resources = predicate.get("resources") if isinstance(predicate, dict) else None
    if not isinstance(resources, list) or not all(isinstance(one, dict) for one in resources):
        raise Untrusted(f"its signature lists no files; {_AGAIN}")
    if any(one.get("algorithm") != "sha256" for one in resources):
        raise Untrusted("its signature is not over SHA-256 of whole files; sign it so (model_signing's default)")
    return {str(one.get("name")): str(one.get("digest")) for one in resources}


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Untrusted(f"{what} cannot be read as JSON") from error
    if not isinstance(found, dict):
        raise Untrusted(f"{what} is no JSON object")
    return found


def _bytes(path: Path, limit: int) -> bytes:
    """The bytes of a plain file, through no link and no more than a limit."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Untrusted(f"its signature {path.name!a} is not a plain file")
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise Untrusted(f"it is not signed (there is no {path.name!a})") from error
    except OSError as error:
        raise Untrusted(f"its signature {path.name!a} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise Untrusted(
            f"its signature {path.name!a} has more than the {limit:,} bytes that one of this model can have"
        )
    return data
