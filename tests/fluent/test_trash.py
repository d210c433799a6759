"""The trash is emptied: what goes, what stays, and how many bytes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pack
from pack.cli import main
from pack.errors import NotFound
from pack.fluent import state, trash
from pack.fluent.trash import Garbage
from pack.mlmodel.model import ModelInfo
from tests import models

DAY = 86_400_000
STORE = Path(".pack") / "artifacts"


def log(name: str = "churn", *, size: int = 1000, **options: Any) -> tuple[str, ModelInfo]:
    """A run with a file and a model."""
    with pack.start_run() as run:
        pack.log_text("x" * size, "notes/a.txt")
        info = pack.log_model(models.classifier(), name, **options)
    return run.info.run_id, info


def collect(*, older_than: int = 0, dry_run: bool = False) -> list[Garbage]:
    return trash.collect(state.tracking(), state.registry(), older_than=older_than, dry_run=dry_run)


def going(found: list[Garbage]) -> list[tuple[str, str]]:
    return sorted((one.kind, one.id) for one in found if not one.kept_by)


def used() -> int:
    """Bytes of every file of the store's artifacts."""
    return sum(path.stat().st_size for path in STORE.rglob("*") if path.is_file())


def test_nothing_goes_before_its_time() -> None:
    run, info = log()
    pack.delete_run(run)
    pack.Client().delete_logged_model(str(info.model_id))
    assert collect(older_than=DAY) == []
    assert going(collect(older_than=0, dry_run=True)) == [("logged model", info.model_id), ("run", run)]
    pack.Client().restore_run(run)
    assert going(collect()) == [("logged model", info.model_id)]
    assert pack.artifacts.load_text(f"runs:/{run}/notes/a.txt") == "x" * 1000
    assert collect() == []


def test_what_is_emptied_is_gone_from_record_and_disk() -> None:
    run, info = log()
    kept, _ = log()
    pack.delete_run(run)
    pack.Client().delete_logged_model(str(info.model_id))
    collect()
    with pytest.raises(NotFound):
        pack.get_run(run)
    assert not (STORE / "0" / run).exists()
    assert not (STORE / "0" / "models" / str(info.model_id)).exists()
    assert pack.get_run(kept).info.lifecycle_stage == "active"
    assert pack.artifacts.load_text(f"runs:/{kept}/notes/a.txt")


def delete_a_run_and_a_model(first: str, second: str, model_id: str) -> None:
    pack.delete_run(first)
    pack.Client().delete_logged_model(model_id)


def delete_an_experiment_but_what_a_version_needs(first: str, second: str, model_id: str) -> None:
    pack.delete_experiment("1", force=True)


def delete_an_experiment_and_the_version_in_it(first: str, second: str, model_id: str) -> None:
    pack.Client().delete_registered_model("churn")
    pack.delete_experiment("1")


def delete_a_run_and_leave_parts_in_both(first: str, second: str, model_id: str) -> None:
    for run in (first, second):
        leave_behind(STORE / "1" / run / "artifacts")
    pack.delete_run(second)


@pytest.mark.parametrize(
    "delete",
    [
        delete_a_run_and_a_model,
        delete_an_experiment_but_what_a_version_needs,
        delete_an_experiment_and_the_version_in_it,
        delete_a_run_and_leave_parts_in_both,
    ],
)
def test_a_dry_run_says_the_bytes_that_go(delete: Callable[[str, str, str], None]) -> None:
    pack.set_experiment("churn")
    (first, model), (second, _) = log(), log(size=5000, registered_model_name="churn")
    delete(first, second, str(model.model_id))
    before = used()
    expected = collect(dry_run=True)
    assert used() == before
    found = collect()
    assert expected == found
    assert trash.total(found) == before - used() > 0


def leave_behind(folder: Path) -> None:
    """A file and a folder that nobody has written for two hours."""
    part, model = folder / f".new-{'0' * 16}", folder / ".artifacts.new-abcdefgh"
    model.mkdir()
    part.write_bytes(b"x" * 300)
    (model / "model.bin").write_bytes(b"x" * 500)
    for path in (part, model):
        os.utime(path, (time.time() - 7200, time.time() - 7200))


def test_what_a_version_needs_stays_whoever_made_it() -> None:
    churn = pack.set_experiment("churn").experiment_id
    run, info = log(registered_model_name="churn")
    pack.delete_experiment(churn, force=True)
    found = {one.kind: one for one in collect()}
    assert found["logged model"].kept_by == found["experiment"].kept_by == str(Path(info.artifact_path))
    assert found["run"].kept_by == ""
    assert pack.pyfunc.load_model("models:/churn/1").flavor == "sklearn"
    with pytest.raises(NotFound):
        pack.get_run(run)
    pack.Client().delete_model_version("churn", 1)
    collect()
    assert not Path(info.artifact_path).exists()
    assert pack.get_experiment_by_name("churn") is None


def test_a_version_in_the_trash_keeps_its_files_until_it_goes_itself() -> None:
    _, info = log(registered_model_name="churn")
    pack.Client().delete_model_version("churn", 1)
    pack.Client().delete_logged_model(str(info.model_id))
    time.sleep(0.01)
    assert collect(older_than=DAY) == []
    pack.Client().restore_model_version("churn", 1)
    collect()
    assert pack.pyfunc.load_model("models:/churn/1").flavor == "sklearn"
    pack.Client().delete_registered_model("churn")
    assert {one.kind for one in collect()} == {"registered model", "version", "logged model"}
    assert not Path(info.artifact_path).exists()


def test_files_outside_the_store_are_never_touched(tmp_path: Path) -> None:
    pack.save_model(models.classifier(), tmp_path / "mine")
    pack.register_model(tmp_path / "mine", "churn")
    pack.create_experiment("shared", artifact_location=str(tmp_path / "shared"))
    pack.set_experiment("shared")
    run, _ = log()
    (tmp_path / "shared" / "of-others").write_text("x", encoding="utf-8")
    pack.Client().delete_registered_model("churn")
    pack.delete_experiment(pack.get_run(run).info.experiment_id)
    collect()
    assert (tmp_path / "mine" / "MLmodel").is_file()
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["models", "of-others"]
    assert list((tmp_path / "shared" / "models").iterdir()) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "a").write_text("x", encoding="utf-8")
    run, _ = log()
    (STORE / "0" / run / "artifacts" / "link").symlink_to(tmp_path / "precious")
    pack.delete_run(run)
    collect()
    assert not (STORE / "0" / run).exists()
    assert (tmp_path / "precious" / "a").is_file()


def test_what_was_cut_off_is_gone_on_with() -> None:
    run, _ = log()
    pack.delete_run(run)
    store = state.tracking()
    store.purge(store.trash())  # and here the process was killed
    assert (STORE / "0" / run).exists()
    (item,) = collect(dry_run=True)
    assert (item.kind, item.id, item.bytes) == ("folder", run, 1000)
    assert (STORE / "0" / run).exists()
    assert collect() == [item]
    assert not (STORE / "0" / run).exists()
    assert list(store.doomed()) == []


SAVING = """
import time, pack
class Endless(pack.pyfunc.PythonModel):
    def __reduce__(self):
        print("writing", flush=True)
        time.sleep(600)
with pack.start_run():
    pack.log_model(Endless(), "never")
"""


@pytest.mark.faults
def test_what_a_killed_process_was_writing_goes(own_world: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", SAVING], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    assert collect() == []
    left = [path for path in STORE.rglob("*") if path.is_file() or ".new-" in path.name]
    assert left
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    expected = collect(dry_run=True)
    found = collect()
    assert [(one.kind, one.bytes) for one in expected] == [(one.kind, one.bytes) for one in found]
    assert [one.kind for one in found] == ["half-written"]
    assert not [path for path in STORE.rglob("*") if path.is_file() or ".new-" in path.name]
    (run,) = pack.search_runs(output_format="list")
    assert run.info.status == "FAILED"


def test_the_command_says_what_would_go_and_then_removes_it() -> None:
    run, _ = log()
    pack.delete_run(run)
    shown = CliRunner().invoke(main, ["gc", "--dry-run", "--json", "--older-than", "0s"])
    assert shown.exit_code == 0, shown.output
    answer = json.loads(shown.output)
    assert (answer["dry_run"], [one["id"] for one in answer["items"]]) == (True, [run])
    assert answer["bytes"] == 1000
    assert "nothing in the trash" in CliRunner().invoke(main, ["gc"]).output
    done = CliRunner().invoke(main, ["gc", "--older-than", "0s"])
    assert "gone: 1 of 1" in done.output
    assert not (STORE / "0" / run).exists()


def test_registering_copies_no_bytes() -> None:
    _, info = log()

    def files() -> dict[int, int]:
        return {path.stat().st_ino: path.stat().st_blocks for path in STORE.rglob("*") if path.is_file()}

    before = files()
    for name in ("churn", "churn", "other"):
        pack.register_model(info.model_uri, name)
    pack.Client().copy_model_version("models:/churn/2", "production")
    assert files() == before


def test_a_copied_version_says_where_it_came_from_and_keeps_its_digest() -> None:
    _, info = log(registered_model_name="churn")
    client = pack.Client()
    client.set_model_version_tag("churn", "1", "ok", "yes")
    client.update_model_version("churn", "1", "# Notes")
    pack.set_alias("churn", "champion", 1)
    made = client.copy_model_version("models:/churn@champion", "production")
    first = client.get_model_version("churn", 1)
    assert (made.name, made.version, made.source, made.aliases) == ("production", 1, "models:/churn/1", [])
    assert (made.digest, made.run_id, made.model_id) == (first.digest, info.run_id, info.model_id)
    assert (made.tags, made.description) == ({"ok": "yes"}, "# Notes")
    client.delete_model_version("churn", 1, force=True)
    collect()
    assert pack.pyfunc.load_model("models:/production/1").flavor == "sklearn"
    for uri in (info.model_uri, "models:/churn/1", "models:/production/1/MLmodel", "runs:/x/y"):
        with pytest.raises(pack.PackError):
            client.copy_model_version(uri, "again")
    with pytest.raises(NotFound):
        client.get_registered_model("again")


def verify(uri: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(main, ["verify", uri, "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_a_version_keeps_the_digest_that_it_was_registered_with() -> None:
    _, info = log(registered_model_name="churn")
    home = Path(info.artifact_path)
    version = pack.Client().get_model_version("churn", 1)
    code, found = verify("models:/churn/1")
    assert (code, found["verified"], found["registered_digest"], found["digest"]) == (
        0,
        True,
        version.digest,
        version.digest,
    )
    for file in sorted(path for path in home.rglob("*") if path.is_file()):
        data = file.read_bytes()
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert CliRunner().invoke(main, ["verify", "models:/churn/1"]).exit_code == 1, file.name
        file.write_bytes(data)
    assert verify("models:/churn/1")[0] == 0
    assert pack.Client().get_model_version("churn", 1) == version


def test_a_model_that_is_sealed_anew_is_not_the_one_that_was_registered(tmp_path: Path) -> None:
    """Who rewrites the digests inside the directory too, is caught by the digest in the registry."""
    _, info = log(registered_model_name="churn")
    home = Path(info.artifact_path)
    pack.save_model(models.wide_pipeline(), tmp_path / "other")
    for file in [path for path in home.rglob("*") if path.is_file()]:
        file.unlink()
    for file in [path for path in (tmp_path / "other").rglob("*") if path.is_file()]:
        (home / file.relative_to(tmp_path / "other")).write_bytes(file.read_bytes())
    assert verify(str(home))[0] == 0
    code, found = verify("models:/churn/1")
    assert (code, found["changed"], found["sealed"]) == (1, [], True)
    assert found["digest"] != found["registered_digest"]


def test_the_default_experiment_stays_for_what_is_recorded_without_any() -> None:
    run, _ = log()
    pack.delete_experiment("0")
    assert "experiment" not in {one.kind for one in collect()}
    with pytest.raises(NotFound):
        pack.get_run(run)
    pack.restore_experiment("0")
    assert pack.get_experiment("0").name == "Default"
