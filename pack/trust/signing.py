"""Signing a model: `model.sig` beside its files, in the format of OpenSSF model signing.

The signature is over the digests of the files as they were verified just before; `model_signing verify` of the package
`model-signing` proves it too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pack.errors import AlreadyExists, InvalidValue, StorageFailed
from pack.mlmodel import digests
from pack.trust.signature_files import GIT, left_to_mlmodel
from pack.trust.signatures import needed

if TYPE_CHECKING:
    from model_signing.signing import Config


class Signer(Protocol):
    """Something to sign with."""

    def set_up(self, config: Config) -> Config:
        """Tell model-signing to sign with it; raises `ValueError` and the like where that cannot be."""


@dataclass(frozen=True)
class Key:
    """The private key of an elliptic curve (P-256, P-384 or P-521), in a PEM file."""

    path: Path
    password: str | None = None

    def set_up(self, config: Config) -> Config:
        """Sign with the key."""
        secret = self.password.encode() if self.password else None
        return config.use_elliptic_key_signer(private_key=self.path, password=secret)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Certificate:
    """A private key and the certificate of its public half; `chain` leads on towards an authority."""

    key: Path
    certificate: Path
    chain: Sequence[Path] = ()

    def set_up(self, config: Config) -> Config:
        """Sign with the key, and put the certificates into the signature."""
        chain = self.chain or [self.certificate]  # model-signing cannot read a chain of none
        return config.use_certificate_signer(
            private_key=self.key, signing_certificate=self.certificate, certificate_chain=chain
        )


@dataclass(frozen=True)
class Sigstore:
    """Keyless: an identity that an OpenID provider vouches for, a certificate of minutes, a public log.

    Without a token it comes from where this runs (`ambient`, such as a CI job), else a browser asks for it.
    """

    token: str | None = None
    ambient: bool = False
    trust: Path | None = None

    def set_up(self, config: Config) -> Config:
        """Sign keyless; this needs a network."""
        return config.use_sigstore_signer(
            identity_token=self.token, use_ambient_credentials=self.ambient, trust_config=self.trust
        )


def sign(home: Path, signer: Signer, *, signature: Path | None = None, replace: bool = False) -> Path:
    """Sign the model in a directory and answer where the signature is: `model.sig` in it, or another file.

    Raises `Damaged` where files differ from their digests, `AlreadyExists` where there is a signature and `replace` is
    not given, `InvalidValue` where the signer cannot sign, `MissingPackage` without model-signing.

    >>> sign(Path("churn-model"), Key(Path("private.pem")))  # doctest: +SKIP
    PosixPath('churn-model/model.sig')
    """
    report = digests.check(home)
    report.raise_if_damaged()
    target = signature or home / digests.SIGNATURE
    if target.resolve().is_relative_to(home.resolve()) and target.resolve() != home.resolve() / digests.SIGNATURE:
        raise InvalidValue(
            f"{target.name!a} would be one more file of the model, which its digests do not know",
            hint=f"in a model a signature is called {digests.SIGNATURE}; give a file elsewhere, or leave it out",
        )
    if not replace and os.path.lexists(target):
        raise AlreadyExists(
            f"there is a signature at {str(target)!a}", hint="look whose it is: pack verify; or --force"
        )
    with needed():
        data = _signed(report, signer)
    _write(target, data)
    return target


def _signed(report: digests.Report, signer: Signer) -> bytes:
    from model_signing import signing

    from pack.trust.openssf import REFUSALS, Taken

    left = left_to_mlmodel(report)
    files = {name: one for name, one in report.files.items() if name.partition("/")[0] not in left}
    with tempfile.TemporaryDirectory(prefix="pack-signature-") as place:
        made = Path(place) / digests.SIGNATURE
        try:
            config = signer.set_up(signing.Config())
            config.set_hashing_config(Taken(files, left_out=_left_out(report.home, left))).sign(report.home, made)
        except REFUSALS as error:
            why = " ".join(str(error).split())[:300]
            raise InvalidValue(
                f"the model could not be signed: {why}",
                hint="a key is an elliptic curve's private one, in PEM; keyless needs a network: docs/trust.md",
            ) from error
        return made.read_bytes()


def _left_out(home: Path, left: Sequence[str]) -> set[str]:
    """What no signature is of: itself, what MLflow and Python write beside the files later, and what is left."""
    folders = (path for path in (home / "code").rglob("*") if path.is_dir() and path.name != "__pycache__")
    code = {path.relative_to(home).as_posix() for path in (home / "code", *folders)}
    return {*digests.LEFT_OUT, "__pycache__", *(f"{folder}/__pycache__" for folder in code), *(GIT if left else ())}


def _write(target: Path, data: bytes) -> None:
    """Put the signature in its place; half of one, after a crash, proves nothing and can be replaced."""
    try:
        target.unlink(missing_ok=True)
        with target.open("xb") as file:
            file.write(data)
    except OSError as error:
        with suppress(OSError):
            target.unlink()
        raise StorageFailed(f"the signature cannot be written: {error.strerror}", hint="check the rights") from error
