"""`pack models`, `alias`, `diff`, `verify`, `gc`, `db`."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import pack
from pack.mlmodel.model import ModelInfo
from tests import models

Call = Callable[..., Result]


def log(columns: int = 20) -> ModelInfo:
    from sklearn.linear_model import LogisticRegression

    frame = models.wide_frame(50, columns)
    return pack.log_model(LogisticRegression().fit(frame, frame["c0"] > 0), "wide", input_example=frame[:2])


@pytest.fixture
def churn() -> list[ModelInfo]:
    """Three versions of churn: the third takes a column more."""
    with pack.start_run():
        made = [log(3), log(3), log(4)]
    for one in made:
        pack.register_model(one.model_uri, "churn")
    return made


def test_a_model_is_registered_described_tagged_copied_renamed(call: Call, tmp_path: Path) -> None:
    info = log()
    shown = call("models", "register", info.model_uri, "churn", "-t", "validation=yes", "-d", "# Why").output.split()
    assert shown[0] == "models:/churn/1"
    assert "validation=yes" in call("models", "show", "churn/1").output
    (tmp_path / "card.md").write_text("# Card", encoding="utf-8")
    call("models", "describe", "churn", "--file", str(tmp_path / "card.md"))
    call("models", "describe", "churn/1", "text of one")
    call("models", "tag", "churn", "team=growth")
    call("models", "tag", "models:/churn/1", "x=1", "--delete", "validation")
    assert call("models", "copy", "models:/churn/1", "live").output == "models:/live/1\n"
    call("models", "rename", "churn", "churn-2026")
    found = json.loads(call("models", "show", "churn-2026", "--json").output)
    assert (found["description"], found["tags"]) == ("# Card", {"team": "growth"})
    assert (found["versions"][0]["description"], found["versions"][0]["tags"]) == ("text of one", {"x": "1"})
    assert json.loads(call("models", "show", "live/1", "--json").output)["source"] == "models:/churn/1"
    assert call("verify", "models:/live/1").output.startswith("OK")


def test_what_an_alias_points_at_is_not_deleted_without_force(call: Call, churn: list[ModelInfo]) -> None:
    call("alias", "set", "churn", "champion", "2")
    assert "@champion points at version 2" in call("models", "delete", "churn/2", code=1).stderr
    call("models", "delete", "churn/1")
    call("models", "restore", "churn/1")
    call("models", "delete", "churn/2", "--force")
    assert call("alias", "list", "churn").output.startswith("no aliases")
    call("models", "delete", "churn")
    assert "no model is registered" in call("models", "show", "churn", code=1).stderr
    call("models", "restore", "churn")
    assert [one["version"] for one in json.loads(call("models", "show", "churn", "--json").output)["versions"]] == [
        3,
        1,
    ]


def test_an_alias_moves_is_compared_and_set_and_goes_back(call: Call, churn: list[ModelInfo]) -> None:
    call("alias", "set", "churn", "champion", "1", "--expect", "none", "--reason", "first")
    assert "points at version 1" in call("alias", "set", "churn", "champion", "2", "--expect", "3", code=1).stderr
    call("alias", "set", "churn", "champion", "2", "--expect", "1", "--reason", "better")
    assert call("verify", "models:/churn@champion~1").output.startswith("OK")
    assert call("models", "show", "churn@champion").output.startswith("model         models:/churn/2\n")
    moved = call("alias", "rollback", "churn", "champion", "--reason", "complaints").output
    assert moved == "@champion of churn: version 2 -> version 1\n"
    assert "has no alias 'champoin'" in call("alias", "delete", "churn", "champoin", code=1).stderr
    call("alias", "delete", "churn", "champion", "--reason", "retired")
    rows = json.loads(call("alias", "history", "churn", "champion", "--json").output)
    assert [(one["from_version"], one["to_version"], one["reason"]) for one in rows] == [
        (None, 1, "first"),
        (1, 2, "better"),
        (2, 1, "complaints"),
        (1, None, "retired"),
    ]
    assert "complaints" in call("alias", "history", "churn").output


def test_a_diff_says_what_breaks_and_the_alias_stays(call: Call, churn: list[ModelInfo]) -> None:
    assert call("diff", "models:/churn/1", "models:/churn/2").output.startswith("compatible: ")
    shown = call("diff", "models:/churn/1", "models:/churn/3", code=1).output.splitlines()
    assert shown[0].startswith("breaking: ")
    assert shown[3].split()[:3] == ["breaking", "inputs", "c3"]
    found = json.loads(call("diff", "models:/churn/1", "models:/churn/3", "--json", code=1).output)
    assert (found["verdict"], [one["name"] for one in found["changes"]]) == ("breaking", ["c3"])
    call("alias", "set", "churn", "champion", "1")
    assert "breaks those who call @champion" in call("alias", "set", "churn", "champion", "3", code=1).stderr
    assert call("alias", "list", "churn").output.splitlines()[1].split() == ["churn", "@champion", "1"]
    call("alias", "set", "churn", "champion", "3", "--force")


def test_the_trash_says_what_would_go_and_then_it_goes(call: Call) -> None:
    with pack.start_run() as run:
        pack.log_text("x" * 5000, "a.txt")
    folder = Path(run.info.artifact_uri)
    pack.delete_run(run.info.run_id)
    assert call("gc").output.startswith("nothing in the trash is old enough")
    would = json.loads(call("gc", "--older-than", "0", "--dry-run", "--json").output)
    assert (would["bytes"], would["items"][0]["id"]) == (5000, run.info.run_id)
    assert folder.exists()
    assert "gone: 1 of 1, 4.9 KiB" in call("gc", "--older-than", "0s").output
    assert not folder.exists()
    assert "no run" in call("runs", "restore", run.info.run_id, code=1).stderr
    assert "no length of time" in call("gc", "--older-than", "soon", code=2).output


def test_a_sound_database_is_called_so_and_a_broken_one_is_not(call: Call, churn: list[ModelInfo]) -> None:
    assert "sound     yes" in call("db", "check").output
    shutil.rmtree(churn[0].artifact_path)
    assert "models:/churn/1 are gone" in call("db", "check", code=1).stderr
    with sqlite3.connect(".pack/pack.db") as raw:
        raw.execute("DROP INDEX latest_by_value")
        raw.execute("UPDATE aliases SET version = 1")
    raw.close()
    found = json.loads(call("db", "check", "--json", code=1).stdout)
    assert "index latest_by_value is missing or differs" in found["problems"]


def test_a_page_that_was_written_over_is_found(call: Call, churn: list[ModelInfo]) -> None:
    from pack.fluent import state

    state.tracking().close()
    state.registry().close()
    path = Path(".pack/pack.db")
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 4] = b"\x00" * 4096
    path.write_bytes(data)
    done = call("db", "check", code=1)
    assert "damaged" in done.stderr or "sound     no" in done.stdout


def test_an_older_database_is_upgraded_with_a_copy(call: Call) -> None:
    from pack.db.migrations import MIGRATIONS

    with sqlite3.connect("old.db") as raw:
        for statement in MIGRATIONS[1]:
            raw.execute(statement)
        raw.execute("INSERT INTO pack_schema (version) VALUES (1)")
        raw.execute("INSERT INTO experiments VALUES (7, 'kept', '', 'active', 1, 1)")
    raw.close()
    uri = "sqlite:///old.db"
    assert "pack db upgrade" in call("db", "check", uri, code=1).stderr
    assert "schema 1 -> 2" in call("db", "upgrade", uri).output
    assert Path("old.db.schema-1").is_file()
    assert "up to date" in call("db", "upgrade", uri).output
    assert pack.Client(uri).get_experiment("7").name == "kept"
    assert "sound     yes" in call("db", "check", uri).output


def test_a_file_that_is_no_database_is_a_clear_error(call: Call) -> None:
    Path("x.db").write_bytes(b"no database" * 1000)
    assert "damaged" in call("db", "check", "sqlite:///x.db", code=1).stderr
    assert "there is no database" in call("db", "check", "sqlite:///nothing.db", code=1).stderr


def test_a_description_is_text(call: Call, churn: list[ModelInfo], tmp_path: Path) -> None:
    (tmp_path / "card.md").write_bytes(b"\xff\xfe\x00")
    assert "is no text in UTF-8" in call("models", "describe", "churn", "-f", str(tmp_path / "card.md"), code=1).stderr
