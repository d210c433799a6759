from __future__ import annotations

import pytest

from pack import settings
from pack.errors import InvalidValue


def test_a_setting_without_its_variable_has_its_default() -> None:
    assert settings.serve_port() == 8080


def test_a_setting_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACK_PORT", "9000")
    assert settings.serve_port() == 9000
    monkeypatch.setenv("PACK_PORT", "9001")
    assert settings.serve_port() == 9001


def test_mlflows_name_is_a_fallback_and_ours_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///theirs.db")
    assert settings.tracking_uri() == "sqlite:///theirs.db"
    monkeypatch.setenv("PACK_TRACKING_URI", "sqlite:///ours.db")
    assert settings.tracking_uri() == "sqlite:///ours.db"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PACK_PORT", "http"),
        ("PACK_PORT", "-1"),
        ("PACK_SERVE_TIMEOUT", "0"),
        ("PACK_SERVE_TIMEOUT", "nan"),
        ("PACK_TRUST", "everyone"),
        ("PACK_MODEL_CONFIG", "[1]"),
        ("PACK_MODEL_CONFIG", "{"),
        ("PACK_DETECT_LOCK", "maybe"),
    ],
)
def test_text_that_cannot_be_read_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    setting = next(setting for setting in settings.all_settings() if setting.name == name)
    with pytest.raises(InvalidValue, match=name):
        setting()


def test_no_two_settings_share_a_name() -> None:
    names = [setting.name for setting in settings.all_settings()]
    assert len(names) == len(set(names))
    assert all(name.startswith("PACK_") for name in names)
