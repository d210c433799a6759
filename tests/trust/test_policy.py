"""The load policy: who decides what may run, and what a refusal says."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.errors import Damaged, InvalidValue, StorageFailed, Untrusted
from pack.mlmodel import digests
from pack.pyfunc.load import is_own
from pack.trust import Policy, admit, is_remembered, policy_for, records
from tests import models

PACKAGE = Path(pack.__file__).parent


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    pack.sklearn.save_model(models.classifier(), tmp_path / "model", serialization_format="pickle")
    return tmp_path / "model"


@pytest.fixture
def of_a_stranger(pickled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same model, for a user who did not save it."""
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "another user"))
    return pickled


def test_what_this_user_saved_loads(pickled: Path) -> None:
    assert pack.pyfunc.load_model(pickled).flavor == "sklearn"


def test_what_a_stranger_saved_is_refused_with_the_ways_forward(of_a_stranger: Path) -> None:
    with pytest.raises(Untrusted) as refusal:
        pack.pyfunc.load_model(of_a_stranger)
    assert "model.pkl is a pickle" in refusal.value.message
    for way in ("trust=True", "--trust", "PACK_TRUST=all", "signed", "skops"):
        assert way in (refusal.value.hint or "")


@pytest.mark.parametrize("trust", [True, "all", "trusted", Policy("trusted")])
def test_a_caller_may_trust(of_a_stranger: Path, trust: Any) -> None:
    assert pack.pyfunc.load_model(of_a_stranger, trust=trust).flavor == "sklearn"


def test_the_environment_may_trust(of_a_stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_TRUST", "all")
    assert pack.pyfunc.load_model(of_a_stranger).flavor == "sklearn"


DIGEST_FORMS = ("{}", "sha256:{}", "0000000000000000000000000000000000000000000000000000000000000000, {}")


@pytest.mark.parametrize("form", DIGEST_FORMS)
def test_a_model_that_was_pinned_by_its_digest_loads(
    of_a_stranger: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setenv("PACK_TRUST_DIGESTS", form.format(digests.check(of_a_stranger).digest))
    assert pack.pyfunc.load_model(of_a_stranger).flavor == "sklearn"
    for mode in ("safe", "signed"):
        with pytest.raises(Untrusted):
            pack.pyfunc.load_model(of_a_stranger, trust=mode)


def test_a_pin_of_another_digest_lets_nothing_in(of_a_stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_TRUST_DIGESTS", "0" * 64)
    with pytest.raises(Untrusted):
        pack.pyfunc.load_model(of_a_stranger)


def test_a_pin_that_is_no_digest_is_named(of_a_stranger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_TRUST_DIGESTS", "all")
    with pytest.raises(InvalidValue, match="PACK_TRUST_DIGESTS"):
        pack.pyfunc.load_model(of_a_stranger)


@pytest.mark.parametrize("trust", [False, "safe", "signed"])
def test_stricter_modes_refuse_even_what_this_user_saved(pickled: Path, trust: Any) -> None:
    with pytest.raises(Untrusted):
        pack.pyfunc.load_model(pickled, trust=trust)


def test_a_word_that_is_no_policy_is_refused() -> None:
    with pytest.raises(InvalidValue, match="everyone"):
        policy_for("everyone")


def test_a_verifier_lets_a_signed_model_in(of_a_stranger: Path) -> None:
    assert admit(of_a_stranger, Policy("signed", verifiers=(lambda report: "us",)), "it is a pickle").may_run_code
    with pytest.raises(Untrusted):
        admit(of_a_stranger, Policy("signed", verifiers=(lambda report: None,)), "it is a pickle")


def test_whose_a_model_is_shows_before_it_is_read(pickled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_own(pickled)
    text = (pickled / "MLmodel").read_text()
    (pickled / "MLmodel").write_text(text.replace("model.pkl: ", "model.pkl: 0"))
    assert not is_own(pickled)
    (pickled / "MLmodel").write_text(text)
    monkeypatch.setenv("PACK_STATE_DIR", str(pickled.parent / "another user"))
    assert not is_own(pickled)


def test_a_changed_model_is_no_longer_this_users(pickled: Path) -> None:
    (pickled / "extra.txt").write_text("x", encoding="utf-8")
    assert not is_remembered(digests.check(pickled).digest)
    with pytest.raises(Damaged):
        pack.pyfunc.load_model(pickled)


def test_records_are_private_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "fresh"))
    before = os.umask(0)
    try:
        pack.save_model(models.classifier(), tmp_path / "model")
    finally:
        os.umask(before)
    for path in (tmp_path / "fresh" / "trusted").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_state_folder_that_cannot_be_written_costs_a_warning_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="PACK_STATE_DIR"):
        pack.save_model(models.classifier(), tmp_path / "model")
    assert pack.pyfunc.load_model(tmp_path / "model").flavor == "sklearn"


def test_a_record_that_is_a_link_does_not_count(tmp_path: Path) -> None:
    digest = "0" * 64
    assert records.remember(digest, tmp_path)
    path = next((tmp_path / "state" / "trusted" / "00").iterdir())
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert not is_remembered(digest)


def test_bytes_that_change_between_verifying_and_reading_are_never_used(pickled: Path) -> None:
    admission = admit(pickled, Policy("trusted"))
    for number in range(200):
        (pickled / "model.pkl").write_bytes(b"evil %d" % number)
        with admission, pytest.raises(Damaged):
            admission.read("model.pkl")


def test_a_link_swapped_in_after_verifying_is_not_followed(pickled: Path, tmp_path: Path) -> None:
    admission = admit(pickled, Policy("trusted"))
    (tmp_path / "secret").write_bytes((pickled / "model.pkl").read_bytes())
    (pickled / "model.pkl").unlink()
    (pickled / "model.pkl").symlink_to(tmp_path / "secret")
    with admission, pytest.raises(StorageFailed):
        admission.read("model.pkl")


def test_one_module_deserializes_and_no_other() -> None:
    """Calls of anything that could run code while reading stand in trust/payloads.py and its files alone."""
    forbidden = {
        "pickle.load", "pickle.loads", "pickle.Unpickler", "cloudpickle.load", "cloudpickle.loads", "joblib.load",
        "dill.load", "dill.loads", "torch.load", "np.load", "numpy.load", "marshal.loads", "shelve.open",
        "pd.read_pickle", "pandas.read_pickle", "yaml.load", "yaml.unsafe_load", "skops.io.load", "skops.io.loads",
        "sio.load", "sio.loads",
    }  # fmt: skip
    allowed = {
        "trust/payloads.py": {"joblib.load", "np.load"},
        "trust/torch_files.py": {"torch.load"},
        "trust/skops_files.py": {"sio.loads"},
        "yamls.py": {"yaml.load"},
    }
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        assert calls & forbidden <= allowed.get(name, set()), name
