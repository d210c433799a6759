"""The suite of aliases and their history, and of what lies in the trash, that every registry passes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from pack import uris
from pack.errors import InvalidState, InvalidUri, InvalidValue, NotFound
from pack.registry import AliasMove, ModelVersion, RegistryStore
from pack.uris import ModelUri
from tests.contracts.registry import version_of

DAY = 86_400_000


def moves(store: RegistryStore, alias: str = "champion", name: str = "churn") -> list[tuple[int | None, int | None]]:
    """From where to where an alias moved."""
    return [(one.from_version, one.to_version) for one in store.alias_history(name, alias)]


class AliasesContract:
    """`store()` opens a fresh registry."""

    @pytest.fixture
    def store(self) -> RegistryStore:
        raise NotImplementedError

    @pytest.fixture
    def churn(self, store: RegistryStore) -> RegistryStore:
        """A model with four versions; `champion` went from 1 over 2 to 3."""
        store.create_registered_model("churn")
        for _ in range(4):
            version_of(store)
        for version in (1, 2, 3):
            store.set_alias("churn", "champion", version)
        return store

    @pytest.fixture
    def resolve(self, churn: RegistryStore) -> Callable[[str], ModelVersion]:
        """The version that a URI means."""

        def resolved(text: str) -> ModelVersion:
            uri = uris.parse(text)
            assert isinstance(uri, ModelUri)
            return churn.resolve(uri)

        return resolved

    def test_a_uri_goes_back_by_moves(self, churn: RegistryStore, resolve: Callable[[str], ModelVersion]) -> None:
        found = [resolve(f"models:/churn@champion{past}").version for past in ("", "~1", "~2")]
        assert found == [3, 2, 1]
        for past in ("~3", "~999999"):
            with pytest.raises(NotFound, match="pointed at nothing"):
                resolve(f"models:/churn@champion{past}")
        with pytest.raises(NotFound, match="pointed at nothing"):
            resolve("models:/churn@latest~1")

    @pytest.mark.parametrize("past", ["~", "~0", "~-1", "~1.5", "~x", "~1000000", "~1~1", ":", ":now", ":2026-13-01"])
    def test_a_past_that_is_none_is_refused(self, resolve: Callable[[str], ModelVersion], past: str) -> None:
        with pytest.raises(InvalidUri):
            resolve(f"models:/churn@champion{past}")

    def test_a_uri_goes_back_to_a_time(self, store: RegistryStore) -> None:
        store.create_registered_model("churn")
        for _ in range(3):
            version_of(store)
        noon = uris.parse("models:/churn@champion:2026-11-01T12:00:00Z")
        assert isinstance(noon, ModelUri)
        at = (noon.at or 0) - 999
        known = [
            AliasMove("churn", "champion", None, 1, "ada", at),
            AliasMove("churn", "champion", 1, None, "ada", at + DAY),
            AliasMove("churn", "champion", None, 2, "bob", at + 2 * DAY),
        ]
        store.import_alias("churn", "champion", 2, user_id="bob", history=known)
        for text, version in (
            ("2026-11-01", 1),
            ("2026-11-01T12:00:00Z", 1),
            ("2026-11-01T12:00", 1),
            ("2026-11-02T11:59:59", 1),
            ("2026-11-03", 2),
            ("9999-12-31", 2),
        ):
            uri = uris.parse(f"models:/churn@champion:{text}")
            assert isinstance(uri, ModelUri)
            assert store.resolve(uri).version == version
        for text in ("2026-10-31", "2026-11-01T11:59:59Z", "2026-11-02", "0001-01-01"):
            uri = uris.parse(f"models:/churn@champion:{text}")
            assert isinstance(uri, ModelUri)
            with pytest.raises(NotFound, match="pointed at nothing then"):
                store.resolve(uri)

    def test_a_time_before_the_first_move_and_after_the_last(self, churn: RegistryStore) -> None:
        times = [move.timestamp for move in churn.alias_history("churn", "champion")]
        assert churn.resolve(ModelUri("churn", alias="champion", at=times[-1])).version == 3
        with pytest.raises(NotFound):
            churn.resolve(ModelUri("churn", alias="champion", at=times[0] - 1))

    def test_a_past_version_that_was_deleted_is_not_found(
        self, churn: RegistryStore, resolve: Callable[[str], ModelVersion]
    ) -> None:
        churn.delete_model_version("churn", 2)
        with pytest.raises(NotFound, match="no version 2"):
            resolve("models:/churn@champion~1")
        with pytest.raises(NotFound, match="no version 2"):
            churn.rollback_alias("churn", "champion")
        assert churn.get_model_version_by_alias("churn", "champion").version == 3

    def test_an_alias_is_rolled_back_by_one_move_or_more(self, churn: RegistryStore) -> None:
        back = churn.rollback_alias("churn", "champion", user_id="ada", reason="complaints")
        assert (back.from_version, back.to_version, back.user_id, back.reason) == (3, 2, "ada", "complaints")
        assert churn.rollback_alias("churn", "champion", steps=3).to_version == 1
        assert churn.alias_history("churn", "champion")[-1].reason == "rolled back from version 2"
        assert moves(churn) == [(None, 1), (1, 2), (2, 3), (3, 2), (2, 1)]
        with pytest.raises(NotFound, match="5 moves ago"):
            churn.rollback_alias("churn", "champion", steps=5)

    @pytest.mark.parametrize("steps", [0, -1, True, "1", 1.0, None])
    def test_a_number_of_moves_counts_from_1(self, churn: RegistryStore, steps: Any) -> None:
        with pytest.raises(InvalidValue, match="number of moves"):
            churn.rollback_alias("churn", "champion", steps=steps)

    def test_what_is_not_there_is_not_rolled_back(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "new", 1)
        with pytest.raises(NotFound, match="1 moves ago"):
            churn.rollback_alias("churn", "new")
        churn.delete_alias("churn", "champion", user_id="ada", reason="no more")
        for alias in ("champion", "nothing"):
            with pytest.raises(NotFound, match="has no alias"):
                churn.rollback_alias("churn", alias)
        assert moves(churn)[-1] == (3, None)

    def test_the_history_stays_with_the_model_over_a_rename(
        self, churn: RegistryStore, resolve: Callable[[str], ModelVersion]
    ) -> None:
        churn.rename_registered_model("churn", "leavers")
        churn.create_registered_model("churn")
        assert churn.alias_history("churn") == []
        assert {move.name for move in churn.alias_history("leavers")} == {"leavers"}
        assert resolve("models:/leavers@champion~2").version == 1
        churn.set_alias("leavers", "champion", 4)
        assert moves(churn, name="leavers")[-2:] == [(2, 3), (3, 4)]

    def test_the_history_says_what_became_of_an_alias_when_its_version_went(self, churn: RegistryStore) -> None:
        churn.delete_model_version("churn", 3, force=True)
        last = churn.alias_history("churn", "champion")[-1]
        assert (last.from_version, last.to_version, last.reason) == (3, None, "version deleted")
        churn.restore_model_version("churn", 3)
        with pytest.raises(NotFound):
            churn.get_model_version_by_alias("churn", "champion")

    def test_the_history_comes_back_with_a_restored_model(self, churn: RegistryStore) -> None:
        churn.delete_registered_model("churn", force=True)
        churn.create_registered_model("churn")
        assert churn.alias_history("churn") == []
        churn.rename_registered_model("churn", "second")
        assert churn.restore_registered_model("churn").aliases == {}
        assert moves(churn) == [(None, 1), (1, 2), (2, 3), (3, None)]

    def test_every_alias_of_a_model_has_its_own_history(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "challenger", 4, user_id="ada")
        assert [move.alias for move in churn.alias_history("churn")] == ["champion"] * 3 + ["challenger"]
        assert moves(churn, "challenger") == [(None, 4)]
        assert churn.alias_history("churn", "nothing") == []
        with pytest.raises(NotFound):
            churn.alias_history("nothing")

    def test_the_alias_latest_is_the_highest_version_everywhere(
        self, churn: RegistryStore, resolve: Callable[[str], ModelVersion]
    ) -> None:
        assert churn.get_model_version_by_alias("churn", "latest").version == 4
        assert resolve("models:/churn@latest").version == resolve("models:/churn/latest").version == 4

    def test_comparing_and_setting_says_where_the_alias_stands(self, churn: RegistryStore) -> None:
        for expect, shown in ((1, "version 3, not at 1"), (None, "version 3, not at None")):
            with pytest.raises(InvalidState, match=shown):
                churn.set_alias("churn", "champion", 4, expect=expect)
        with pytest.raises(InvalidState, match="points at nothing, not at 1"):
            churn.set_alias("churn", "new", 4, expect=1)
        assert len(churn.alias_history("churn")) == 3

    def test_what_was_purged_is_gone_and_its_number_is_not_given_again(self, churn: RegistryStore) -> None:
        churn.delete_model_version("churn", 4)
        (item,) = churn.trash()
        assert (item.kind, item.name, item.version) == ("version", "churn", 4)
        assert churn.trash(item.deleted_time - 1) == []
        churn.purge([item])
        assert churn.trash() == []
        with pytest.raises(NotFound):
            churn.restore_model_version("churn", 4)
        assert version_of(churn).version == 5

    def test_a_purged_model_takes_its_history_with_it(self, churn: RegistryStore) -> None:
        churn.delete_registered_model("churn", force=True)
        assert sorted(item.kind for item in churn.trash()) == ["registered model"] + ["version"] * 4
        churn.purge(churn.trash())
        assert churn.trash() == []
        with pytest.raises(NotFound):
            churn.restore_registered_model("churn")
        churn.create_registered_model("churn")
        assert churn.alias_history("churn") == []
        assert version_of(churn).version == 1

    def test_what_was_restored_before_the_purge_stays(self, churn: RegistryStore) -> None:
        churn.delete_registered_model("churn", force=True)
        items = churn.trash()
        churn.restore_registered_model("churn")
        churn.purge(items)
        assert len(churn.search_model_versions()) == 4
        assert len(churn.alias_history("churn")) == 4

    def test_the_folders_that_versions_need_are_known(self, churn: RegistryStore) -> None:
        churn.create_model_version("churn", source="s", storage_location="/elsewhere")
        churn.delete_model_version("churn", 5)
        assert churn.locations() == {"/somewhere", "/elsewhere"}
        assert churn.locations(without=churn.trash()) == {"/somewhere"}

    def test_moves_are_told_apart_by_their_order_where_the_clock_stands_still(self, churn: RegistryStore) -> None:
        for version in (1, 2, 1, 4):
            churn.set_alias("churn", "champion", version)
        history = churn.alias_history("churn", "champion")
        assert [move.to_version for move in history] == [1, 2, 3, 1, 2, 1, 4]
        assert all(earlier.to_version == later.from_version for earlier, later in pairwise(history))
