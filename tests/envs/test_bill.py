"""The bill of materials: valid CycloneDX, the same bytes each time, and nothing of the machine it was made on."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import pack
from pack.cli import main
from pack.envs.bill import Named, bill_of_materials, packages_of
from pack.errors import Damaged
from pack.mlmodel import digests
from pack.trust import signing
from tests import models
from tests.trust.signers import pair

PACKAGES = [Named("scikit_learn", "1.9.1", ("sha256:" + "a" * 64, "b" * 64)), Named("NumPy", "2.4.6"), Named("joblib")]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    pack.save_model(models.classifier(), tmp_path / "model", pip_requirements=["scikit-learn==1.9.1", "numpy>=2"])
    return tmp_path / "model"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["sbom", *arguments])


def properties_of(bill: Any) -> dict[str, str]:
    return {one["name"]: one["value"] for one in bill["metadata"]["component"]["properties"]}


def problem_of(bill: bytes) -> object:
    """What CycloneDX's own JSON schema has against a bill; None where it is valid."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode())


def test_a_bill_is_valid_cyclonedx(home: Path) -> None:
    assert problem_of(bill_of_materials(home, PACKAGES, name="churn", version="3")) is None
    assert problem_of(bill_of_materials(home, [])) is None
    assert problem_of(bill_of_materials(home, PACKAGES).replace(b'"library"', b'"bookshop"')) is not None


def test_the_model_is_a_component_known_by_its_digest(home: Path) -> None:
    model = json.loads(bill_of_materials(home, PACKAGES, name="churn", version="3"))["metadata"]["component"]
    assert (model["type"], model["name"], model["version"]) == ("machine-learning-model", "churn", "3")
    assert model["hashes"] == [{"alg": "SHA-256", "content": digests.check(home).digest}]


def test_each_package_has_its_purl_and_hashes(home: Path) -> None:
    bill = json.loads(bill_of_materials(home, PACKAGES))
    found = {one["name"]: one for one in bill["components"]}
    assert [found[name]["purl"] for name in sorted(found)] == [
        "pkg:pypi/joblib", "pkg:pypi/numpy@2.4.6", "pkg:pypi/scikit-learn@1.9.1",
    ]  # fmt: skip
    assert [one["content"] for one in found["scikit-learn"]["hashes"]] == ["a" * 64, "b" * 64]
    needs = {one["ref"]: one.get("dependsOn") for one in bill["dependencies"]}
    assert needs["model"] == ["joblib", "numpy@2.4.6", "scikit-learn@1.9.1"]


def test_the_same_model_gives_the_same_bytes(home: Path) -> None:
    made = bill_of_materials(home, PACKAGES)
    assert made == bill_of_materials(home, list(reversed(PACKAGES)))
    assert made != bill_of_materials(home, PACKAGES[:1])
    assert json.loads(made)["serialNumber"] != json.loads(bill_of_materials(home, []))["serialNumber"]
    assert "timestamp" not in json.loads(made)["metadata"]


def test_a_time_stands_in_the_bill_only_where_it_was_given(home: Path) -> None:
    made = bill_of_materials(home, PACKAGES, created=datetime(2030, 1, 2, tzinfo=timezone.utc))
    assert json.loads(made)["metadata"]["timestamp"] == "2030-01-02T00:00:00+00:00"
    assert problem_of(made) is None


def test_what_the_mlmodel_file_knows_is_in_the_bill() -> None:
    with pack.start_run() as started:
        info = pack.log_model(models.classifier(), "churn")
    bill = bill_of_materials(pack.artifacts.local_path(info.model_uri), [], facts={"source": "notebook"})
    facts = properties_of(json.loads(bill))
    assert facts["pack:run_id"] == started.info.run_id
    assert facts["pack:model_id"] == info.model_id
    assert facts["pack:flavors"] == "python_function, sklearn"
    assert facts["pack:written_by"] == f"pack {pack.__version__}"
    assert facts["pack:python"].startswith("3.")
    assert (facts["pack:signature"], facts["pack:source"]) == ("none", "notebook")


def test_a_bill_names_no_path_and_no_host(home: Path) -> None:
    lines = [
        "--index-url https://user:secret@index.example/simple",
        "ours @ https://user:secret@files.example/ours-1.0.tar.gz",
        "/home/someone/wheels/theirs-2.1-py3-none-any.whl",
        "./vendored/plain-thing",
    ]
    bill = bill_of_materials(home, packages_of(lines)).decode()
    for word in ("secret", ".example", "someone", "vendored", str(home.parent)):
        assert word not in bill
    assert [one["name"] for one in json.loads(bill)["components"]] == ["ours", "plain-thing", "theirs"]


def test_requirement_lines_give_versions_only_where_they_pin() -> None:
    lines = ["a==1.0", "b>=2", "c==3.*", "d===4", "e[x]==5 ; python_version > '3'", "torch==2.13.0+cpu", "--pre"]
    found = {one.name: one.version for one in packages_of(lines)}
    assert found == {"a": "1.0", "b": None, "c": None, "d": "4", "e": "5", "torch": "2.13.0+cpu"}


def test_a_signature_is_named_with_its_digest_and_changes_no_digest_of_the_model(home: Path) -> None:
    before = json.loads(bill_of_materials(home, []))["metadata"]["component"]["hashes"]
    (home / "model.sig").write_text("{}", encoding="utf-8")
    made = bill_of_materials(home, [])
    model = json.loads(made)["metadata"]["component"]
    assert model["hashes"] == before
    assert [one["type"] for one in model["externalReferences"]] == ["digital-signature"]
    assert problem_of(made) is None


def test_the_command_writes_the_bill_of_a_model(home: Path, tmp_path: Path) -> None:
    shown = run(str(home))
    assert shown.exit_code == 0, shown.output
    assert problem_of(shown.stdout.encode()) is None
    assert {one["name"]: one.get("version") for one in json.loads(shown.stdout)["components"]} == {
        "scikit-learn": "1.9.1",
        "numpy": None,
    }
    assert run("-m", str(home), "-o", str(tmp_path / "bom.json")).exit_code == 0
    assert (tmp_path / "bom.json").read_text(encoding="utf-8") == shown.stdout


def test_the_command_takes_a_models_lock_before_its_requirements(home: Path) -> None:
    lock = "# pack lock 1\n# target python3.11-linux-amd64\nnumpy==2.4.6 \\\n    --hash=sha256:" + "c" * 64 + "\n"
    lay_lock(home, "python3.11-linux-amd64", lock)
    found = json.loads(run(str(home)).stdout)
    assert [(one["purl"], one["hashes"][0]["content"]) for one in found["components"]] == [
        ("pkg:pypi/numpy@2.4.6", "c" * 64)
    ]
    assert properties_of(found)["pack:lock"] == "python3.11-linux-amd64"


def test_of_several_locks_one_must_be_named(home: Path) -> None:
    for target in ("python3.11-linux-amd64", "python3.12-linux-arm64"):
        lay_lock(home, target, "numpy==2.4.6 --hash=sha256:" + "c" * 64 + "\n")
    shown = run(str(home))
    assert shown.exit_code == 1
    assert "--target python3.12-linux-arm64" in shown.stderr
    assert run(str(home), "--target", "python3.12-linux-arm64").exit_code == 0
    assert run(str(home), "--target", "../../secret").exit_code == 1


def test_a_bill_of_a_registered_version_carries_its_name(tmp_path: Path) -> None:
    pack.log_model(models.classifier(), "churn", registered_model_name="churn")
    pack.set_alias("churn", "champion", 1)
    model = json.loads(run("models:/churn@champion").stdout)["metadata"]["component"]
    assert (model["name"], model["version"]) == ("churn", "1")


def test_the_bill_says_whose_signature_was_verified(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = pair(tmp_path, "release")
    signing.sign(home, signing.Key(keys.private))
    assert properties_of(json.loads(run(str(home)).stdout))["pack:signature"] == "model.sig, not verified here"
    monkeypatch.setenv("PACK_TRUST_KEYS", str(keys.public))
    assert properties_of(json.loads(run(str(home)).stdout))["pack:signature"] == "verified: the key release.pub"
    monkeypatch.setenv("PACK_TRUST_KEYS", str(pair(tmp_path, "other").public))
    assert properties_of(json.loads(run(str(home)).stdout))["pack:signature"].startswith("refused: ")


def test_a_damaged_model_gets_no_bill(home: Path) -> None:
    (home / "model.skops").write_bytes(b"other")
    shown = run(str(home))
    assert shown.exit_code == 1
    assert "model.skops" in shown.stderr
    with pytest.raises(Damaged):
        bill_of_materials(home, [])


def lay_lock(home: Path, target: str, text: str) -> None:
    """Put a lock into a saved model, and its digest beside the others, as saving with `lock=True` does."""
    from pack.mlmodel.model import MLMODEL, Model

    (home / "locks").mkdir(exist_ok=True)
    (home / "locks" / f"{target}.txt").write_text(text, encoding="utf-8")
    model = Model.load(home)
    facts = {**(model.pack or {}), "files": digests.manifest(home), "self": digests.ZEROS}
    (home / MLMODEL).write_text(digests.seal(model.replace(pack=facts).to_yaml()), encoding="utf-8")
