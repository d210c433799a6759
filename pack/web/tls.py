"""Certificates: looked at before anything is loaded, so that what is wrong with one is a clear line."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from pack.errors import InvalidValue


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate chain and its private key, in PEM."""

    chain: str
    key: str


def certificate(chain: str | None, key: str | None) -> Certificate | None:
    """The certificate in these files; None for neither.

    Raises `InvalidValue` where one is missing, cannot be read, is protected by a password or does not fit the other.
    """
    if chain is None and key is None:
        return None
    if chain is None or key is None:
        raise InvalidValue(
            f"{'--tls-key' if chain is None else '--tls-cert'} was given alone",
            hint="TLS needs both: --tls-cert FILE --tls-key FILE",
        )
    for option, path in (("--tls-cert", chain), ("--tls-key", key)):
        _check_readable(option, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain, key, password=_no_password)
    except ssl.SSLError as error:
        raise _refused(error) from error
    return Certificate(chain, key)


def _no_password() -> str:
    """Asked for by OpenSSL, which would otherwise ask at the terminal."""
    raise InvalidValue(
        "the file of --tls-key is protected by a password",
        hint="write one without: openssl pkey -in KEY -out PLAIN, readable by this user only",
    )


def _check_readable(option: str, path: str) -> None:
    try:
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        raise InvalidValue(
            f"the file of {option} cannot be read: {error.strerror}", hint=f"name a PEM file: {option} FILE"
        ) from error


def _refused(error: ssl.SSLError) -> InvalidValue:
    if error.reason == "KEY_VALUES_MISMATCH":
        return InvalidValue(
            "the key of --tls-key is not that of the certificate of --tls-cert",
            hint="name the two files that were made together",
        )
    return InvalidValue(
        "the files of --tls-cert and --tls-key are no certificate and key in PEM",
        hint="--tls-cert has the certificate, followed by those between it and its root; --tls-key has its private key",
    )
