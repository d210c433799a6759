"""`pack verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pack.cli.table import as_json, show_json
from pack.cli.words import word

if TYPE_CHECKING:
    from pack.mlmodel.digests import Report
    from pack.trust.signatures import Signers

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@word("model_uri", "-m", "--model-uri", metavar="URI", help="The same, spelled as an option.")
@click.option("--public-key", type=_FILE, multiple=True, help="Whose signature it must carry: a public key, PEM.")
@click.option(
    "--certificate-chain",
    type=_FILE,
    multiple=True,
    help="Whose it must carry: certificate authorities, PEM. Any of several options may have signed.",
)
@click.option("--identity", help="Who must have signed keyless, such as an e-mail address; with --identity-provider.")
@click.option("--identity-provider", metavar="URL", help="The OpenID issuer that says so.")
@click.option("--trust-config", type=_FILE, help="A Sigstore trust configuration. [default: PACK_TRUST_SIGSTORE]")
@click.option("--signature", type=_FILE, help="The file of the signature. [default: model.sig in the model]")
@as_json
def verify(model_uri: str, signature: Path | None, as_json: bool, **given: Any) -> None:
    """Compare every file of a model with the digests it was saved with, and check its signature.

    Nothing of it is loaded or run. Whose signature it must carry is said by the options. Without them a signature that
    is there is checked against PACK_TRUST_KEYS, PACK_TRUST_CERTIFICATES and PACK_TRUST_IDENTITIES, where these are set.

    \b
    Example:
      pack verify models:/churn/3
      pack verify models:/churn/3 --public-key public.pem

    Exit codes: 0 verified; 1 something differs, the signature is missing or not proved, or there is nothing to compare
    with.
    """
    from pack.artifacts import local_path, registered_digest
    from pack.mlmodel import digests

    signers = _signers(**given)
    report = digests.check(local_path(model_uri))
    registered = registered_digest(model_uri)
    found = Found(report, registered, signature_state(report, signers, signature))
    if as_json:
        show_json({"model": model_uri, **found.facts()})
    else:
        _say(found)
    raise SystemExit(0 if found.verified else 1)


@dataclass(frozen=True)
class SignatureState:
    """What is known of a signature: who signed, or why that is not proved; whether it was asked about."""

    signer: str | None = None
    problem: str | None = None
    there: bool = False

    @property
    def word(self) -> str:
        """The state in a word."""
        if self.signer:
            return "verified"
        return "refused" if self.problem else "unchecked" if self.there else "none"


@dataclass(frozen=True)
class Found:
    """A model compared with its digests, with the registry's, and with its signature."""

    report: Report
    registered: str | None
    signature: SignatureState

    @property
    def moved(self) -> bool:
        """Whether the registry recorded another digest."""
        return self.registered not in (None, self.report.digest)

    @property
    def verified(self) -> bool:
        """Whether there was something to compare with, and all of it matches."""
        something = self.report.sealed or self.registered is not None or self.signature.signer is not None
        return self.report.intact and not self.moved and something and not self.signature.problem

    def facts(self) -> dict[str, Any]:
        """The fields of the JSON."""
        return {
            "verified": self.verified,
            "sealed": self.report.sealed,
            "digest": self.report.digest,
            "registered_digest": self.registered,
            "missing": self.report.missing,
            "added": self.report.added,
            "changed": self.report.changed,
            "signature": self.signature.word,
            "signer": self.signature.signer,
            "signature_problem": self.signature.problem,
        }


def _signers(
    public_key: tuple[Path, ...],
    certificate_chain: tuple[Path, ...],
    identity: str | None,
    identity_provider: str | None,
    trust_config: Path | None,
) -> Signers | None:
    """Whose signature the options ask for; None where they ask for nobody's."""
    from pack import settings
    from pack.trust.signatures import Signers

    if (identity is None) != (identity_provider is None):
        raise click.UsageError("--identity and --identity-provider go together.")
    pairs = ((identity, identity_provider),) if identity and identity_provider else ()
    if not (public_key or certificate_chain or pairs):
        return None
    return Signers(public_key, certificate_chain, pairs, trust_config or settings.trust_sigstore())


def signature_state(report: Report, asked: Signers | None = None, path: Path | None = None) -> SignatureState:
    """The state of a model's signature for those whom the options ask for, else for those of the environment."""
    from pack.errors import InvalidValue, Untrusted
    from pack.mlmodel.digests import SIGNATURE
    from pack.trust import signatures

    there = path is not None or (report.home / SIGNATURE).is_file()
    signers = asked or signatures.configured()
    if path is not None and not signers.any:
        raise InvalidValue(
            f"nobody is named whose signature {path.name!a} may be",
            hint="give --public-key, --certificate-chain, or --identity with --identity-provider",
        )
    if not report.intact or not (asked or (there and signers.any)):
        return SignatureState(there=there)
    try:
        return SignatureState(signatures.verify(report, signers, signature=path), there=True)
    except Untrusted as refusal:
        return SignatureState(problem=refusal.message, there=there)


def _say(found: Found) -> None:
    report, signature = found.report, found.signature
    if found.verified:
        registered = ", the digest it was registered with" if found.registered else ""
        own = f"{len(report.files)} files match their digests{registered}"
        click.echo(f"OK: {own if report.sealed or found.registered else f'{len(report.files)} files are as signed'}")
        click.echo(f"signed by {signature.signer}" if signature.signer else _unproved(signature))
        click.echo(report.digest)
    elif report.intact and not found.moved and signature.problem:
        click.echo(f"FAILED: {signature.problem}", err=True)
    elif not (report.sealed or found.moved):
        click.echo("NOT VERIFIED: the model was written without digests, there is nothing to compare with", err=True)
    else:
        _say_what_differs(report, moved=found.moved)


def _unproved(signature: SignatureState) -> str:
    if not signature.there:
        return "not signed"
    return "signed; whose signature it is was not checked: name a key with --public-key, or set PACK_TRUST_KEYS"


def _say_what_differs(report: Report, *, moved: bool) -> None:
    click.echo("FAILED: the model differs from its digests", err=True)
    for kind in ("changed", "missing", "added"):
        for name in getattr(report, kind):
            click.echo(f"  {kind}: {name!a}", err=True)
    if moved:
        click.echo("  the whole is not what was registered under this version", err=True)
