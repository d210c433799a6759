"""`pack import` and `pack export`, as a person or a script runs them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner, Result

import pack
from pack.cli import main
from tests.exchange import mlruns
from tests.exchange.mlruns import RUN


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def test_a_folder_is_imported_shown_verified_and_exported(there: Path, tmp_path: Path) -> None:
    done = run("import", there)
    assert done.exit_code == 0, done.output
    assert re.search(r"^metric points +7 +7 +7$", done.output, re.MULTILINE)
    assert "everything is here, and the same" in done.output
    assert RUN in run("runs", "list", "--experiment", "churn").output
    assert run("verify", "models:/churn/2").output.startswith("OK: 2 files match their digests, the digest it was")
    assert run("export", tmp_path / "out", "--model", "churn").exit_code == 0
    assert run("export", tmp_path / "one", "--run", RUN[:8]).exit_code == 0
    found = json.loads(run("import", tmp_path / "out", "--json").output)
    assert found["complete"]
    assert {count["new"] for count in found["counts"].values()} == {0}


def test_a_changed_file_of_an_imported_version_is_found_by_verify(there: Path) -> None:
    run("import", there)
    path = next(Path.cwd().rglob("model.txt"))
    path.write_text("poisoned", encoding="utf-8")
    assert run("verify", "models:/churn/2").exit_code == 1


def test_what_was_left_out_is_listed_and_costs_the_exit_code(there: Path) -> None:
    (mlruns.run(there / "1", "d" * 32) / "meta.yaml").unlink()
    done = run("import", there)
    assert done.exit_code == 1
    assert f"skipped: run {'d' * 32}: its meta.yaml is missing" in done.output
    strict = run("import", there, "--strict")
    assert strict.exit_code == 1
    assert "meta.yaml is missing" in strict.output
    assert "runs" not in strict.output.splitlines()[0].split()


def test_what_strangers_wrote_sends_nothing_to_the_terminal(there: Path) -> None:
    mlruns.fact(there / "1" / RUN / "artifacts", "a\x1b[2Jb", "x")
    done = run("import", there)
    assert done.exit_code == 1
    assert "\x1b" not in done.output


def test_a_misspelled_command_is_2_and_a_missing_source_1(tmp_path: Path) -> None:
    assert run("import").exit_code == 2
    assert run("import", "x", "--rename", "no-equals-sign").exit_code == 2
    (tmp_path / "file").touch()
    assert run("export", tmp_path / "file").exit_code == 2
    missing = run("import", tmp_path / "nothing")
    assert missing.exit_code == 1
    assert "there is nothing at" in missing.output


def test_a_terminal_sees_how_far_it_is(there: Path) -> None:
    screen, device = pty.openpty()
    command = [sys.executable, "-m", "pack", "import", str(there)]
    subprocess.run(command, stderr=device, stdout=subprocess.DEVNULL, check=True)
    os.close(device)
    shown = os.read(screen, 100_000).decode()
    os.close(screen)
    assert "importing" in shown
    assert "100% [####################] 3 of 3 runs and models" in shown


def test_the_lock_of_a_table_and_what_a_kill_left_are_no_files_of_a_run(tmp_path: Path) -> None:
    with pack.start_run() as made:
        pack.log_table({"a": [1]}, "t.json")
    Path(made.info.artifact_uri, f".new-{'0' * 16}").touch()
    done = run("export", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert [path.name for path in (tmp_path / "out").rglob("artifacts/*")] == ["t.json"]
    (tmp_path / "there").mkdir()
    there = {**os.environ, "PACK_TRACKING_URI": f"sqlite:///{tmp_path / 'there' / 'other.db'}"}
    taken = subprocess.run([sys.executable, "-m", "pack", "import", ".pack"], env=there, text=True, capture_output=True)
    assert taken.returncode == 0, taken.stdout + taken.stderr
