"""The suite that every registry passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from pack.errors import AlreadyExists, InvalidState, InvalidValue, NotFound, PackError
from pack.registry import ModelVersion, RegistryStore
from pack.uris import ModelUri


def version_of(store: RegistryStore, name: str = "churn", **facts: str) -> ModelVersion:
    return store.create_model_version(name, source="s", storage_location="/somewhere", **facts)  # type: ignore[arg-type]


class RegistryContract:
    """`store()` opens a fresh registry."""

    @pytest.fixture
    def store(self) -> RegistryStore:
        raise NotImplementedError

    @pytest.fixture
    def churn(self, store: RegistryStore) -> RegistryStore:
        store.create_registered_model("churn", description="# Who leaves", tags={"team": "growth"})
        for _ in range(3):
            version_of(store)
        return store

    def test_a_model_has_description_tags_versions_and_aliases(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "champion", 2)
        found = churn.get_registered_model("churn")
        assert (found.description, found.tags, found.aliases) == ("# Who leaves", {"team": "growth"}, {"champion": 2})
        assert found.latest_versions[0].version == 3
        listed = churn.search_model_versions(filter_string="name = 'churn'", order_by=["version DESC"])
        assert [one.version for one in listed] == [3, 2, 1]
        assert churn.get_model_version("churn", 2).aliases == ["champion"]
        assert [one.name for one in churn.search_registered_models()] == ["churn"]
        with pytest.raises(AlreadyExists):
            churn.create_registered_model("churn")

    def test_versions_count_up_and_a_deleted_number_is_not_given_again(self, churn: RegistryStore) -> None:
        churn.delete_model_version("churn", 3)
        assert version_of(churn).version == 4

    def test_a_version_keeps_what_it_was_registered_with(self, churn: RegistryStore) -> None:
        made = version_of(churn, run_id="r", model_id="m", digest="d" * 64, user_id="ada", description="text")
        found = churn.get_model_version("churn", made.version)
        assert (found.run_id, found.model_id, found.digest, found.user_id) == ("r", "m", "d" * 64, "ada")
        assert churn.update_model_version("churn", made.version, description="new").description == "new"

    @pytest.mark.parametrize("name", ["../x", "a/b", "a:b", ".", "..", "", "   ", "a\x00b", "x" * 257, "e\u0301"])
    def test_a_name_that_could_be_a_path_or_a_look_alike_is_refused(self, store: RegistryStore, name: str) -> None:
        with pytest.raises(InvalidValue):
            store.create_registered_model(name)
        assert store.search_registered_models() == []

    @pytest.mark.parametrize("name", ["-rf", "$(id)", "\u00e9", "모델", "Model", "x" * 256, "🚀"])
    def test_an_odd_name_is_kept_literally(self, store: RegistryStore, name: str) -> None:
        store.create_registered_model(name)
        assert store.get_registered_model(name).name == name
        with pytest.raises(NotFound):
            store.get_registered_model(name.swapcase() + "x")

    @pytest.mark.parametrize("alias", ["latest", "LATEST", "v1", "1", "a@b", "../", "", "x" * 256, "a b", "a/b"])
    def test_an_alias_that_reads_as_something_else_is_refused(self, churn: RegistryStore, alias: str) -> None:
        with pytest.raises(InvalidValue):
            churn.set_alias("churn", alias, 1)

    def test_an_alias_moves_and_its_history_says_so(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "x" * 255, 1)
        churn.set_alias("churn", "champion", 1, user_id="ada", reason="first")
        churn.set_alias("churn", "champion", 3, user_id="bob")
        assert churn.get_model_version_by_alias("churn", "champion").version == 3
        churn.delete_alias("churn", "champion")
        churn.delete_alias("churn", "champion")
        moves = [(m.from_version, m.to_version, m.user_id, m.reason) for m in churn.alias_history("churn", "champion")]
        assert moves == [(None, 1, "ada", "first"), (1, 3, "bob", None), (3, None, "", None)]
        with pytest.raises(NotFound, match="champion"):
            churn.get_model_version_by_alias("churn", "champion")

    def test_an_alias_can_be_compared_and_set(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "champion", 1, expect=None)
        with pytest.raises(InvalidState, match="version 1"):
            churn.set_alias("churn", "champion", 2, expect=3)
        with pytest.raises(InvalidState):
            churn.set_alias("churn", "champion", 2, expect=None)
        assert churn.set_alias("churn", "champion", 2, expect=1).to_version == 2

    def test_what_an_alias_points_at_is_not_deleted_without_force(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "champion", 2)
        with pytest.raises(InvalidState, match="@champion"):
            churn.delete_model_version("churn", 2)
        with pytest.raises(InvalidState, match="@champion"):
            churn.delete_registered_model("churn")
        churn.delete_model_version("churn", 2, force=True)
        with pytest.raises(NotFound):
            churn.get_model_version_by_alias("churn", "champion")
        churn.delete_registered_model("churn")
        with pytest.raises(NotFound):
            churn.get_registered_model("churn")

    def test_an_alias_never_points_at_nothing(self, churn: RegistryStore) -> None:
        with pytest.raises(NotFound, match="no version 9"):
            churn.set_alias("churn", "champion", 9)
        with pytest.raises(NotFound):
            churn.set_alias("nothing", "champion", 1)

    @pytest.mark.parametrize("version", [0, -1, 2**63, True, "x", "1.5", "²"])
    def test_what_is_no_version_is_refused(self, churn: RegistryStore, version: object) -> None:
        with pytest.raises(InvalidValue):
            churn.get_model_version("churn", version)  # type: ignore[arg-type]

    def test_tags_of_models_and_versions_are_set_and_removed(self, churn: RegistryStore) -> None:
        churn.set_registered_model_tag("churn", "task", "classification")
        churn.set_model_version_tag("churn", 1, "validation", "approved")
        churn.delete_registered_model_tag("churn", "team")
        assert churn.get_registered_model("churn").tags == {"task": "classification"}
        assert churn.get_model_version("churn", 1).tags == {"validation": "approved"}
        churn.delete_model_version_tag("churn", 1, "validation")
        assert churn.get_model_version("churn", 1).tags == {}

    def test_a_uri_resolves_to_its_version(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "champion", 2)
        assert churn.resolve(ModelUri("churn", version=1)).version == 1
        assert churn.resolve(ModelUri("churn", alias="champion")).version == 2
        assert churn.resolve(ModelUri("churn", latest=True)).version == 3
        assert churn.resolve(ModelUri("churn", stage="None")).version == 3
        with pytest.raises(NotFound, match="stage"):
            churn.resolve(ModelUri("churn", stage="Production"))

    def test_a_model_is_renamed_with_all_that_it_has(self, churn: RegistryStore) -> None:
        churn.set_alias("churn", "champion", 2)
        churn.set_model_version_tag("churn", 2, "a", "b")
        renamed = churn.rename_registered_model("churn", "leavers")
        assert (renamed.name, renamed.description, renamed.aliases) == ("leavers", "# Who leaves", {"champion": 2})
        assert churn.get_model_version("leavers", 2).tags == {"a": "b"}
        assert version_of(churn, "leavers").version == 4
        with pytest.raises(NotFound):
            churn.get_registered_model("churn")
        churn.create_registered_model("churn")
        with pytest.raises(AlreadyExists):
            churn.rename_registered_model("leavers", "churn")
        assert churn.rename_registered_model("leavers", "leavers").name == "leavers"

    def test_the_trash_gives_a_name_back_and_restores_it(self, churn: RegistryStore) -> None:
        churn.delete_registered_model("churn")
        assert churn.search_model_versions() == []
        churn.create_registered_model("churn")
        assert version_of(churn).version == 1
        with pytest.raises(AlreadyExists):
            churn.restore_registered_model("churn")
        churn.rename_registered_model("churn", "second")
        restored = churn.restore_registered_model("churn")
        assert (restored.description, restored.tags) == ("# Who leaves", {"team": "growth"})
        assert [one.version for one in churn.search_model_versions(filter_string="name = 'churn'")] == [3, 2, 1]
        with pytest.raises(NotFound, match="in the trash"):
            churn.restore_registered_model("churn")

    def test_of_several_deleted_models_of_a_name_the_last_comes_back(self, store: RegistryStore) -> None:
        for description in ("first", "second"):
            store.create_registered_model("churn", description=description)
            store.delete_registered_model("churn")
        assert store.restore_registered_model("churn").description == "second"

    def test_a_deleted_version_is_hidden_until_it_is_restored(self, churn: RegistryStore) -> None:
        churn.set_model_version_tag("churn", 3, "a", "b")
        churn.delete_model_version("churn", 3)
        for call in (
            lambda: churn.get_model_version("churn", 3),
            lambda: churn.delete_model_version("churn", 3),
            lambda: churn.update_model_version("churn", 3, description="x"),
            lambda: churn.set_model_version_tag("churn", 3, "c", "d"),
            lambda: churn.set_stage("churn", 3, "Staging"),
            lambda: churn.set_alias("churn", "champion", 3),
            lambda: churn.resolve(ModelUri("churn", version=3)),
        ):
            with pytest.raises(NotFound, match="no version 3"):
                call()
        assert churn.resolve(ModelUri("churn", latest=True)).version == 2
        assert churn.restore_model_version("churn", 3).tags == {"a": "b"}
        with pytest.raises(NotFound, match="no version 9 in the trash"):
            churn.restore_model_version("churn", 9)

    def test_versions_move_through_stages(self, churn: RegistryStore) -> None:
        assert churn.set_stage("churn", 1, "production").current_stage == "Production"
        churn.set_stage("churn", 2, "PRODUCTION", archive_existing=True)
        assert churn.set_stage("churn", 3, "Staging").current_stage == "Staging"
        newest = {one.current_stage: one.version for one in churn.get_latest_versions("churn")}
        assert newest == {"Archived": 1, "Production": 2, "Staging": 3}
        assert [one.version for one in churn.get_latest_versions("churn", ["staging", "None"])] == [3]
        assert churn.resolve(ModelUri("churn", stage="production")).version == 2
        for stage in ("", "Live", "Deleted_Internal", 5):
            with pytest.raises(InvalidValue, match="not a stage"):
                churn.set_stage("churn", 1, stage)  # type: ignore[arg-type]
        with pytest.raises(InvalidValue, match="archived"):
            churn.set_stage("churn", 1, "None", archive_existing=True)

    def test_limits_hold_at_the_limit_and_one_beyond(self, store: RegistryStore) -> None:
        store.create_registered_model("x" * 256, description="d" * 100_000, tags={"k" * 250: "v" * 100_000})
        name = "x" * 256
        version_of(store, name)
        store.set_model_version_tag(name, 1, "k" * 250, "v" * 100_000)
        store.set_alias(name, "a" * 255, 1, reason="r" * 5000)
        over: list[Callable[[], object]] = [
            lambda: store.create_registered_model("x" * 257),
            lambda: store.rename_registered_model(name, "x" * 257),
            lambda: store.update_registered_model(name, description="d" * 100_001),
            lambda: store.update_model_version(name, 1, description="d" * 100_001),
            lambda: store.set_registered_model_tag(name, "k" * 251, "v"),
            lambda: store.set_registered_model_tag(name, "k", "v" * 100_001),
            lambda: store.set_model_version_tag(name, 1, "k", "v" * 100_001),
            lambda: store.set_model_version_tag(name, 1, "", "v"),
            lambda: store.set_alias(name, "a" * 256, 1),
            lambda: store.set_alias(name, "a", 1, reason="r" * 5001),
            lambda: store.rollback_alias(name, "a" * 255, reason="r" * 5001),
            lambda: store.delete_alias(name, "a" * 255, reason="r" * 5001),
        ]
        for call in over:
            with pytest.raises(InvalidValue) as error:
                call()
            assert error.value.error_code == "INVALID_PARAMETER_VALUE"

    @pytest.mark.parametrize(
        "name",
        [
            "a%20b",
            "a@b",
            "a#b",
            "a?b",
            "a;b",
            "a\\b",
            " a",
            "a ",
            "a\tb",
            "a\u202eb",
            "a\u200bb",
            "a\u2028b",
            "\ud800",
            None,
            5,
        ],
    )
    def test_a_name_that_would_mean_something_in_a_uri_is_refused(self, churn: RegistryStore, name: Any) -> None:
        with pytest.raises(InvalidValue):
            churn.create_registered_model(name)
        with pytest.raises(InvalidValue):
            churn.rename_registered_model("churn", name)
        assert [one.name for one in churn.search_registered_models()] == ["churn"]

    def test_names_that_look_alike_are_two_or_are_refused_and_never_one_uri(self, store: RegistryStore) -> None:
        for name in ("a b", "Model", "model", "\u00e9", "\u0441hurn", "churn"):
            store.create_registered_model(name, description=name)
        for name in ("a b", "Model", "model", "\u00e9", "\u0441hurn", "churn"):
            version_of(store, name)
            assert store.resolve(ModelUri(name, latest=True)).name == name
        for name in ("MODEL", "e\u0301", "a%20b", "a  b"):
            with pytest.raises(PackError):
                store.get_registered_model(name)

    @pytest.mark.parametrize("bad", ["\ud800", {}, [1], b"x", 2**70, None])
    def test_what_cannot_be_stored_is_refused(self, churn: RegistryStore, bad: Any) -> None:
        for call in (
            lambda: churn.get_registered_model(bad),
            lambda: churn.update_registered_model(bad, description="x"),
            lambda: churn.delete_registered_model(bad),
            lambda: churn.create_model_version(bad, source="s", storage_location="/x"),
            lambda: churn.set_alias(bad, "champion", 1),
            lambda: churn.set_alias("churn", bad, 1),
            lambda: churn.get_model_version_by_alias("churn", bad),
            lambda: churn.set_registered_model_tag("churn", bad, "x"),
            lambda: churn.get_model_version("churn", bad),
        ):
            with pytest.raises((InvalidValue, NotFound)):
                call()
        if bad is not None:
            with pytest.raises(InvalidValue):
                churn.update_registered_model("churn", description=bad or cast("str", 5))
