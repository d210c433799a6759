"""The suite of experiments that every tracking store passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pack.errors import AlreadyExists, Deleted, InvalidValue, NotFound
from pack.tracking import RunTag, TrackingStore, ViewType


class ExperimentsContract:
    """`store()` opens a fresh store."""

    @pytest.fixture
    def store(self) -> TrackingStore:
        raise NotImplementedError

    def test_a_default_experiment_is_there(self, store: TrackingStore) -> None:
        assert store.get_experiment("0").name == "Default"

    def test_an_experiment_is_found_by_id_and_by_name(self, store: TrackingStore) -> None:
        made = store.create_experiment("churn", tags={"team": "growth"})
        found = store.get_experiment_by_name("churn")
        assert found == store.get_experiment(made)
        assert found is not None
        assert found.tags == {"team": "growth"}
        assert [one.name for one in store.search_experiments()] == ["churn", "Default"]
        with pytest.raises(AlreadyExists):
            store.create_experiment("churn")

    @pytest.mark.parametrize("name", ["", "  ", "x" * 501, None, 3])
    def test_a_name_that_no_experiment_can_have_is_refused(self, store: TrackingStore, name: object) -> None:
        with pytest.raises(InvalidValue):
            store.create_experiment(name)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "location", ["http://169.254.169.254/latest/", "http://[::1]:80/", "runs:/x", "/" + "x" * 2048]
    )
    def test_a_location_that_would_be_fetched_is_refused(self, store: TrackingStore, location: str) -> None:
        with pytest.raises(InvalidValue):
            store.create_experiment("x", artifact_location=location)

    def test_an_experiment_is_renamed_described_deleted_and_restored(self, store: TrackingStore) -> None:
        made = store.create_experiment("churn")
        store.rename_experiment(made, "leavers")
        store.rename_experiment(made, "leavers")
        store.set_experiment_tag(made, "team", "growth")
        store.set_experiment_tag(made, "team", "risk")
        store.delete_experiment(made)
        store.delete_experiment(made)
        found = store.get_experiment_by_name("leavers")
        assert found is not None
        assert (found.experiment_id, found.lifecycle_stage, found.tags) == (made, "deleted", {"team": "risk"})
        store.restore_experiment(made)
        store.restore_experiment(made)
        store.delete_experiment_tag(made, "team")
        assert (store.get_experiment(made).lifecycle_stage, store.get_experiment(made).tags) == ("active", {})
        with pytest.raises(NotFound, match="no tag 'team'"):
            store.delete_experiment_tag(made, "team")

    def test_a_name_is_taken_by_a_deleted_experiment_too(self, store: TrackingStore) -> None:
        made = store.create_experiment("churn")
        store.delete_experiment(made)
        for call in (lambda: store.create_experiment("churn"), lambda: store.rename_experiment("0", "churn")):
            with pytest.raises(AlreadyExists, match="'churn' exists") as error:
                call()
            assert "restore" in (error.value.hint or "")

    def test_nothing_is_changed_in_a_deleted_experiment(self, store: TrackingStore) -> None:
        made = store.create_experiment("churn", tags={"a": "b"})
        run = store.create_run(made, user_id="", start_time=0, run_name="r").info.run_id
        store.delete_experiment(made)
        for call in (
            lambda: store.rename_experiment(made, "x"),
            lambda: store.set_experiment_tag(made, "c", "d"),
            lambda: store.delete_experiment_tag(made, "a"),
            lambda: store.create_run(made, user_id="", start_time=0, run_name="r"),
            lambda: store.create_logged_model(made, name="m"),
            lambda: store.log_batch(run, tags=[RunTag("a", "b")]),
            lambda: store.restore_run(run),
        ):
            with pytest.raises(Deleted, match="deleted") as error:
                call()
            assert error.value.error_code == "INVALID_PARAMETER_VALUE"
        assert store.get_experiment(made).tags == {"a": "b"}

    def test_with_an_experiment_comes_back_what_was_deleted_with_it_only(self, store: TrackingStore) -> None:
        made = store.create_experiment("churn")
        runs = [store.create_run(made, user_id="", start_time=n, run_name="").info.run_id for n in range(3)]
        store.delete_run(runs[1])
        store.delete_experiment(made)
        assert store.count_runs([made]) == 0
        assert store.count_runs([made], view_type=ViewType.DELETED_ONLY) == 3
        store.restore_experiment(made)
        assert [run.info.run_id for run in store.search_runs([made])] == [runs[2], runs[0]]
        assert store.get_run(runs[1]).info.lifecycle_stage == "deleted"

    @pytest.mark.parametrize(
        "name", ["../x", "a/b", ".", "..", "-rf", "$(id)", "\u202eRTL", "a\tb", "e\u0301", "é", "🚀"]
    )
    def test_an_odd_name_of_an_experiment_is_kept_literally_and_is_no_path(
        self, store: TrackingStore, name: str
    ) -> None:
        made = store.get_experiment(store.create_experiment(name))
        assert store.get_experiment_by_name(name) == made
        assert made.name == name
        assert Path(made.artifact_location).name == made.experiment_id
        assert ".." not in Path(made.artifact_location).parts

    def test_limits_of_an_experiment_hold_at_the_limit_and_one_beyond(self, store: TrackingStore) -> None:
        made = store.create_experiment("x" * 500, artifact_location="/" + "y" * 2047, tags={"k" * 250: "v" * 20_000})
        assert store.get_experiment(made).artifact_location == "/" + "y" * 2047
        for call in (
            lambda: store.create_experiment("x" * 501),
            lambda: store.rename_experiment(made, "x" * 501),
            lambda: store.create_experiment("a", artifact_location="/" + "y" * 2048),
            lambda: store.set_experiment_tag(made, "k" * 251, "v"),
            lambda: store.set_experiment_tag(made, "k", "v" * 20_001),
            lambda: store.create_experiment("a", tags={"k": "v" * 20_001}),
        ):
            with pytest.raises(InvalidValue) as error:
                call()
            assert error.value.error_code == "INVALID_PARAMETER_VALUE"
        assert store.get_experiment_by_name("a") is None
