"""Signatures that must admit nothing: of other files, of some files, by others, expired, and no signatures at all."""

from __future__ import annotations

import base64
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

import pack
from pack.cli import main
from pack.errors import Damaged, InvalidValue, NotFound, PackError, Untrusted
from pack.mlmodel import digests
from pack.mlmodel.model import MLMODEL, Model
from pack.trust import Policy, admit, signing
from pack.trust.signatures import Signers, verify
from tests import models
from tests.trust.signers import Issued, Pair, issued, pair, their_command


@pytest.fixture
def keys(tmp_path: Path) -> Pair:
    return pair(tmp_path, "release")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody else's model whose reading runs code, and whose MLmodel file lists no digests, as MLflow writes it."""
    (tmp_path / "mine.py").write_text("ONE = 1\n", encoding="utf-8")
    path = tmp_path / "model"
    code = [str(tmp_path / "mine.py")]
    pack.sklearn.save_model(models.classifier(), path, serialization_format="pickle", code_paths=code)
    (path / MLMODEL).write_text(Model.load(path).replace(pack=None).to_yaml(), encoding="utf-8")
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "another user"))
    return path


@pytest.fixture
def signed(home: Path, keys: Pair) -> Path:
    signing.sign(home, signing.Key(keys.private))
    return home


def refusal(home: Path, keys: Pair, mode: Any = "signed") -> str:
    """What loading says to a model that this user's key should have signed; the test fails where it loads."""
    with pytest.raises(Untrusted) as refused:
        pack.pyfunc.load_model(home, trust=Policy(mode, verifiers=(Signers(keys=(keys.public,)),)))
    return refused.value.message


def rewritten(home: Path, change: Callable[[dict[str, Any]], Any], key: Any = None) -> None:
    """Change the statement in a signature; signed anew with `key` where one is given."""
    bundle = json.loads((home / "model.sig").read_bytes())
    envelope = bundle["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    envelope["payload"] = base64.b64encode(payload).decode()
    if key is not None:
        kind = b"application/vnd.in-toto+json"
        said = b" ".join([b"DSSEv1", b"%d" % len(kind), kind, b"%d" % len(payload), payload])
        signature = key.sign(said, ec.ECDSA(hashes.SHA256()))
        envelope["signatures"] = [{"sig": base64.b64encode(signature).decode(), "keyid": ""}]
    (home / "model.sig").write_text(json.dumps(bundle), encoding="utf-8")


def resources(statement: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = statement["predicate"]["resources"]
    return found


@pytest.mark.parametrize("mode", ["signed", "default"])
def test_the_signature_of_another_model_admits_nothing(signed: Path, keys: Pair, tmp_path: Path, mode: str) -> None:
    other = tmp_path / "other"
    shutil.copytree(signed, other)
    (other / "model.pkl").write_bytes(pickle.dumps(models.wide_pipeline()))
    assert "changed since: 'model.pkl'" in refusal(other, keys, mode)


@pytest.mark.parametrize("name", ["MLmodel", "model.pkl", "code/mine.py", "requirements.txt"])
def test_a_file_that_changed_after_signing_is_refused(signed: Path, keys: Pair, name: str) -> None:
    (signed / name).write_bytes((signed / name).read_bytes() + b"\n# more\n")
    assert f"changed since: {name!r}" in refusal(signed, keys)


@pytest.mark.parametrize("name", ["evil.py", "code/evil.py", "code/model.sig", "MODEL.SIG", ".gitattributes"])
def test_a_file_that_was_added_after_signing_is_refused(signed: Path, keys: Pair, name: str) -> None:
    (signed / name).write_text("import os\n", encoding="utf-8")
    assert f"not signed: {name!r}" in refusal(signed, keys)


def test_a_file_that_is_missing_is_refused(signed: Path, keys: Pair) -> None:
    (signed / "requirements.txt").unlink()
    assert "missing: 'requirements.txt'" in refusal(signed, keys)


@pytest.mark.parametrize("ignored", ["code", "MLmodel", "model.pkl", "requirements.txt"])
def test_a_signer_cannot_leave_files_out(home: Path, keys: Pair, ignored: str) -> None:
    """model-signing lets the signer list what to ignore, inside the signature; its own command accepts that."""
    key = ("--private_key", keys.private)
    made = their_command("sign", "key", home, "--signature", home / "model.sig", *key, "--ignore-paths", home / ignored)
    assert made.returncode == 0, made.stderr
    public = ("--public_key", keys.public)
    theirs = their_command("verify", "key", home, "--signature", home / "model.sig", *public)
    assert theirs.returncode == 0, theirs.stderr
    assert "not signed: " in refusal(home, keys)


@pytest.mark.parametrize("ignored", ["code", "MLmodel"])
def test_nor_can_the_signer_of_a_model_that_lists_its_digests(home: Path, keys: Pair, ignored: str) -> None:
    facts = {"format": 1, "version": "0", "files": digests.manifest(home), "self": digests.ZEROS}
    (home / MLMODEL).write_text(digests.seal(Model.load(home).replace(pack=facts).to_yaml()), encoding="utf-8")
    key = ("--private_key", keys.private)
    their_command("sign", "key", home, "--signature", home / "model.sig", *key, "--ignore-paths", home / ignored)
    assert "not signed: " in refusal(home, keys)


def test_a_statement_that_was_changed_is_refused(signed: Path, keys: Pair) -> None:
    (signed / "evil.py").write_text("import os\n", encoding="utf-8")
    digest = digests.file_digest(signed / "evil.py")
    rewritten(signed, lambda it: resources(it).append({"name": "evil.py", "algorithm": "sha256", "digest": digest}))
    assert "not proved to be by the key release.pub" in refusal(signed, keys)


def test_a_statement_that_another_key_signed_under_this_keys_name_is_refused(signed: Path, keys: Pair) -> None:
    rewritten(signed, lambda it: None, keys.key)
    assert verify(digests.check(signed), Signers(keys=(keys.public,))) == "the key release.pub"
    rewritten(signed, lambda it: None, ec.generate_private_key(ec.SECP256R1()))
    assert "not proved to be by the key release.pub" in refusal(signed, keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it.update(predicateType="https://example.com/other"),
        lambda it: it.update(_type="https://example.com/other"),
        lambda it: it.update(subject=[]),
        lambda it: it["subject"][0]["digest"].update(sha256="0" * 64),
        lambda it: it.update(predicate=[]),
        lambda it: it["predicate"].pop("serialization"),
        lambda it: it["predicate"]["serialization"].update(method="shards", shard_size=10),
        lambda it: it["predicate"].update(resources={}),
        lambda it: resources(it).clear(),
        lambda it: resources(it)[0].update(algorithm="blake3"),
        lambda it: resources(it)[0].update(digest="zz"),
        lambda it: resources(it)[0].update(digest=None),
        lambda it: resources(it)[0].update(name=f"./../model/{resources(it)[0]['name']}"),
        lambda it: resources(it).append({"name": "__pycache__/x", "algorithm": "sha256", "digest": "zz"}),
        lambda it: resources(it).append({"name": "../secret", "algorithm": "sha256", "digest": "0" * 64}),
        lambda it: resources(it).append({}),
    ],
)
def test_a_statement_of_another_form_is_refused_even_where_the_key_signed_it(
    signed: Path, keys: Pair, change: Callable[[dict[str, Any]], Any]
) -> None:
    rewritten(signed, change, keys.key)
    assert "its signature" in refusal(signed, keys)


@pytest.mark.parametrize("algorithm", ["blake3", "shards"])
def test_digests_that_are_not_those_we_verify_by_are_refused(home: Path, keys: Pair, algorithm: str) -> None:
    import model_signing

    hashing = model_signing.hashing.Config()
    hashing = (
        hashing.use_shard_serialization(shard_size=1000)
        if algorithm == "shards"
        else hashing.use_file_serialization(hashing_algorithm="blake3")
    )
    config = model_signing.signing.Config().use_elliptic_key_signer(private_key=keys.private)
    config.set_hashing_config(hashing).sign(home, home / "model.sig")
    assert "not over SHA-256 of whole files" in refusal(home, keys)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not JSON",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 5000,
        b'{"verificationMaterial": 1, "dsseEnvelope": 2}',
        b'{"verificationMaterial": {"publicKey": 1}, "dsseEnvelope": {"payload": "!"}}',
        b'{"verificationMaterial": {"publicKey": {"hint": "0"}}, "dsseEnvelope": {"payload": "!"}}',
        b'{"verificationMaterial": {"publicKey": {"hint": "0"}}, "dsseEnvelope": {"payload": "W1tbW1s="}}',
        b'{"verificationMaterial": {"publicKey": {"hint": "0"}, "certificate": {"rawBytes": ""}}}',
        b'{"verificationMaterial": {"x509CertificateChain": []}, "dsseEnvelope": {}}',
    ],
)
def test_what_is_no_signature_is_refused(home: Path, keys: Pair, data: bytes) -> None:
    (home / "model.sig").write_bytes(data)
    assert "its signature" in refusal(home, keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda it: it["dsseEnvelope"].update(signatures=[]),
        lambda it: it["dsseEnvelope"].pop("signatures"),
        lambda it: it["dsseEnvelope"].update(payloadType="text/plain"),
        lambda it: it["dsseEnvelope"]["signatures"][0].update(sig="AAAA"),
        lambda it: it.update(mediaType="application/json"),
        lambda it: it.pop("mediaType"),
        lambda it: it["verificationMaterial"]["publicKey"].pop("hint"),
        lambda it: it["verificationMaterial"].update(publicKey={"rawBytes": "AAAA"}),
        lambda it: it["verificationMaterial"]["publicKey"].update(hint=["x"]),
        lambda it: it["verificationMaterial"].update(tlogEntries=7),
        lambda it: it.update(verificationMaterial={"x509CertificateChain": {"certificates": []}}),
        lambda it: it.update(verificationMaterial={"certificate": {"rawBytes": "AAAA"}}),
    ],
)
def test_a_bundle_with_a_part_replaced_is_refused(
    signed: Path, keys: Pair, tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    bundle = json.loads((signed / "model.sig").read_bytes())
    change(bundle)
    (signed / "model.sig").write_text(json.dumps(bundle), encoding="utf-8")
    root = issued(tmp_path, "root", authority=True)
    with pytest.raises(Untrusted):
        verify(digests.check(signed), Signers(keys=(keys.public,), certificates=(root.path,)))


def test_a_huge_signature_is_not_read(signed: Path, keys: Pair) -> None:
    with (signed / "model.sig").open("r+b") as file:
        file.truncate(50 << 30)  # a sparse file: reading it would show
    assert "bytes that one of this model can have" in refusal(signed, keys)


def test_a_link_or_a_pipe_is_no_signature(signed: Path, keys: Pair, tmp_path: Path) -> None:
    signature = signed / "model.sig"
    signature.rename(tmp_path / "elsewhere.sig")
    signature.symlink_to(tmp_path / "elsewhere.sig")
    with pytest.raises(InvalidValue, match="plain file"):
        pack.pyfunc.load_model(signed, trust="signed")
    signature.unlink()
    (tmp_path / "link.sig").symlink_to(tmp_path / "elsewhere.sig")
    os.mkfifo(tmp_path / "pipe.sig")
    for name in ("link.sig", "pipe.sig", "."):
        with pytest.raises(Untrusted, match="its signature"):
            verify(digests.check(signed), Signers(keys=(keys.public,)), signature=tmp_path / name)


@pytest.mark.parametrize("mode", ["trusted", "signed"])
def test_a_signature_file_is_never_read_as_part_of_the_model(home: Path, keys: Pair, tmp_path: Path, mode: Any) -> None:
    """Neither where the MLmodel file names it as the payload, nor where its signer agreed to that."""
    payload = b"cos\nsystem\n(S'touch " + str(tmp_path / "canary").encode() + b"'\ntR."
    text = (home / MLMODEL).read_text(encoding="utf-8").replace("model.pkl", "model.sig")
    (home / MLMODEL).write_text(text, encoding="utf-8")
    signing.sign(home, signing.Key(keys.private), signature=tmp_path / "aside.sig")
    (home / "model.sig").write_bytes(payload)
    with pytest.raises((NotFound, Untrusted)):
        pack.pyfunc.load_model(home, trust=Policy(mode, verifiers=(Signers(keys=(keys.public,)),)))
    assert not (tmp_path / "canary").exists()


def test_what_changes_after_the_signature_was_checked_is_never_read(signed: Path, keys: Pair) -> None:
    admission = admit(signed, Policy("signed", verifiers=(Signers(keys=(keys.public,)),)), "it is a pickle")
    original = (signed / "model.pkl").read_bytes()
    for number in range(50):
        (signed / "model.pkl").write_bytes(original + b"%d" % number)
        with admission, pytest.raises(Damaged):
            admission.read("model.pkl")


def test_a_signature_is_of_the_digests_that_reading_compares_with(signed: Path, keys: Pair) -> None:
    """The files change between hashing and the look at the signature: what counts is what was hashed."""
    report = digests.check(signed)
    (signed / "model.pkl").write_bytes(b"changed after it was hashed")
    admission = admit(signed, Policy("signed", verifiers=(Signers(keys=(keys.public,)),)), "a pickle", report=report)
    with admission, pytest.raises(Damaged):
        admission.read("model.pkl")


def test_a_signature_of_one_kind_is_not_judged_by_another(signed: Path, keys: Pair, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    with pytest.raises(Untrusted, match="signed with a key, and none of these is configured"):
        verify(digests.check(signed), Signers(certificates=(root.path,)))
    leaf = issued(tmp_path, "leaf", root)
    signing.sign(signed, signing.Certificate(leaf.pair.private, leaf.path), replace=True)
    with pytest.raises(Untrusted, match="signed with a certificate, and none of these is configured"):
        verify(digests.check(signed), Signers(keys=(leaf.pair.public,)))


def by_a_certificate(home: Path, leaf: Issued, *chain: Issued) -> None:
    signing.sign(home, signing.Certificate(leaf.pair.private, leaf.path, [one.path for one in chain]))


def certificate_refusal(home: Path, root: Issued) -> str:
    with pytest.raises(Untrusted) as refused:
        verify(digests.check(home), Signers(certificates=(root.path,)))
    return refused.value.message


def test_a_certificate_of_another_authority_is_refused(home: Path, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    shutil.copytree(tmp_path, tmp_path / "theirs", ignore=shutil.ignore_patterns("*"))
    twin = issued(tmp_path / "theirs", "root", authority=True)
    by_a_certificate(home, issued(tmp_path, "leaf", twin), twin)
    assert "certificate of root.crt" in certificate_refusal(home, root)


@pytest.mark.parametrize("expired", ["leaf", "between", "root"])
def test_a_certificate_that_expired_is_refused_though_it_was_valid_once(
    home: Path, tmp_path: Path, expired: str
) -> None:
    """model-signing judges a chain at the time from which the certificate is valid, so its command accepts these."""
    days = {name: (-100, -1 if name == expired else 100) for name in ("leaf", "between", "root")}
    root = issued(tmp_path, "root", authority=True, days=days["root"])
    between = issued(tmp_path, "between", root, authority=True, days=days["between"])
    by_a_certificate(home, issued(tmp_path, "leaf", between, days=days["leaf"]), between)
    chain = ("--certificate_chain", root.path)
    assert their_command("verify", "certificate", home, "--signature", home / "model.sig", *chain).returncode == 0
    assert "expired" in certificate_refusal(home, root)


def test_a_certificate_that_is_not_valid_yet_is_refused(home: Path, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    by_a_certificate(home, issued(tmp_path, "leaf", root, days=(5, 10)))
    assert "not yet valid" in certificate_refusal(home, root)


def test_a_certificate_that_may_not_issue_others_is_no_link_of_a_chain(home: Path, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    leaf = issued(tmp_path, "leaf", root)
    by_a_certificate(home, issued(tmp_path, "deeper", leaf), leaf)
    assert "certificate of root.crt" in certificate_refusal(home, root)


def test_a_certificate_of_a_web_server_signs_no_model(home: Path, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    by_a_certificate(home, issued(tmp_path, "web", root, purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)))
    assert "other purposes than signing" in certificate_refusal(home, root)


def test_a_certificate_that_says_no_purpose_but_signing_in_its_key_usage_may_sign(home: Path, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    by_a_certificate(home, issued(tmp_path, "plain", root, purposes=()))
    assert verify(digests.check(home), Signers(certificates=(root.path,)))


def test_a_certificate_and_a_key_that_do_not_belong_together_cannot_sign(home: Path, tmp_path: Path) -> None:
    leaf = issued(tmp_path, "leaf", issued(tmp_path, "root", authority=True))
    with pytest.raises(InvalidValue, match="does not match"):
        signing.sign(home, signing.Certificate(pair(tmp_path, "other").private, leaf.path))


def test_keyless_signatures_are_refused_where_what_sigstore_trusts_cannot_be_learned(
    signed: Path, tmp_path: Path
) -> None:
    bundle = json.loads((signed / "model.sig").read_bytes())
    bundle["verificationMaterial"] = {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": []}
    (signed / "model.sig").write_text(json.dumps(bundle), encoding="utf-8")
    (tmp_path / "trust.json").write_text("{}", encoding="utf-8")
    ann = (("ann@example.com", "https://accounts.example"),)
    with pytest.raises(Untrusted, match=r"ann@example.com"):
        verify(digests.check(signed), Signers(identities=ann, sigstore=tmp_path / "trust.json"))


def test_the_command_says_no_to_each_of_these_without_a_traceback(signed: Path, keys: Pair) -> None:
    for data in (b"", b"[" * 100_000, b"{}", b'{"verificationMaterial": {"publicKey": {"hint": "0"}}}'):
        (signed / "model.sig").write_bytes(data)
        shown = CliRunner().invoke(main, ["verify", str(signed), "--public-key", str(keys.public)])
        assert shown.exit_code == 1
        assert shown.stderr.startswith("FAILED: ")
        assert "its signature" in shown.stderr
        assert isinstance(shown.exception, (SystemExit, PackError))
