"""`pack experiments`, `runs`, `artifacts`."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import pack

Call = Callable[..., Result]


@pytest.fixture
def runs() -> list[str]:
    """Three runs of the experiment churn, with a curve, a param and a file each."""
    pack.set_experiment("churn")
    ids = []
    for number in range(3):
        with pack.start_run(run_name=f"run-{number}") as run:
            for step in range(30):
                pack.log_metric("loss", 1 / (1 + step * (number + 1)), step=step)
            pack.log_metric("accuracy", 0.9 + number / 100)
            pack.log_params({"lr": number / 10, "kind": "adam"})
            pack.log_text(f"I am {number}", "notes/me.txt")
        ids.append(run.info.run_id)
    return ids


def test_experiments_are_made_listed_shown_tagged_renamed_deleted_and_restored(call: Call) -> None:
    made = call("experiments", "create", "churn", "--tag", "team=growth").output.strip()
    assert call("experiments", "list").output.splitlines()[1].split()[:3] == [made, "churn", "0"]
    call("experiments", "tag", "churn", "a=1", "--delete", "team")
    assert "a=1" in call("experiments", "show", made).output
    assert call("experiments", "rename", "churn", "price").output == f"experiment {made}: churn -> price\n"
    call("experiments", "delete", "price")
    assert "price" not in call("experiments", "list").output
    assert "price" in call("experiments", "list", "--view", "deleted").output
    call("experiments", "restore", "price")
    assert json.loads(call("experiments", "show", "price", "--json").output)["tags"] == {"a": "1"}
    assert "no experiment named" in call("experiments", "show", "nothing", code=1).stderr


def test_mlflows_spelling_of_options_is_understood(call: Call, runs: list[str]) -> None:
    made = call("experiments", "create", "-n", "other").output.strip()
    call("experiments", "rename", "-x", made, "--new-name", "another")
    call("experiments", "delete", "--experiment-id", made)
    assert "another" in call("experiments", "search", "--view", "deleted_only").output
    assert runs[0][:12] in call("runs", "list", "--experiment-id", "1").output
    assert json.loads(call("runs", "describe", "--run-id", runs[0]).output)["info"]["run_id"] == runs[0]
    call("runs", "delete", "--run-id", runs[0])
    call("runs", "restore", "--run-id", runs[0])
    assert "given twice" in call("runs", "show", runs[0], "--run-id", runs[1], code=2).output


def test_runs_are_searched_with_columns_and_order(call: Call, runs: list[str]) -> None:
    words = ["runs", "search", "metrics.accuracy > 0.9", "-e", "churn", "--order-by", "metrics.accuracy DESC"]
    lines = call(*words, "-c", "metrics.accuracy", "-c", "params.lr").output.splitlines()
    assert lines[0].split()[-2:] == ["metrics.accuracy", "params.lr"]
    assert [line.split()[-2:] for line in lines[1:]] == [["0.92", "0.2"], ["0.91", "0.1"]]
    found = json.loads(call(*words, "--json").output)
    assert [run["info"]["run_id"] for run in found] == [runs[2], runs[1]]
    assert "(1 of 2; -n shows more)" in call(*words, "-n", "1").output
    wrong = call("runs", "search", "metrics.accuracy >", code=1)
    assert "character 19" in wrong.stderr


def test_a_run_is_named_by_enough_of_its_id(call: Call, runs: list[str]) -> None:
    assert runs[0] in call("runs", "show", runs[0][:10]).output
    assert "no run has an id" in call("runs", "show", "zzzz", code=1).stderr


def test_a_prefix_of_several_ids_is_refused(call: Call, runs: list[str]) -> None:
    same = {run[0] for run in runs}
    if len(same) == len(runs):
        while len({run[0] for run in runs}) == len(runs):
            with pack.start_run() as run:
                runs.append(run.info.run_id)
    twice = next(run[0] for run in runs if sum(other[0] == run[0] for other in runs) > 1)
    assert "several runs" in call("runs", "show", twice, code=1).stderr


def test_runs_are_compared_side_by_side(call: Call, runs: list[str]) -> None:
    shown = call("runs", "compare", runs[0], runs[2]).output
    assert "run-0" in shown
    assert "run-2" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["param", "lr", "0.0", "0.2"] in rows
    assert not any("kind" in row for row in rows)
    assert any("kind" in line for line in call("runs", "compare", runs[0], runs[2], "--all").output.splitlines())
    found = json.loads(call("runs", "compare", runs[0], runs[2], "--json").output)
    assert found["runs"] == [runs[0], runs[2]]


def test_runs_go_to_the_trash_and_come_back(call: Call, runs: list[str]) -> None:
    assert "pack gc" in call("runs", "delete", runs[0][:8]).output
    assert runs[0][:12] not in call("runs", "list").output
    assert runs[0][:12] in call("runs", "list", "--view", "deleted").output
    call("runs", "restore", runs[0])
    assert runs[0][:12] in call("runs", "list").output


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_curves_are_drawn_into_a_file(call: Call, runs: list[str], tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"curves.{ending}"
    assert "loss" in call("runs", "plot", *runs, "-o", str(path)).output
    head = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(head)


def test_a_picture_of_curves_shows_each_run(call: Call, runs: list[str], tmp_path: Path) -> None:
    path = tmp_path / "curves.svg"
    call("runs", "plot", *runs, "-m", "loss", "-x", "time", "--log-y", "-o", str(path))
    # matplotlib writes text as shapes and keeps it in comments
    assert all(f"<!-- run-{number}" in path.read_text(encoding="utf-8") for number in range(3))


def test_curves_are_drawn_in_the_terminal(call: Call, runs: list[str]) -> None:
    shown = call("runs", "plot", *runs, "-m", "loss").output
    assert "loss by step" in shown
    assert all(f"run-{number}" in shown for number in range(3))
    assert "no such metric" in call("runs", "plot", runs[0], "-m", "nothing", code=1).stderr
    assert "cannot be written" in call("runs", "plot", runs[0], "-o", "a.txt", code=1).stderr


def test_gaps_in_a_curve_are_left_out(call: Call) -> None:
    with pack.start_run() as run:
        for step, value in enumerate([1.0, math.nan, math.inf, 0.5]):
            pack.log_metric("loss", value, step=step)
    assert "loss by step" in call("runs", "plot", run.info.run_id).output


def test_values_that_have_no_place_on_an_axis_are_left_out(call: Call, tmp_path: Path) -> None:
    with pack.start_run() as run:
        for step, value in enumerate([1e308, -1e308, 0.5, -1.0]):
            pack.log_metric("loss", value, step=step)
        pack.log_metric("below", -1.0)
        pack.log_metric("gap", math.nan)
    assert "loss by step" in call("runs", "plot", run.info.run_id).output
    call("runs", "plot", run.info.run_id, "-o", str(tmp_path / "a.png"))
    with pack.start_run() as far:
        pack.log_metric("loss", 1.0, step=2**62)
    assert "draw them into a file" in call("runs", "plot", far.info.run_id, code=1).stderr
    assert "no values above 0" in call("runs", "plot", run.info.run_id, "-m", "below", "--log-y", code=1).stderr
    assert "no values to draw" in call("runs", "plot", run.info.run_id, "-m", "gap", code=1).stderr


def test_a_picture_lies_where_the_command_says(call: Call, runs: list[str], tmp_path: Path) -> None:
    assert call("runs", "plot", *runs, "-o", str(tmp_path / "plot")).output.startswith(f"{tmp_path / 'plot.png'}: ")
    assert (tmp_path / "plot.png").is_file()
    call("runs", "plot", *runs, "-o", str(tmp_path), code=2)


def test_a_full_disk_behind_the_output_is_a_message(runs: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "pack", "runs", "list"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "error: No space left on device")


def test_files_of_a_run_are_listed_and_fetched(call: Call, runs: list[str], tmp_path: Path) -> None:
    assert call("artifacts", "list", runs[1][:10]).output.splitlines()[1] == "notes/"
    found = json.loads(call("artifacts", "list", f"runs:/{runs[1]}/notes", "--json").output)
    assert [(one["path"], one["file_size"]) for one in found] == [("me.txt", 6)]
    place = call("artifacts", "get", f"runs:/{runs[1]}/notes", "-o", str(tmp_path / "here")).output.strip()
    assert (Path(place) / "me.txt").read_text(encoding="utf-8") == "I am 1"
    assert "error:" in call("artifacts", "get", f"runs:/{runs[1]}/nothing", code=1).stderr
