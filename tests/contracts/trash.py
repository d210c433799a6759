"""The suite of the trash that every tracking store passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pack.errors import AlreadyExists, NotFound
from pack.tracking import (
    Dataset,
    DatasetInput,
    LoggedModelInput,
    Metric,
    Param,
    RunTag,
    TrackingStore,
    Trashed,
    ViewType,
)


def full_run(store: TrackingStore, experiment: str = "0") -> str:
    """A run with something of everything, and a model."""
    run = store.create_run(experiment, user_id="", start_time=0, run_name="r").info.run_id
    model = store.create_logged_model(experiment, name="m", source_run_id=run, params={"a": "1"}, tags={"b": "2"})
    points = [Metric("m", 1.0, 1, step, model.model_id) for step in range(3)]
    store.log_batch(run, metrics=points, params=[Param("p", "1")], tags=[RunTag("t", "1")])
    store.log_inputs(run, datasets=[DatasetInput(Dataset("d", "1", "local", "{}"))], models=[LoggedModelInput("m-1")])
    return run


def kinds(items: list[Trashed]) -> list[str]:
    return sorted(item.kind for item in items)


class TrackingTrashContract:
    """`store()` opens a fresh store; `check_soundness` raises where a row is left without what it belongs to."""

    @pytest.fixture
    def store(self) -> TrackingStore:
        raise NotImplementedError

    def check_soundness(self) -> None:
        raise NotImplementedError

    def test_what_was_deleted_rests_in_the_trash_with_its_time(self, store: TrackingStore) -> None:
        run = full_run(store)
        store.delete_run(run)
        (item,) = store.trash()
        assert (item.kind, item.id, item.name) == ("run", run, "r")
        assert Path(item.location).name == run
        assert store.trash(item.deleted_time) == [item]
        assert store.trash(item.deleted_time - 1) == []
        store.delete_run(run)
        assert store.trash() == [item]
        store.restore_run(run)
        assert store.trash() == []

    def test_what_is_purged_is_gone_with_all_that_it_recorded(self, store: TrackingStore) -> None:
        kept, gone = full_run(store), full_run(store)
        before = store.get_run(kept)
        store.delete_run(gone)
        store.purge(store.trash())
        with pytest.raises(NotFound):
            store.get_run(gone)
        assert store.get_run(kept) == before
        assert len(store.get_metric_history(kept, "m")) == 3
        self.check_soundness()

    def test_a_folder_is_doomed_from_the_purge_until_it_is_forgotten(self, store: TrackingStore) -> None:
        run = full_run(store)
        store.delete_run(run)
        items = store.trash()
        assert list(store.doomed()) == []
        store.purge(items)
        store.purge(items)
        assert list(store.doomed()) == [items[0].location]
        store.forget(items[0].location)
        assert list(store.doomed()) == []

    def test_what_is_restored_before_the_purge_stays(self, store: TrackingStore) -> None:
        run = full_run(store)
        store.delete_run(run)
        items = store.trash()
        store.restore_run(run)
        store.purge(items)
        assert store.get_run(run).data.metrics == {"m": 1.0}
        assert list(store.doomed()) == []

    def test_an_experiment_goes_with_all_that_is_in_it(self, store: TrackingStore) -> None:
        made = store.create_experiment("churn", tags={"a": "b"})
        run = full_run(store, made)
        (model,) = (one.model_id for one in store.search_logged_models([made]))
        store.delete_experiment(made)
        items = store.trash()
        assert kinds(items) == ["experiment", "logged model", "run"]
        store.purge(items)
        for call in (
            lambda: store.get_experiment(made),
            lambda: store.get_run(run),
            lambda: store.get_logged_model(model),
        ):
            with pytest.raises(NotFound):
                call()
        assert store.create_experiment("churn") != made
        self.check_soundness()

    def test_an_experiment_that_still_holds_something_stays(self, store: TrackingStore) -> None:
        made = store.create_experiment("churn")
        run = full_run(store, made)
        store.delete_experiment(made)
        store.purge([item for item in store.trash() if item.kind != "run"])
        assert store.get_experiment(made).lifecycle_stage == "deleted"
        with pytest.raises(AlreadyExists):
            store.create_experiment("churn")
        store.restore_experiment(made)
        assert store.get_run(run).info.lifecycle_stage == "active"
        self.check_soundness()

    def test_a_folder_that_others_may_use_is_never_doomed(self, store: TrackingStore, tmp_path: Path) -> None:
        made = store.create_experiment("shared", artifact_location=str(tmp_path / "shared"))
        run = full_run(store, made)
        store.delete_experiment(made)
        locations = {item.kind: item.location for item in store.trash()}
        assert locations["experiment"] == ""
        assert locations["run"] == str(tmp_path / "shared" / run)
        store.purge(store.trash())
        assert str(tmp_path / "shared") not in store.doomed()

    def test_a_deleted_model_is_shown_to_another_store(self, store: TrackingStore) -> None:
        full_run(store)
        (model,) = store.search_logged_models(["0"])
        store.delete_logged_model(model.model_id)
        assert store.export_logged_models("0") == [model.model_id]
        assert store.export_logged_model(model.model_id).lifecycle_stage == "deleted"
        assert store.search_runs(["0"], view_type=ViewType.DELETED_ONLY) == []
