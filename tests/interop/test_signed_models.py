"""Signed models in MLflow's hands: it loads them, copies them with their signature, and what it wrote can be signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pack
from pack.mlmodel import digests
from pack.trust import Policy, signing
from pack.trust.signatures import Signers
from tests import models
from tests.trust.signers import pair, their_command

pytestmark = [pytest.mark.mlflow, pytest.mark.sklearn]

MLflow = Callable[[str], Any]


def test_a_signature_lives_through_mlflows_registry(tmp_path: Path, mlflow: MLflow) -> None:
    """MLflow copies the files, and writes one of its own beside them when a version is downloaded."""
    keys, home = pair(tmp_path, "release"), tmp_path / "ours"
    features, _ = models.iris()
    pack.sklearn.save_model(models.classifier(), home, serialization_format="pickle")
    signing.sign(home, signing.Key(keys.private))
    predicted, copy = mlflow(
        f"""
import mlflow
from sklearn.datasets import load_iris
with mlflow.start_run() as run:
    mlflow.log_artifacts({str(home)!r}, "model")
mlflow.register_model(f"runs:/{{run.info.run_id}}/model", "churn")
loaded = mlflow.pyfunc.load_model("models:/churn/1")
copy = mlflow.artifacts.download_artifacts("models:/churn/1", dst_path={str(tmp_path / "theirs")!r})
answer = [loaded.predict(load_iris().data[::10]).tolist(), copy]
"""
    )
    assert predicted == models.classifier().predict(features[::10]).tolist()
    assert (Path(copy) / "registered_model_meta").is_file()
    policy = Policy("signed", verifiers=(Signers(keys=(keys.public,)),))
    assert pack.pyfunc.load_model(copy, trust=policy).flavor == "sklearn"
    signature = ("--signature", Path(copy) / "model.sig")
    assert their_command("verify", "key", copy, *signature, "--public_key", keys.public).returncode == 0


def test_what_mlflow_wrote_can_be_signed_and_then_loads(tmp_path: Path, mlflow: MLflow) -> None:
    keys, home = pair(tmp_path, "release"), tmp_path / "theirs"
    mlflow(
        f"""
import mlflow.sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.datasets import load_iris
model = LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True))
mlflow.sklearn.save_model(model, {str(home)!r}, serialization_format="pickle")
answer = None
"""
    )
    policy = Policy("signed", verifiers=(Signers(keys=(keys.public,)),))
    with pytest.raises(pack.PackError, match="it is not signed"):
        pack.pyfunc.load_model(home, trust=policy)
    signing.sign(home, signing.Key(keys.private))
    assert not digests.check(home).sealed
    assert pack.pyfunc.load_model(home, trust=policy).flavor == "sklearn"
    (home / "model.pkl").write_bytes(b"other")
    with pytest.raises(pack.PackError, match=r"changed since: 'model.pkl'"):
        pack.pyfunc.load_model(home, trust=policy)
