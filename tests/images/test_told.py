"""What a platform tells a container: the port, and where the model is."""

from __future__ import annotations

import pytest

from pack.images import told


@pytest.mark.parametrize("name", ["AIP_HTTP_PORT", "SAGEMAKER_BIND_TO_PORT", "PORT", "PACK_PORT"])
def test_each_platform_names_the_port_its_own_way(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_PORT", "8080")
    monkeypatch.setenv(name, "9001")
    assert told.port() == 9001


def test_without_a_word_it_is_8080() -> None:
    assert told.port() == 8080


@pytest.mark.parametrize("text", ["0", "65536", "-1", "80a", "\uff18\uff10", " 80", "1e3"])
def test_what_is_no_port_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", text)
    with pytest.raises(ValueError, match="PORT is"):
        told.port()


def test_a_named_model_comes_before_what_the_platform_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told.model_uri() is None
    monkeypatch.setenv("AIP_STORAGE_URI", "gs://bucket/model")
    assert told.model_uri() == "gs://bucket/model"
    monkeypatch.setenv("PACK_MODEL_URI", "models:/churn/3")
    assert told.model_uri() == "models:/churn/3"
