"""`pack sign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pack.cli.table import as_json, show_json
from pack.cli.words import force, word

if TYPE_CHECKING:
    from pack.trust.signing import Signer

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@word("model_uri", "-m", "--model-uri", metavar="URI", help="The same, spelled as an option.")
@click.option("--private-key", type=_FILE, help="The key to sign with: an elliptic curve's (P-256, P-384, P-521), PEM.")
@click.option("--certificate", type=_FILE, help="The certificate of that key, which goes into the signature.")
@click.option(
    "--chain", type=_FILE, multiple=True, help="Certificates between that one and an authority; may be repeated."
)
@click.option("--sigstore", is_flag=True, help="Sign keyless, as who you are to an OpenID provider; asks the network.")
@click.option("--identity-token", metavar="TOKEN", help="With --sigstore: a token that says who you are.")
@click.option("--ambient", is_flag=True, help="With --sigstore: be who the machine is, such as a CI job.")
@click.option("--trust-config", type=_FILE, help="With --sigstore: the configuration of another instance.")
@click.option("--signature", type=_FILE, help="The file to write. [default: model.sig in the model]")
@force
@as_json
def sign(model_uri: str, signature: Path | None, force: bool, as_json: bool, **given: object) -> None:
    """Sign a model with a key, a certificate, or keyless (OpenSSF model signing). Nothing of it is loaded or run.

    The signature is over every file and lies beside them. No digest of the model changes by it. The password of a
    private key is read from PACK_SIGNING_PASSWORD.

    \b
    Example:
      openssl ecparam -name prime256v1 -genkey -noout -out private.pem
      openssl ec -in private.pem -pubout -out public.pem
      pack sign models:/churn/3 --private-key private.pem
      pack verify models:/churn/3 --public-key public.pem

    Exit codes: 0 signed, 1 not.
    """
    from pack.cli.intact import intact
    from pack.trust import signing

    signer = _signer(**given)  # type: ignore[arg-type]
    report = intact(model_uri)
    if signature is None:
        _refuse_cached(model_uri, report.home)
    made = signing.sign(report.home, signer, signature=signature, replace=force)
    if as_json:
        show_json({"model": model_uri, "signature": str(made), "files": len(report.files), "digest": report.digest})
    else:
        click.echo(f"OK: {len(report.files)} files signed: {made}\n{report.digest}")


def _signer(
    private_key: Path | None,
    certificate: Path | None,
    chain: tuple[Path, ...],
    sigstore: bool,
    identity_token: str | None,
    ambient: bool,
    trust_config: Path | None,
) -> Signer:
    """What to sign with; raises `UsageError` for none, and for two."""
    from pack import settings
    from pack.trust import signing

    if sigstore == (private_key is not None):
        raise click.UsageError("Give --private-key FILE, or --sigstore.")
    if sigstore and (certificate or chain):
        raise click.UsageError("--sigstore has a certificate of its own: leave out --certificate and --chain.")
    if not sigstore and (identity_token or ambient or trust_config):
        raise click.UsageError("--identity-token, --ambient and --trust-config go with --sigstore.")
    if private_key is None:
        return signing.Sigstore(identity_token, ambient=ambient, trust=trust_config)
    if certificate is not None:
        return signing.Certificate(private_key, certificate, chain)
    if chain:
        raise click.UsageError("--chain goes with --certificate.")
    return signing.Key(private_key, settings.signing_password())


def _refuse_cached(model_uri: str, home: Path) -> None:
    """Raise `InvalidState` for a model that was downloaded: its signature would lie in the cache alone."""
    from pack.artifacts.shelves import shelves
    from pack.errors import InvalidState

    if home.resolve().is_relative_to(shelves().root.resolve()):
        raise InvalidState(
            f"{model_uri} lies on a server, and is here as a download only",
            hint="write the signature to a file, and put it beside the model's files as model.sig: --signature FILE",
        )
