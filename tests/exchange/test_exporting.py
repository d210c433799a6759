"""A folder of plain files: written, written again, merged, taken in elsewhere; and what happens to it on the way."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pack.errors import Damaged, InvalidState, InvalidValue, NotFound
from pack.exchange import Report, export_to
from pack.exchange.tree import PASSING
from pack.mlmodel import digests
from pack.tracking import DatasetInput, InputTag, LoggedModelInput, Metric, Param, RunTag
from pack.tracking.entities import Dataset
from tests.exchange import mlruns
from tests.exchange.dump import World
from tests.exchange.mlruns import CHILD, LOGGED, RUN
from tests.exchange.test_importing import bring, new

SAMPLES = Path(__file__).parent.parent / "samples" / "exchange"


def send(world: World, folder: Path, **options: Any) -> Report:
    return export_to(folder, tracking=world.tracking, registry=world.registry, **options)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def full(there: Path, here: World, tmp_path: Path) -> World:
    """A store with one of each thing, and with what only a store of ours has."""
    bring(there, here)
    here.tracking.log_batch(
        RUN,
        metrics=[Metric("loss", value, 5, step) for step, value in enumerate([1.0, float("nan"), float("inf"), -0.0])],
        params=[Param("text", 'lines\nand "quotes" and ünïcode')],
        tags=[RunTag("empty", "")],
    )
    dataset = Dataset("train", "d1", "local", '{"uri": "x"}', None, None)
    here.tracking.log_inputs(
        RUN, datasets=[DatasetInput(dataset, (InputTag("mlflow.data.context", "training"),))],
        models=[LoggedModelInput(LOGGED)],
    )  # fmt: skip
    home = tmp_path / "own"
    mlruns.fact(home, "MLmodel", "flavors: {}\n")
    digest = digests.check(home).digest
    here.registry.create_model_version(
        "churn", source=str(home), storage_location=str(home), digest=digest, tags={"own": "yes"}
    )
    here.registry.set_alias("churn", "champion", 3, user_id="ada", reason="newest")
    here.tracking.delete_run(CHILD)
    here.tracking.delete_experiment(here.tracking.create_experiment("dead", tags={"a": "b"}))
    return here


def test_a_store_comes_back_equal_from_its_export(full: World, tmp_path: Path) -> None:
    report = send(full, tmp_path / "out")
    assert report.complete, str(report)
    other = World(tmp_path / "other")
    report = bring(tmp_path / "out", other)
    assert report.complete, str(report)
    assert not report.notes
    assert other.dump() == full.dump()
    assert new(bring(tmp_path / "out", other)) == {}


def test_the_same_store_gives_the_same_bytes(full: World, tmp_path: Path) -> None:
    send(full, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    report = send(full, tmp_path / "out")
    assert report.complete
    assert new(report) == {}
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*") if path.is_file()}
    send(full, tmp_path / "again")
    assert bytes_of(tmp_path / "again") == bytes_of(tmp_path / "out")


def test_what_changed_is_written_again(full: World, tmp_path: Path) -> None:
    send(full, tmp_path / "out")
    full.tracking.log_batch(RUN, metrics=[Metric("loss", 9.0, 9, 9)])
    path = Path(full.tracking.get_run(RUN).info.artifact_uri) / "plots" / "curve.txt"
    path.write_text("changed", encoding="utf-8")
    report = send(full, tmp_path / "out")
    assert report.complete, str(report)
    assert report.counts["files"].new == 1
    send(full, tmp_path / "again")
    assert bytes_of(tmp_path / "again") == bytes_of(tmp_path / "out")


def test_two_exports_are_merged_by_copying(tmp_path: Path) -> None:
    worlds = []
    for place, run_id in enumerate(("1" * 32, "2" * 32)):
        world = World(tmp_path / f"store{place}")
        home = mlruns.experiment(tmp_path / f"m{place}", creation=place, name="shared")
        mlruns.run(home, run_id)
        bring(tmp_path / f"m{place}", world)
        world.registry.create_registered_model(f"model{place}")
        send(world, tmp_path / f"out{place}")
        worlds.append(world)
    shutil.copytree(tmp_path / "out1", tmp_path / "out0", dirs_exist_ok=True)
    send(worlds[1], tmp_path / "both")
    send(worlds[0], tmp_path / "both")
    for folder in ("out0", "both"):
        merged = World(tmp_path / f"merged-{folder}")
        assert bring(tmp_path / folder, merged).complete
        found = merged.dump()
        assert set(found["runs"]) == {"1" * 32, "2" * 32}
        assert set(found["models"]) == {"model0", "model1"}
        assert set(found["experiments"]) == {"Default", "shared"}


def test_models_of_one_name_in_two_stores_lie_side_by_side(tmp_path: Path, here: World) -> None:
    for place in range(2):
        world = World(tmp_path / f"store{place}")
        world.registry.create_registered_model("churn")
        world.registry.create_model_version("churn", source=f"s3://{place}", storage_location=f"s3://{place}")
        send(world, tmp_path / "out")
    report = bring(tmp_path / "out", here)
    refused = [text for text in report.skipped if "other models under the versions 1" in text]
    assert len(refused) == 1
    key = refused[0].partition("--rename ")[2].partition("=")[0]
    assert bring(tmp_path / "out", here, rename={key: "churn-b"}).complete
    assert [one.name for one in here.registry.search_registered_models()] == ["churn", "churn-b"]


def test_a_registered_model_brings_what_it_came_from(full: World, tmp_path: Path, here: World) -> None:
    full.tracking.create_run("0", user_id="", start_time=0, run_name="unrelated")
    full.registry.create_registered_model("unrelated")
    assert send(full, tmp_path / "out", models=["churn"]).complete
    other = World(tmp_path / "other")
    assert bring(tmp_path / "out", other).complete
    found = other.dump()
    assert (set(found["runs"]), set(found["logged"]), set(found["models"])) == ({RUN}, {LOGGED}, {"churn"})


def test_one_experiment_or_one_run_is_exported(full: World, tmp_path: Path) -> None:
    assert send(full, tmp_path / "a", experiments=["churn"]).counts["runs"].there == 2
    assert send(full, tmp_path / "b", runs=[RUN]).counts["runs"].there == 1
    assert not (tmp_path / "a" / "registered_models").exists()
    for option in ("experiments", "runs", "models"):
        with pytest.raises(NotFound):
            send(full, tmp_path / "c", **{option: ["nothing"]})


def test_the_digests_are_those_that_sha256sum_checks(full: World, tmp_path: Path) -> None:
    send(full, tmp_path / "out")
    lists = list((tmp_path / "out").rglob("SHA256SUMS"))
    assert lists
    for found in lists:
        subprocess.run(["sha256sum", "--quiet", "-c", found.name], cwd=found.parent, check=True)


def test_a_file_that_was_damaged_on_the_way_is_not_taken(full: World, tmp_path: Path) -> None:
    send(full, tmp_path / "out")
    path = next((tmp_path / "out").rglob("curve.txt"))
    path.write_bytes(b"uP")
    other = World(tmp_path / "other")
    report = bring(tmp_path / "out", other)
    assert any("differ from the digest" in text for text in report.skipped)
    assert "plots/curve.txt" not in other.dump()["runs"][path.parent.parent.parent.name]["files"]
    assert not [one for one in (tmp_path / "other").rglob("*") if one.name.startswith(PASSING)]
    path.unlink()
    assert any("missing" in text for text in bring(tmp_path / "out", other).skipped)


def test_metrics_that_were_damaged_on_the_way_cost_their_run(full: World, tmp_path: Path) -> None:
    send(full, tmp_path / "out")
    path = next(one for one in (tmp_path / "out").rglob("metrics.csv") if one.parent.name == RUN)
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (lines[1:], [lines[0], *reversed(lines[1:])], [*lines[:2], b"x,y\n"]):
        path.write_bytes(b"".join(damaged))
        other = World(tmp_path / f"other{len(damaged)}{damaged[-1]!r}".replace("\\", ""))
        assert any(RUN in text for text in bring(tmp_path / "out", other).skipped)
        assert set(other.dump()["runs"]) == {CHILD}


def test_an_export_that_was_not_finished_says_so(full: World, tmp_path: Path) -> None:
    send(full, tmp_path / "out")
    next((tmp_path / "out").rglob(f"{RUN}/run.json")).unlink()
    assert any("not finished" in text for text in bring(tmp_path / "out", World(tmp_path / "other")).skipped)
    assert send(full, tmp_path / "out").complete
    assert bring(tmp_path / "out", World(tmp_path / "other")).complete


def test_a_file_here_that_cannot_be_read_costs_only_itself(full: World, tmp_path: Path) -> None:
    folder = Path(full.tracking.get_run(RUN).info.artifact_uri)
    (folder / "link.txt").symlink_to("/etc/hostname")
    report = send(full, tmp_path / "out")
    assert [text for text in report.skipped if "link.txt" in text] == list(report.skipped)
    assert "curve.txt" in {path.name for path in (tmp_path / "out").rglob("*")}


def test_a_folder_of_something_else_is_left_alone(full: World, tmp_path: Path) -> None:
    mlruns.fact(tmp_path / "mine", "letter.txt", "x")
    with pytest.raises(InvalidValue, match="something else"):
        send(full, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_a_format_of_the_future_is_refused(full: World, tmp_path: Path) -> None:
    send(full, tmp_path / "out")
    (tmp_path / "out" / "pack-export.json").write_text('{"format": 2}', encoding="utf-8")
    with pytest.raises(InvalidState, match="format 2"):
        send(full, tmp_path / "out")
    with pytest.raises(InvalidState, match="format 2"):
        bring(tmp_path / "out", full)
    (tmp_path / "out" / "pack-export.json").write_text("not JSON", encoding="utf-8")
    with pytest.raises(Damaged):
        bring(tmp_path / "out", full)


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("format-*")), ids=lambda path: path.name)
def test_each_format_that_was_ever_written_is_read(sample: Path, tmp_path: Path) -> None:
    world = World(tmp_path / "store")
    assert bring(sample / "export", world).complete
    found = json.loads(json.dumps(world.dump()))
    assert found == json.loads((sample / "expected.json").read_text(encoding="utf-8"))


def test_the_format_is_the_one_of_the_sample(tmp_path: Path) -> None:
    world = World(tmp_path / "store")
    bring(SAMPLES / "format-1" / "export", world)
    send(world, tmp_path / "out", experiments=["churn"], models=["churn"])
    assert bytes_of(tmp_path / "out") == bytes_of(SAMPLES / "format-1" / "export")
