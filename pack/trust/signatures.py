"""Whose signature a model carries: OpenSSF model signatures, checked by the package `model-signing`.

The digests that were taken when the directory was verified are what a signature is compared with, and nothing is hashed
again: what was signed, what was verified and what is read are the same bytes (see `Admission`). A signature must be of
every file of the model; what it asks to leave out is not heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from pack import settings
from pack.errors import Untrusted
from pack.mlmodel import digests
from pack.plugins import missing
from pack.trust import signature_files
from pack.trust.signature_files import Kind, SignatureFile

# Who it would be, and the check that proves it, or raises `Untrusted`.
Check: TypeAlias = tuple[str, Callable[[SignatureFile, digests.Report], None]]
_WORDS: dict[Kind, tuple[str, str]] = {
    "key": ("a key", "PACK_TRUST_KEYS, --public-key"),
    "certificate": ("a certificate", "PACK_TRUST_CERTIFICATES, --certificate-chain"),
    "identity": ("a Sigstore identity", "PACK_TRUST_IDENTITIES, --identity"),
}


@dataclass(frozen=True)
class Signers:
    """Whose signatures count: files of public keys, files of certificate authorities, and Sigstore identities.

    An identity is a pair: who, and the issuer that says so. `sigstore` is the file of a trust configuration, for
    another instance than the public one or where there is no network. Called, it is a verifier of a `Policy`.
    """

    keys: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    identities: tuple[tuple[str, str], ...] = ()
    sigstore: Path | None = None

    @property
    def any(self) -> bool:
        """Whether there is anybody."""
        return bool(self.keys or self.certificates or self.identities)

    def of(self, kind: Kind) -> int:
        """How many there are of one kind."""
        return len({"key": self.keys, "certificate": self.certificates, "identity": self.identities}[kind])

    def __call__(self, report: digests.Report) -> str:
        """Say who signed these files; raises `Untrusted` where nobody did whose signature counts."""
        return verify(report, self)


def configured() -> Signers:
    """Whose signatures count for this user, from the environment."""
    return Signers(
        settings.trust_keys(), settings.trust_certificates(), settings.trust_identities(), settings.trust_sigstore()
    )


def verify(report: digests.Report, signers: Signers, *, signature: Path | None = None) -> str:
    """Say who signed the files of a report, by the signature beside them or another file.

    Raises `Untrusted`, which says why not, `Damaged` where the files differ from their own digests, `InvalidValue`
    where a key or certificate of the signers cannot be used, `MissingPackage` without model-signing.
    """
    report.raise_if_damaged()
    found = signature_files.read(signature or report.home / digests.SIGNATURE, report)
    problem = found.problem(report)
    if problem:
        raise Untrusted(problem)
    how, setting = _WORDS[found.kind]
    against = (
        [] if signers.of(found.kind) else [f"it is signed with {how}, and none of these is configured ({setting})"]
    )
    with needed():
        for who, check in _checks(signers, found.kind):
            try:
                check(found, report)
            except Untrusted as refusal:
                against.append(refusal.message)
            else:
                return who
    raise Untrusted("; ".join(dict.fromkeys(against)))


@contextmanager
def needed() -> Iterator[None]:
    """Where model-signing is imported: without it, the error is the command that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing(error.name or "model_signing", "'packml[signing]'") from error


def _checks(signers: Signers, kind: Kind) -> list[Check]:
    """Who could have made a signature of this kind."""
    from pack.trust import openssf

    if kind == "key":
        return [(f"the key {key.name}", partial(openssf.check_key, key)) for key in signers.keys]
    if kind == "certificate":
        return [
            (f"a certificate of {one.name}", partial(openssf.check_certificate, one)) for one in signers.certificates
        ]
    check = partial(openssf.check_identity, sigstore=signers.sigstore)
    return [(f"{who} ({issuer})", partial(check, who, issuer)) for who, issuer in signers.identities]
