"""What the package `model-signing` proves: that a signature is one of given digests, by a key, certificate or identity.

Its public `verifying.Config` does the checking. It is handed the bytes of the signature that were read and judged, in a
private file, and `Taken` in place of hashing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from model_signing import hashing, manifest, verifying
from model_signing._hashing.hashing import Digest  # what its manifests are made of; no public module gives it
from OpenSSL import crypto
from sigstore.errors import Error as SigstoreError

from pack.errors import InvalidValue, Untrusted
from pack.mlmodel import digests
from pack.trust import certificates
from pack.trust.signature_files import SignatureFile

# What these libraries raise over a signature, a key or a certificate that is not what it should be.
REFUSALS = (
    AttributeError, InvalidSignature, LookupError, OSError, RuntimeError, SigstoreError, TypeError,
    UnsupportedAlgorithm, ValueError, crypto.Error, crypto.X509StoreContextError,
)  # fmt: skip


class Taken(hashing.Config):
    """A hashing configuration that answers digests which were taken before, and reads no file.

    What a signature asks to have left out is not heard: it must be of exactly these files.
    """

    def __init__(self, files: Mapping[str, str], *, left_out: Iterable[str] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._files = dict(files)
        self._left_out = sorted(left_out)

    def hash(self, model_path: Any, *, files_to_hash: Any = None) -> manifest.Manifest:
        """The manifest of these digests, under the name of the model's folder."""
        kind = manifest.SerializationType.from_args(
            {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": self._left_out}
        )
        items = [kind.new_item(name, Digest("sha256", bytes.fromhex(one))) for name, one in self._files.items()]
        return manifest.Manifest(Path(model_path).resolve().name, items, kind)

    def add_ignored_paths(self, *, model_path: Any, paths: Any) -> None:
        """Nothing: see the class."""


def check_key(key: Path, found: SignatureFile, report: digests.Report) -> None:
    """Raise `Untrusted` unless the private half of this public key signed; `InvalidValue` where it is no such key."""
    with _usable(f"{str(key)!a} is no public key of an elliptic curve (P-256, P-384 or P-521) in PEM"):
        config = verifying.Config().use_elliptic_key_verifier(public_key=key)
    _prove(config, found, report, f"the key {key.name}")


def check_certificate(authority: Path, found: SignatureFile, report: digests.Report) -> None:
    """Raise `Untrusted` unless a certificate of these authorities, valid now and meant for signing, signed."""
    with _usable(f"{str(authority)!a} holds no certificates in PEM"):
        config = verifying.Config().use_certificate_verifier(certificate_chain=[authority])
        roots = certificates.read(authority)
    _prove(config, found, report, f"a certificate of {authority.name}")
    with _refused(f"a certificate of {authority.name}"):
        certificates.check_now(found.certificates, roots)


def check_identity(
    identity: str, issuer: str, found: SignatureFile, report: digests.Report, *, sigstore: Path | None
) -> None:
    """Raise `Untrusted` unless this identity signed keyless; without `sigstore` its public root is asked for."""
    with _refused(f"{identity} (what Sigstore trusts could not be learned)"):
        config = verifying.Config().use_sigstore_verifier(identity=identity, oidc_issuer=issuer, trust_config=sigstore)
    _prove(config, found, report, identity)


def _prove(config: verifying.Config, found: SignatureFile, report: digests.Report, who: str) -> None:
    with _refused(who), tempfile.TemporaryDirectory(prefix="pack-signature-") as place:
        copy = Path(place) / digests.SIGNATURE
        copy.write_text(json.dumps(found.bundle), encoding="utf-8")
        config.set_hashing_config(Taken(found.covered(report))).verify(report.home, copy)


@contextmanager
def _refused(who: str) -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        why = " ".join(str(error).split())[:300] or "it is of other bytes or another key"
        raise Untrusted(f"its signature is not proved to be by {who}: {why}") from error


@contextmanager
def _usable(problem: str) -> Iterator[None]:
    """Where a file of the user's own is read: what is wrong with it is no fault of the model's."""
    try:
        yield
    except OSError as error:
        raise InvalidValue(f"{problem}: {error.strerror}", hint="name a file that is there") from error
    except REFUSALS as error:
        raise InvalidValue(problem, hint="name another file, or make one: see docs/trust.md") from error
