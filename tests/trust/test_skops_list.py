"""Our own list of skops types: real estimators load in safe mode."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils import all_estimators

import pack
from pack.trust import Policy, admit, payloads
from tests import models

# skops cannot write the first; the others warn that they will go.
LEFT_OUT = {"Birch", "PassiveAggressiveClassifier", "PassiveAggressiveRegressor"}
ESTIMATORS = [(name, kind) for name, kind in all_estimators() if name not in LEFT_OUT]


def fitted(kind: Any) -> Any:
    """The estimator fitted on iris with its defaults; None where its defaults do not fit that."""
    features, classes = models.iris()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return kind().fit(np.abs(features), classes)
        except (TypeError, ValueError, AttributeError, ImportError):
            return None


@pytest.mark.parametrize(("name", "kind"), ESTIMATORS, ids=[name for name, _ in ESTIMATORS])
def test_an_estimator_of_scikit_learn_loads_in_safe_mode(tmp_path: Path, name: str, kind: Any) -> None:
    model = fitted(kind)
    if model is None:
        pytest.skip("does not fit iris with its defaults")
    pack.save_model(model, tmp_path / "model", flavor="sklearn")
    loaded = pack.load_model(tmp_path / "model", trust="safe")
    assert type(loaded) is kind
    assert loaded.get_params().keys() == model.get_params().keys()


def test_functions_of_numpy_load_and_functions_of_the_users_do_not(tmp_path: Path) -> None:
    from sklearn.preprocessing import FunctionTransformer

    features, _ = models.iris()
    pack.save_model(FunctionTransformer(np.log1p), tmp_path / "good")
    transformer = pack.load_model(tmp_path / "good", trust="safe")
    assert np.allclose(transformer.transform(features), np.log1p(features))
    payloads.dump_skops(FunctionTransformer(os_like), tmp_path / "evil.skops")
    pack.save_model(FunctionTransformer(os_like), tmp_path / "evil")
    with pytest.raises(pack.PackError, match="os_like"):
        pack.load_model(tmp_path / "evil", trust="safe")
    assert admit(tmp_path / "evil", Policy("trusted")).may_run_code


def os_like(values: Any) -> Any:
    return values
