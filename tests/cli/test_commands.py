"""The commands, as a person or a script runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result

import pack
from pack.cli import main
from tests import models


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=given)


@pytest.fixture
def registered(own_world: Path) -> str:
    """A run with a model, registered as version 1 of `wide`, which is the champion."""
    with pack.start_run(run_name="first") as started:
        pack.log_params({"depth": 3})
        pack.log_metric("loss", 0.25, step=1)
        frame = models.wide_frame(5)
        pack.log_model(models.wide_pipeline(), "wide", input_example=frame, registered_model_name="wide")
    pack.set_alias("wide", "champion", 1)
    return started.info.run_id


def test_models_are_listed_and_shown(registered: str) -> None:
    listed = run("models", "list")
    assert listed.exit_code == 0
    assert listed.output.splitlines()[1].split()[:3] == ["wide", "1", "@champion=1"]
    shown = run("models", "show", "wide").output
    assert "@champion" in shown
    found = json.loads(run("models", "show", "wide", "--json").output)
    assert found["aliases"] == {"champion": 1}
    assert found["versions"][0]["run_id"] == registered


def test_aliases_are_set_and_listed(registered: str) -> None:
    moved = run("alias", "set", "wide", "challenger", "1", "--reason", "to try")
    assert moved.output == "@challenger of wide: nothing -> version 1\n"
    assert [line.split() for line in run("alias", "list", "wide").output.splitlines()[1:]] == [
        ["wide", "@challenger", "1"],
        ["wide", "@champion", "1"],
    ]
    assert len(json.loads(run("alias", "list", "--json").output)) == 2


def test_runs_are_listed_and_shown(registered: str) -> None:
    assert registered in run("runs", "list").output
    assert registered in run("runs", "list", "--experiment", "Default", "-n", "1").output
    shown = run("runs", "show", registered).output
    for word in ("first", "FINISHED", "loss", "0.25", "depth"):
        assert word in shown
    assert json.loads(run("runs", "show", registered, "--json").output)["data"]["metrics"] == {"loss": 0.25}


def test_empty_stores_say_what_to_do() -> None:
    assert "pack.register_model" in run("models", "list").output
    assert "pack.start_run()" in run("runs", "list").output
    assert "pack alias set" in run("alias", "list").output


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "show", "none"],
        ["runs", "show", "0" * 32],
        ["runs", "list", "--experiment", "none"],
        ["alias", "set", "none", "champion", "1"],
        ["inspect", "-m", "models:/none/1"],
        ["verify", "-m", "nowhere"],
        ["predict", "-m", "nowhere", "-i", "nowhere.csv"],
        ["predict", "-m", "models:/x/../../y"],
    ],
)
def test_what_is_not_there_is_a_message_a_hint_and_exit_code_1(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.output


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve"], ["alias", "set", "x", "y", "z"], ["models", "show"]])
def test_a_misspelled_command_is_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_files_are_scored_and_written(registered: str, tmp_path: Path, kind: str) -> None:
    frame = models.wide_frame(6)
    source, target = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    if kind == "csv":
        frame.to_csv(source, index=False)
    elif kind == "parquet":
        frame.to_parquet(source)
    else:
        source.write_text(json.dumps({"dataframe_split": frame.to_dict(orient="split", index=False)}), encoding="utf-8")
    done = run("predict", "-m", "models:/wide@champion", "-i", str(source), "-o", str(target))
    assert done.exit_code == 0, done.output
    assert _predictions(target) == models.wide_pipeline().predict(frame).tolist()


def _predictions(path: Path) -> Any:
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))["predictions"]
    return (pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path))["prediction"].tolist()


def test_standard_input_goes_to_standard_output(registered: str) -> None:
    body = json.dumps({"dataframe_records": models.wide_frame(2).to_dict(orient="records")})
    for command in (["predict"], ["models", "predict"]):
        done = run(*command, "-m", "models:/wide@champion", given=body)
        assert json.loads(done.output) == {"predictions": models.wide_pipeline().predict(models.wide_frame(2)).tolist()}


def test_a_lossy_value_in_a_file_is_refused_by_name(registered: str, tmp_path: Path) -> None:
    text = models.wide_frame(1).astype(object).assign(c3="x").to_csv(index=False)
    done = run("predict", "-m", "models:/wide@champion", "-t", "csv", given=text)
    assert done.exit_code == 1
    assert "column 'c3' is declared double" in done.stderr


def test_inspect_shows_what_a_model_is(registered: str) -> None:
    shown = run("inspect", "-m", "models:/wide@champion").output
    for word in ("python_function, sklearn", registered, "scikit-learn==", "c19", "double", "loading_runs_code", "no"):
        assert word in shown
    found = json.loads(run("inspect", "-m", "models:/wide/1", "--json").output)
    assert found["intact"]
    assert found["saved_by_you"]


def test_verify_says_ok_or_what_differs(registered: str) -> None:
    good = run("verify", "-m", "models:/wide@champion")
    assert (good.exit_code, good.output.partition(":")[0]) == (0, "OK")
    home = Path(json.loads(run("inspect", "-m", "models:/wide@champion", "--json").output)["path"])
    (home / "requirements.txt").write_text("evil", encoding="utf-8")
    bad = run("verify", "-m", "models:/wide@champion")
    assert bad.exit_code == 1
    assert "OK" not in bad.output
    assert "changed: 'requirements.txt'" in bad.stderr
    assert json.loads(run("verify", "-m", "models:/wide/1", "--json").stdout)["changed"] == ["requirements.txt"]


def test_verify_finds_a_model_that_was_replaced_whole(registered: str, tmp_path: Path) -> None:
    import shutil

    home = Path(json.loads(run("inspect", "-m", "models:/wide/1", "--json").output)["path"])
    shutil.rmtree(home)
    pack.save_model(models.wide_pipeline(), home)
    done = run("verify", "-m", "models:/wide/1")
    assert done.exit_code == 1
    assert "not what was registered" in done.stderr


def test_a_model_without_digests_is_not_verified(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    done = run("verify", "-m", str(tmp_path))
    assert done.exit_code == 1
    assert "nothing to compare with" in done.stderr


def test_control_characters_are_shown_and_not_sent_to_the_terminal(own_world: Path) -> None:
    with pack.start_run(run_name="\x1b[31mred\x07") as started:
        pack.set_tag("t", "a\x1b]0;title\x07")
    for arguments in (["runs", "list"], ["runs", "show", started.info.run_id]):
        assert "\x1b" not in run(*arguments).output


def test_python_m_pack_is_the_same_command() -> None:
    done = subprocess.run([sys.executable, "-m", "pack", "--help"], capture_output=True, text=True, check=True)
    assert "serve" in done.stdout
