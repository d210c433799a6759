"""Certificates that sign models: whether they are valid now, and meant for it.

model-signing judges a chain at the moment from which the signing certificate is valid, and so never finds it expired.
A signature by a certificate carries no proof of when it was made: here the whole chain must be valid now as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import crypto

_SIGNING = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}


def read(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file; raises `ValueError` where there are none."""
    return x509.load_pem_x509_certificates(path.read_bytes())


def check_now(chain: Sequence[bytes], roots: Sequence[x509.Certificate]) -> None:
    """Raise `ValueError` or pyOpenSSL's error unless the first of a chain leads to these roots today and may sign."""
    found = [x509.load_der_x509_certificate(one) for one in chain]
    store = crypto.X509Store()
    for root in roots:
        store.add_cert(crypto.X509.from_cryptography(root))
    leaf, *between = map(crypto.X509.from_cryptography, found)
    crypto.X509StoreContext(store, leaf, between).verify_certificate()
    _check_purpose(found[0])


def _check_purpose(certificate: x509.Certificate) -> None:
    """A certificate that says what it is for, such as a web server, must say signing too."""
    try:
        purposes = set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if not purposes & _SIGNING:
        raise ValueError("the certificate is for other purposes than signing (extended key usage)")
