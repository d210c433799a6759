"""Signed models: by our command and by model-signing's, with keys and with certificates, and who may load them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import pack
from pack.cli import main
from pack.errors import AlreadyExists, InvalidValue, MissingPackage, Untrusted
from pack.mlmodel import digests
from pack.mlmodel.model import MLMODEL, Model
from pack.trust import Policy, policy_for, signing
from pack.trust.signatures import Signers, verify
from tests import models
from tests.trust.signers import Pair, issued, pair, their_command


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A model whose reading runs code, with modules of its own."""
    (tmp_path / "mine.py").write_text("ONE = 1\n", encoding="utf-8")
    path = tmp_path / "model"
    code = [str(tmp_path / "mine.py")]
    pack.sklearn.save_model(models.classifier(), path, serialization_format="pickle", code_paths=code)
    return path


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody who saved anything here."""
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "another user"))


@pytest.fixture
def keys(tmp_path: Path) -> Pair:
    return pair(tmp_path, "release")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def without_digests(home: Path) -> None:
    """What MLflow writes: the same model, whose MLmodel file lists no digests."""
    (home / MLMODEL).write_text(Model.load(home).replace(pack=None).to_yaml(), encoding="utf-8")


def test_a_signed_model_verifies_and_keeps_its_digest(home: Path, keys: Pair) -> None:
    before = digests.check(home).digest
    signed = run("sign", home, "--private-key", keys.private)
    assert (signed.exit_code, signed.stderr) == (0, "")
    assert digests.check(home).digest == before
    shown = run("verify", home, "--public-key", keys.public)
    assert (shown.exit_code, shown.stdout.splitlines()[1]) == (0, "signed by the key release.pub")


def test_verify_answers_scripts_in_json(home: Path, keys: Pair) -> None:
    unsigned = json.loads(run("verify", home, "--json").stdout)
    assert (unsigned["verified"], unsigned["signature"], unsigned["signer"]) == (True, "none", None)
    made = json.loads(run("sign", "-m", home, "--private-key", keys.private, "--json").stdout)
    assert Path(made["signature"]) == home / "model.sig"
    assert json.loads(run("verify", home, "--json").stdout)["signature"] == "unchecked"
    found = json.loads(run("verify", home, "--public-key", keys.public, "--json").stdout)
    assert (found["verified"], found["signature"], found["signer"]) == (True, "verified", "the key release.pub")


def test_a_model_that_is_not_signed_fails_where_a_signature_is_asked_for(home: Path, keys: Pair) -> None:
    shown = run("verify", home, "--public-key", keys.public)
    assert shown.exit_code == 1
    assert "it is not signed" in shown.stderr


def test_a_signature_by_another_key_fails(home: Path, keys: Pair, tmp_path: Path) -> None:
    run("sign", home, "--private-key", keys.private)
    other = pair(tmp_path, "other")
    shown = run("verify", home, "--public-key", other.public, "--json")
    found = json.loads(shown.stdout)
    assert (shown.exit_code, found["verified"], found["signature"]) == (1, False, "refused")
    assert "the key other.pub" in found["signature_problem"]
    assert run("verify", home, "--public-key", other.public, "--public-key", keys.public).exit_code == 0


def test_whose_signatures_count_can_stand_in_the_environment(
    home: Path, keys: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("sign", home, "--private-key", keys.private)
    monkeypatch.setenv("PACK_TRUST_KEYS", str(keys.public))
    assert "signed by the key release.pub" in run("verify", home).stdout
    monkeypatch.setenv("PACK_TRUST_KEYS", str(pair(tmp_path, "other").public))
    assert run("verify", home).exit_code == 1


@pytest.mark.parametrize("kind", ["secp256r1", "secp384r1"])
def test_model_signings_command_verifies_what_we_signed(home: Path, tmp_path: Path, kind: str) -> None:
    keys = pair(tmp_path, "curve", kind=kind)
    run("sign", home, "--private-key", keys.private)
    their_verify = ("verify", "key", home, "--signature", home / "model.sig", "--public_key", keys.public)
    assert their_command(*their_verify).returncode == 0
    (home / "code" / "mine.py").write_text("ONE = 2\n", encoding="utf-8")
    assert their_command(*their_verify).returncode == 1


def test_what_mlflow_and_python_write_beside_the_files_later_breaks_no_signature(home: Path, keys: Pair) -> None:
    run("sign", home, "--private-key", keys.private)
    (home / "registered_model_meta").write_text("model_name: churn\n", encoding="utf-8")
    (home / "code" / "__pycache__").mkdir()
    (home / "code" / "__pycache__" / "mine.cpython-311.pyc").write_bytes(b"bytecode")
    done = their_command("verify", "key", home, "--signature", home / "model.sig", "--public_key", keys.public)
    assert done.returncode == 0, done.stderr
    assert run("verify", home, "--public-key", keys.public).exit_code == 0


@pytest.mark.parametrize("sealed", [True, False])
def test_we_verify_what_model_signings_command_signed(home: Path, keys: Pair, sealed: bool) -> None:
    if not sealed:
        without_digests(home)
    (home / "registered_model_meta").write_text("model_name: churn\n", encoding="utf-8")
    done = their_command("sign", "key", home, "--signature", home / "model.sig", "--private_key", keys.private)
    assert done.returncode == 0, done.stderr
    shown = run("verify", home, "--public-key", keys.public)
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert run("verify", home).exit_code == (0 if sealed else 1)


def test_certificates_cross_over_both_ways(home: Path, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    between = issued(tmp_path, "between", root, authority=True)
    leaf = issued(tmp_path, "leaf", between)
    ours = ("--private-key", leaf.pair.private, "--certificate", leaf.path, "--chain", between.path)
    theirs = ("--private_key", leaf.pair.private, "--signing_certificate", leaf.path)
    signature = home / "model.sig"

    assert run("sign", home, *ours).exit_code == 0
    checked = their_command("verify", "certificate", home, "--signature", signature, "--certificate_chain", root.path)
    assert checked.returncode == 0, checked.stderr

    signature.unlink()
    chain = ("--certificate_chain", between.path)
    made = their_command("sign", "certificate", home, "--signature", signature, *theirs, *chain)
    assert made.returncode == 0, made.stderr
    assert "a certificate of root.crt" in run("verify", home, "--certificate-chain", root.path).stdout


def test_a_certificate_without_a_chain_is_enough_where_the_authority_issued_it(home: Path, tmp_path: Path) -> None:
    root = issued(tmp_path, "root", authority=True)
    leaf = issued(tmp_path, "leaf", root)
    signing.sign(home, signing.Certificate(leaf.pair.private, leaf.path))
    assert verify(digests.check(home), Signers(certificates=(root.path,))) == "a certificate of root.crt"


def test_a_repositorys_own_files_are_covered_through_the_mlmodel_file(tmp_path: Path, keys: Pair) -> None:
    (tmp_path / ".gitattributes").write_text("*.pkl filter=lfs\n", encoding="utf-8")
    home = tmp_path / "model"
    pack.save_model(models.classifier(), home)
    (home / ".gitattributes").write_text("*.pkl filter=lfs\n", encoding="utf-8")
    facts = {**(Model.load(home).pack or {}), "files": digests.manifest(home), "self": digests.ZEROS}
    (home / MLMODEL).write_text(digests.seal(Model.load(home).replace(pack=facts).to_yaml()), encoding="utf-8")
    run("sign", home, "--private-key", keys.private)
    done = their_command("verify", "key", home, "--signature", home / "model.sig", "--public_key", keys.public)
    assert done.returncode == 0, done.stderr
    assert run("verify", home, "--public-key", keys.public).exit_code == 0
    (home / ".gitattributes").write_text("changed\n", encoding="utf-8")
    assert run("verify", home, "--public-key", keys.public).exit_code == 1


def test_a_model_that_is_signed_for_a_stranger_loads(
    home: Path, keys: Pair, stranger: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("sign", home, "--private-key", keys.private)
    with pytest.raises(Untrusted):
        pack.pyfunc.load_model(home)
    monkeypatch.setenv("PACK_TRUST_KEYS", str(keys.public))
    assert pack.pyfunc.load_model(home).flavor == "sklearn"
    monkeypatch.setenv("PACK_TRUST", "signed")
    assert pack.pyfunc.load_model(home).flavor == "sklearn"
    with pytest.raises(Untrusted):
        pack.pyfunc.load_model(home, trust="safe")


def test_signed_mode_refuses_what_is_not_signed_even_by_its_maker(
    home: Path, keys: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACK_TRUST", "signed")
    with pytest.raises(Untrusted, match="whose signatures count is not configured"):
        pack.pyfunc.load_model(home)
    monkeypatch.setenv("PACK_TRUST_KEYS", str(keys.public))
    with pytest.raises(Untrusted, match=r"not trusted: it is not signed \(there is no 'model.sig'\)") as refusal:
        pack.pyfunc.load_model(home)
    assert "have it signed" in (refusal.value.hint or "")


def test_signed_mode_loads_formats_that_run_no_code(
    tmp_path: Path, keys: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack.save_model(models.classifier(), tmp_path / "safe")
    monkeypatch.setenv("PACK_TRUST", "signed")
    monkeypatch.setenv("PACK_TRUST_KEYS", str(keys.public))
    assert pack.pyfunc.load_model(tmp_path / "safe").flavor == "sklearn"


def test_a_certificate_lets_a_model_load(
    home: Path, tmp_path: Path, stranger: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = issued(tmp_path, "root", authority=True)
    leaf = issued(tmp_path, "leaf", root)
    signing.sign(home, signing.Certificate(leaf.pair.private, leaf.path))
    other = issued(tmp_path, "other", authority=True)
    monkeypatch.setenv("PACK_TRUST_CERTIFICATES", os.pathsep.join(map(str, (other.path, root.path))))
    assert pack.pyfunc.load_model(home).flavor == "sklearn"
    monkeypatch.setenv("PACK_TRUST_CERTIFICATES", str(other.path))
    with pytest.raises(Untrusted, match=r"a certificate of other.crt"):
        pack.pyfunc.load_model(home)


def test_a_key_that_is_configured_and_unusable_is_the_users_to_mend(
    home: Path, keys: Pair, stranger: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing.sign(home, signing.Key(keys.private))
    for path in (tmp_path / "gone.pub", keys.private, pair(tmp_path, "k", kind="rsa").public):
        monkeypatch.setenv("PACK_TRUST_KEYS", str(path))
        with pytest.raises(InvalidValue, match=path.name):
            pack.pyfunc.load_model(home)


def test_a_signature_may_lie_elsewhere(home: Path, keys: Pair, tmp_path: Path) -> None:
    aside = tmp_path / "aside.sig"
    assert run("sign", home, "--private-key", keys.private, "--signature", aside).exit_code == 0
    assert not (home / "model.sig").exists()
    assert run("verify", home, "--public-key", keys.public).exit_code == 1
    assert run("verify", home, "--public-key", keys.public, "--signature", aside).exit_code == 0


def test_a_signature_under_another_name_cannot_lie_in_the_model(home: Path, keys: Pair) -> None:
    with pytest.raises(InvalidValue, match=r"other\.sig"):
        signing.sign(home, signing.Key(keys.private), signature=home / "code" / "other.sig")
    signing.sign(home, signing.Key(keys.private), signature=home / "code" / ".." / "model.sig")
    assert digests.check(home).intact


def test_a_model_is_signed_again_only_by_force(home: Path, keys: Pair, tmp_path: Path) -> None:
    signing.sign(home, signing.Key(keys.private))
    other = pair(tmp_path, "other")
    with pytest.raises(AlreadyExists, match=r"model\.sig"):
        signing.sign(home, signing.Key(other.private))
    assert run("sign", home, "--private-key", other.private, "--force").exit_code == 0
    assert run("verify", home, "--public-key", other.public).exit_code == 0


def test_a_locked_key_asks_for_its_password(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = pair(tmp_path, "locked", password=b"open sesame")
    assert run("sign", home, "--private-key", keys.private).exit_code == 1
    monkeypatch.setenv("PACK_SIGNING_PASSWORD", "open sesame")
    assert run("sign", home, "--private-key", keys.private).exit_code == 0
    assert run("verify", home, "--public-key", keys.public).exit_code == 0


@pytest.mark.parametrize("kind", ["rsa", "ed25519", "secp256k1"])
def test_keys_of_other_kinds_cannot_sign(home: Path, tmp_path: Path, kind: str) -> None:
    signed = run("sign", home, "--private-key", pair(tmp_path, "k", kind=kind).private)
    assert signed.exit_code == 1
    assert "could not be signed" in signed.stderr
    assert not (home / "model.sig").exists()


@pytest.mark.parametrize(
    "arguments", [[], ["--private-key", "k", "--sigstore"], ["--private-key", "k", "--chain", "c"], ["--ambient"]]
)
def test_a_command_that_names_no_signer_or_two_is_misspelled(home: Path, arguments: list[str]) -> None:
    assert run("sign", home, *arguments).exit_code == 2


def test_a_damaged_model_is_not_signed(home: Path, keys: Pair) -> None:
    (home / "model.pkl").write_bytes(b"other")
    signed = run("sign", home, "--private-key", keys.private)
    assert signed.exit_code == 1
    assert "model.pkl" in signed.stderr
    assert not (home / "model.sig").exists()


def test_a_registered_version_is_signed_where_it_lies(keys: Pair, stranger: None, monkeypatch: Any) -> None:
    pack.log_model(models.classifier(), "churn", serialization_format="pickle", registered_model_name="churn")
    assert run("sign", "models:/churn/1", "--private-key", keys.private).exit_code == 0
    assert run("verify", "models:/churn/1", "--public-key", keys.public).exit_code == 0
    monkeypatch.setenv("PACK_TRUST", "signed")
    monkeypatch.setenv("PACK_TRUST_KEYS", str(keys.public))
    assert pack.pyfunc.load_model("models:/churn/1").flavor == "sklearn"


def test_a_signature_travels_with_copies(home: Path, keys: Pair, tmp_path: Path, stranger: None) -> None:
    signing.sign(home, signing.Key(keys.private))
    pack.register_model(str(home), "churn")
    copy = pack.artifacts.download_artifacts("models:/churn/1", dst_path=str(tmp_path / "copy"))
    verified = verify(digests.check(Path(copy)), Signers(keys=(keys.public,)))
    assert verified == "the key release.pub"


def test_signing_and_verifying_run_nothing_of_the_model(tmp_path: Path, keys: Pair) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib, pack\n"
        "class M(pack.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return 1\n"
        f"with open({str(tmp_path / 'canary')!r}, 'a') as file:\n    file.write('x')\n"
        "pack.models.set_model(M())\n",
        encoding="utf-8",
    )
    pack.pyfunc.save_model(tmp_path / "scripted", python_model=str(script))
    ran = (tmp_path / "canary").read_text() if (tmp_path / "canary").exists() else ""
    assert run("sign", tmp_path / "scripted", "--private-key", keys.private).exit_code == 0
    assert run("verify", tmp_path / "scripted", "--public-key", keys.public).exit_code == 0
    assert run("sbom", tmp_path / "scripted").exit_code == 0
    assert ((tmp_path / "canary").read_text() if (tmp_path / "canary").exists() else "") == ran


def test_a_policy_given_in_code_takes_signers_as_verifiers(home: Path, keys: Pair, stranger: None) -> None:
    signing.sign(home, signing.Key(keys.private))
    policy = Policy("signed", verifiers=(Signers(keys=(keys.public,)),))
    assert pack.pyfunc.load_model(home, trust=policy).flavor == "sklearn"
    assert policy.verdict(digests.check(home)).reason == "signed by the key release.pub"


def test_identities_are_read_as_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = "https://forge.example/o/r/.ci/release.yml@refs/heads/main=https://tokens.forge.example"
    monkeypatch.setenv("PACK_TRUST_IDENTITIES", f"ann@example.com=https://accounts.example, {flow}")
    (found,) = policy_for().verifiers
    assert isinstance(found, Signers)
    assert found.identities[0] == ("ann@example.com", "https://accounts.example")
    assert found.identities[1][1] == "https://tokens.forge.example"
    monkeypatch.setenv("PACK_TRUST_IDENTITIES", "ann@example.com")
    with pytest.raises(InvalidValue, match="IDENTITY=ISSUER"):
        policy_for()


@pytest.mark.parametrize("configured", [False, True])
def test_what_checks_signatures_is_imported_only_where_one_is_checked(
    tmp_path: Path, keys: Pair, configured: bool
) -> None:
    pack.save_model(models.classifier(), tmp_path / "safe")
    script = (
        "import sys, pack\n"
        f"pack.pyfunc.load_model({str(tmp_path / 'safe')!r})\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    world = {**os.environ, **({"PACK_TRUST_KEYS": str(keys.public)} if configured else {})}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=world)
    assert not set(done.stdout.split()) & {"model_signing", "sigstore", "OpenSSL", "cyclonedx"}


@pytest.mark.parametrize("module", ["model_signing", "OpenSSL"])
def test_without_what_checks_signatures_the_error_names_what_to_install(
    home: Path, keys: Pair, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    signing.sign(home, signing.Key(keys.private))
    monkeypatch.setitem(sys.modules, module, None)
    for name in ("openssf", "certificates"):
        monkeypatch.delitem(sys.modules, f"pack.trust.{name}", raising=False)
    monkeypatch.delattr("pack.trust.openssf")
    monkeypatch.setenv("PACK_TRUST", "signed")
    monkeypatch.setenv("PACK_TRUST_KEYS", str(keys.public))
    with pytest.raises(MissingPackage, match=module) as raised:
        pack.pyfunc.load_model(home)
    assert raised.value.hint == "install it: pip install 'packml[signing]'"
