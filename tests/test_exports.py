"""`import pack` gives some names, each imported when it is first used, and each documented."""

from __future__ import annotations

import inspect

import pytest

import pack
from tests.test_layers import FLAVOR_DOORS

NAMES = [name for name in dir(pack) if not name.startswith("_")]
VERBS = {
    "log_model", "save_model", "load_model", "register_model", "set_alias", "infer_signature", "set_experiment",
    "start_run", "end_run", "active_run", "get_run", "log_param", "log_params", "log_metric", "log_metrics", "set_tag",
    "set_tags", "log_artifact", "log_artifacts", "pyfunc", "sklearn", "models", "serving",
}  # fmt: skip


def test_the_verbs_people_type_are_exported() -> None:
    assert set(NAMES) >= VERBS


@pytest.mark.parametrize("name", NAMES)
def test_each_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(pack, name))


def test_the_list_stays_short_enough_to_read() -> None:
    # A flavor under its own name is one that its users look for.
    assert len(set(NAMES) - FLAVOR_DOORS) <= 80


def test_an_unknown_name_is_an_attribute_error_that_helps() -> None:
    with pytest.raises(AttributeError, match="log_modle"):
        pack.log_modle  # noqa: B018


@pytest.mark.parametrize("name", sorted(VERBS - {"pyfunc", "sklearn", "models", "serving", "end_run", "active_run"}))
def test_each_verb_has_an_example(name: str) -> None:
    assert f"{name}(" in (inspect.getdoc(getattr(pack, name)) or ""), f"{name} has no example in its docstring"
