"""Aliases: guarded against versions that break callers, compared and set, rolled back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pack
from pack.errors import InvalidState, InvalidUri, InvalidValue, NotFound
from pack.fluent import aliases, state
from pack.mlmodel import ModelSignature, Schema
from pack.mlmodel.compare import Verdict
from pack.mlmodel.schema import ColSpec
from tests import models

Register = Callable[..., int]


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Register a version of `churn` that takes columns of these types; without any, one without a signature."""

    def registered(**columns: str) -> int:
        where = tmp_path / f"model-{len(list(tmp_path.glob('model-*')))}"
        schema = Schema([ColSpec(kind, name) for name, kind in columns.items()]) if columns else None
        signature = ModelSignature(inputs=schema) if schema else None
        pack.save_model(models.classifier(), where, signature=signature)
        return pack.register_model(where, "churn").version

    return registered


def moves(alias: str = "champion") -> list[tuple[int | None, int | None]]:
    return [(one.from_version, one.to_version) for one in pack.alias_history("churn", alias)]


def test_the_verbs_move_an_alias_and_show_its_history(register: Register) -> None:
    first, second = register(a="long"), register(a="long")
    pack.set_alias("churn", "champion", first, reason="first")
    pack.set_alias("churn", "champion", str(second))
    assert pack.get_alias("churn", "champion").version == second
    assert pack.rollback_alias("churn", "champion", reason="complaints").to_version == first
    numbers = np.array([first])
    assert pack.set_alias("churn", "numpy", numbers[0], expect=None).to_version == first
    assert pack.set_alias("churn", "numpy", str(second), expect=str(first)).to_version == second  # type: ignore[arg-type]
    pack.delete_alias("churn", "numpy")
    pack.delete_alias("churn", "champion", reason="no more")
    history = pack.alias_history("churn", "champion")
    assert [one.reason for one in history] == ["first", None, "complaints", "no more"]
    assert {one.user_id for one in history} == {pack.get_run(pack.start_run().info.run_id).info.user_id}
    assert moves() == [(None, 1), (1, 2), (2, 1), (1, None)]


def test_an_alias_is_not_moved_onto_a_version_that_breaks_its_callers(register: Register) -> None:
    first, narrower = register(a="double"), register(a="long")
    pack.set_alias("churn", "champion", first)
    with pytest.raises(InvalidState, match="version 2 of 'churn' breaks those who call @champion, version 1") as error:
        pack.set_alias("churn", "champion", narrower)
    assert "inputs 'a': double -> long" in error.value.message
    assert "pack diff models:/churn/1 models:/churn/2" in (error.value.hint or "")
    assert moves() == [(None, 1)]
    pack.set_alias("churn", "champion", narrower, force=True)
    assert pack.get_alias("churn", "champion").version == narrower


def test_a_message_names_the_first_change_and_how_many_there_are(register: Register) -> None:
    first, other = register(a="double", b="string"), register(c="long")
    pack.set_alias("churn", "champion", first)
    with pytest.raises(InvalidState, match="and 2 more"):
        pack.set_alias("churn", "champion", other)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ({"a": "long"}, {"a": "long"}, Verdict.compatible),
        ({"a": "long"}, {"a": "double"}, Verdict.widening),
        ({}, {"a": "double"}, Verdict.compatible),
        ({}, {}, Verdict.compatible),
    ],
)
def test_what_breaks_nobody_moves_freely(
    register: Register, before: dict[str, str], after: dict[str, str], verdict: Verdict
) -> None:
    first, second = register(**before), register(**after)
    pack.set_alias("churn", "champion", first)
    assert pack.set_alias("churn", "champion", second).to_version == second
    assert pack.diff(f"models:/churn/{first}", f"models:/churn/{second}").verdict is verdict


def test_a_signature_that_goes_away_breaks_callers(register: Register) -> None:
    first, second = register(a="long"), register()
    pack.set_alias("churn", "champion", first)
    with pytest.raises(InvalidState, match="signature: declared -> none"):
        pack.set_alias("churn", "champion", second)
    assert pack.diff(f"models:/churn/{first}", "models:/churn@champion").verdict is Verdict.compatible


def test_another_alias_has_other_callers(register: Register) -> None:
    first, other = register(a="long"), register(b="string")
    pack.set_alias("churn", "champion", first)
    assert pack.set_alias("churn", "challenger", other).from_version is None


def test_an_alias_may_move_where_the_files_of_a_version_are_gone(register: Register) -> None:
    first, other = register(a="long"), register(b="string")
    pack.set_alias("churn", "champion", first)
    for file in Path(pack.get_alias("churn", "champion").storage_location).iterdir():
        file.unlink()
    assert pack.set_alias("churn", "champion", other).to_version == other


def test_a_rollback_is_not_held_up(register: Register) -> None:
    first, other = register(a="long"), register(b="string")
    pack.set_alias("churn", "champion", first)
    pack.set_alias("churn", "champion", other, force=True)
    assert pack.rollback_alias("churn", "champion").to_version == first


def test_comparing_and_setting_goes_with_the_guard(register: Register) -> None:
    first, wider, other = register(a="long"), register(a="double"), register(b="string")
    pack.set_alias("churn", "champion", first, expect=None)
    for expect in (None, wider):
        with pytest.raises(InvalidState, match="points at version 1, not at"):
            pack.set_alias("churn", "champion", wider, expect=expect)
    pack.set_alias("churn", "champion", wider, expect=first)
    with pytest.raises(InvalidState, match="breaks"):
        pack.set_alias("churn", "champion", other, expect=wider)
    with pytest.raises(InvalidState, match="points at version 2, not at 1"):
        pack.set_alias("churn", "champion", other, expect=first, force=True)
    pack.set_alias("churn", "champion", other, expect=wider, force=True)
    assert moves() == [(None, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("alias", ["latest", "v1", "7", "a@b", "../", "", "a b", "x" * 256, None])
def test_what_cannot_be_an_alias_is_refused(register: Register, alias: Any) -> None:
    version = register(a="long")
    for force in (False, True):
        with pytest.raises(InvalidValue):
            pack.set_alias("churn", alias, version, force=force)
    assert pack.alias_history("churn") == []


def test_an_alias_of_nothing_and_a_version_that_is_none(register: Register) -> None:
    register(a="long")
    for call, kind in (
        (lambda: pack.set_alias("churn", "champion", 9), NotFound),
        (lambda: pack.set_alias("nothing", "champion", 1), NotFound),
        (lambda: pack.set_alias("churn", "champion", "x"), InvalidValue),
        (lambda: pack.get_alias("churn", "champion"), NotFound),
        (lambda: pack.rollback_alias("churn", "champion"), NotFound),
        (lambda: pack.alias_history("nothing"), NotFound),
        (lambda: pack.diff("models:/churn/1", "models:/churn/9"), NotFound),
    ):
        with pytest.raises(kind):
            call()
    pack.delete_alias("churn", "champion")
    assert pack.alias_history("churn") == []


def test_a_past_alias_loads_the_model_of_then(register: Register) -> None:
    versions = [register(a="long"), register(a="long"), register(a="double")]
    for version in versions:
        pack.set_alias("churn", "champion", version)
    homes = [pack.Client().get_model_version("churn", version).storage_location for version in versions]
    for past, home in zip(("~2", "~1", "", ":9999-12-31"), (*homes, homes[-1]), strict=True):
        uri = f"models:/churn@champion{past}/MLmodel"
        assert Path(pack.artifacts.download_artifacts(uri)).parent == Path(home)
    for past, kind in (("~3", NotFound), (":1999-01-01", NotFound), ("~x", InvalidUri), (":soon", InvalidUri)):
        with pytest.raises(kind):
            pack.pyfunc.load_model(f"models:/churn@champion{past}")


def test_what_was_compared_is_what_is_replaced_while_others_move_the_alias(register: Register) -> None:
    """Two signatures, two versions of each: whoever does not force never replaces one kind by the other."""
    kinds = {register(a="long"): "a", register(b="string"): "b", register(a="long"): "a", register(b="string"): "b"}
    pack.set_alias("churn", "champion", 1)

    forcing = [threading.Event(), threading.Event()]

    def turns(version: int, *, force: bool) -> Iterator[int]:
        """So many moves that are forced; the others go on beside them and a little longer, so that some are made."""
        if force:
            try:
                yield from range(15)
            finally:
                forcing[version - 1].set()
            return
        waited = time.monotonic() + 60
        while not all(one.is_set() for one in forcing) and time.monotonic() < waited:
            yield 0
        yield from range(15)

    def move(version: int, *, force: bool) -> None:
        for _ in turns(version, force=force):
            try:
                aliases.move(
                    state.registry(), "churn", "champion", version, reason="forced" if force else "kept", force=force
                )
            except InvalidState as error:
                assert "breaks" in error.message  # noqa: PT017 - the only refusal there may be

    threads = [threading.Thread(target=move, args=(version,), kwargs={"force": version < 3}) for version in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    history = pack.alias_history("churn", "champion")
    kept = [(kinds[move.from_version], kinds[move.to_version]) for move in history if move.reason == "kept"]  # type: ignore[index]
    assert kept
    assert all(before == after for before, after in kept)


def test_a_client_has_the_same_verbs(register: Register) -> None:
    first, other = register(a="long"), register(b="string")
    client = pack.MlflowClient()
    client.set_registered_model_alias("churn", "champion", str(first))
    with pytest.raises(InvalidState, match="breaks"):
        client.set_registered_model_alias("churn", "champion", other)
    client.set_registered_model_alias("churn", "champion", other, force=True, expect=first, reason="new")
    client.rollback_registered_model_alias("churn", "champion")
    assert [move.to_version for move in client.get_registered_model_alias_history("churn", "champion")] == [1, 2, 1]
    client.delete_registered_model_alias("churn", "champion")
    assert client.get_model_version_by_alias("churn", "latest").version == other
