"""Bringing other stores into this one: whole, again, and on top of what is here."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from pack import trust
from pack.errors import Damaged, InvalidUri, InvalidValue, NotFound, PackError
from pack.exchange import Report, import_from
from pack.mlmodel import digests
from pack.tracking import RunTag
from tests.exchange import mlruns
from tests.exchange.databases import OLD, MlflowDb
from tests.exchange.dump import World
from tests.exchange.mlruns import CHILD, LOGGED, RUN


def bring(source: Path | str, world: World, **options: Any) -> Report:
    return import_from(source, tracking=world.tracking, registry=world.registry, **options)


def new(report: Report) -> dict[str, int]:
    return {noun: count.new for noun, count in report.counts.items() if count.new}


def test_everything_comes_and_is_counted_on_both_sides(there: Path, here: World) -> None:
    report = bring(there, here)
    assert report.complete, str(report)
    assert not report.notes
    counted = {noun: count.there for noun, count in report.counts.items()}
    assert counted == {noun: count.same for noun, count in report.counts.items()}
    assert {noun: counted[noun] for noun in ("runs", "metric points", "params", "versions", "aliases", "files")} == {
        "runs": 2, "metric points": 7, "params": 2, "versions": 2, "aliases": 1, "files": 4,
    }  # fmt: skip
    found = here.dump()
    run = found["runs"][RUN]
    assert run["points"] == [["val/loss", 0, 1000, "0.5"], ["val/loss", 1, 1001, "nan"], ["val/loss", 2, 1002, "-inf"]]
    assert run["experiment"] == "churn"
    assert set(run["files"]) == {"plots/curve.txt"}
    assert found["runs"][CHILD]["tags"]["mlflow.parentRunId"] == RUN
    assert found["logged"][LOGGED]["points"] == [["loss", 1, 1000, "0.5", RUN, None, None]]
    assert found["models"]["churn"]["aliases"] == {"champion": 2}
    assert found["models"]["churn"]["versions"][2]["current_stage"] == "Production"


def test_a_second_import_adds_nothing(there: Path, here: World) -> None:
    bring(there, here)
    before = here.dump()
    report = bring(there, here)
    assert report.complete
    assert new(report) == {}
    assert here.dump() == before


def test_a_run_that_is_here_is_completed_and_keeps_what_it_has(there: Path, here: World) -> None:
    bring(there, here)
    here.tracking.delete_tag(RUN, "mlflow.runName")
    here.tracking.log_batch(RUN, tags=[RunTag("mine", "here")])
    mlruns.fact(there / "1" / RUN / "tags", "mine", "there")
    mlruns.fact(there / "1" / RUN / "params", "later", "1")
    mlruns.fact(there / "1" / RUN / "metrics", "more", "5 1.5 0\n")
    report = bring(there, here)
    assert report.complete
    assert new(report) == {"metric points": 1, "params": 1, "tags": 1}
    assert any("'mine' has another value" in note and "kept" in note for note in report.notes)
    tags = here.tracking.get_run(RUN).data.tags
    assert tags == {"mine": "here", "mlflow.runName": "first"}


def test_a_run_that_went_on_is_ended_by_the_next_import(there: Path, here: World) -> None:
    mlruns.run(there / "1", "d" * 32, status=1, end_time=None)
    bring(there, here)
    assert here.tracking.get_run("d" * 32).info.status == "RUNNING"
    mlruns.run(there / "1", "d" * 32, status=3, end_time=99)
    assert bring(there, here).complete
    info = here.tracking.get_run("d" * 32).info
    assert (info.status, info.end_time) == ("FINISHED", 99)


def test_experiments_merge_by_name(there: Path, here: World) -> None:
    here.tracking.create_experiment("other")
    own = here.tracking.create_experiment("churn", tags={"team": "mine"})
    report = bring(there, here)
    assert report.complete
    assert here.tracking.get_run(RUN).info.experiment_id == own
    assert here.tracking.get_experiment(own).tags == {"team": "mine"}
    assert report.counts["experiments"].new == 0


def test_an_experiment_that_was_renamed_here_is_found_again(there: Path, here: World) -> None:
    bring(there, here)
    own = here.tracking.get_run(RUN).info.experiment_id
    here.tracking.rename_experiment(own, "churn-2025")
    mlruns.run(there / "1", "d" * 32)
    assert bring(there, here).complete
    assert here.tracking.get_run("d" * 32).info.experiment_id == own
    assert here.tracking.get_experiment_by_name("churn") is None


def test_another_store_at_the_same_place_is_not_taken_for_the_first(tmp_path: Path, here: World) -> None:
    mlruns.run(mlruns.experiment(tmp_path / "mlruns", name="first"))
    bring(tmp_path / "mlruns", here)
    (tmp_path / "mlruns").rename(tmp_path / "old")
    mlruns.run(mlruns.experiment(tmp_path / "mlruns", name="second", last_update_time=9), CHILD)
    mlruns.meta(tmp_path / "mlruns" / "1", experiment_id="1", name="second", creation_time=11)
    bring(tmp_path / "mlruns", here)
    assert here.tracking.get_experiment(here.tracking.get_run(CHILD).info.experiment_id).name == "second"


def test_a_number_that_is_another_model_here_stops_that_model_only(there: Path, here: World, tmp_path: Path) -> None:
    here.registry.create_registered_model("churn")
    here.registry.create_model_version("churn", source="mine", storage_location=str(tmp_path))
    mlruns.version(there, name="fraud")
    report = bring(there, here)
    assert not report.complete
    assert any("under the versions 1 here" in text and "--rename churn=" in text for text in report.skipped)
    assert [one.version for one in here.registry.search_model_versions(filter_string="name = 'churn'")] == [1]
    assert here.registry.get_model_version("churn", 1).source == "mine"
    assert here.registry.get_model_version("fraud", 1).run_id == RUN


def test_an_alias_of_a_version_that_was_not_taken_points_at_nothing_else(
    there: Path, here: World, tmp_path: Path
) -> None:
    here.registry.create_registered_model("churn")
    here.registry.create_model_version("churn", source="mine", storage_location=str(tmp_path))
    (there / "models" / "churn" / "version-1" / "meta.yaml").write_text("a: [", encoding="utf-8")
    mlruns.fact(there / "models" / "churn" / "aliases", "old", "1")
    report = bring(there, here)
    assert any("alias old" in text and "was not taken" in text for text in report.skipped)
    assert here.registry.get_registered_model("churn").aliases == {"champion": 2}


def test_a_model_can_be_given_another_name(there: Path, here: World, tmp_path: Path) -> None:
    here.registry.create_registered_model("churn")
    here.registry.create_model_version("churn", source="mine", storage_location=str(tmp_path))
    report = bring(there, here, rename={"churn": "churn-mlflow"})
    assert report.complete
    assert here.registry.get_model_version_by_alias("churn-mlflow", "champion").version == 2
    assert new(bring(there, here, rename={"churn": "churn-mlflow"})) == {}


def test_a_version_keeps_the_digest_of_its_directory(there: Path, here: World) -> None:
    bring(there, here)
    version = here.registry.get_model_version("churn", 1)
    home = Path(version.storage_location)
    assert home == Path(here.tracking.get_logged_model(LOGGED).artifact_location)
    assert version.digest == digests.check(home).digest
    assert not trust.is_remembered(version.digest or "")


def test_a_version_with_files_of_its_own_gets_them_once(there: Path, here: World) -> None:
    mlruns.fact(there / "somewhere", "MLmodel", "flavors: {}\n")
    mlruns.fact(there / "somewhere", "deep/weights.txt", "1")
    for number in (3, 4):
        mlruns.version(there, number, source=str(there / "somewhere"), storage_location="", run_id=None)
    report = bring(there, here)
    assert report.complete, str(report)
    three, four = (here.registry.get_model_version("churn", number) for number in (3, 4))
    assert three.storage_location == four.storage_location
    assert Path(three.storage_location).is_relative_to(Path(here.uri.removeprefix("sqlite:///")).parent)
    assert digests.check(Path(three.storage_location)).digest == three.digest == four.digest
    assert new(bring(there, here)) == {}


def test_a_version_whose_files_are_elsewhere_is_recorded_without_them(there: Path, here: World) -> None:
    mlruns.version(there, 3, source="s3://bucket/model", storage_location="s3://bucket/model", run_id=None)
    report = bring(there, here)
    assert report.complete
    assert any("version 3 of churn came without its files" in note for note in report.notes)
    version = here.registry.get_model_version("churn", 3)
    assert (version.source, version.storage_location, version.digest) == (
        "s3://bucket/model",
        "s3://bucket/model",
        None,
    )


def test_numbers_that_were_given_there_are_not_given_again(there: Path, here: World) -> None:
    mlruns.version(there, 7, current_stage="Deleted_Internal")
    bring(there, here)
    assert [one.version for one in here.registry.search_model_versions(order_by=["version_number ASC"])] == [1, 2]
    assert here.registry.create_model_version("churn", source="x", storage_location="x").version == 8


def test_one_damaged_thing_costs_only_itself(there: Path, here: World) -> None:
    home = there / "1"
    (mlruns.run(home, "d" * 32) / "meta.yaml").write_text("a: [", encoding="utf-8")
    (mlruns.run(home, "e" * 32) / "meta.yaml").unlink()
    mlruns.run(home, "f" * 32, status=77)
    mlruns.fact(home / RUN / "metrics", "loss", "1 0.5 1\nnonsense\n2 0.25 2\n")
    mlruns.fact(home / RUN / "tags", "x" * 251, "too long a key")
    report = bring(there, here)
    assert not report.complete
    assert not report.differing
    assert len(report.skipped) == 5
    assert {len(here.tracking.get_metric_history(RUN, "loss")), len(here.dump()["runs"])} == {2}
    assert bring(there, here).skipped == report.skipped


def test_a_strict_import_stops_at_the_first_damaged_thing(there: Path, here: World) -> None:
    (mlruns.run(there / "1", "0" * 32) / "meta.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(PackError, match="run 0000"):
        bring(there, here, strict=True)


def test_an_old_database_lacks_columns_and_tables(tmp_path: Path, here: World) -> None:
    database = MlflowDb(tmp_path / "mlflow.db", OLD)
    database.experiment()
    database.run(RUN, source_name="train.py", source_version="abc")
    database.add("metrics", key="loss", value=0.5, timestamp=7, run_uuid=RUN)
    database.add("tags", key="mlflow.source.name", value="newer.py", run_uuid=RUN)
    report = bring(database.path, here)
    assert report.complete
    run = here.dump()["runs"][RUN]
    assert run["points"] == [["loss", 0, 7, "0.5"]]
    assert run["tags"] == {"mlflow.source.name": "newer.py", "mlflow.source.git.commit": "abc"}


def test_mlflow_s_spellings_of_nan_and_infinity_are_read(tmp_path: Path, here: World) -> None:
    database = MlflowDb(tmp_path / "mlflow.db")
    database.experiment()
    database.run(RUN)
    largest = 1.7976931348623157e308
    for step, (value, bad) in enumerate([(largest, 0), (-largest, 0), (0.0, 1), (1.5, 0), (largest / 2, 0)]):
        database.add("metrics", key="m", value=value, timestamp=1, step=step, is_nan=bad, run_uuid=RUN)
    assert bring(database.path, here).complete
    values = [repr(point.value) for point in here.tracking.get_metric_history(RUN, "m")]
    assert values == ["inf", "-inf", "nan", "1.5", repr(largest / 2)]


def test_things_of_a_workspace_come_under_its_name(tmp_path: Path, here: World) -> None:
    database = MlflowDb(tmp_path / "mlflow.db")
    for workspace in ("default", "lab"):
        database.add("registered_models", name="churn", creation_time=1, workspace=workspace)
        database.add("model_versions", name="churn", version=1, source=workspace, workspace=workspace)
        database.add("registered_model_aliases", name="churn", alias="champion", version=1, workspace=workspace)
    assert bring(database.path, here).complete
    assert here.registry.get_model_version("churn", 1).source == "default"
    assert here.registry.get_model_version_by_alias("lab.churn", "champion").source == "lab"


def test_the_database_is_not_written_and_not_held(tmp_path: Path, here: World) -> None:
    database = MlflowDb(tmp_path / "mlflow.db")
    database.experiment()
    database.run(RUN)
    database.close()
    before = database.path.read_bytes()
    database.path.chmod(0o400)
    bring(f"sqlite:///{database.path}", here)
    assert database.path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("mlflow")) == ["mlflow.db"]


def test_files_of_a_server_come_from_the_folder_that_is_named(tmp_path: Path, here: World) -> None:
    (tmp_path / "db").mkdir()
    database = MlflowDb(tmp_path / "db" / "mlflow.db")
    database.experiment()
    database.run(RUN, artifact_uri=f"mlflow-artifacts:/1/{RUN}/artifacts")
    database.run(CHILD, artifact_uri=f"file:///srv/mlruns/1/{CHILD}/artifacts")
    for root, one in (("served", RUN), ("moved", CHILD)):
        mlruns.fact(tmp_path / root / "1" / one / "artifacts", "a.txt", one)
    report = bring(database.path, here)
    assert len([text for text in report.skipped if "--artifacts-root" in text]) == 2
    report = bring(database.path, here, artifacts_roots=[tmp_path / "served", tmp_path / "moved"])
    assert report.complete, str(report)
    found = here.dump()["runs"]
    assert [set(found[one]["files"]) for one in (RUN, CHILD)] == [{"a.txt"}, {"a.txt"}]


def test_the_whole_folder_of_a_project_may_have_been_moved(tmp_path: Path, here: World) -> None:
    (tmp_path / "new").mkdir()
    database = MlflowDb(tmp_path / "new" / "mlflow.db")
    database.experiment()
    database.run(RUN, artifact_uri=f"/home/ada/old/mlruns/1/{RUN}/artifacts")
    mlruns.fact(tmp_path / "new" / "mlruns" / "1" / RUN / "artifacts", "deep/a.txt", "x")
    assert bring(tmp_path / "new", here).counts["files"].same == 1


def test_restoring_an_imported_experiment_brings_its_runs_back(tmp_path: Path, here: World) -> None:
    home = mlruns.experiment(tmp_path / "mlruns" / ".trash")
    mlruns.run(home, lifecycle_stage="deleted")
    assert bring(tmp_path / "mlruns", here).complete
    own = here.tracking.get_run(RUN).info.experiment_id
    assert here.tracking.get_experiment(own).lifecycle_stage == "deleted"
    here.tracking.restore_experiment(own)
    assert here.tracking.get_run(RUN).info.lifecycle_stage == "active"


def test_long_values_are_kept_whole(there: Path, here: World) -> None:
    mlruns.fact(there / "1" / RUN / "params", "long", "x" * 9000)
    assert bring(there, here).complete
    assert len(here.tracking.get_run(RUN).data.params["long"]) == 9000


def test_another_store_of_ours_comes_with_its_alias_history(there: Path, here: World, tmp_path: Path) -> None:
    other = World(tmp_path / "other")
    bring(there, other)
    other.registry.set_alias("churn", "champion", 1, user_id="ada", reason="better")
    assert bring(other.uri, here).complete
    mine, theirs = here.dump(), other.dump()
    assert mine == theirs
    assert [move["to_version"] for move in mine["models"]["churn"]["moves"]] == [2, 1]
    assert new(bring(other.uri, here)) == {}


def test_an_alias_that_was_moved_here_stays(there: Path, here: World) -> None:
    bring(there, here)
    here.registry.set_alias("churn", "champion", 1)
    report = bring(there, here)
    assert report.complete
    assert any("alias champion" in note for note in report.notes)
    assert here.registry.get_model_version_by_alias("churn", "champion").version == 1


def test_a_changed_file_here_is_found_and_kept(there: Path, here: World) -> None:
    bring(there, here)
    path = Path(here.tracking.get_run(RUN).info.artifact_uri) / "plots" / "curve.txt"
    path.write_text("down", encoding="utf-8")
    report = bring(there, here)
    assert any("other bytes here" in text for text in report.differing)
    assert path.read_text(encoding="utf-8") == "down"


def test_what_is_no_source_is_refused(tmp_path: Path, here: World) -> None:
    (tmp_path / "text.db").write_text("this is no database " * 100, encoding="utf-8")
    MlflowDb(tmp_path / "strange.db", {"things": "x"})
    (tmp_path / "empty").mkdir()
    for source, error in (
        ("nothing", NotFound),
        (tmp_path / "text.db", Damaged),
        (tmp_path / "strange.db", InvalidValue),
        (tmp_path / "empty", InvalidValue),
        ("https://example.org", InvalidUri),
        ("sqlite:///", InvalidUri),
        (here.uri, InvalidValue),
    ):
        here.tracking.search_experiments()
        with pytest.raises(error):
            bring(source, here)


def test_a_folder_of_files_says_where_their_record_is(tmp_path: Path, here: World) -> None:
    MlflowDb(tmp_path / "mlflow.db")
    (tmp_path / "mlruns" / "1" / RUN / "artifacts").mkdir(parents=True)
    with pytest.raises(InvalidValue) as error:
        bring(tmp_path / "mlruns", here)
    assert str(tmp_path / "mlflow.db") in str(error.value.hint)


def test_the_mlruns_of_a_project_that_uses_this_store_is_found(there: Path, own_world: Path) -> None:
    there.rename(own_world / "mlruns")
    assert import_from(".").complete
    assert import_from(".").counts["runs"].there == 2


def test_the_files_of_a_database_beside_a_file_store_are_no_fault(there: Path, here: World) -> None:
    mlruns.fact(there / "2" / RUN / "artifacts", "a.txt", "x")
    report = bring(there, here)
    assert report.complete
    assert any("folder 2 holds no runs" in note for note in report.notes)


def _bring(source: Path, folder: Path, answers: multiprocessing.Queue[bool]) -> None:
    answers.put(bring(source, World(folder)).complete)


def test_two_imports_at_the_same_time_are_one(there: Path, here: World, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[bool] = context.Queue()
    children = [context.Process(target=_bring, args=(there, tmp_path / "here", answers)) for _ in range(2)]
    for child in children:
        child.start()
    assert [answers.get(timeout=120) for _ in children] == [True, True]
    for child in children:
        child.join()
    assert new(bring(there, here)) == {}
